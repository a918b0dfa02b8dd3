"""scipy.special over balls, for files of SciPy and of JAX."""

import math
from collections.abc import Callable
from typing import Any

import flint
import numpy

from twolayer.verification.numbers.balls import Ball, arb
from twolayer.verification.numbers.functions import integer
from twolayer.verification.numbers.special import incomplete_gamma
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins.arrays import is_real, lift, plain, reals, wrap
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY
from twolayer.verification.programs.stand_ins.one_number import ball

np = NUMPY  # NumPy as people's code has it


def _each(function: Callable, arguments: int = 1) -> Callable:
    """A function of single numbers as one of arrays."""
    ufunc = numpy.frompyfunc(function, arguments, 1)

    def of_arrays(*arrays: Any, out: Any = None, **options: Any) -> Any:
        result = wrap(ufunc(*map(lift, arrays)))
        if out is None:
            return result
        out[...] = result
        return out

    return of_arrays


def _with_slope(function: Callable, slope: Callable) -> Callable:
    """A function of constants and, last, a number, with its derivative by that."""

    def of_numbers(*values: Any) -> Ball:
        *constants, x = (v if isinstance(v, Ball) else ball(v) for v in values)
        fixed = [arb(c) for c in constants]

        def slopes() -> tuple:
            return (*(flint.arb("nan") for _ in fixed), slope(*fixed, x.v))

        return type(x).made(function(*fixed, x.v), (*values[:-1], x), slopes)

    return _each(of_numbers, function.__code__.co_argcount)


def _polygamma(n: flint.arb, x: flint.arb) -> flint.arb:
    order = integer(n)
    if order is None:
        raise NotJudged("scipy.special.polygamma of an order that is no integer")
    return x.digamma() if order == 0 else (-1) ** (order + 1) * (n + 1).gamma() * (n + 1).zeta(x)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, **options: Any) -> Any:
    """The logarithm of a sum of exponentials; no ball overflows, so no maximum is taken out."""
    terms = np.exp(reals(a))
    return np.log(np.sum(terms if b is None else terms * reals(b), axis=axis, keepdims=keepdims))


def softmax(x: Any, axis: Any = None, **options: Any) -> Any:
    """Exponentials divided by their sum."""
    e = np.exp(reals(x))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None, **options: Any) -> Any:
    """The logarithm of the softmax."""
    return reals(x) - logsumexp(x, axis, keepdims=True)


def _times_log(log: str) -> Callable:
    """x log(y), which is 0 at x = 0."""

    def product(x: Any, y: Any) -> Any:
        x = reals(x)
        return x * getattr(np, log)(np.where(x == 0, 1, reals(y)))

    return product


def _betaln(a: Any, b: Any) -> Any:
    return SPECIAL["gammaln"](a) + SPECIAL["gammaln"](b) - SPECIAL["gammaln"](reals(a) + b)


def _comb(n: Any, k: Any, exact: bool = False, repetition: bool = False) -> Any:
    if repetition or is_real(n) or is_real(k):
        raise NotJudged("scipy.special.comb of numbers that are no integers")
    return wrap(numpy.frompyfunc(math.comb, 2, 1)(plain(n), plain(k)))


def _huber(delta: Any, r: Any) -> Any:
    r, delta = reals(r), reals(delta)
    return np.where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2))


def _half_log(x: Any) -> Any:
    """log(1 + exp(x))."""
    return np.log1p(np.exp(reals(x)))


def _gamma_density(a: flint.arb, x: flint.arb) -> flint.arb:
    return x ** (a - 1) * (-x).exp() / a.gamma()


_UNARY = {
    "erf": "erf", "erfc": "erfc", "expit": "expit", "gammaln": "lgamma", "loggamma": "lgamma", "gamma": "gamma",
    "digamma": "digamma", "psi": "digamma", "erfinv": "erfinv", "expi": "ei", "log1p": "log1p", "expm1": "expm1",
    "exp2": "exp2", "cbrt": "cbrt", "i0": "i0",
}  # fmt: skip
SPECIAL: dict[str, Callable] = {
    name: _each(lambda v, method=method: getattr(v, method)()) for name, method in _UNARY.items()
}
SPECIAL |= {
    "polygamma": _with_slope(lambda n, x: _polygamma(n, x), lambda n, x: _polygamma(n + 1, x)),
    "zeta": _with_slope(lambda s, x: s.zeta(x), lambda s, x: -s * (s + 1).zeta(x)),
    "iv": _with_slope(lambda n, x: x.bessel_i(n), lambda n, x: (x.bessel_i(n - 1) + x.bessel_i(n + 1)) / 2),
    "jv": _with_slope(lambda n, x: x.bessel_j(n), lambda n, x: (x.bessel_j(n - 1) - x.bessel_j(n + 1)) / 2),
    "kv": _with_slope(lambda n, x: x.bessel_k(n), lambda n, x: -(x.bessel_k(n - 1) + x.bessel_k(n + 1)) / 2),
    "gammainc": _with_slope(incomplete_gamma(flint.arb.gamma_lower), _gamma_density),
    "gammaincc": _with_slope(incomplete_gamma(flint.arb.gamma_upper), lambda a, x: -_gamma_density(a, x)),
    "i1": lambda x: SPECIAL["iv"](1, x),
    "j0": lambda x: SPECIAL["jv"](0, x), "j1": lambda x: SPECIAL["jv"](1, x),
    "logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax, "betaln": _betaln,
    "beta": lambda a, b: np.exp(_betaln(a, b)), "comb": _comb, "binom": _comb, "huber": _huber,
    "factorial": lambda n, exact=False: wrap(numpy.frompyfunc(math.factorial, 1, 1)(plain(n))),
    "pseudo_huber": lambda d, r: reals(d) ** 2 * (np.sqrt(1 + (reals(r) / d) ** 2) - 1),
    "xlogy": _times_log("log"), "xlog1py": _times_log("log1p"), "entr": lambda x: -_times_log("log")(x, x),
    "rel_entr": lambda x, y: _times_log("log")(x, reals(x) / y),
    "kl_div": lambda x, y: _times_log("log")(x, reals(x) / y) - reals(x) + y,
    "softplus": _half_log, "log_expit": lambda x: -_half_log(-reals(x)),
    "logit": lambda x: np.log(reals(x) / (1 - reals(x))),
    "ndtr": lambda x: SPECIAL["erfc"](-reals(x) / np.sqrt(2)) / 2,
    "log_ndtr": lambda x: np.log(SPECIAL["ndtr"](x)),
    "ndtri": lambda p: np.sqrt(2) * SPECIAL["erfinv"](2 * reals(p) - 1),
    "erfcx": lambda x: np.exp(reals(x) ** 2) * SPECIAL["erfc"](x),
    "boxcox": lambda x, k: (reals(x) ** k - 1) / k,
}  # fmt: skip
