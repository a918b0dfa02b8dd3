"""Functions of real numbers on FLINT's balls, with their derivatives."""

from collections.abc import Callable
from typing import Any

import flint


def integer(v: flint.arb) -> int | None:
    """The integer that a ball is; None if it is none."""
    n = v.unique_fmpz() if v.is_integer() else None
    return None if n is None else int(n)


def whole_power(a: Any, n: int) -> Any:
    """a to the power n by products where a may be 0: FLINT gives NaN for the square of a ball around 0."""
    if n < 0:
        return 1 / whole_power(a, -n)
    if not n or not a.contains(0):
        return a**n
    half = whole_power(a, n // 2)
    return half * half * a if n % 2 else half * half


def power(a: flint.arb, b: flint.arb) -> flint.arb:
    """a to the power b."""
    n = integer(b)
    if n is not None:
        return whole_power(a, n)
    return a.sqrt() if b * 2 == 1 else a**b


def power_slopes(a: flint.arb, b: flint.arb) -> tuple[flint.arb, flint.arb]:
    """The derivatives of a to the power b by both."""
    return (b * power(a, b - 1) if b != 0 else flint.arb(0), power(a, b) * a.log() if a > 0 else flint.arb("nan"))


# Functions of one number with their derivatives, by the name of NumPy's function, which calls the method of that name.
_two, _pi = flint.arb(2), flint.arb.pi
UNARY: dict[str, tuple[Callable, Callable]] = {
    "exp": (lambda a: a.exp(), lambda a, v: v),
    "exp2": (lambda a: (a * _two.log()).exp(), lambda a, v: v * _two.log()),
    "expm1": (lambda a: a.expm1(), lambda a, v: v + 1),
    "log": (lambda a: a.log(), lambda a, v: 1 / a),
    "log2": (lambda a: a.log() / _two.log(), lambda a, v: 1 / (a * _two.log())),
    "log10": (lambda a: a.log() / flint.arb(10).log(), lambda a, v: 1 / (a * flint.arb(10).log())),
    "log1p": (lambda a: a.log1p(), lambda a, v: 1 / (1 + a)),
    # A sum of squares that is 0 is a ball around it, and has a root.
    "sqrt": (lambda a: a.nonnegative_part().sqrt() if a.contains(0) else a.sqrt(), lambda a, v: 1 / (2 * v)),
    "rsqrt": (lambda a: flint.arb("inf") if a.is_zero() else a.rsqrt(), lambda a, v: -v / (2 * a)),
    "cbrt": (lambda a: a.root(3) if a >= 0 else -(-a).root(3), lambda a, v: 1 / (3 * v * v)),
    "square": (lambda a: a * a, lambda a, v: 2 * a),
    "reciprocal": (lambda a: 1 / a, lambda a, v: -v * v),
    "sin": (lambda a: a.sin(), lambda a, v: a.cos()),
    "cos": (lambda a: a.cos(), lambda a, v: -a.sin()),
    "tan": (lambda a: a.tan(), lambda a, v: 1 + v * v),
    "arcsin": (lambda a: a.asin(), lambda a, v: 1 / (1 - a * a).sqrt()),
    "arccos": (lambda a: a.acos(), lambda a, v: -1 / (1 - a * a).sqrt()),
    "arctan": (lambda a: a.atan(), lambda a, v: 1 / (1 + a * a)),
    "sinh": (lambda a: a.sinh(), lambda a, v: a.cosh()),
    "cosh": (lambda a: a.cosh(), lambda a, v: a.sinh()),
    "tanh": (lambda a: a.tanh(), lambda a, v: 1 - v * v),
    "arcsinh": (lambda a: a.asinh(), lambda a, v: 1 / (1 + a * a).sqrt()),
    "arccosh": (lambda a: a.acosh(), lambda a, v: 1 / (a * a - 1).sqrt()),
    "arctanh": (lambda a: a.atanh(), lambda a, v: 1 / (1 - a * a)),
    "erf": (lambda a: a.erf(), lambda a, v: 2 * (-a * a).exp() / _pi().sqrt()),
    "erfc": (lambda a: a.erfc(), lambda a, v: -2 * (-a * a).exp() / _pi().sqrt()),
    "expit": (lambda a: 1 / (1 + (-a).exp()), lambda a, v: v * (1 - v)),
    "lgamma": (lambda a: a.lgamma(), lambda a, v: a.digamma()),
    "gamma": (lambda a: a.gamma(), lambda a, v: v * a.digamma()),
    "digamma": (lambda a: a.digamma(), lambda a, v: _two.zeta(a)),
    "erfinv": (lambda a: a.erfinv(), lambda a, v: _pi().sqrt() / 2 * (v * v).exp()),
    "i0": (lambda a: a.bessel_i(0), lambda a, v: a.bessel_i(1)),
    "ei": (lambda a: a.ei(), lambda a, v: a.exp() / a),
}
SHORT_NAMES = {f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}  # of math and JAX
