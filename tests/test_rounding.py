"""The bound of each operation holds, for every order of summation and whatever XLA makes of it, and it is attained."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import special

from twolayer.verification.programs.interpreter import interpret
from twolayer.verification.rounding.bounded import DecidedByRounding
from twolayer.verification.rounding.bounds import Rounding, exactly
from twolayer.verification.rounding.doubt import Unsure
from twolayer.verification.rounding.units import TRUSTED, product_of, unit

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")

TYPES = ("float64", "float32", "bfloat16", "float16")
SEQUENCES = {
    "forward": lambda terms: _one_by_one(terms),
    "backward": lambda terms: _one_by_one(terms[::-1]),
    "pairwise": lambda terms: _pairwise(terms),
    "by size": lambda terms: _one_by_one(sorted(terms, key=abs)),
}


def _one_by_one(terms):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _pairwise(terms):
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return _pairwise(terms[:half]) + _pairwise(terms[half:])


def bounded(f, *arguments, precision="float32"):
    """The outputs with their bounds, and the system."""
    with jax.enable_x64(arguments[0].dtype == np.float64):
        closed = jax.make_jaxpr(f)(*arguments)
    system = Rounding(precision, "cpu")
    with jax.enable_x64(True):
        return interpret(closed, system, *map(exactly, arguments)), system


def compiled(f, *arguments):
    with jax.enable_x64(arguments[0].dtype == np.float64):
        return [np.asarray(a).astype(np.float64) for a in jax.jit(f)(*arguments)]


def check(f, *arguments):
    """All of XLA's numbers are within their bounds; returns the largest error / bound."""
    right, _ = bounded(f, *arguments)
    largest = 0.0
    for mine, value in zip(compiled(f, *arguments), right, strict=True):
        error = abs(mine - value.numbers)
        assert np.isfinite(value.bound).all()
        assert (error <= value.bound).all()
        largest = max(largest, (error[error > 0] / value.bound[error > 0]).max(initial=0))
    return largest


@pytest.mark.parametrize("order", SEQUENCES)
def test_dot_products_in_every_order_lie_within_the_bound_of_the_exact_number(order):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 17, 100):
        a, b = (rng.normal(size=(4, n)).astype(np.float32) for _ in range(2))
        a[:, ::3] *= (rng.random((4, len(range(0, n, 3)))) < 0.5).astype(np.float32)  # terms that do not count
        (value,), _ = bounded(lambda a, b: [a @ b.T], a, b)
        for i in range(4):
            mine = SEQUENCES[order](list(a[i] * b[i]))
            exact = sum(Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a[i], b[i], strict=True))
            assert abs(Fraction(float(mine)) - exact) <= Fraction(float(value.bound[i, i]))
            assert abs(Fraction(float(value.numbers[i, i])) - exact) <= Fraction(float(value.bound[i, i]))


def test_the_bound_of_a_sum_is_attained():
    """1 + u + u + ..., from the left: each addition is a tie that goes to 1, and loses its term."""
    n = 1000
    terms = np.full(n, np.float32(2.0**-24))
    terms[0] = 1
    (value,), _ = bounded(lambda a: [lax.reduce_sum_p.bind(a, axes=(0,), out_sharding=None)], terms)
    lost = abs(float(_one_by_one(list(terms))) - value.numbers)
    assert 0.99 * value.bound < lost <= value.bound


def test_only_terms_that_may_not_be_zero_count():
    a = np.zeros((1, 1000), np.float32)
    a[0, :3] = 1
    (sparse, dense), _ = bounded(lambda a, b: [a @ b, (a + 1) @ b], a, np.ones((1000, 1), np.float32))
    assert sparse.bound == pytest.approx(3 * product_of(3, 2.0**-24), rel=1e-6)
    assert dense.bound > 1000 * product_of(1000, 2.0**-24)


@pytest.mark.parametrize("dtype", TYPES)
def test_each_operation_is_within_its_bound(dtype):
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(40, 50)).astype(dtype) for _ in range(2))
    one = a.dtype.type(1)

    def operations(a, b):
        safe = jnp.abs(b) + one / 8
        return [
            a + b, a - b, a * b, a / safe, jnp.exp(a), jnp.log(safe), jnp.tanh(a), jax.nn.sigmoid(a), jnp.expm1(a),
            jnp.log1p(jnp.abs(a)), a**3, safe**-2.0, jnp.square(a), jnp.abs(a), -a, a.sum(0), a.sum(), a.max(1),
            lax.reduce_sum_p.bind(a, axes=(1,), out_sharding=None), jnp.cumsum(a, 1), a @ b.T, jnp.dot(a[0], b.T),
            jnp.where(a > b, a, b * b), jnp.clip(a, -1, one / 2), jax.nn.softmax(a), jax.nn.logsumexp(a, axis=1),
            jnp.sqrt(safe), lax.rsqrt(safe), jnp.sin(a), jnp.cos(a), safe**one.dtype.type(0.3), (safe + a * a) ** -1.5,
            lax.erf(a),
            a.at[0].add(b[1]), a.prod(1), jax.nn.relu(a) * (a > 0), jnp.maximum(a, b), jnp.mean(a, 0), jnp.sort(a, 1),
        ]  # fmt: skip

    assert 0.2 < check(operations, a, b) <= 1


FUNCTIONS = {
    "exp": (lax.exp, np.exp, (-87, 88)),
    "log": (lax.log, np.log, (1e-30, 10)),
    "tanh": (lax.tanh, np.tanh, (-10, 10)),
    "logistic": (lax.logistic, lambda a: 1 / (1 + np.exp(-a)), (-80, 80)),
    "expm1": (lax.expm1, np.expm1, (-80, 80)),
    "log1p": (lax.log1p, np.log1p, (-0.999, 10)),
    "sqrt": (lax.sqrt, np.sqrt, (1e-30, 10)),
    "rsqrt": (lax.rsqrt, lambda a: 1 / np.sqrt(a), (1e-30, 10)),
    "sin": (lax.sin, np.sin, (-10, 10)),
    "cos": (lax.cos, np.cos, (-10, 10)),
    "erf": (lax.erf, special.erf, (-6, 6)),
    "pow": (lambda a: a**1.5, lambda a: a**1.5, (0, 10)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_need_half_the_roundings_they_are_trusted_with(name):
    f, exact, ends = FUNCTIONS[name]
    a = np.concatenate([np.linspace(*ends, 300_000), np.linspace(max(-1, ends[0]), 1, 300_000)]).astype(np.float32)
    (mine,) = compiled(lambda a: [f(a)], a)
    right = exact(a.astype(np.float64))
    error = abs(mine - right)[abs(right) > 1e-37] / abs(right)[abs(right) > 1e-37]
    assert error.max() <= TRUSTED[name] / 2 * 2.0**-24


def test_what_xla_rewrites_is_within_the_bound():
    rng = np.random.default_rng(2)
    a, b, c = (rng.uniform(0.1, 1, size=(100, 100)).astype(np.float32) for _ in range(3))
    check(lambda a, b, c: [a / b / c, a / (b / c), a / 7, a / b.sum(1, keepdims=True)], a, b, c)
    check(lambda a, b, c: [(a + 1e-3) + 1.0, (a + 1e4) - 1e4, a * 0.3 * 0.7, (a * b + c) * b], -a, b, c)
    check(lambda a, b, c: [jnp.exp(a) * jnp.exp(-b), jnp.log(jnp.exp(a)), c / jnp.exp(b)], 80 * a, 80 * b, c)


@pytest.mark.parametrize("m", [1, 2, 8])
@pytest.mark.parametrize("inner", [lambda f: f, jax.jit])
def test_a_bias_that_starts_the_sum_is_within_the_bound(inner, m):
    """XLA adds b to a single row of products before the first of them, where b is rounded with every term."""
    rng = np.random.default_rng(6)
    x, W, b = (scale * rng.normal(size=size) for scale, size in ((1e-3, (m, 300)), (1e-2, (40, 300)), (1, (1, 40))))
    product = inner(lambda x, W: x @ W.T)
    for dtype in ("float32", "bfloat16"):
        arrays = [a.astype(dtype) for a in (x, W, b)]
        check(lambda x, W, b: [product(x, W) + b, b + product(x, W), product(x, W) - b], *arrays)
    (alone, biased), _ = bounded(lambda x, W, b: [product(x, W), product(x, W) + b], *arrays)
    assert (
        biased.bound < alone.bound + 2.0**-7 * abs(arrays[2].astype(float))
    ).all()  # bfloat16: one rounding, not 300


def test_operands_may_be_rounded_to_eleven_bits_under_tensorfloat32_only():
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(30, 30)).astype(np.float32) for _ in range(2))
    short = [(x * (1 + 2**13) - (x * (1 + 2**13) - x)).astype(np.float64) for x in (a, b)]  # Veltkamp's splitting
    error = abs(short[0] @ short[1] - a.astype(float) @ b)
    for precision, holds in (("tensorfloat32", True), ("float32", False)):
        (value,), _ = bounded(lambda a, b: [a @ b], a, b, precision=precision)
        assert (error <= value.bound).all() == holds


def test_bfloat16_products_are_accumulated_in_float32_and_its_sums_are_not():
    """What the bounds rely on; a product of 4096 terms would be off by more than a rounding or two otherwise."""
    rng = np.random.default_rng(4)
    a, b = (abs(rng.normal(size=(8, 4096))).astype(jnp.bfloat16) for _ in range(2))
    (product,), _ = bounded(lambda a, b: [a @ b.T], a, b)
    assert (product.bound < 1.1 * 2**-8 * product.numbers).all()
    check(lambda a, b: [a @ b.T, lax.reduce_sum_p.bind(a, axes=(1,), out_sharding=None)], a, b)


def test_conversions_round_to_the_smaller_type():
    a = np.float32([1 / 3, 1e-6, 3e4])
    (half, back, brain), _ = bounded(
        lambda a: [a.astype(jnp.float16), a.astype(jnp.float16).astype(a.dtype), a.astype(jnp.bfloat16)], a
    )
    assert half.bound[0] == pytest.approx(2.0**-11 / 3, rel=0.01) and (half.bound == back.bound).all()
    assert half.bound[1] >= abs(np.float64(np.float16(a[1])) - a[1]) > 0  # subnormal in float16
    assert brain.bound[0] == pytest.approx(2.0**-8 / 3, rel=0.01)
    (wide,), _ = bounded(lambda a: [a.astype(jnp.float32)], a.astype(jnp.bfloat16))
    assert not wide.bound.any()
    (count,), _ = bounded(lambda a: [jnp.arange(300).astype(jnp.bfloat16)], a)
    assert count.bound[257] == 1 and not count.bound[:257].any()


def test_subnormal_numbers_may_be_read_as_zero():
    a = np.float32([1e-39, 1e-20])
    check(lambda a: [a * 1e10, a * a, a / 1e20], a)


def test_what_lies_beyond_the_largest_number_has_no_bound_and_is_named():
    value, system = bounded(lambda a: [jnp.exp(a)], np.float32([1, 100]))
    assert np.isfinite(value[0].bound[0]) and np.isinf(value[0].bound[1])
    assert system.overflow.startswith("exp at test_rounding.py:")


def test_an_operation_without_a_bound_is_named():
    (value,), system = bounded(lambda a: [lax.lgamma(a)], np.float32([3]))
    assert np.isinf(value.bound).all() and system.unknown_at.startswith("lgamma at test_rounding.py:")


# Predicates. s is 1/3 + 1/3 + 1/3 - 1, which rounding decides.


def thirds(a):
    return a / 3 + a / 3 + a / 3 - 1


@pytest.mark.parametrize(
    "choose",
    [
        lambda s: jnp.where(s > 0, 5.0, 7.0),
        lambda s: jnp.where((s > 0) & (s < 9), 5.0, 7.0),
        lambda s: jnp.where(~(s <= 0) | (s > 9), 5.0, 7.0),
        lambda s: (s > 0) * 2.0,
        lambda s: (s > 0).astype(jnp.int32).astype(bool) * 2.0,
        lambda s: jnp.sign(s),
        lambda s: jnp.floor(s),
    ],
)
def test_a_choice_in_doubt_covers_both_cases(choose):
    (value,), _ = bounded(lambda a: [choose(thirds(a))], np.float32([1, 1.5]))
    outcomes = [float(choose(np.float32(s))) for s in (-1e-7, 1e-7)]
    assert all(abs(outcome - value.numbers[0]) <= value.bound[0] for outcome in outcomes)
    assert outcomes[0] != outcomes[1]
    assert value.bound[1] < 1e-6  # 1/2 + 1/2 + 1/2 is larger than 1, whatever the rounding


def test_operands_that_settle_a_logical_operation_leave_no_doubt():
    (both, either, open_), _ = bounded(
        lambda a: [(thirds(a) > 0) & (a > 9), (thirds(a) > 0) | (a < 9), (thirds(a) > 0) & (a < 9)], np.float32([1])
    )
    assert isinstance(open_, Unsure) and open_.doubt.all()
    assert not isinstance(both, Unsure) and not isinstance(either, Unsure)


def test_numbers_that_the_program_holds_itself_are_compared_exactly():
    (ties,), _ = bounded(lambda a: [jnp.where(a > 0, 1.0, 2.0)], np.float32([0, 1e-30, -1e-30]))
    assert ties.numbers.tolist() == [2, 1, 2] and not ties.bound.any()


def test_the_place_of_a_maximum_is_in_doubt_only_between_rivals():
    a = np.float32([[1, 1 + 2**-23, 0], [1, 2, 0]])
    (near,), _ = bounded(lambda a: [(a / 3 * 3).argmax(1)], a)
    assert near.doubt.tolist() == [True, False] and near.value.tolist() == [1, 1]
    (sure,), _ = bounded(lambda a: [a.argmax(1)], a)
    assert sure.tolist() == [1, 1]


def test_integers_have_the_type_that_the_program_gave_them():
    """An index of 32 bits beside the literal 0."""

    def f(a):
        return [lax.fori_loop(0, 3, lambda i, c: c + lax.dynamic_slice_in_dim(a, i, 1), a[:1])]

    assert check(f, np.float32([[1, 2], [3, 4], [5, 6]])) == 0


def test_sorted_numbers_are_within_the_bound_of_the_one_that_moves_most():
    a = np.float32([[3e6, 1, 2, 1], [5, 6, 4, 7]])
    (near, far), _ = bounded(lambda a: [jnp.sort(a[0] / 3 * 3), jnp.sort(a[1] / 3)], a)
    assert (near.bound == near.bound.max()).all() and near.bound[0] > 0.1
    assert far.numbers.tolist() == (np.float64([4, 5, 6, 7]) / 3).tolist() and len(set(far.bound)) > 1
    (order,), _ = bounded(lambda a: [jnp.argsort(a[1] / 3)], a)
    assert order.tolist() == [2, 0, 1, 3]


def test_a_scatter_that_adds_may_do_so_in_any_order():
    """Started from 2^24, each of 100 ones is lost; started from their sum, none."""
    start, ones = np.float32([2**24, 0]), np.ones(100, np.float32)
    (value,), _ = bounded(lambda start, ones: [start.at[np.zeros(100, int)].add(ones)], start, ones)
    assert value.numbers.tolist() == [2**24 + 100, 0] and value.bound[0] >= 100 and value.bound[1] < 1e-30
    assert check(lambda start, ones: [start.at[np.zeros(100, int)].add(ones)], start, ones) <= 1


@pytest.mark.parametrize(
    "f",
    [
        lambda a: lax.while_loop(lambda s: s[0] > 0, lambda s: s - 1, thirds(a)),
        lambda a: lax.cond(thirds(a)[0] > 0, lambda: 1.0, lambda: 2.0),
        lambda a: jnp.arange(3.0)[(thirds(a) > 0).astype(int)],
        lambda a: jnp.argsort(thirds(a)),
    ],
)
def test_what_needs_a_plain_answer_says_that_rounding_decides(f):
    with pytest.raises(DecidedByRounding):
        bounded(lambda a: [f(a)], np.float32([1, 1]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_program_of_many_steps_is_within_its_bound(dtype):
    def network(a, w):
        outputs = []
        for _ in range(2):
            z = a @ w - a.mean(0, keepdims=True)
            a = jax.nn.softmax(jnp.where(z > 0, z, jnp.tanh(z))) + jax.nn.relu(z) / (1 + jnp.square(a))
            outputs += [z, a]
        return outputs

    rng = np.random.default_rng(5)
    check(network, rng.normal(size=(30, 20)).astype(dtype), (rng.normal(size=(20, 20)) / 5).astype(dtype))


def test_small_types_are_rounded_twice():
    assert unit("bfloat16").u == pytest.approx(2**-8 + 2**-24, abs=2**-31) and unit("float32").u == 2**-24
