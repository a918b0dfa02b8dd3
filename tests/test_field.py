"""The prime field: its identities are those of exp and of rational functions, and of nothing else."""

import importlib
import itertools
import math
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twolayer.losses import LOSSES
from twolayer.verification.interpreter import interpret, where
from twolayer.verification.numbers import modular
from twolayer.verification.numbers.degrees import Degrees
from twolayer.verification.numbers.dual import Dual, DualValue
from twolayer.verification.numbers.field import MODULI, NO_VALUE_OF_LOG, Field, G, P, Q
from twolayer.verification.numbers.literals import is_plain, simplest_rational
from twolayer.verification.numbers.opaque import Opaque, absorbing, opaque_mask
from twolayer.verification.programs import readings

pytestmark = pytest.mark.usefixtures("float64", "as_users_call_it")

DRAWS, ROWS, COLUMNS = 2, 3, 4


def traced(f, *shapes, dtype="float64"):
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(f)(*(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))


def points(inputs=2, positive=False, seed=0):
    """Arrays of random elements under random shadows."""
    rng = np.random.default_rng(seed)
    field, shadows = Field(DRAWS), rng.normal(size=(inputs, DRAWS, ROWS, COLUMNS))
    return field, [field.random(rng, abs(s) if positive else s) for s in shadows]


def value(f, field, *arguments):
    """What f, interpreted, gives: one array."""
    shapes = [a.shadow.shape[1:] for a in arguments]
    (result,) = interpret(traced(f, *shapes), field, *arguments)
    return result


def same(f, g, inputs=2, positive=False):
    """Whether two programs are equal in the field; their float64 numbers must be equal or not alike."""
    field, arguments = points(inputs, positive)
    a, b = value(f, field, *arguments), value(g, field, *arguments)
    assert not opaque_mask(a.element).any() and not opaque_mask(b.element).any()
    equal = bool((a.element == b.element).all())
    assert equal == np.allclose(a.shadow, b.shadow, rtol=1e-12, atol=0)
    return equal


IDENTITIES = {
    "exp(a + b) = exp(a) exp(b)": (lambda a, b: jnp.exp(a + b), lambda a, b: jnp.exp(a) * jnp.exp(b)),
    "exp(a - b) = exp(a) / exp(b)": (lambda a, b: jnp.exp(a - b), lambda a, b: jnp.exp(a) / jnp.exp(b)),
    "exp(3 a) = exp(a)^3": (lambda a, b: jnp.exp(3 * a), lambda a, b: jnp.exp(a) ** 3),
    "exp(a / 2)^2 = exp(a)": (lambda a, b: jnp.exp(a / 2) ** 2, lambda a, b: jnp.exp(a)),
    "exp(a b)^2 = exp(2 a b)": (lambda a, b: jnp.exp(a * b) ** 2, lambda a, b: jnp.exp(2 * a * b)),
    "exp of a sum is a product": (lambda a, b: jnp.exp(a.sum(axis=1)), lambda a, b: jnp.exp(a).prod(axis=1)),
    "exp of a matrix product": (
        lambda a, b: jnp.exp(a @ b.T),
        lambda a, b: jnp.exp(a[:, None] * b[None]).prod(axis=2),
    ),
    "exp(0) = 1": (lambda a, b: jnp.exp(a - a) * b, lambda a, b: b),
    "expm1": (lambda a, b: jnp.expm1(a) + 1, lambda a, b: jnp.exp(a)),
    "sigmoid": (lambda a, b: jax.nn.sigmoid(-a), lambda a, b: 1 - jax.nn.sigmoid(a)),
    "tanh": (lambda a, b: jnp.tanh(a), lambda a, b: 2 * jax.nn.sigmoid(2 * a) - 1),
    "tanh of a sum": (
        lambda a, b: jnp.tanh(a + b),
        lambda a, b: (jnp.tanh(a) + jnp.tanh(b)) / (1 + jnp.tanh(a) * jnp.tanh(b)),
    ),
}
NO_IDENTITIES = {
    "exp(a b) is no product": (lambda a, b: jnp.exp(a * b), lambda a, b: jnp.exp(a) * jnp.exp(b)),
    "exp(a) + exp(b)": (lambda a, b: jnp.exp(a + b), lambda a, b: jnp.exp(a) + jnp.exp(b)),
    "a Taylor polynomial": (lambda a, b: jnp.exp(a), lambda a, b: 1 + a + a * a / 2),
    "another factor": (lambda a, b: jnp.exp(2 * a), lambda a, b: jnp.exp(2.000001 * a)),
    "tanh without its 2": (lambda a, b: jnp.tanh(a), lambda a, b: 2 * jax.nn.sigmoid(a) - 1),
}
OF_LOGARITHMS = {
    "exp(log v) = v": (lambda v, w: jnp.exp(jnp.log(v)), lambda v, w: v),
    "exp(2 log v) = v^2": (lambda v, w: jnp.exp(2 * jnp.log(v)), lambda v, w: v * v),
    "exp(-3 log v) = 1 / v^3": (lambda v, w: jnp.exp(jnp.log(v) * -3), lambda v, w: 1 / v**3),
    "exp(log v - log w) = v / w": (lambda v, w: jnp.exp(jnp.log(v) - jnp.log(w)), lambda v, w: v / w),
    "exp(a + log v) = exp(a) v": (lambda v, w: jnp.exp(w + jnp.log(v)), lambda v, w: jnp.exp(w) * v),
    "exp(log exp(v)) = exp(v)": (lambda v, w: jnp.exp(jnp.log(jnp.exp(v))), lambda v, w: jnp.exp(v)),
    "exp of a sum of logarithms": (lambda v, w: jnp.exp(jnp.log(v).sum(axis=1)), lambda v, w: v.prod(axis=1)),
    "log1p and softplus": (lambda v, w: jnp.exp(jnp.log1p(jnp.exp(v))), lambda v, w: 1 + jnp.exp(v)),
    "its place does not matter": (lambda v, w: jnp.exp(jnp.log(v).T[::-1]), lambda v, w: v.T[::-1]),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_of_exp_hold(name):
    assert same(*IDENTITIES[name])


@pytest.mark.parametrize("name", NO_IDENTITIES)
def test_what_is_no_identity_does_not_hold(name):
    assert not same(*NO_IDENTITIES[name])


@pytest.mark.parametrize("name", OF_LOGARITHMS)
def test_a_logarithm_is_known_by_its_exponential(name):
    assert same(*OF_LOGARITHMS[name], positive=True)


def plain_softmax(a):
    return jnp.exp(a) / jnp.exp(a).sum(axis=1, keepdims=True)


SOFTMAXES = {
    "shifted": lambda a: plain_softmax(a - a.max(axis=1, keepdims=True)),
    "of jax": lambda a: jax.nn.softmax(a),
    "exp of log_softmax": lambda a: jnp.exp(jax.nn.log_softmax(a)),
    "by logsumexp": lambda a: jnp.exp(a - jax.nn.logsumexp(a, axis=1, keepdims=True)),
    "by a logarithm": lambda a: jnp.exp(a - jnp.log(jnp.exp(a).sum(axis=1, keepdims=True))),
    "shifted by the mean": lambda a: jax.nn.softmax(a - a.mean(axis=1, keepdims=True)),
    "shifted by a number": lambda a: jax.nn.softmax(a + 2.5),
    "by pairs": lambda a: 1 / jnp.exp(a[:, None, :] - a[:, :, None]).sum(axis=2),
    "by powers": lambda a: jnp.exp(a / 2) ** 2 / (jnp.exp(a / 2) ** 2).sum(axis=1, keepdims=True),
    "the gradient of logsumexp": jax.grad(lambda a: jax.nn.logsumexp(a, axis=1).sum()),
}  # fmt: skip


@pytest.mark.parametrize("name", SOFTMAXES)
def test_all_ways_to_write_a_softmax_are_one(name):
    assert same(SOFTMAXES[name], plain_softmax, inputs=1)
    assert not same(SOFTMAXES[name], lambda a: plain_softmax(a.T).T, inputs=1)


def test_the_rows_of_a_softmax_sum_to_one_exactly_and_its_jacobian_to_zero():
    field, (a,) = points(1)
    assert (value(lambda a: jax.nn.softmax(a).sum(axis=1), field, a).element == 1).all()
    jacobian = value(lambda a: jax.jacfwd(jax.nn.softmax)(a[0]).sum(axis=0), field, a)
    assert (jacobian.element == 0).all()


def test_masked_logits_of_minus_infinity_are_left_out_of_a_softmax():
    assert same(lambda a: jax.nn.softmax(jnp.where(jnp.arange(4) < 3, a, -jnp.inf))[:, :3],
                lambda a: jax.nn.softmax(a[:, :3]), inputs=1)  # fmt: skip


def test_draws_at_which_exp_leaves_float64_are_marked():
    field = Field(3)
    a = field.random(np.random.default_rng(0), np.array([[1.0, 2.0], [3.0, 800.0], [-750.0, 0.5]]))
    value(lambda a: jnp.exp(a), field, a)
    assert field.lost.tolist() == [False, True, True]


def test_a_value_of_a_logarithm_is_opaque_and_says_so():
    field, arguments = points(2, positive=True)
    for f in (lambda v, w: jnp.log(v) + w, lambda v, w: (w - jnp.log(v)).sum(axis=0), lambda v, w: v @ jnp.log(w).T):
        element = value(f, field, *arguments).element
        assert opaque_mask(element).all() and element.ravel()[0].reason == NO_VALUE_OF_LOG
    square_root = value(lambda v, w: jnp.exp(jnp.log(v) / 2), field, *arguments)
    assert opaque_mask(square_root.element).all()


def is_prime(n):
    """Miller and Rabin; with these bases without error below 3 * 10^23."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if n < 2 or any(n % b == 0 for b in bases):
        return n in bases
    twos = (n - 1 & 1 - n).bit_length() - 1
    odd = (n - 1) >> twos
    return all(pow(b, odd, n) == 1 or any(pow(b, odd << i, n) == n - 1 for i in range(twos)) for b in bases)


def test_the_moduli_are_the_largest_chain_of_four_primes_below_61_bits_and_g_generates_the_subgroups():
    """Each is twice the next and one more; so exp maps the numbers by the next to the subgroup of that order."""

    def chain(s):
        return [8 * s + 7, 4 * s + 3, 2 * s + 1, s]

    largest = next(s for s in range(2**58 - 2, 0, -1) if all(map(is_prime, chain(s))))
    assert chain(largest) == list(MODULI) and MODULI[:2] == (P, Q)
    assert all(pow(G, order, modulus) == 1 for modulus, order in itertools.pairwise(MODULI)) and G != 1


def test_an_exp_of_an_exp_of_an_exp_obeys_its_rules():
    """exp(exp(exp(a)) + b) = exp(exp(exp(a))) exp(b), and exp(2 s(a)) = exp(s(a))^2 for the logistic function s."""
    field, rng = Field(3), np.random.default_rng(0)
    a, b = (field.random(rng, rng.normal(size=(3, 4)), depth=4) for _ in range(2))
    two, tower = field.constant(np.float64(2)), field.exp(field.exp(a))
    one = field.exp(field.add(tower, b))
    assert (one.element == field.mul(field.exp(tower), field.exp(b)).element).all()
    s = field.logistic(a)
    assert (field.exp(field.mul(two, s)).element == field.power(field.exp(s), 2).element).all()
    assert (field.exp(field.add(s, s)).element != field.exp(s).element).all()


def test_without_an_exponent_of_the_exponent_an_exp_of_an_exp_is_unknown():
    field, rng = Field(3), np.random.default_rng(0)
    a = field.random(rng, rng.normal(size=(3, 4)))
    assert opaque_mask(field.exp(field.exp(a)).element).all()


residues = st.integers(0, P - 1)


@given(st.lists(st.integers(-(2**53), 2**53), min_size=4, max_size=4))
def test_integer_arithmetic_is_arithmetic_modulo_p(numbers):
    field = Field(1)
    a, b, c, d = (field.constant(np.float64(n)) for n in numbers)
    found = field.sub(field.mul(field.add(a, b), c), field.power(d, 3))
    exact = (numbers[0] + numbers[1]) * numbers[2] - numbers[3] ** 3
    assert found.element == exact % P and found.exponent == exact % Q
    rows = [field.constant(np.array(pair, float)) for pair in (numbers[:2], numbers[2:])]
    product = sum(x * y for x, y in zip(numbers[:2], numbers[2:], strict=True))
    assert field.matmul(*(r._replace(exponent=None) for r in rows)).element == product % P
    assert field.sum(rows[0], (0,)).element == sum(numbers[:2]) % P


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_rational_arithmetic_is_that_of_fractions(a, b):
    field = Field(1)
    x, y = field.rational(a), field.rational(b)

    def element(number):
        return number.numerator * pow(number.denominator, -1, P) % P

    assert field.add(x, y).element == element(a + b) and field.mul(x, y).element == element(a * b)
    if b:
        assert field.div(x, y).element == element(a / b)
    elif a:
        assert field.div(x, y).element.item().reason == "a division by zero"


# --- literals ---


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([1, -1]))
def test_a_float_is_read_as_the_quotient_that_it_was(numerator, denominator, sign):
    number = sign * numerator / denominator
    assert simplest_rational(number) == Fraction(sign * numerator, denominator)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_float32_is_read_as_the_quotient_that_it_was(numerator, denominator):
    number = np.float32(numerator) / np.float32(denominator)
    assert simplest_rational(float(number), "float32") == Fraction(numerator, denominator)


@given(st.integers(1, 1000), st.sampled_from([1e-3, 1e-4, 1e-5, 1e-6]))
def test_a_decimal_divided_by_the_number_of_examples_is_read_so_though_rounded_twice(m, decimal):
    assert simplest_rational(decimal / m) == Fraction(str(decimal)) / m
    assert simplest_rational(decimal * (1 / m)) == Fraction(str(decimal)) / m


@given(st.floats(min_value=0, allow_infinity=False, exclude_min=True))
@example(5e-324)
@example(2.0**60)
@example(1.7e308)
def test_what_a_float_is_read_as_is_within_four_units_in_the_last_place_of_its_type(number):
    read, gap = simplest_rational(number), Fraction(math.ulp(number))
    was_float32 = abs(number) < 3e38 and float(np.float32(number)) == number
    units = 2**28 if was_float32 else 4
    assert read > 0 and abs(read - Fraction(number)) <= units * gap
    assert simplest_rational(-number) == -read


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_float64_that_was_a_float32_is_read_as_what_that_was(numerator, denominator):
    number = float(np.float32(numerator / denominator))
    assert simplest_rational(number) == Fraction(numerator, denominator)


def test_a_dyadic_number_means_itself_though_float32_holds_it():
    for number in (1 + 2.0**-20, 1 - 2.0**-24, 1 + 2.0**-23, 3 * 2.0**-30, 2.0**-60, 1e30):
        assert simplest_rational(number) == Fraction(number)


def test_no_simpler_fraction_rounds_to_the_literal():
    for number in np.random.default_rng(0).random(5):
        read = simplest_rational(float(number))
        for denominator in range(1, 2000):
            assert denominator >= read.denominator or round(number * denominator) / denominator != number


def test_numbers_near_to_a_simple_one_are_not_taken_for_it():
    for number in (1 + 1e-9, 1 - 1e-9, 1 / 3 + 1e-10, 0.1 + 1e-12, 2 + 2e-15, 1e-5 / 5 * (1 + 1e-14)):
        assert simplest_rational(number).limit_denominator(10**6) != simplest_rational(number)


def test_large_integers_and_their_reciprocals_mean_themselves():
    """Powers of two and of ten scale a loss against underflow, and are divided out again."""
    for power in (2**60, 2**100, 10**16, 10**22):
        assert simplest_rational(float(power)) == power
        assert simplest_rational(1 / float(power)) == Fraction(1, power)
    assert simplest_rational(float(np.float32(1e8)), "float32") == 10**8
    assert same(lambda a: a * 2.0**40 * 1e8 / 1e16 * 1e8 * 2.0**-60 * 2.0**20, lambda a: a, inputs=1)


LITERALS = {
    "0.1": (lambda a: a * 0.1, lambda a: a / 10),
    "1 / 7": (lambda a: a * (1 / 7), lambda a: a / 7),
    "1e-5 / 5": (lambda a: a * (1e-5 / 5), lambda a: a / 500000),
    "0.1 + 0.2": (lambda a: a * (0.1 + 0.2), lambda a: 3 * a / 10),
    "an array": (lambda a: a * jnp.array([0.1, 0.2, 0.3, 1 / 3]), lambda a: a * jnp.array([3, 6, 9, 10]) / 30),
}


@pytest.mark.parametrize("name", LITERALS)
def test_literals_in_a_program_are_rationals(name):
    field, (a,) = points(1)
    found, right = (value(f, field, a).element for f in LITERALS[name])
    np.testing.assert_array_equal(found, right)


def test_readings_are_said_as_short_as_they_can_be():
    numbers = [1 / 7, 0.5, float(np.finfo(np.float64).max), 2.0**-1000]
    said = {"0.14285714285714285": "1/7", repr(2.0**-1000): f"1/{2.0**1000!r}"}
    assert readings(tuple(map(simplest_rational, numbers))) == said


def test_a_program_of_float32_has_literals_of_float32():
    closed = traced(lambda a: a * 0.1 - a / 10 + 0 * a, (ROWS, COLUMNS), dtype="float32")
    field, (a,) = points(1)
    assert (interpret(closed, field, a)[0].element == 0).all()


def test_a_literal_is_plain_if_it_is_shorter_than_floats_are():
    plain = [
        0.1,
        1 / 7,
        1 + 1e-9,
        1e-5 / 5,
        0.1429,
        1 / 784,
        7 / 130,
        float(np.float32(1 / 7)),
        1e16,
        2.0**-60,
        1.7e308,
    ]
    assert all(is_plain(number) and is_plain(-number) for number in plain)
    assert not any(map(is_plain, (math.sqrt(7), 1 / math.sqrt(7), math.log(2), math.pi, math.e)))
    assert sum(map(is_plain, np.random.default_rng(0).normal(size=1000).tolist())) < 5


def test_one_and_a_billionth_is_not_one():
    assert not same(lambda a: (a * (1 + 1e-9) - a).sum(axis=1), lambda a: 0 * a.sum(axis=1), inputs=1)


@pytest.mark.parametrize("library", [True, False])
def test_powers_and_inverses_by_a_modulus(library, monkeypatch):
    """By FLINT or by Python: the same integers, for numbers of either sign and for 0."""
    if not library:
        monkeypatch.setitem(sys.modules, "flint", None)
    try:
        importlib.reload(modular)
        assert (modular.flint is None) == (not library)
        numbers = [0, 1, -1, 2, P - 1, P + 5, *map(int, np.random.default_rng(0).integers(P, size=20))]
        bases, exponents = np.array(numbers, object), np.array([abs(n) for n in reversed(numbers)], object)
        assert modular.power(bases, exponents, P).tolist() == list(map(lambda a, n: pow(a, n, P), bases, exponents))
        unknown, *inverses = modular.inverse(bases, P)
        assert unknown.reason == "a division by zero"
        assert [n * i % P for n, i in zip(numbers[1:], inverses, strict=True)] == [1] * len(inverses)
    finally:
        monkeypatch.undo()
        importlib.reload(modular)


# --- opaque numbers ---


def test_an_opaque_number_absorbs_all_but_a_multiplication_by_zero():
    unknown = Opaque("sqrt")
    array = np.array([1, unknown, 3], object)
    for result in (array + 1, 5 - array, array * 7, -array, array % P, array / 2, 2 / array, array * array):
        assert opaque_mask(result).tolist() == [False, True, False] and result[1].reason == "sqrt"
    assert (array * 0 == 0).all() and (np.array([1, 0, 2], object) @ array) % P == 7
    assert opaque_mask(np.array([1, 1, 2], object) @ array)
    assert absorbing(lambda a: a + 1)(array)[2] == 4 and absorbing(lambda a: a + 1)(array)[1] is unknown


def test_only_the_entries_that_an_operation_without_algebra_touches_are_opaque():
    field, arguments = points(2)
    row = value(lambda a, b: a.at[1].add(jnp.sin(b[1])), field, *arguments).element
    assert opaque_mask(row)[:, 1].all() and not opaque_mask(row)[:, [0, 2]].any()
    chosen = value(lambda a, b: jnp.where(a > 0, a, jnp.sin(b)), field, *arguments)
    np.testing.assert_array_equal(opaque_mask(chosen.element), arguments[0].shadow <= 0)
    product = value(lambda a, b: a @ jnp.where(jnp.arange(4) > 0, b, jnp.sin(b)).T, field, *arguments)
    assert opaque_mask(product.element).all()


def test_an_opaque_number_names_its_operation_and_its_line():
    field, arguments = points(2, positive=True)
    here = test_an_opaque_number_names_its_operation_and_its_line.__code__
    element = value(lambda a, b: 3 * jnp.sqrt(a) + b, field, *arguments).element
    assert element.ravel()[0].reason == f"sqrt at test_field.py:{here.co_firstlineno + 3}"
    inside = value(lambda a, b: jnp.exp(b - jnp.sqrt(a)), field, *arguments).element
    assert inside.ravel()[0].reason == f"sqrt at test_field.py:{here.co_firstlineno + 5}"
    (eqn,) = traced(lambda a: jax.lax.sin(a), (2,)).jaxpr.eqns
    assert where(eqn, here.co_filename) == f"sin at test_field.py:{here.co_firstlineno + 7}"


# --- dual numbers ---


def polynomial(seed):
    """A random polynomial of two matrices: sums, products, quotients, masks."""

    def f(a, b):
        rng = np.random.default_rng(seed)
        terms = [a, b, a @ b.T @ b, jnp.maximum(a, 0)]
        for _ in range(5):
            u, v = (terms[i] for i in rng.integers(len(terms), size=2))
            c = int(rng.integers(-3, 4))
            terms.append(
                (u + c * v, u * v, u - v.sum() + c, u * (v > 0), u / (2 + v * v), jnp.where(u > v, u, v))[
                    rng.integers(6)
                ]
            )
        return sum(terms).sum()  # fmt: skip

    return f


def softmax_losses(seed):
    """A random one of several statements of cross-entropy, whose value is a logarithm and whose slope is not."""
    y = np.eye(ROWS, COLUMNS)
    losses = (
        lambda a, b: (jax.nn.logsumexp(a, axis=1) - a[:, 0]).sum() + (b * a).sum(),
        lambda a, b: -(y * jax.nn.log_softmax(a - b)).sum() / 7,
        lambda a, b: -jnp.log(jax.nn.softmax(a * b)[:, 1]).mean(),
        lambda a, b: (jax.nn.softplus(a * b) + jnp.exp(a) * jnp.tanh(b)).sum(),
        lambda a, b: LOSSES["cross_entropy"](jnp.maximum(a @ b.T, 0), jnp.arange(3)).value.sum(),
    )
    return losses[seed % len(losses)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [polynomial, softmax_losses])
def test_the_slope_of_dual_numbers_is_the_gradient_of_jax_along_the_direction(kind, seed):
    """Exactly, whatever the direction; and it is not that along another direction."""
    f, (field, arguments) = kind(seed), points(2, seed=seed)
    rng = np.random.default_rng(seed)
    directions = [rng.integers(1, P, size=a.shadow.shape).astype(object) for a in arguments]
    (loss,) = interpret(traced(f, *[(ROWS, COLUMNS)] * 2), Dual(field), *map(DualValue, arguments, directions))
    gradient = interpret(traced(jax.grad(f, argnums=(0, 1)), *[(ROWS, COLUMNS)] * 2), field, *arguments)
    along = sum((g.element * u).sum(axis=(1, 2)) for g, u in zip(gradient, directions, strict=True)) % P
    assert not opaque_mask(loss.slope).any()
    np.testing.assert_array_equal(loss.slope, along)
    directions[0][:, 0, 0] += 1
    if any(gradient[0].element[:, 0, 0]):
        (other,) = interpret(traced(f, *[(ROWS, COLUMNS)] * 2), Dual(field), *map(DualValue, arguments, directions))
        assert (other.slope != along).any()


# --- degrees ---


def degrees_of(f, inputs=1):
    system, ones = Degrees(), np.ones((1, ROWS, COLUMNS))
    (found,) = interpret(traced(f, *[(ROWS, COLUMNS)] * inputs), system, *[system.variable(ones)] * inputs)
    return int(found.above.max()), int(found.below.max())


def on_a_line(f, count):
    """Elements of f at count points in arithmetic progression on a random line, [point, draw]."""
    rng, field = np.random.default_rng(0), Field(DRAWS)
    start, step = (rng.integers(P, size=(2, DRAWS, ROWS, COLUMNS)).astype(object) for _ in range(2))
    shadow, closed = np.ones((DRAWS, ROWS, COLUMNS)), traced(f, *[(ROWS, COLUMNS)] * 2)
    values = []
    for i in range(count):
        point = [field.random(rng, shadow)._replace(element=(s + i * t) % P) for s, t in zip(start, step, strict=True)]
        values.append(interpret(closed, field, *point)[0].element)
    return values


def difference(values):
    """Of order n from n + 1 values: zero at all polynomials of a degree below n, and else hardly ever."""
    n = len(values) - 1
    return sum((-1) ** i * math.comb(n, i) * v for i, v in enumerate(values)) % P


POLYNOMIALS = {
    "a product": lambda a, b: (a * b * a).sum(),
    "a matrix product": lambda a, b: (a @ b.T @ a).sum(),
    "powers": lambda a, b: (a**4 * b**2 - b**3).sum(),
    "a product of entries": lambda a, b: a.prod(axis=1).sum() + b.prod(axis=0).sum(),
    "a determinant of exponents": lambda a, b: ((a @ b.T) ** 2 @ (b @ a.T)).sum() * a[0, 0],
    "a cumulative sum": lambda a, b: (jnp.cumsum(a * a, axis=0) * b).sum(),
    "quadratic loss": lambda a, b: jax.grad(lambda a: ((a @ b.T) ** 2).sum())(a).sum(),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_degrees_are_those_of_a_polynomial_of_positive_terms(name):
    f = POLYNOMIALS[name]
    above, below = degrees_of(f, 2)
    assert below == 0
    values = on_a_line(f, above + 2)
    assert (difference(values) == 0).all() and (difference(values[:-1]) != 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_degrees_bound_those_of_a_quotient(seed):
    """Sums of quotients of products of linear forms, whose numerators and denominators have known degrees."""
    counts = np.random.default_rng(seed).integers(1, 4, (3, 2))

    def product(a, n, shift):
        return math.prod(a[i % ROWS].sum() + shift + i for i in range(n))

    def f(a):
        return sum(product(a, n, 10 * k) / product(a, d, 10 * k + 5) for k, (n, d) in enumerate(counts))

    below = counts[:, 1].sum()
    above = below + (counts[:, 0] - counts[:, 1]).max()
    assert degrees_of(f) == (above, below)


def test_an_exponential_counts_as_one_new_symbol():
    assert degrees_of(lambda a: jnp.exp(a * a * a)[0, 0]) == (1, 1)
    above, below = degrees_of(lambda a: jax.nn.softmax(a).sum())
    assert 0 < above <= (2 * COLUMNS + 2) * ROWS * COLUMNS and below <= (2 * COLUMNS + 2) * ROWS * COLUMNS
