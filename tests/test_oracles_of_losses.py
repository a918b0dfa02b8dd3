"""Two oracles for the derivative of a loss that share nothing, and closed forms: all agree to 200 bits."""

from fractions import Fraction

import flint
import numpy as np
import pytest

from twolayer.verification.numbers.balls import AGREEMENT, BITS, Ball, balls, floats, precision
from twolayer.verification.numbers.differences import central, gradient_by_differences
from twolayer.verification.numbers.recorded import Recorded, gradient

SIZE = (3, 4)


def in_place(a, b):
    z = a.copy()
    z -= z.max(axis=1, keepdims=True)
    z[z < -2] = 0
    z[0, :] *= b[0]
    out = np.zeros(3, object)
    for i in range(3):
        out[i] += np.exp(z[i]).sum()
    return np.log(out).sum()


def by_hand(a, b):
    total = 0.0
    for i in range(len(a)):
        for j in range(len(a[0])):
            z = a[i][j] * b[i][j]
            total += z**2 if z > 0 else -z / 3
    return total


def recurrent(a, b):
    h = 0
    for row in a:
        h = np.tanh(row * 0.5 + h)
    return (h * b[0]).mean()


def cross_entropy(a, b):
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(3), [1, 0, 3]]).mean() + abs(b).sum() / 2


# The loss and its closed-form gradient by both arguments.
LOSSES = {
    "products": (lambda a, b: (a * b).sum(), lambda a, b: (b, a)),
    "squares": (lambda a, b: ((a @ b.T) ** 2).sum() / 2, lambda a, b: (a @ b.T @ b, b @ a.T @ a)),
    "quotients": (lambda a, b: (a / (1 + b * b)).sum(), lambda a, b: (1 / (1 + b * b), -2 * a * b / (1 + b * b) ** 2)),
    "powers": (
        lambda a, b: (abs(a) ** 3 + (1 + b**2) ** 0.5).sum(),
        lambda a, b: (3 * a * abs(a), b / np.sqrt(1 + b**2)),
    ),
    "functions": (
        lambda a, b: (np.exp(a) * np.sin(b) + np.log1p(a**2)).sum(),
        lambda a, b: (np.exp(a) * np.sin(b) + 2 * a / (1 + a**2), np.exp(a) * np.cos(b)),
    ),
    "a long literal": (lambda a, b: 0.3989422804 * (a**2 * b).sum(), lambda a, b: None),
    "a maximum": (
        lambda a, b: (np.maximum(a, 0) * np.where(b > 0.25, b, 2)).sum(),
        lambda a, b: ((a > 0) * np.where(b > 0.25, b, 2), np.maximum(a, 0) * (b > 0.25)),
    ),
    "in place": (in_place, lambda a, b: None),
    "plain Python": (by_hand, lambda a, b: (np.where(a * b > 0, 2 * a * b, Ball(Fraction(-1, 3))) * b,
                                            np.where(a * b > 0, 2 * a * b, Ball(Fraction(-1, 3))) * a)),
    "recurrent": (recurrent, lambda a, b: None),
    "cross-entropy": (cross_entropy, lambda a, b: ((_softmax(a) - np.eye(4, dtype=int)[[1, 0, 3]]) / 3,
                                                   (b > 0) - balls(Fraction(1, 2)))),
}  # fmt: skip


def _softmax(a):
    return np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)


def point(seed=0):
    draw = np.random.default_rng(seed).normal
    return [balls(np.vectorize(Fraction, otypes=[object])(draw(size=SIZE))) for _ in range(2)]


def same(mine, right, bits=AGREEMENT):
    """To so many bits, relative to one; the radius counts."""
    assert mine.shape == np.shape(right)
    for a, b in zip(mine.ravel(), balls(right).ravel(), strict=True):
        gap = (Ball(a) - Ball(b)).v
        assert gap.is_finite() and abs(gap).upper() < flint.arb(2) ** -bits
        assert not isinstance(a, Recorded)


@pytest.mark.parametrize("name", LOSSES)
def test_both_oracles_agree_with_each_other_and_with_closed_forms(name):
    loss, closed = LOSSES[name]
    with precision(BITS):
        arguments = point()
        variables = [balls(a, Recorded) for a in arguments]
        backwards = gradient(loss(*variables), variables)
        differences = gradient_by_differences(loss, arguments)
        known = closed(*arguments)
        rounded = 20 if name == "a long literal" else AGREEMENT  # where ten digits are written, ten are known
        for k in range(2):
            same(backwards[k], differences[k], rounded)
            if known is not None:
                same(backwards[k], known[k])


def test_a_loss_that_is_another_is_seen():
    with precision(BITS):
        arguments = point()
        variables = [balls(a, Recorded) for a in arguments]
        found = gradient((variables[0] ** 2 + 1e-40 * variables[0]).sum(), variables)
        right = gradient_by_differences(lambda a, b: (a**2).sum(), arguments)
        with pytest.raises(AssertionError):
            same(found[0], right[0])


def test_a_direction_at_once_is_the_gradient_times_it():
    loss, closed = LOSSES["functions"]
    with precision(BITS):
        arguments, direction = point(), point(1)
        along = central(loss, arguments, direction)
        same(balls(along), sum((g * u).sum() for g, u in zip(closed(*arguments), direction, strict=True)))


def test_one_argument_may_come_alone():
    with precision(BITS):
        a, u = point()
        same(balls(central(lambda a: (a**2).sum(), a, u)), 2 * (a * u).sum())
        same(gradient_by_differences(lambda a: (a**2).sum(), a)[0], 2 * a)


def test_what_a_number_does_not_depend_on_has_derivative_zero():
    with precision(BITS):
        (a,) = variables = [balls(point()[0], Recorded)]
        for output in (balls(3), 3.0, a[0, 0] * 0 + 1, np.floor(a[0, 0])):
            (found,) = gradient(output, variables)
            same(found, np.zeros(SIZE, int))
        (entry,) = gradient_by_differences(lambda a, b: a[0, 1] * b[0, 0], point(), by=[1])
        assert np.flatnonzero(abs(floats(entry)) > 1e-100).tolist() == [0]


def test_a_long_chain_needs_no_recursion():
    with precision(BITS):
        (x,) = variables = [balls([1], Recorded)]
        total = x[0]
        for _ in range(5000):
            total = total + x[0]
        same(gradient(total, variables)[0], [5001])
