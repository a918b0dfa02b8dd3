"""What people's code gets for `scipy`: special functions, linalg, signal, distances and the normal law, over balls."""

import math
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, arb
from twolayer.verification.numbers.functions import integer
from twolayer.verification.numbers.special import incomplete_gamma
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import linalg
from twolayer.verification.programs.stand_ins.arrays import apply, ball, is_real, lift, pi, plain, wrap
from twolayer.verification.programs.stand_ins.numpy_functions import where
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, Module

# Special functions.


def _each(function: Callable, arguments: int = 1) -> Callable:
    """A function of single numbers as one of arrays."""
    ufunc = np.frompyfunc(function, arguments, 1)

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
    terms = apply(np.exp, "__call__", (lift(a),))
    total = apply(np.add, "reduce", (terms if b is None else terms * lift(b),), axis=axis, keepdims=keepdims)
    return apply(np.log, "__call__", (total,))


def softmax(x: Any, axis: Any = None, **options: Any) -> Any:
    """Exponentials divided by their sum."""
    e = apply(np.exp, "__call__", (lift(x),))
    return e / apply(np.add, "reduce", (e,), axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None, **options: Any) -> Any:
    """The logarithm of the softmax."""
    return wrap(lift(x)) - logsumexp(x, axis, keepdims=True)


def _times_log(log: str) -> Callable:
    """x log(y), which is 0 at x = 0."""

    def product(x: Any, y: Any) -> Any:
        x, y = lift(x), lift(y)
        return where(x == ball(0), 0, x * apply(getattr(np, log), "__call__", (where(x == ball(0), 1, y),)))[()]

    return product


def _betaln(a: Any, b: Any) -> Any:
    return SPECIAL["gammaln"](a) + SPECIAL["gammaln"](b) - SPECIAL["gammaln"](wrap(lift(a)) + b)


def _comb(n: Any, k: Any, exact: bool = False, repetition: bool = False) -> Any:
    if repetition or is_real(n) or is_real(k):
        raise NotJudged("scipy.special.comb of numbers that are no integers")
    return wrap(np.frompyfunc(math.comb, 2, 1)(plain(n), plain(k)))


def _huber(delta: Any, r: Any) -> Any:
    r = wrap(lift(r))
    return where(abs(r) <= delta, r * r / 2, ball(delta) * (abs(r) - ball(delta) / 2))


def _half_log(x: Any) -> Any:
    """log(1 + exp(x))."""
    return apply(np.log1p, "__call__", (apply(np.exp, "__call__", (lift(x),)),))


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
    "beta": lambda a, b: apply(np.exp, "__call__", (_betaln(a, b),)), "comb": _comb, "binom": _comb, "huber": _huber,
    "factorial": lambda n, exact=False: wrap(np.frompyfunc(math.factorial, 1, 1)(plain(n))),
    "pseudo_huber": lambda d, r: ball(d) ** 2 * (apply(np.sqrt, "__call__", (1 + (wrap(lift(r)) / d) ** 2,)) - 1),
    "xlogy": _times_log("log"), "xlog1py": _times_log("log1p"), "entr": lambda x: -_times_log("log")(x, x),
    "rel_entr": lambda x, y: _times_log("log")(x, lift(x) / lift(y)),
    "kl_div": lambda x, y: _times_log("log")(x, lift(x) / lift(y)) - wrap(lift(x)) + y,
    "softplus": _half_log, "log_expit": lambda x: -_half_log(-lift(x)),
    "logit": lambda x: apply(np.log, "__call__", (lift(x) / (1 - lift(x)),)),
    "ndtr": lambda x: wrap(SPECIAL["erfc"](-lift(x) / ball(2).sqrt())) / 2,
    "log_ndtr": lambda x: apply(np.log, "__call__", (SPECIAL["ndtr"](x),)),
    "ndtri": lambda p: ball(2).sqrt() * SPECIAL["erfinv"](2 * wrap(lift(p)) - 1),
    "erfcx": lambda x: apply(np.exp, "__call__", (lift(x) * lift(x),)) * SPECIAL["erfc"](x),
    "boxcox": lambda x, k: (wrap(lift(x)) ** k - 1) / k,
}  # fmt: skip


# Linear algebra where SciPy differs from NumPy.


def _triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **options: Any
) -> Any:
    a = NUMPY.tril(a) if lower else NUMPY.triu(a)
    if unit_diagonal:
        a = a - NUMPY.diag(NUMPY.diag(a)) + NUMPY.eye(len(a))
    return linalg.solve(a.T if trans in (1, 2, "T", "C") else a, b)


def _cholesky(a: Any, lower: bool = False, **options: Any) -> Any:
    return linalg.cholesky(a, upper=not lower)


def _cho_solve(factor: tuple, b: Any, **options: Any) -> Any:
    c, lower = factor
    half = _triangular(c, b, lower=lower, trans=0 if lower else 1)
    return _triangular(c, half, lower=lower, trans=1 if lower else 0)


def _eigh(a: Any, b: Any = None, lower: bool = True, eigvals_only: bool = False, **options: Any) -> Any:
    if b is not None or options.get("subset_by_index") is not None:
        raise NotJudged("scipy.linalg.eigh of two matrices, or of a subset")
    values, vectors = linalg.eigh(a, "L" if lower else "U")
    return values if eigvals_only else (values, vectors)


def _qr(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", **options: Any) -> Any:
    found = linalg.qr(a, {"full": "complete", "economic": "reduced", "r": "r"}[mode])
    return (found,) if mode == "r" else tuple(found)


def _block_diag(*blocks: Any) -> Any:
    matrices = [np.atleast_2d(lift(b)) for b in blocks]
    out = NUMPY.zeros(tuple(np.sum([b.shape for b in matrices], axis=0).tolist()))
    row = column = 0
    for b in matrices:
        out[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return out


def _toeplitz(c: Any, r: Any = None) -> Any:
    c = np.ravel(lift(c))
    r = c if r is None else np.ravel(lift(r))
    entries = np.concatenate([r[:0:-1], c])
    return wrap(entries[len(r) - 1 + np.arange(len(c))[:, None] - np.arange(len(r))])


_LINALG = linalg.FUNCTIONS | {
    "solve": lambda a, b, **options: linalg.solve(a, b), "expm": linalg.expm, "sqrtm": linalg.sqrtm,
    "toeplitz": _toeplitz, "solve_triangular": _triangular, "cholesky": _cholesky,
    "cho_solve": _cho_solve, "eigh": _eigh, "qr": _qr,
    "cho_factor": lambda a, lower=False, **options: (_cholesky(a, lower), lower), "block_diag": _block_diag,
    "eigvalsh": lambda a, **options: linalg.eigh(a)[0], "lu_factor": lambda a, **options: (wrap(lift(a)), None),
    "lu_solve": lambda factor, b, trans=0, **options: linalg.solve(factor[0].T if trans else factor[0], b),
    "svd": lambda a, full_matrices=True, compute_uv=True, **options: linalg.svd(a, full_matrices, compute_uv),
    "svdvals": lambda a, **options: linalg.svd(a, compute_uv=False),
    "lstsq": lambda a, b, **options: linalg.lstsq(a, b), "inv": lambda a, **options: linalg.inv(a),
    "det": lambda a, **options: linalg.det(a), "pinv": lambda a, **options: NUMPY.linalg.pinv(a),
    "norm": lambda a, ord=None, axis=None, keepdims=False: NUMPY.linalg.norm(a, ord, axis, keepdims),
}  # fmt: skip


# Signals.


def _full(a: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The whole convolution of two arrays."""
    shape = tuple(n + k - 1 for n, k in zip(a.shape, kernel.shape, strict=True))
    out = np.full(shape, ball(0), object)
    for at in np.ndindex(kernel.shape):
        out[tuple(slice(i, i + n) for i, n in zip(at, a.shape, strict=True))] += a * kernel[at]
    return out


def _convolve(a: Any, kernel: Any, mode: str = "full", *rest: Any, boundary: str = "fill", **options: Any) -> Any:
    if boundary != "fill" or (rest and rest[0] not in ("fill", "auto", "direct", "fft")):
        raise NotJudged(f"scipy.signal.convolve2d with boundary {boundary!r}")
    a, kernel = np.asarray(lift(a)), np.asarray(lift(kernel))
    if mode == "valid" and any(n < k for n, k in zip(a.shape, kernel.shape, strict=True)):
        a, kernel = kernel, a
    out = _full(a, kernel)
    if mode == "full":
        return wrap(out)
    sizes = a.shape if mode == "same" else tuple(n - k + 1 for n, k in zip(a.shape, kernel.shape, strict=True))
    starts = [(n - size) // 2 for n, size in zip(out.shape, sizes, strict=True)]
    return wrap(out[tuple(slice(s, s + size) for s, size in zip(starts, sizes, strict=True))])


def _correlate(a: Any, kernel: Any, mode: str = "full", *rest: Any, **options: Any) -> Any:
    return _convolve(a, np.flip(np.conjugate(np.asarray(lift(kernel)))), mode, *rest, **options)


def _lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """y[n] = (sum b[k] x[n - k] - sum a[k] y[n - k], k > 0) / a[0]."""
    if zi is not None:
        raise NotJudged("scipy.signal.lfilter with a start")
    b, a, x = np.ravel(lift(b)), np.ravel(lift(a)), np.moveaxis(np.asarray(lift(x)), axis, -1)
    y = np.empty(x.shape, object)
    for n in range(x.shape[-1]):
        total = sum((b[k] * x[..., n - k] for k in range(min(len(b), n + 1))), ball(0))
        y[..., n] = (total - sum((a[k] * y[..., n - k] for k in range(1, min(len(a), n + 1))), ball(0))) / a[0]
    return wrap(np.moveaxis(y, -1, axis))


# Distances, and the normal law.


def _between(a: Any, b: Any, metric: str = "euclidean") -> Any:
    """The function of two rows that is their distance."""
    a, b = wrap(lift(a)), wrap(lift(b))
    away = a - b
    if metric == "sqeuclidean":
        return (away * away).sum(-1)
    if metric == "euclidean":
        return apply(np.sqrt, "__call__", ((away * away).sum(-1),))
    if metric == "cityblock":
        return abs(away).sum(-1)
    if metric == "cosine":
        return 1 - (a * b).sum(-1) / apply(np.sqrt, "__call__", ((a * a).sum(-1) * (b * b).sum(-1),))
    raise NotJudged(f"scipy.spatial.distance with metric {metric!r}")


def _cdist(a: Any, b: Any, metric: str = "euclidean", **options: Any) -> Any:
    return _between(lift(a)[:, None, :], lift(b)[None, :, :], metric)


def _pdist(a: Any, metric: str = "euclidean", **options: Any) -> Any:
    i, j = np.triu_indices(len(a), 1)
    return _between(lift(a)[i], lift(a)[j], metric)


def _squareform(x: Any, **options: Any) -> Any:
    if np.ndim(x) == 2:
        return wrap(x[np.triu_indices(len(x), 1)])
    n = (1 + math.isqrt(1 + 8 * len(x))) // 2
    out, (i, j) = NUMPY.zeros((n, n)), np.triu_indices(n, 1)
    out[i, j] = x
    out[j, i] = x
    return out


def _standard(x: Any, loc: Any, scale: Any) -> Any:
    """A number in units of the law: (x - loc) / scale."""
    return (wrap(lift(x)) - loc) / scale


def _log_density(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    z = _standard(x, loc, scale)
    return -z * z / 2 - apply(np.log, "__call__", (lift(scale),)) - (2 * pi()).log() / 2


_NORMAL = {
    "logpdf": _log_density, "pdf": lambda *at, **options: apply(np.exp, "__call__", (_log_density(*at, **options),)),
    "cdf": lambda x, loc=0, scale=1: SPECIAL["ndtr"](_standard(x, loc, scale)),
    "logcdf": lambda x, loc=0, scale=1: SPECIAL["log_ndtr"](_standard(x, loc, scale)),
    "sf": lambda x, loc=0, scale=1: SPECIAL["ndtr"](-_standard(x, loc, scale)),
    "ppf": lambda p, loc=0, scale=1: SPECIAL["ndtri"](p) * scale + loc,
}  # fmt: skip


def _module(name: str, known: dict) -> Module:
    """A module of SciPy; other names are not judged once they are called."""

    def not_judged(attribute: str) -> Callable:
        def use(*arguments: Any, **options: Any) -> Any:
            raise NotJudged(f"{name}.{attribute}")

        return use

    return Module(name, not_judged, **known)


_SIGNAL = {"convolve2d": _convolve, "convolve": _convolve, "fftconvolve": _convolve, "correlate2d": _correlate}
_SIGNAL |= {"correlate": _correlate, "lfilter": _lfilter}
_DISTANCES = {"cdist": _cdist, "pdist": _pdist, "squareform": _squareform}
_DISTANCES |= {
    name: lambda a, b, name=name: _between(a, b, name) for name in ("euclidean", "sqeuclidean", "cityblock", "cosine")
}
MODULES = {
    "scipy.special": _module("scipy.special", SPECIAL), "scipy.linalg": _module("scipy.linalg", _LINALG),
    "scipy.signal": _module("scipy.signal", _SIGNAL), "scipy.fft": NUMPY.fft,
    "scipy.spatial.distance": _module("scipy.spatial.distance", _DISTANCES),
    "scipy.stats": _module("scipy.stats", {"norm": _module("scipy.stats.norm", _NORMAL)}),
    "scipy.integrate": _module("scipy.integrate", {"trapezoid": NUMPY.trapezoid}),
}  # fmt: skip
MODULES["scipy.spatial"] = _module("scipy.spatial", {"distance": MODULES["scipy.spatial.distance"]})
MODULES["scipy"] = _module("scipy", {name.split(".")[1]: m for name, m in MODULES.items() if name.count(".") == 1})
