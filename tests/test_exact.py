"""Exact verdicts on given numbers: rationals by integers, balls, and a batch judged by them."""

import math
import os
import re
import sys
import time
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handmade import WRONG, derivation
from hypothesis import given
from hypothesis import strategies as st
from problems import problem

from twolayer.datasets import load
from twolayer.losses import LOSSES, OF_LABELS
from twolayer.network import Params, init
from twolayer.verification import exact
from twolayer.verification.draws import Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers import integers
from twolayer.verification.numbers.balls import Balls, FlintMissing
from twolayer.verification.numbers.integers import Integers, Rational, Undecided
from twolayer.verification.numbers.opaque import Opaque
from twolayer.verification.reference import Setting, backward_jaxpr

pytestmark = pytest.mark.usefixtures("float64")
N, B = Integers(), Balls(128)
SIZES = Sizes(6, 5, 4, 3)
every_loss = pytest.mark.parametrize("loss", LOSSES)


def fractions(value):
    return [Fraction(n, value.denominator) for n in value.numerator.ravel()]


def rational(*numbers):
    return N.exact(np.array(numbers))


# Integers


def test_floats_are_taken_for_what_they_are():
    assert N.exact(np.array([[0.75, -3.0], [0.0, 0.5]]))._replace(numerator=None) == Rational(None, 4)
    assert N.exact(np.array([[0.75, -3.0], [0.0, 0.5]])).numerator.tolist() == [[3, -12], [0, 2]]
    assert N.exact(np.float32(0.1)).numerator == 13421773 and N.exact(np.float32(0.1)).denominator == 2**27
    assert N.constant(np.array([0.1, 1 / 7, 2.0])).numerator.tolist() == [7, 10, 140]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_float_comes_back(numbers):
    value = N.exact(np.array(numbers))
    assert fractions(value) == [Fraction(number) for number in numbers]
    assert N.shadow(value).tolist() == [abs(number) if number == 0 else number for number in numbers]


def test_arithmetic_by_hand():
    third, a = N.constant(np.array(1 / 3)), rational(1.5, -0.25)
    assert fractions(N.add(a, third)) == [Fraction(11, 6), Fraction(1, 12)]
    assert fractions(N.sub(a, third)) == [Fraction(7, 6), Fraction(-7, 12)]
    assert fractions(N.mul(a, a)) == [Fraction(9, 4), Fraction(1, 16)]
    assert fractions(N.div(a, N.constant(np.array(-0.3)))) == [-5, Fraction(5, 6)]
    assert fractions(N.div(third, a)) == [Fraction(2, 9), Fraction(-4, 3)]
    assert fractions(N.sum(a, (-1,))) == [Fraction(5, 4)]
    assert fractions(N.power(a, -2)) == [Fraction(4, 9), 16]
    both = N.move(lambda a, b: np.concatenate([a, b[None]]), a, third)
    assert fractions(both) == [Fraction(3, 2), Fraction(-1, 4), Fraction(1, 3)]


@pytest.mark.parametrize("library", [True, False])
def test_matrix_product(library, monkeypatch):
    if not library:
        monkeypatch.setattr(integers, "flint", None)
    monkeypatch.setattr(integers, "WORTH_CONVERTING", 0)
    a, b = N.exact(np.array([[[0.5, 2.0]], [[1.0, -4.0]]])), N.exact(np.array([[3.0, 1e200], [0.25, 1e-200]]))
    expected = [Fraction(2), Fraction(5e199), Fraction(2), Fraction(1e200) - 4 * Fraction(1e-200)]
    expected[1] = Fraction(1e200) / 2 + 2 * Fraction(1e-200)
    assert fractions(N.matmul(a, b)) == expected


def test_comparisons_are_exact():
    close = N.add(rational(1.0), N.mul(rational(2.0**-300), rational(2.0**-300)))
    assert N.compare(np.greater, close, rational(1.0)).tolist() == [True]
    assert N.compare(np.equal, close, rational(1.0)).tolist() == [False]
    assert N.compare(np.less_equal, N.constant(np.array([0.1])), N.exact(np.array([0.1]))).tolist() == [True]
    both = N.move(lambda *arrays: np.concatenate(arrays), rational(1.0), close, rational(1.0))
    assert np.argmax(N.rank(both)) == 1


def test_the_shadow_keeps_signs_and_stays_finite():
    tiny, huge = N.power(rational(-1e-300), 3), N.power(rational(-1e300), 3)
    assert N.shadow(tiny)[0] < 0 and np.isfinite(N.shadow(huge)).all() and N.shadow(huge)[0] < -1e308


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (N.exp(rational(1.0)), "exp of a number other than 0"),
        (N.log(rational(2.0)), "log of a number other than 1"),
        (N.div(rational(1.0), rational(0.0)), "a division by zero"),
        (N.constant(np.array([np.inf])), "an infinite literal"),
        (N.div(rational(1.0), N.exact(np.random.default_rng(0).uniform(1, 2, 200))), "a small common multiple"),
    ],
)
def test_what_is_not_rational_is_opaque(value, reason):
    assert isinstance(value.numerator[0], Opaque) and reason in value.numerator[0].reason
    assert N.mul(value, rational(0.0)).numerator[0] == 0
    for use in (lambda: N.compare(np.greater, value, rational(1.0)), lambda: N.rank(value), lambda: N.shadow(value)):
        with pytest.raises(Undecided, match=reason):
            use()


def test_exp_and_log_where_they_are_rational():
    assert fractions(N.exp(rational(0.0))) == [1] and fractions(N.log(rational(1.0))) == [0]


def loops(params, x, y):
    """The quadratic loss, output ReLU and mean, as loops over fractions."""
    rows = (a.reshape(len(a), -1).tolist() for a in (*params, x, y))
    W1, b1, W2, b2, x, y = ([[*map(Fraction, row)] for row in part] for part in rows)
    m, K, C, d = len(x), len(W1), len(W2), len(x[0])
    dW1, db1, dW2, db2 = (
        [[Fraction(0)] * d for _ in W1],
        [Fraction(0)] * K,
        [[Fraction(0)] * K for _ in W2],
        [Fraction(0)] * C,
    )
    for i in range(m):
        Z1 = [b1[j][0] + sum(W1[j][n] * x[i][n] for n in range(d)) for j in range(K)]
        Z2 = [b2[k][0] + sum(W2[k][j] * max(Z1[j], 0) for j in range(K)) for k in range(C)]
        dZ2 = [(z - y[i][k]) / m if z > 0 else Fraction(0) for k, z in enumerate(Z2)]
        dZ1 = [sum(dZ2[k] * W2[k][j] for k in range(C)) if Z1[j] > 0 else Fraction(0) for j in range(K)]
        for k in range(C):
            db2[k] += dZ2[k]
            dW2[k] = [sum_ + dZ2[k] * max(z, 0) for sum_, z in zip(dW2[k], Z1, strict=True)]
        for j in range(K):
            db1[j] += dZ1[j]
            dW1[j] = [sum_ + dZ1[j] * value for sum_, value in zip(dW1[j], x[i], strict=True)]
    return {"dW1": [n for row in dW1 for n in row], "db1": db1, "dW2": [n for row in dW2 for n in row], "db2": db2}


def test_the_right_cotangents_against_loops_over_fractions():
    params, x, y = batch("quadratic", Sizes(3, 4, 2, 5))
    closed, names = backward_jaxpr(Setting("quadratic", "relu", "mean"), Sizes(3, 4, 2, 5))
    values = dict(zip(names, interpret(closed, N, *map(N.exact, (*params, x, y))), strict=True))
    for leaf, expected in loops(params, x, y).items():
        assert fractions(values[leaf]) == expected
        assert any(expected) and max(n.denominator for n in expected) > 2**64


# Balls


def middle(ball):
    mantissa, exponent = ball.mid().man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


def holds(ball, number):
    return abs(middle(ball) - number) <= middle(ball.rad())


def test_balls_hold_the_exact_number():
    tenth = B.constant(np.array([0.1])).balls[0]
    assert holds(tenth, Fraction(1, 10)) and not holds(tenth, Fraction(0.1)) and 0 < float(tenth.rad()) < 1e-37
    assert B.exact(np.array([0.1])).balls[0].is_exact()
    e = B.exp(B.exact(np.array([1.0]))).balls[0]
    series = sum(Fraction(1, math.factorial(n)) for n in range(40))  # good to 1/40!, 1e-48
    assert abs(middle(e) - series) < 1e-37 and float(e.rad()) < 1e-37
    assert holds(B.log(B.exp(B.constant(np.array([0.3])))).balls[0], Fraction(3, 10))


def test_arithmetic_of_balls():
    a, third = B.exact(np.array([[1.5, -0.25]])), B.constant(np.array([[1 / 3]]))
    for value, expected in [
        (B.add(a, third), [(11, 6), (1, 12)]),
        (B.sub(a, third), [(7, 6), (-7, 12)]),
        (B.mul(a, third), [(1, 2), (-1, 12)]),
        (B.div(third, a), [(2, 9), (-4, 3)]),
        (B.neg(a), [(-3, 2), (1, 4)]),
        (B.sum(a, (-1,)), [(5, 4)]),
        (B.matmul(B.move(lambda a: a[None], a), B.move(lambda a: a.T[None], a)), [(37, 16)]),
    ]:
        assert value.balls.size == len(expected)
        assert all(holds(ball, Fraction(*f)) for ball, f in zip(value.balls.flat, expected, strict=True))
    assert B.shadow(B.div(third, a)).tolist() == [[2 / 9, -4 / 3]]


def close_pair(balls):
    third = balls.constant(np.array([1 / 3]))
    return third, balls.add(third, balls.exact(np.array([2.0**-140])))


def test_what_balls_cannot_decide_asks_for_more_bits():
    a, b = close_pair(B)
    for op in (np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal):
        with pytest.raises(Undecided, match="too close to be told apart with 128 bits"):
            B.compare(op, b, a)
    more = Balls(256)
    a, b = close_pair(more)
    assert more.compare(np.greater, b, a).all() and more.compare(np.not_equal, b, a).all()
    assert not more.compare(np.less_equal, b, a).any()


def test_a_number_equals_itself():
    a, _ = close_pair(B)
    assert B.compare(np.equal, a, a).all() and B.compare(np.less_equal, a, a).all()
    assert not B.compare(np.greater, a, a).any()


@pytest.mark.parametrize("function", [lambda a: a.argmax(axis=1) * 1.0, lambda a: a.max(axis=1), jnp.sort])
def test_the_largest_is_never_guessed(function):
    closed = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((1, 3), float))

    def run(balls):
        a, b = close_pair(balls)
        row = balls.move(lambda *parts: np.stack(parts, axis=1), balls.exact(np.array([-7.0])), a, b)
        return balls.shadow(interpret(closed, balls, row)[0]).ravel()[-1]

    with pytest.raises(Undecided, match="with 128 bits"):
        run(Balls(128))
    assert run(Balls(256)) in (2, 1 / 3)


def test_balls_that_are_no_numbers():
    zero = B.exact(np.array([0.0]))
    assert B.div(B.constant(np.array([1.0])), zero).balls[0].reason == "a division by zero"
    assert "not positive" in B.log(zero).balls[0].reason
    a, _ = close_pair(B)
    with pytest.raises(Undecided, match="not known well enough"):
        B.shadow(B.sub(a, B.div(B.add(a, a), B.constant(np.array([2.0])))))


def test_without_flint(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(FlintMissing, match=r"^ball arithmetic needs python-flint: pip install python-flint$"):
        Balls(128)
    found = check("cross_entropy", derivation("cross_entropy"))
    assert set(found.leaves.values()) == {"undecided"} and "pip install" in found.text
    assert set(check("quadratic", derivation("quadratic")).leaves.values()) == {"right"}


# A batch


def batch(loss, sizes=SIZES, dtype=np.float32, seed=0):
    d, K, C, m = sizes
    rng = np.random.default_rng(seed)
    params = Params(rng.normal(size=(K, d)), rng.normal(size=K), rng.normal(size=(C, K)), rng.normal(size=C) + 1)
    y = np.eye(C)[rng.integers(C, size=m)] if loss in OF_LABELS else rng.normal(size=(m, C))
    return Params(*(p.astype(dtype) for p in params)), rng.normal(size=(m, d)).astype(dtype), y.astype(dtype)


def check(loss, gradients, numbers=None, output="relu"):
    return exact.check_batch(gradients, Setting(loss, output, "mean"), *(numbers or batch(loss)))


@every_loss
@pytest.mark.parametrize("output", ["relu", "identity"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_derivation(loss, output, dtype):
    found = check(loss, derivation(loss, output), batch(loss, dtype=dtype), output)
    assert found.leaves == dict.fromkeys(("dW1", "db1", "dW2", "db2"), "right")
    how = r"are equal, as integers of up to \d+ bits" if loss == "quadratic" else "agree to at least 3[5-8] digits, in "
    assert found.text.startswith(f"6-5-4, m = 3, {dtype.__name__}. dW1, db1, dW2, db2 are right: 59 entries ")
    assert re.search(how, found.text)


@every_loss
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivation(loss, name):
    step, line, spoiled = WRONG[name]
    params, x, y = batch(loss)
    if "threshold" in name:
        x, params = x * np.float32(1e-5), params._replace(b1=params.b1 * np.float32(1e-5))
    found = check(loss, derivation(loss, **{step: line}), (params, x, y))
    assert [leaf for leaf, verdict in found.leaves.items() if verdict == "wrong"] == sorted(
        spoiled.split(), key=list(found.leaves).index
    )
    assert "undecided" not in found.leaves.values()


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_entry_that_is_off_by_1e_12(loss, dtype):
    off = derivation(loss, dW1=lambda s: (s.dZ1.T @ s.x) * jnp.ones((15, 20)).at[3, 7].set(1 + 1e-12))
    found = check(loss, off, batch(loss, Sizes(20, 15, 4, 6), dtype))
    assert found.leaves == {"dW1": "wrong", "db1": "right", "dW2": "right", "db2": "right"}
    assert "dW1 is wrong in 1 of 300 entries: dW1[3, 7] is " in found.text


def test_constants_that_loops_over_fractions_gave():
    params, x, y = problem("quadratic", "float64", m=8)
    answer = {leaf: np.array([*map(float, values)]) for leaf, values in loops(params, x, y).items()}
    shaped = {leaf: a.reshape(getattr(params, leaf[1:]).shape) for leaf, a in answer.items()}
    assert check("quadratic", lambda *_: shaped, (params, x, y)).leaves == dict.fromkeys(answer, "right")
    shaped["dW2"] = shaped["dW2"] + 2.0**-20 * np.eye(*shaped["dW2"].shape)
    found = check("quadratic", lambda *_: shaped, (params, x, y))
    assert found.leaves["dW2"] == "wrong" and "dW2 is wrong in 3 of 18 entries" in found.text


@every_loss
def test_zeros_of_integers_are_judged_too(loss):
    found = check(loss, derivation(loss, db1=lambda s: jnp.zeros(5, int)))
    assert found.leaves["db1"] == "wrong" and found.leaves["dW1"] == "right"


def test_a_leaf_beyond_the_rationals_is_enclosed_in_balls():
    again = derivation("quadratic", db2=lambda s: s.dZ2.sum(axis=0) * (jnp.exp(s.b2) / jnp.exp(s.b2)))
    found = check("quadratic", again)
    assert set(found.leaves.values()) == {"right"}
    assert "as integers of up to" in found.text and "db2 is right: 4 entries agree to at least 3" in found.text
    off = derivation("quadratic", db2=lambda s: s.dZ2.sum(axis=0) * (1 + jnp.exp(-60 + 0 * s.b2)))
    assert check("quadratic", off).leaves["db2"] == "wrong"


@every_loss
def test_an_operation_without_an_exact_value(loss):
    found = check(loss, derivation(loss, db2=lambda s: s.dZ2.sum(axis=0) * (jnp.sqrt(s.b2 * s.b2) / abs(s.b2))))
    assert found.leaves == {"dW1": "right", "db1": "right", "dW2": "right", "db2": "undecided"}
    assert "db2 is undecided: sqrt at test_exact.py:" in found.text


def test_what_is_never_used_does_no_harm():
    def gradients(params, x, y):
        jnp.where(jnp.log(abs(params.W1)) > jnp.sqrt(2.0), 1, 0)
        return derivation("quadratic")(params, x, y)

    assert set(check("quadratic", gradients).leaves.values()) == {"right"}


def blank_first_example(loss):
    """Z1 = 0 for all units of one example, and Z2 = 0 for one output of all."""
    params, x, y = batch(loss)
    x[0], params.b1[:], params.W2[2], params.b2[2] = 0, 0, 0, 0
    return params, x, y


@every_loss
def test_at_a_kink_the_derivative_is_a_convention(loss):
    numbers = blank_first_example(loss)
    assert set(check(loss, derivation(loss), numbers).leaves.values()) == {"right"}
    at_zero = derivation(loss, dZ1=lambda s: s.dO1 * (s.Z1 >= 0), dZ2=lambda s: s.dO2 * (s.Z2 >= 0))
    found = check(loss, at_zero, numbers)
    assert "wrong" not in found.leaves.values()
    assert "entries are left out: they depend on ReLU'(0), a convention, and yours is not 0 there." in found.text
    worse = derivation(loss, dZ1=lambda s: s.dO1 * (s.Z1 >= 0), dW1=lambda s: s.dZ1.T @ s.x * 2)
    assert check(loss, worse, numbers).leaves["dW1"] == "wrong"


def test_equal_logits_need_no_guess():
    """Two outputs alike, in numbers so wide that 128 bits cannot see it."""
    params, x, y = batch("cross_entropy", Sizes(20, 9, 4, 5), np.float64)
    params.W2[1], params.b2[1] = params.W2[0], params.b2[0]
    found = check("cross_entropy", derivation("cross_entropy", "identity"), (params, x, y), "identity")
    assert set(found.leaves.values()) == {"right"} and "in balls of 256 bits" in found.text


@every_loss
def test_terms_that_cancel_to_nothing(loss):
    """The mask as one minus its opposite leaves a ball around a zero."""
    masked = derivation(loss, dZ1=lambda s: s.dO1 - s.dO1 * (s.Z1 <= 0))
    assert set(check(loss, masked).leaves.values()) == {"right"}


@pytest.mark.parametrize(("factor", "verdict"), [(1, "right"), (1 + 2.0**-45, "wrong")])
def test_balls_that_are_too_wide_to_judge(factor, verdict):
    """Something large is added and taken away again: 128 bits leave a ball that holds zero and says nothing."""

    def detour(s):
        large = 2.0**90 * jnp.exp(s.b2)
        return s.dZ2.sum(axis=0) * factor + large - large

    found = check("cross_entropy", derivation("cross_entropy", db2=detour))
    assert found.leaves["db2"] == verdict
    if verdict == "right":
        assert re.search(r"db2 is right: 4 entries agree to at least \d\d digits, in balls of 256 bits", found.text)


def test_labels_and_missing_leaves():
    params, x, y = batch("cross_entropy")

    def gradients(params, x, y):
        leaves = derivation("cross_entropy")(params, x, y)
        return {name: leaves[name] for name in ("dW2", "db2")}

    found = check("cross_entropy", gradients, (params, x, y.argmax(axis=1)))
    assert found.leaves == {"dW1": "not_derived", "db1": "not_derived", "dW2": "right", "db2": "right"}


def test_numbers_that_are_not_finite():
    params, x, y = batch("quadratic")
    x[1, 1] = np.nan
    with pytest.raises(ValueError, match=r"^x holds a number that is not finite$"):
        check("quadratic", derivation("quadratic"), (params, x, y))


def test_a_program_that_only_numpy_can_run():
    def gradients(params, x, y):
        return {"db2": np.array(y).sum(axis=0)}

    found = check("quadratic", gradients)
    assert set(found.leaves.values()) == {"undecided"} and "cannot be followed" in found.text


@pytest.mark.mnist
@pytest.mark.parametrize(("loss", "seconds"), [("quadratic", 5), ("cross_entropy", 20)])
def test_a_real_batch(loss, seconds, tmp_path):
    folder = os.environ.get("TWOLAYER_MNIST_DIR")
    if not folder:
        pytest.skip("TWOLAYER_MNIST_DIR does not name a folder with the four MNIST archives")
    data = load("mnist", source_dir=folder, data_dir=tmp_path)
    x = data.train.x[:32] * np.float32(data.scale)
    y = np.eye(10, dtype=np.float32)[data.train.y[:32]]
    params = jax.tree.map(np.asarray, init(jax.random.key(0), 784, 128, 10))
    assert params.W1.dtype == x.dtype == np.float32
    start = time.process_time()
    found = check(loss, derivation(loss), (params, x, y))
    assert time.process_time() - start < seconds
    assert set(found.leaves.values()) == {"right"} and "101770 entries" in found.text
