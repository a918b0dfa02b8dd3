"""What people's code gets for `scipy`: linalg, signal, distances and the normal law, over balls."""

import math
from collections.abc import Callable
from typing import Any

import numpy

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import numpy_linalg as linalg
from twolayer.verification.programs.stand_ins.arrays import lift, reals, wrap
from twolayer.verification.programs.stand_ins.nothing import refused
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, Module
from twolayer.verification.programs.stand_ins.one_number import ball
from twolayer.verification.programs.stand_ins.scipy_special import SPECIAL

np = NUMPY  # NumPy as people's code has it

# Linear algebra where SciPy differs from NumPy.


def _triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **options: Any
) -> Any:
    a = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        a = a - np.diag(np.diag(a)) + np.eye(len(a))
    return linalg.solve(a.T if trans in (1, 2, "T", "C") else a, b)


def _cholesky(a: Any, lower: bool = False, **options: Any) -> Any:
    return linalg.cholesky(a, upper=not lower)


def _cho_solve(factor: tuple, b: Any, **options: Any) -> Any:
    c, lower = factor
    half = _triangular(c, b, lower=lower, trans=0 if lower else 1)
    return _triangular(c, half, lower=lower, trans=1 if lower else 0)


def _eigh(a: Any, b: Any = None, lower: bool = True, eigvals_only: bool = False, **options: Any) -> Any:
    if b is not None or any(options.get(f"subset_by_{what}") is not None for what in ("index", "value")):
        raise NotJudged("scipy.linalg.eigh of two matrices, or of a subset")
    values, vectors = linalg.eigh(a, "L" if lower else "U")
    return values if eigvals_only else (values, vectors)


def _qr(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", **options: Any) -> Any:
    found = linalg.qr(a, {"full": "complete", "economic": "reduced", "r": "r"}[mode])
    return (found,) if mode == "r" else tuple(found)


def _block_diag(*blocks: Any) -> Any:
    matrices = [np.atleast_2d(reals(b)) for b in blocks]
    out = np.zeros(tuple(map(sum, zip(*(b.shape for b in matrices), strict=True))))
    row = column = 0
    for b in matrices:
        out[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return out


def _toeplitz(c: Any, r: Any = None) -> Any:
    c = np.ravel(reals(c))
    r = c if r is None else np.ravel(reals(r))
    return np.concatenate([r[:0:-1], c])[len(r) - 1 + np.arange(len(c))[:, None] - np.arange(len(r))]


def _plainly(function: Callable) -> Callable:
    """The function without SciPy's options, which say how fast it is or what is checked."""
    return lambda *arguments, **options: function(*arguments)


_LINALG = linalg.FUNCTIONS | {
    "expm": linalg.expm, "sqrtm": linalg.sqrtm, "toeplitz": _toeplitz, "block_diag": _block_diag,
    "solve_triangular": _triangular, "cholesky": _cholesky, "cho_solve": _cho_solve, "eigh": _eigh, "qr": _qr,
    **{name: _plainly(getattr(linalg, name)) for name in ("solve", "lstsq", "inv", "det")},
    "pinv": _plainly(np.linalg.pinv), "eigvalsh": _plainly(lambda a: linalg.eigh(a)[0]),
    "cho_factor": lambda a, lower=False, **options: (_cholesky(a, lower), lower),
    "lu_factor": lambda a, **options: (reals(a), None),
    "lu_solve": lambda factor, b, trans=0, **options: linalg.solve(factor[0].T if trans else factor[0], b),
    "svd": lambda a, full_matrices=True, compute_uv=True, **options: linalg.svd(a, full_matrices, compute_uv),
    "svdvals": lambda a, **options: linalg.svd(a, compute_uv=False),
    "norm": lambda a, ord=None, axis=None, keepdims=False: np.linalg.norm(a, ord, axis, keepdims),
}  # fmt: skip


# Signals.


def _full(a: numpy.ndarray, kernel: numpy.ndarray) -> numpy.ndarray:
    """The whole convolution of two arrays."""
    shape = tuple(n + k - 1 for n, k in zip(a.shape, kernel.shape, strict=True))
    out = numpy.full(shape, ball(0), object)
    for at in numpy.ndindex(kernel.shape):
        out[tuple(slice(i, i + n) for i, n in zip(at, a.shape, strict=True))] += a * kernel[at]
    return out


def _convolve(
    a: Any, kernel: Any, mode: str = "full", *rest: Any, boundary: str = "fill", fillvalue: Any = 0, axes: Any = None,
    method: str = "auto", late: bool = False,
) -> Any:  # fmt: skip
    """`late`: of two middles of the same size, the later one."""
    boundary, fillvalue = (*rest, *(boundary, fillvalue)[len(rest) :])
    if boundary not in ("fill", "auto", "direct", "fft"):
        raise NotJudged(f"scipy.signal.convolve2d with boundary {boundary!r}")
    if axes is not None or fillvalue != 0:
        raise NotJudged("scipy.signal.convolve2d with a fill value, or along some axes")
    a, kernel = numpy.asarray(lift(a)), numpy.asarray(lift(kernel))
    if mode == "valid" and any(n < k for n, k in zip(a.shape, kernel.shape, strict=True)):
        a, kernel = kernel, a
    out = _full(a, kernel)
    if mode == "full":
        return wrap(out)
    sizes = a.shape if mode == "same" else tuple(n - k + 1 for n, k in zip(a.shape, kernel.shape, strict=True))
    starts = [(n - size + late) // 2 for n, size in zip(out.shape, sizes, strict=True)]
    return wrap(out[tuple(slice(s, s + size) for s, size in zip(starts, sizes, strict=True))])


def _correlate(a: Any, kernel: Any, mode: str = "full", *rest: Any, **options: Any) -> Any:
    return _convolve(a, np.flip(np.conjugate(reals(kernel))), mode, *rest, **options)


def _lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """y[n] = (sum b[k] x[n - k] - sum a[k] y[n - k], k > 0) / a[0]."""
    if zi is not None:
        raise NotJudged("scipy.signal.lfilter with a start")
    b, a, x = (numpy.asarray(lift(v)) for v in (b, a, x))
    b, a, x = b.ravel(), a.ravel(), numpy.moveaxis(x, axis, -1)
    y = numpy.empty(x.shape, object)
    for n in range(x.shape[-1]):
        total = sum((b[k] * x[..., n - k] for k in range(min(len(b), n + 1))), ball(0))
        y[..., n] = (total - sum((a[k] * y[..., n - k] for k in range(1, min(len(a), n + 1))), ball(0))) / a[0]
    return wrap(numpy.moveaxis(y, -1, axis))


# Distances, and the normal law.


def _between(a: Any, b: Any, metric: str = "euclidean") -> Any:
    """The function of two rows that is their distance."""
    a, b = reals(a), reals(b)
    away = a - b
    if metric == "sqeuclidean":
        return (away * away).sum(-1)
    if metric == "euclidean":
        return np.sqrt((away * away).sum(-1))
    if metric == "cityblock":
        return abs(away).sum(-1)
    if metric == "cosine":
        return 1 - (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
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
    out, (i, j) = np.zeros((n, n)), np.triu_indices(n, 1)
    out[i, j] = x
    out[j, i] = x
    return out


def _standard(x: Any, loc: Any, scale: Any) -> Any:
    """A number in units of the law: (x - loc) / scale."""
    return (reals(x) - loc) / scale


def _log_density(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    z = _standard(x, loc, scale)
    return -z * z / 2 - np.log(reals(scale)) - np.log(2 * np.pi) / 2


_NORMAL = {
    "logpdf": _log_density, "pdf": lambda *at, **options: np.exp(_log_density(*at, **options)),
    "cdf": lambda x, loc=0, scale=1: SPECIAL["ndtr"](_standard(x, loc, scale)),
    "logcdf": lambda x, loc=0, scale=1: SPECIAL["log_ndtr"](_standard(x, loc, scale)),
    "sf": lambda x, loc=0, scale=1: SPECIAL["ndtr"](-_standard(x, loc, scale)),
    "ppf": lambda p, loc=0, scale=1: SPECIAL["ndtri"](p) * scale + loc,
}  # fmt: skip


def _module(name: str, known: dict) -> Module:
    """A module of SciPy; other names are not judged once they are called."""
    return Module(name, lambda attribute: refused(f"{name}.{attribute}"), **known)


_SIGNAL = {"convolve2d": _convolve, "convolve": _convolve, "fftconvolve": _convolve, "correlate": _correlate}
_SIGNAL |= {
    "correlate2d": lambda *arguments, **options: _correlate(*arguments, late=True, **options),
    "lfilter": _lfilter,
}
_DISTANCES = {"cdist": _cdist, "pdist": _pdist, "squareform": _squareform}
_DISTANCES |= {
    name: lambda a, b, name=name: _between(a, b, name) for name in ("euclidean", "sqeuclidean", "cityblock", "cosine")
}
MODULES = {
    "scipy.special": _module("scipy.special", SPECIAL), "scipy.linalg": _module("scipy.linalg", _LINALG),
    "scipy.signal": _module("scipy.signal", _SIGNAL), "scipy.fft": np.fft,
    "scipy.spatial.distance": _module("scipy.spatial.distance", _DISTANCES),
    "scipy.stats": _module("scipy.stats", {"norm": _module("scipy.stats.norm", _NORMAL)}),
    "scipy.integrate": _module("scipy.integrate", {"trapezoid": np.trapezoid}),
}  # fmt: skip
MODULES["scipy.spatial"] = _module("scipy.spatial", {"distance": MODULES["scipy.spatial.distance"]})
MODULES["scipy"] = _module("scipy", {name.split(".")[1]: m for name, m in MODULES.items() if name.count(".") == 1})
