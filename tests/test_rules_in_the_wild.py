"""Custom rules as public libraries have them: guards against 0, integer arguments of one's own, single precision."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twolayer.verification import assert_right, judgement, verify_gradient, verify_rule
from twolayer.verification.numbers.balls import BITS, precision
from twolayer.verification.numbers.comparisons import decision
from twolayer.verification.numbers.literals import literal, reading, watch_guards, without_guards
from twolayer.verification.programs import Refused
from twolayer.verification.programs.load import Loaded

X = {"x": "n"}


def with_slope(value, slope):
    rule = jax.custom_jvp(value)
    rule.defjvp(lambda primals, tangents: (rule(*primals), slope(*primals) * tangents[0]))
    return rule


def normalised(x):
    return x / (jnp.sqrt(jnp.sum(x * x)) + 1e-10)


GUARDED = {
    "in the backward part alone": (
        with_slope(jnp.sqrt, lambda x: 0.5 / jnp.sqrt(jnp.maximum(x, 1e-7))), "1e-07", "not on ordinary inputs",
    ),
    "that is computed": (
        with_slope(jnp.sqrt, lambda x: 0.5 / jnp.sqrt(jnp.maximum(x, 1 / (4 * 1000**2)))), "2.5e-07", "not on ordinary",
    ),
    "in both parts": (
        with_slope(lambda x: jnp.log(x + 1e-9), lambda x: 1 / x), "1e-09", "by at most",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GUARDED)
def test_what_is_right_but_for_a_guard_is_said_to_be_so_and_can_be_allowed(name):
    f, number, said = GUARDED[name]
    found = verify_rule(f, X, domains={"x": "positive"})
    assert found.verdict == "wrong" and found.text.startswith("WRONG by a small constant alone"), found.text
    assert f"the guard {number}" in found.text and said in found.text
    assert_right(verify_rule(f, X, domains={"x": "positive"}, allow_guards=True))


@pytest.mark.parametrize(
    "slope",
    [
        lambda x: 0.5 / jnp.sqrt(x) + 1e-4 * x,
        lambda x: 0.5 / jnp.sqrt(x) * (1 + 1e-3),
        lambda x: 1 / jnp.sqrt(x + 1e-9),
    ],
    ids=["a term more", "a factor", "a wrong constant beside a guard"],
)
def test_a_small_term_or_factor_is_no_guard(slope):
    found = verify_rule(with_slope(jnp.sqrt, slope), X, domains={"x": "positive"}, allow_guards=True)
    assert found.verdict == "wrong" and all(cause.id != "guard" for cause in found.causes), found.text


def test_a_guard_of_numpy_code_is_found_with_its_line():
    def loss(x):
        return np.log(x).sum()

    def gradients(x):
        return {"x": 1 / (x + 1e-12)}

    found = verify_gradient(loss, gradients, X, domains={"x": "positive"})
    assert "the guard 1e-12 at line" in found.text and found.line == 'return {"x": 1 / (x + 1e-12)}'
    assert_right(verify_gradient(loss, gradients, X, domains={"x": "positive"}, allow_guards=True))


def test_a_small_decay_in_numpy_is_no_guard():
    def loss(w):
        return (w**3).sum()

    def gradients(w):
        return {"w": 3 * w**2 + 1e-6 * w}

    assert verify_gradient(loss, gradients, {"w": "d"}, allow_guards=True).verdict == "wrong"


def test_literals_as_small_as_a_guard_or_as_near_to_1_can_be_left_out():
    with without_guards() as guards:
        assert literal(1e-8) == 0 and literal(1 - 1e-7) == 1 and literal(1e-3) != 0
        watch_guards([np.array([literal(0.5)], object)], multiply=True)
        assert not guards.as_factor
        watch_guards([np.array([literal(0.5), literal(1e-8)], object)], multiply=True)
    assert guards.met == {1e-8, 1 - 1e-7} and guards.as_factor and not guards.as_threshold and literal(1e-8) != 0
    with without_guards(only={1e-9}):
        assert literal(1e-8) != 0 and literal(1e-9) == 0


SINE = {
    "a factor by another name": lambda x: jnp.cos(x) + jnp.float32(1e-6) * x,
    "a factor in an array": lambda x: jnp.cos(x) + jnp.full_like(x, 5e-7) * x,
    "a term that grows": lambda x: jnp.cos(x) + jnp.full_like(x, 8e-7) * jnp.exp(3 * x**2),
    "a threshold": lambda x: jnp.where(jnp.abs(x) < 1e-6, 7.0, jnp.cos(x)),
    "a threshold of a power": lambda x: jnp.where(x**8 < 7e-7, 0.0, jnp.cos(x)),
}


@pytest.mark.parametrize("slope", SINE.values(), ids=SINE)
def test_no_real_fault_hides_behind_a_small_constant(slope):
    assert verify_rule(with_slope(jnp.sin, slope), X, allow_guards=True).verdict == "wrong"


def test_a_guard_below_1_can_be_allowed():
    f = with_slope(jax.nn.softplus, lambda x: jnp.minimum(jax.nn.sigmoid(x), 1 - 1e-7))
    assert_right(verify_rule(f, X, allow_guards=True))
    assert "the guard 0.9999999" in verify_rule(f, X).text


def test_a_constant_of_another_function_of_the_file_does_not_matter():
    def decay(w):
        return w - 1e-9 * w

    f = with_slope(jnp.log, lambda x: 1 / (x + 1e-9))
    assert_right(verify_rule(f, X, domains={"x": "positive"}, allow_guards=True))
    assert decay(1) < 1


def test_a_rule_in_a_loop_or_a_branch_is_held_against_its_plain_program():
    wrong, right = (with_slope(jnp.sin, slope) for slope in (lambda x: 0.9 * jnp.cos(x), jnp.cos))
    loops = {
        "scan": lambda f: lambda x: jax.lax.scan(lambda s, a: (f(s + a), None), 0.0 * x[0], x)[0],
        "map": lambda f: lambda x: jax.lax.map(f, x),
        "cond": lambda f: lambda x: jax.lax.cond(x[0] > 0, f, lambda x: 2 * f(x), x),
    }
    for loop in loops.values():
        assert verify_rule(loop(wrong), X).verdict == "wrong"
        assert_right(verify_rule(loop(right), X))


def test_a_forward_rule_of_another_shape_is_wrong():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x).sum(-1)

    f.defvjp(lambda x: (jnp.sin(x).sum(-1, keepdims=True), x), lambda x, g: (g[..., None] * jnp.cos(x),))
    assert verify_rule(f, {"x": "m d"}).verdict == "wrong"


def test_what_jax_cannot_differentiate_is_undecided_without_a_reference():
    f = with_slope(jnp.sin, jnp.cos)

    def loops(x):
        return jax.lax.while_loop(lambda s: s.sum() < 1, lambda s: 1 + f(s) / 2, x)

    found = verify_rule(loops, X)
    assert found.verdict == "undecided" and "cannot differentiate" in found.text


def test_a_domain_that_raises_is_said_in_one_line():
    with pytest.raises(Refused, match=r"the domain of x is called as \(rng, shape\), and raised TypeError"):
        verify_rule(with_slope(jnp.sin, jnp.cos), X, domains={"x": lambda rng: rng.normal()})


def test_numbers_that_differ_late_are_shown_with_more_digits():
    f = with_slope(jnp.sqrt, lambda x: 0.5 / jnp.sqrt(x) * (1 + 1e-9))
    text = verify_rule(f, X, domains={"x": "positive"}).text
    yours, right = re.search(r"yours (\S+), right (\S+)", text).groups()
    assert yours != right and float(yours) == pytest.approx(float(right), rel=1e-8)


def test_a_number_of_single_precision_is_read_alike_before_and_after_it_is_converted():
    for number in (0.1, 1 / 7, 88.72283, 0.7978846, 3.4028235e38, 2.0**-126, 3 * 2.0**-30):
        single = float(np.float32(number))
        assert reading(single, "float32") == reading(single, "float64")
    assert reading(float(np.float32(0.1)))[0] * 10 == 1 and reading(float(np.float32(0.7978846)))[1] > 0


def test_infinity_less_infinity_is_nan_for_whoever_asks():
    with precision(BITS):
        inf = literal(float("inf"))
        assert decision("ne", "")(inf - inf, inf - inf) and not decision("eq", "")(inf - inf, inf)

    def f(x):
        far = jnp.where(x < 1e30, -jnp.inf, x)
        return with_slope(jnp.exp, jnp.exp)(jnp.where(jnp.isnan(far - far), x, 2 * x))

    assert_right(verify_rule(f, X))


def test_integers_of_a_domain_of_ones_own_have_no_derivative():
    @jax.custom_vjp
    def taken(x, order):
        return x[order]

    taken.defvjp(lambda x, order: (x[order], order), lambda order, g: (g[jnp.argsort(order)], None))
    domains = {"order": lambda rng, shape: rng.permutation(shape[0])}
    assert_right(verify_rule(taken, {"x": "n", "order": "n"}, domains=domains))


def test_probabilities_sum_to_one_exactly():
    @jax.custom_vjp
    def loss(z, p):
        return jnp.sum(p * (jax.nn.logsumexp(z) - z))

    def backward(kept, g):
        z, p = kept
        return g * (jax.nn.softmax(z) - p), g * (jax.nn.logsumexp(z) - z)

    loss.defvjp(lambda z, p: (loss(z, p), (z, p)), backward)
    assert_right(verify_rule(loss, {"z": "k", "p": "k"}, domains={"p": "probabilities"}))
    assert verify_rule(loss, {"z": "k", "p": "k"}, domains={"p": "unit"}).verdict == "wrong"


def test_a_rule_of_single_precision_gets_cotangents_of_its_own_type():
    spike = with_slope(lambda x: (x > 0).astype(jnp.float32), lambda x: 1 / (1 + jnp.abs(x)) ** 2)
    found = verify_rule(lambda x: spike(x.astype(jnp.float32)), X)
    assert found.verdict == "wrong" and "flat there" in found.text
    assert not found.causes and found.line is None  # whatever gives nothing would be right


def test_an_eigenvector_rule_whose_differences_vanish_on_the_diagonal_is_followed():
    @jax.custom_jvp
    def values(a):
        return jnp.linalg.eigh(a)[0]

    @values.defjvp
    def _(primals, tangents):
        w, v = jnp.linalg.eigh(primals[0])
        apart = w[:, None] - w[None, :]
        assert apart.shape == (3, 3)
        return w, jnp.diagonal(v.T @ tangents[0] @ v * (apart == 0))

    assert_right(verify_rule(lambda a: values((a + a.T) / 2), {"a": "3 3"}))


def test_the_derivative_of_a_distance_to_itself_is_zero():
    safe = with_slope(jnp.sqrt, lambda x: 0.5 / jnp.where(x > 0, jnp.sqrt(x), jnp.inf))
    assert_right(verify_rule(lambda r: safe(jnp.sum((r[:, None] - r[None]) ** 2, -1)), {"r": "n 3"}))


def test_a_function_that_takes_long_is_judged_at_fewer_points(monkeypatch):
    f = with_slope(jnp.sin, jnp.cos)
    whole = verify_rule(f, X)
    monkeypatch.setattr(judgement, "PATIENCE", 0.0)
    found = verify_rule(f, X)
    assert found.verdict == whole.verdict == "right" and "points were left out" not in whole.text
    assert f"{judgement.ENOUGH} points" in found.text and "it takes long" in found.text
    assert verify_rule(with_slope(jnp.sin, jnp.sin), X).verdict == "wrong"


def test_a_qr_in_reflections_and_a_tridiagonal_system_have_derivatives():
    def least_squares(a, b):
        h, taus = jnp.linalg.qr(a, mode="raw")
        return jax.lax.linalg.ormqr(h.mT, taus, b[:, None], transpose=True)[:2, 0] ** 2

    right = jax.custom_vjp(lambda a, b: (jnp.linalg.qr(a)[0].T @ b) ** 2)
    right.defvjp(lambda a, b: jax.vjp(lambda a, b: (jnp.linalg.qr(a)[0].T @ b) ** 2, a, b), lambda pull, g: pull(g))
    assert_right(verify_rule(right, {"a": "4 2", "b": "4"}, reference=least_squares))

    @jax.custom_vjp
    def solved(d, b):
        return jax.lax.linalg.tridiagonal_solve(0 * d + 0.1, d, 0 * d + 0.2, b[:, None])[:, 0]

    def backward(kept, g):
        d, x = kept
        y = jax.lax.linalg.tridiagonal_solve(0 * d + 0.2, d, 0 * d + 0.1, g[:, None])[:, 0]
        return -y * x, y

    solved.defvjp(lambda d, b: (solved(d, b), (d, solved(d, b))), backward)
    assert_right(verify_rule(solved, {"d": "n", "b": "n"}, domains={"d": "positive"}))


def test_the_next_float_is_the_number_itself_over_the_reals():
    f = with_slope(lambda x: jnp.nextafter(x, jnp.inf) ** 2, lambda x: 2 * x)
    assert_right(verify_rule(f, X))


def test_a_rule_given_by_any_decorator_belongs_to_its_function(tmp_path):
    path = tmp_path / "rule.py"
    path.write_text(
        "import jax\n@jax.custom_jvp\ndef f(x):\n    return x * x\n"
        "@getattr(f, 'defjvp')\ndef slope(primals, tangents):\n    return f(*primals), 3 * primals[0] * tangents[0]\n"
    )
    assert verify_rule(Loaded(str(path)).plain("f"), X).verdict == "wrong"


def test_random_keys_are_moved_as_any_array():
    def f(x):
        keys = jax.random.split(jax.random.key(0), 4)[::-1].reshape(2, 2).T
        return with_slope(jnp.sin, jnp.cos)(x) * jax.random.normal(keys[1, 0])

    assert_right(verify_rule(f, X))
