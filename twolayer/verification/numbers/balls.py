"""Ball arithmetic: each number is an interval that certainly holds the exact value. The balls are FLINT's (Arb).

A comparison that the balls cannot decide raises Undecided, and the caller starts again with more bits. The same Python
object is the same number, so a number equals itself although its ball has a radius.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.numbers.integers import Undecided, objects, refuse_opaque
from twolayer.verification.numbers.literals import rationals
from twolayer.verification.numbers.opaque import BY_ZERO, Opaque, absorbing, opaque_mask
from twolayer.verification.numbers.system import Numbers, System

# Each comparison with its negation. Of a ball both are false where it cannot be decided.
DECISIONS = {
    np.greater: (operator.gt, operator.le),
    np.less: (operator.lt, operator.ge),
    np.greater_equal: (operator.ge, operator.lt),
    np.less_equal: (operator.le, operator.gt),
    np.equal: (operator.eq, operator.ne),
    np.not_equal: (operator.ne, operator.eq),
}
SURE_BITS = 60  # more than a float64 has


class FlintMissing(ImportError):
    """Balls need python-flint, which is not installed."""


class Ball(NamedTuple):
    """An object array of flint.arb (or Opaque)."""

    balls: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.balls.shape


def _at_precision(method: Callable) -> Callable:
    """FLINT keeps its precision in a global; each operation sets it and puts it back."""

    @functools.wraps(method)
    def run(self: "Balls", *arguments: Any) -> Any:
        self._raise_doubt()
        with self.flint.ctx.workprec(self.bits):
            return method(self, *arguments)

    return run


class Balls(System):
    """Real numbers enclosed in balls, computed with this many bits.

    Raises:
      FlintMissing: python-flint is not installed.
    """

    def __init__(self, bits: int):
        try:
            import flint
        except ImportError as error:
            raise FlintMissing("ball arithmetic needs python-flint: pip install python-flint") from error
        self.flint, self.bits = flint, bits
        self._doubt: Undecided | None = None

    def exact(self, array: Numbers) -> Ball:
        """The numbers that these floats are, as balls of radius 0."""
        array = np.asarray(array, np.float64)
        return self._from_list([self.flint.arb(number) for number in array.ravel().tolist()], array.shape)

    @_at_precision
    def constant(self, array: Numbers) -> Ball:
        fractions = rationals(np.asarray(array))
        known = {f: self._literal(f) for f in set(fractions)}
        return self._from_list([known[f] for f in fractions], np.shape(array))

    def _literal(self, fraction: Any) -> Any:
        if fraction is None:
            return Opaque("an infinite literal")
        return self.flint.arb(fraction.numerator) / fraction.denominator

    def shadow(self, value: Ball) -> np.ndarray:
        """The midpoints, rounded, once the balls are too small for that to matter."""
        refuse_opaque(value.balls)
        if not all(ball.rel_accuracy_bits() >= SURE_BITS for ball in value.balls.flat):
            raise Undecided(f"a number is not known well enough with {self.bits} bits")
        return np.asarray(np.frompyfunc(float, 1, 1)(value.balls), np.float64)

    def opaque(self, shadow: Numbers, reason: str) -> Ball:
        return Ball(np.full(np.shape(shadow), Opaque(reason), object))

    def move(self, f: Callable[..., Numbers], *values: Ball) -> Ball:
        self._raise_doubt()
        return Ball(objects(f(*(value.balls for value in values))))

    def compare(self, op: Callable, a: Ball, b: Ball) -> np.ndarray:
        refuse_opaque(a.balls)
        refuse_opaque(b.balls)
        return np.asarray(np.frompyfunc(lambda x, y: self._decide(op, x, y), 2, 1)(a.balls, b.balls), bool)

    def _raise_doubt(self) -> None:
        if self._doubt:
            raise self._doubt

    def _decide(self, op: Callable, a: Any, b: Any) -> bool:
        if a is b:
            return op in (np.equal, np.greater_equal, np.less_equal)
        holds, fails = DECISIONS[op]
        if holds(a, b):
            return True
        if fails(a, b):
            return False
        raise Undecided(f"two numbers are too close to be told apart with {self.bits} bits")

    def rank(self, value: Ball) -> np.ndarray:
        """The balls themselves, for NumPy to compare. Where two overlap, the next operation raises Undecided."""
        refuse_opaque(value.balls)
        return objects(np.frompyfunc(lambda ball: _Ranked(self, ball), 1, 1)(value.balls))

    @_at_precision
    def add(self, a: Ball, b: Ball) -> Ball:
        return Ball(objects(a.balls + b.balls))

    @_at_precision
    def sub(self, a: Ball, b: Ball) -> Ball:
        return Ball(objects(a.balls - b.balls))

    @_at_precision
    def neg(self, a: Ball) -> Ball:
        return Ball(objects(-a.balls))

    @_at_precision
    def mul(self, a: Ball, b: Ball) -> Ball:
        return Ball(objects(a.balls * b.balls))

    @_at_precision
    def div(self, a: Ball, b: Ball) -> Ball:
        return Ball(objects(_divide(a.balls, b.balls)))

    @_at_precision
    def matmul(self, a: Ball, b: Ball) -> Ball:
        if opaque_mask(a.balls).any() or opaque_mask(b.balls).any():
            return Ball(objects(a.balls @ b.balls))
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        left, right = (np.broadcast_to(v.balls, (*lead, *v.shape[-2:])) for v in (a, b))
        product = np.empty((*lead, a.shape[-2] * b.shape[-1]), object)
        for at in np.ndindex(lead):
            factors = [self.flint.arb_mat(*part.shape, part.ravel().tolist()) for part in (left[at], right[at])]
            product[at] = (factors[0] * factors[1]).entries()
        return Ball(product.reshape(*lead, a.shape[-2], b.shape[-1]))

    @_at_precision
    def sum(self, a: Ball, axes: tuple[int, ...]) -> Ball:
        return Ball(objects(np.sum(a.balls, axis=axes, initial=self.flint.arb(0))))

    @_at_precision
    def exp(self, a: Ball) -> Ball:
        return Ball(objects(_exp(a.balls)))

    @_at_precision
    def log(self, a: Ball) -> Ball:
        return Ball(objects(_log(a.balls)))

    def _from_list(self, balls: list, shape: tuple[int, ...]) -> Ball:
        array = np.empty(len(balls), object)
        array[:] = balls
        return Ball(array.reshape(shape))


_divide = absorbing(lambda a, b: BY_ZERO if b.is_zero() else a / b, 2)
_exp = absorbing(lambda a: a.exp())
_log = absorbing(lambda a: Opaque("log of a number that is not positive") if a <= 0 else a.log())


class _Ranked:
    """A ball in an array that NumPy sorts. NumPy runs over exceptions there, so the system keeps them for later."""

    __slots__ = ("ball", "system")

    def __init__(self, system: Balls, ball: Any):
        self.system, self.ball = system, ball

    def _compare(self, op: Callable, other: "_Ranked") -> bool:
        try:
            return self.system._decide(op, self.ball, other.ball)
        except Undecided as doubt:
            self.system._doubt = doubt
            return False

    def __lt__(self, other: "_Ranked") -> bool:
        return self._compare(np.less, other)

    def __gt__(self, other: "_Ranked") -> bool:
        return self._compare(np.greater, other)
