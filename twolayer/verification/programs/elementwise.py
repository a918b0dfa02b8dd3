"""Functions of single real or complex numbers as rules: each entry of object arrays of FLINT's numbers by itself.

Comparisons are decided by the balls. Where they cannot, Undecided is raised, and whoever asked starts again with more
bits.
"""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.comparisons import DECISIONS, Undecided, decision, surely_nan
from twolayer.verification.numbers.functions import SHORT_NAMES, UNARY, integer, power
from twolayer.verification.numbers.literals import watch_guards
from twolayer.verification.numbers.special import by_first, incomplete_gamma
from twolayer.verification.programs.interpreter import Call, Rules, Value, plain
from twolayer.verification.programs.primitives import as_value, integers


def objects(values: Any) -> np.ndarray:
    """An object array also of a single number."""
    return values if isinstance(values, np.ndarray) else np.asarray(values, object)


def lifted(f: Callable, arguments: int = 1) -> Callable:
    """A function of single balls as one of object arrays."""
    ufunc = np.frompyfunc(f, arguments, 1)

    def of(*arrays: Any) -> np.ndarray:
        with np.errstate(all="ignore"):  # what FLINT leaves in the flags of the processor
            return objects(ufunc(*arrays))

    return of


def _decide(name: str) -> Callable[[Any, Any], bool]:
    decide = decision(name, "two numbers are too close")

    def of_numbers(a: Any, b: Any) -> bool:
        if not isinstance(a, flint.acb) and not isinstance(b, flint.acb):
            return decide(a, b)
        a, b = flint.acb(a), flint.acb(b)
        both = equals(a.real, b.real) and equals(a.imag, b.imag)
        return both if name == "eq" else not both

    return of_numbers


above, below, at_least, equals = _decide("gt"), _decide("lt"), _decide("ge"), _decide("eq")
ZERO, _HALF = flint.arb(0), flint.arb(1) / 2


def exact(n: flint.arb) -> flint.arb:
    """The integer that a number was rounded to, if there is only one."""
    if not n.is_exact() and n.is_finite():
        raise Undecided("a number is too close to an integer to be rounded")
    return n


def rounded(a: flint.arb, to_even: bool) -> flint.arb:
    """The nearest integer; of two the even one, or the one farther from 0."""
    up = exact((a + _HALF).floor())
    if equals(a + _HALF, up) and ((integer(up) or 0) % 2 if to_even else below(a, ZERO)):
        return up - 1
    return up


def truncated(a: flint.arb) -> flint.arb:
    """The nearest integer on the side of 0."""
    return exact(a.floor() if at_least(a, ZERO) else a.ceil())


def _sign(a: Any) -> Any:
    return a / abs(a) if isinstance(a, flint.acb) else flint.arb(1 if above(a, ZERO) else -1 if below(a, ZERO) else 0)


def _is_finite(a: flint.arb) -> bool:
    if a.is_nan() and not surely_nan(a):
        raise Undecided("whether NaN is finite")
    return a.is_finite()


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, flint.acb) or isinstance(b, flint.acb):
        return flint.acb(a) ** b
    return power(a, b)


def _larger(a: flint.arb, b: flint.arb) -> flint.arb:
    return a if a.is_nan() else b if b.is_nan() or not at_least(a, b) else a


def _smaller(a: flint.arb, b: flint.arb) -> flint.arb:
    return a if a.is_nan() else b if b.is_nan() or at_least(a, b) else a


LARGER, SMALLER = np.frompyfunc(_larger, 2, 1), np.frompyfunc(_smaller, 2, 1)
RULES = Rules()


def _elementwise(name: str, f: Callable, arguments: int = 1, result: type | None = None) -> None:
    """A rule that applies a function of single balls, entry by entry; NumPy's function on integers."""
    ufunc = lifted(f, arguments)

    def apply(call: Call, *inputs: Value) -> Value:
        if all(map(plain, inputs)):
            return integers(call, *inputs)
        if result is bool:
            watch_guards(inputs, multiply=False)
        values = ufunc(*(as_value(call.system, a) for a in inputs))
        return values.astype(result) if result else values

    RULES[name] = apply


def _of_complex(name: str, function: Callable) -> Callable:
    """The function, of complex numbers by FLINT's own of that name where the one for balls asks for a sign."""
    own = {"sqrt": flint.acb.sqrt, "log": flint.acb.log, "rsqrt": flint.acb.rsqrt}.get(name, function)
    return lambda a: own(a) if isinstance(a, flint.acb) else function(a)


_NAMES = {long: short for short, long in SHORT_NAMES.items()} | {"expit": "logistic", "erfinv": "erf_inv"}
for _name, (_function, _) in UNARY.items():
    _elementwise(_NAMES.get(_name, _name), _of_complex(_name, _function))
for _name in DECISIONS:
    _elementwise(_name, _decide(_name), 2, bool)
    _elementwise(f"{_name}_to", _decide(_name), 2, bool)
_elementwise("log", _of_complex("log", lambda a: flint.arb("-inf") if a.is_zero() else a.log()))
_elementwise("polygamma", lambda n, a: (-1) ** (n + 1) * (n + 1).gamma() * (n + 1).zeta(a), 2)
_elementwise("zeta", lambda a, b: a.zeta(b), 2)
_elementwise("bessel_i0e", lambda a: a.bessel_i(0) * (-abs(a)).exp())
_elementwise("bessel_i1e", lambda a: a.bessel_i(1) * (-abs(a)).exp())
_elementwise("igamma", incomplete_gamma(flint.arb.gamma_lower), 2)
_elementwise("igammac", incomplete_gamma(flint.arb.gamma_upper), 2)
_elementwise("igamma_grad_a", by_first(incomplete_gamma(flint.arb.gamma_lower)), 2)
_elementwise("regularized_incomplete_beta", lambda a, b, c: c.beta_lower(a, b, 1), 3)
_elementwise("pow", _power, 2)
_elementwise("atan2", flint.arb.atan2, 2)
_elementwise("rem", lambda a, b: a - b * truncated(a / b), 2)
_elementwise("abs", lambda a: abs(a) if isinstance(a, flint.acb) else a if at_least(a, ZERO) else -a)
_elementwise("sign", _sign)
_elementwise("complex", flint.acb, 2)
_elementwise("real", lambda a: a.real if isinstance(a, flint.acb) else a)
_elementwise("imag", lambda a: a.imag if isinstance(a, flint.acb) else ZERO)
_elementwise("conj", lambda a: a.conjugate() if isinstance(a, flint.acb) else flint.acb(a))
_elementwise("floor", lambda a: exact(a.floor()))
_elementwise("ceil", lambda a: exact(a.ceil()))
_elementwise("is_finite", _is_finite, 1, bool)
_elementwise("max", _larger, 2)
_elementwise("min", _smaller, 2)
