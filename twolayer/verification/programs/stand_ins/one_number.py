"""A number of people's code as a ball, and those of NumPy's functions of numbers for which balls have no method."""

import contextvars
import inspect
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.complexes import Complex, angle

NUMBER: contextvars.ContextVar[type[Ball]] = contextvars.ContextVar("NUMBER", default=Ball)  # what constants become


def ball(value: Any) -> Ball:
    """A number of any kind as a ball; a ball stays the object it is."""
    if isinstance(value, (complex, np.complexfloating)):
        return Complex(value)
    return value if isinstance(value, Ball) else NUMBER.get()(value)


def _integer_part(round_down: Callable[[Ball], Ball]) -> Callable[[Ball], Ball]:
    """Rounding to an integer that leaves integers, and their objects, as they are."""
    return lambda v: v if v.v.is_integer() else round_down(v)


def _sign(a: Ball) -> Ball:
    """Of NaN it is NaN."""
    return a.sign() if a.v.is_finite() else ball(0) / 0


def _logaddexp(a: Ball, b: Ball) -> Ball:
    return a + (b - a).exp().log1p() if a >= b else b + (a - b).exp().log1p()


def pi() -> Ball:
    """The ratio of a circle's circumference to its diameter, to today's precision."""
    return NUMBER.get()(flint.arb.pi())


def _rounded(v: Ball) -> Ball:
    """To the nearest integer, of two the even one, as NumPy does."""
    return ball(round(v))


# NumPy's ufuncs that have no loop over objects of the meaning they have over floats, for one entry.
OURS: dict[str, Callable] = {
    "sign": _sign,
    "floor": _integer_part(lambda v: v.floor()),
    "ceil": _integer_part(lambda v: -(-v).floor()),
    "trunc": _integer_part(lambda v: v.floor() if v >= 0 else -(-v).floor()),
    "rint": _integer_part(_rounded),
    "fabs": lambda v: abs(v),
    "isnan": lambda v: v.v.is_nan(),
    "isinf": lambda v: not v.v.is_finite() and not v.v.is_nan(),
    "isfinite": lambda v: v.v.is_finite(),
    "signbit": lambda v: v < 0,
    "logaddexp": _logaddexp,
    "logaddexp2": lambda a, b: _logaddexp(a * ball(2).log(), b * ball(2).log()) / ball(2).log(),
    "heaviside": lambda a, b: ball(0) if a < 0 else ball(1) if a > 0 else b,
    "hypot": lambda a, b: (a * a + b * b).sqrt(),
    "arctan2": angle,
    "copysign": lambda a, b: abs(a) if b >= 0 else -abs(a),
    "deg2rad": lambda v: v * pi() / 180,
    "rad2deg": lambda v: v * 180 / pi(),
    "float_power": lambda a, b: a**b,
    "fmod": lambda a, b: a - b * OURS["trunc"](a / b),
    "floor_divide": lambda a, b: (a / b).floor(),
    "remainder": lambda a, b: a - b * (a / b).floor(),
    "square": lambda v: v * v,
}
OURS |= {"radians": OURS["deg2rad"], "degrees": OURS["rad2deg"]}
OF_TRUTH = {"isnan", "isinf", "isfinite", "signbit"}
COMPILED = {name: np.frompyfunc(f, len(inspect.signature(f).parameters), 1) for name, f in OURS.items()}
