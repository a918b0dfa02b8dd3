"""Balls that hold whatever floats may give: each operation widens the radius by its rounding error.

A function that runs on these gives an enclosure of any run in floats: sums in any order, products fused or not. A
comparison that rounding leaves open raises Undecided. The model is that of Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., (2.4) and (3.4): fl(a op b) = (a op b)(1 + d), |d| <= u; a sum of n numbers, in any order, is wrong
by at most (n - 1) u (1 + n u) times the sum of their absolute values; exp, tanh and so on are good to ELEMENTARY units.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, Self

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, arb

ELEMENTARY = 8  # unit roundoffs, that is 4 units in the last place
CONSTANT = 4  # of a constant that was computed on the way


class Precision:
    """Unit roundoff u, smallest number and largest number of a floating-point format."""

    def __init__(self, dtype: str):
        info = np.finfo(dtype)
        self.bits = info.nmant + 1
        self.u = flint.arb(2) ** -self.bits
        self.tiny = flint.arb(2) ** int(np.log2(float(info.tiny)))  # some devices flush what is below to zero
        self.largest = flint.arb(float(info.max))


_PRECISIONS = {name: Precision(name) for name in ("float32", "float64")}
_precision = contextvars.ContextVar("precision", default=_PRECISIONS["float64"])


@contextlib.contextmanager
def rounding(dtype: str) -> Iterator[None]:
    """Round as "float32" or "float64" do, inside."""
    token = _precision.set(_PRECISIONS[dtype])
    try:
        yield
    finally:
        _precision.reset(token)


def _size(v: flint.arb) -> flint.arb:
    return flint.arb(v.abs_upper())


def _operator(sign: int, turned: bool) -> Any:
    def operate(a: "Rounded", b: Any) -> Any:
        if isinstance(b, (np.ndarray, list, tuple)) and np.ndim(b):
            return NotImplemented
        try:
            return _sum(b, a, sign) if turned else _sum(a, b, sign)
        except TypeError:
            return NotImplemented

    return operate


class Rounded(Ball):
    """A number that a floating-point run may hold.

    As a sum it knows its terms: how many they are, the sum of their absolute values, and of their radii, so that its
    radius covers every order of summation.
    """

    __slots__ = ("exact", "magnitude", "terms")
    exact: flint.arb
    magnitude: flint.arb
    terms: int

    def __init__(self, value: Any = 0):
        v = arb(value)
        error = flint.arb(0) if _representable(v) else _size(v) * _precision.get().u * CONSTANT
        _hold(self, v, error)

    @classmethod
    def made(cls, v: flint.arb, operands: tuple = (), slopes: Callable[[], tuple] | None = None) -> Self:
        """The result of an operation, rounded; operands that are no Rounded numbers are constants, rounded before."""
        here = _precision.get()
        units = 1 if len(operands) == 2 else ELEMENTARY
        error = flint.arb(0)
        if slopes is not None and any(not isinstance(o, Rounded) and not _representable(arb(o)) for o in operands):
            for slope, operand in zip(slopes(), operands, strict=True):
                if not isinstance(operand, Rounded) and not _representable(arb(operand)):
                    error += _size(slope) * _size(arb(operand)) * here.u * (CONSTANT + 1)
        error += _size(v) * here.u * units + here.tiny
        ball = object.__new__(cls)
        _hold(ball, v, error)
        return ball

    __add__, __radd__ = _operator(1, False), _operator(1, True)
    __sub__, __rsub__ = _operator(-1, False), _operator(-1, True)

    def __neg__(self) -> "Rounded":
        ball = object.__new__(type(self))
        ball.v, ball.exact, ball.magnitude, ball.terms = -self.v, -self.exact, self.magnitude, self.terms
        return ball


def _hold(ball: Rounded, v: flint.arb, error: flint.arb) -> None:
    wide = flint.arb(0, error.abs_upper()) if error != 0 else flint.arb(0)
    ball.v = v + wide
    if not _size(ball.v) <= _precision.get().largest:
        ball.v = flint.arb("nan")
    ball.exact, ball.magnitude, ball.terms = ball.v, _size(ball.v), 1


def _representable(v: flint.arb) -> bool:
    """Whether a number is a float as it stands: few bits, as integers and halves have."""
    if not v.is_exact():
        return False
    mantissa = int(v.mid().man_exp()[0]) if v.is_finite() and v != 0 else 0
    return abs(mantissa).bit_length() <= _precision.get().bits


def _sum(a: Any, b: Any, sign: int) -> Rounded:
    """The sum a + b or difference a - b, as one sum of all terms that they are sums of."""
    a, b = (x if isinstance(x, Rounded) else Rounded(x) for x in (a, b))
    here, ball = _precision.get(), object.__new__(Rounded)
    ball.exact = a.exact + b.exact if sign > 0 else a.exact - b.exact
    ball.magnitude, ball.terms = flint.arb((a.magnitude + b.magnitude).abs_upper()), a.terms + b.terms
    slack = (1 + here.u * ball.terms) ** 2
    ball.v = ball.exact + flint.arb(0, (ball.magnitude * here.u * (ball.terms - 1) * slack).abs_upper())
    if not _size(ball.v) <= here.largest:
        ball.v = flint.arb("nan")
    return ball
