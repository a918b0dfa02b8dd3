"""NumPy's functions over balls, where NumPy's own would compute with floats or lose what is behind the point.

Each has the name, the arguments and the meaning that it has in NumPy; a docstring says where there is more to it.
"""

import importlib
import math
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import numpy_fft, numpy_linalg
from twolayer.verification.programs.stand_ins.arrays import (
    FLOAT,
    Array,
    apply,
    cast,
    is_real,
    lift,
    plain,
    real_dtype,
    truth,
    wrap,
)
from twolayer.verification.programs.stand_ins.one_number import ball


def array(values: Any = (), dtype: Any = None, copy: bool | None = True, ndmin: int = 0, **options: Any) -> Array:
    """np.array: floats and balls become balls, integers stay integers."""
    if (
        type(values) is Array
        and not copy
        and values.ndim >= ndmin
        and (dtype is None or values.dtype == np.dtype(dtype))
    ):
        return values
    if isinstance(values, Iterable) and not isinstance(values, (np.ndarray, list, tuple, range, str, dict, set)):
        values = values if hasattr(values, "__array__") or not hasattr(values, "__next__") else list(values)
    made = np.array(plain(values), ndmin=ndmin)
    if dtype is not None and np.dtype(dtype) != object:
        return cast(made, dtype)
    return wrap(made)


def asarray(values: Any, dtype: Any = None, *args: Any, **options: Any) -> Array:
    return array(values, dtype, copy=False)


def fromiter(values: Any, dtype: Any = float, count: int = -1) -> Array:
    return array(list(values)[: count if count >= 0 else None], dtype)


def _filled(name: str, value: Any) -> Callable:
    """np.zeros, np.ones and so on: filled with this value."""

    def create(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Array:
        some = 0 if value != value and not real_dtype(dtype) else value
        return cast(np.full(plain(shape), some, object), dtype)

    def like(other: Any, dtype: Any = None, *args: Any, shape: Any = None, **options: Any) -> Array:
        wanted = dtype if dtype is not None else float if is_real(other) else np.asarray(plain(other)).dtype
        return create(np.shape(plain(other)) if shape is None else shape, wanted)

    return like if name.endswith("_like") else create


def full(shape: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Array:
    return array(np.broadcast_to(plain(fill_value), plain(shape)), dtype)


def full_like(other: Any, fill_value: Any, dtype: Any = None, shape: Any = None, **options: Any) -> Array:
    out = zeros_like(other, dtype, shape=shape)
    out[...] = fill_value
    return out


def eye(*args: Any, dtype: Any = float, **options: Any) -> Array:
    return cast(np.eye(*args, dtype=int, **options), dtype)


zeros, zeros_like = _filled("zeros", 0), _filled("zeros_like", 0)
ones, ones_like = _filled("ones", 1), _filled("ones_like", 1)
# What np.empty holds is not defined. It is filled before it is used, or the result is no number.
empty, empty_like = _filled("empty", math.nan), _filled("empty_like", math.nan)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, **options: Any) -> Array:
    if stop is None:
        start, stop = 0, start
    dtype = float if dtype is not None and np.dtype(dtype).kind == "O" else dtype
    if not any(map(is_real, (start, stop, step))):
        return array(np.arange(start, stop, step), dtype)
    count = max(0, math.ceil(float(((ball(stop) - start) / step).v) - 1e-9))
    return array(ball(start) + np.arange(count).astype(object) * ball(step), dtype)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, where: Any = True
) -> Any:
    weights = np.broadcast_to(truth(where), np.shape(plain(a)))
    total = apply(np.add, "reduce", (lift(a) if where is True else lift(a) * weights,), axis=axis, keepdims=keepdims)
    return apply(np.divide, "__call__", (total, np.sum(weights, axis=axis, keepdims=keepdims)), out=out)


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False, **options: Any
) -> Any:
    if options.pop("where", True) is not True or options:
        raise NotJudged("np.var with where, mean or correction")
    away = apply(np.square, "__call__", (lift(a) - mean(a, axis, keepdims=True),))
    count = np.size(plain(a)) // max(1, np.size(mean(a, axis, keepdims=True)))
    total = apply(np.add, "reduce", (away,), axis=axis, keepdims=keepdims)
    return apply(np.divide, "__call__", (total, count - ddof), out=out)


def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
    return apply(np.sqrt, "__call__", (var(a, axis, **options),), out=out)


def _reduction(ufunc: np.ufunc, takes_dtype: bool = False) -> Callable:
    """A ufunc's reduction under a name of its own, such as np.sum."""

    def reduce(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any
    ) -> Any:
        if isinstance(a, types.GeneratorType):
            a = list(a)
        options = {k: v for k, v in options.items() if v is not np._NoValue}
        return apply(ufunc, "reduce", (a,), axis=axis, keepdims=keepdims, out=out, dtype=dtype, **options)

    def without_dtype(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        return reduce(a, axis, None, out, keepdims, **options)

    return reduce if takes_dtype else without_dtype


def _running(ufunc: np.ufunc) -> Callable:
    """A ufunc's accumulation, such as np.cumsum."""

    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        a = np.ravel(plain(a)) if axis is None else a
        return apply(ufunc, "accumulate", (a,), axis=axis or 0, dtype=dtype, out=out)

    return accumulate


def where(condition: Any, *choices: Any) -> Any:
    if choices and any(map(is_real, choices)):
        choices = tuple(map(lift, choices))
    return wrap(np.where(truth(condition), *map(plain, choices)))


_CLIP: np.ufunc = importlib.import_module("numpy._core.umath").clip  # np.clip is a function around it


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.get("min", a_min), options.get("max", a_max)
    if low is None and high is None:
        return array(a)
    bounds = tuple(b for b in (low, high) if b is not None)
    ufunc = _CLIP if len(bounds) == 2 else np.maximum if high is None else np.minimum
    return apply(ufunc, "__call__", (a, *bounds), out=out)


def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    if not is_real(a):
        return wrap(np.round(plain(a), decimals))
    scale = ball(10 ** abs(int(decimals)))
    there, back = (np.multiply, np.divide) if decimals >= 0 else (np.divide, np.multiply)  # no 0.1: 25 is a tie of tens
    whole = apply(np.rint, "__call__", (apply(there, "__call__", (lift(a), scale)),))
    return apply(back, "__call__", (whole, scale), out=out)


def vectorize(
    pyfunc: Callable | None = None, otypes: Any = None, signature: Any = None, excluded: Any = (), **options: Any
) -> Any:
    """np.vectorize. As there, the first result says the dtype: whoever returns the integer 0 there gets integers."""
    if pyfunc is None:
        return lambda function: vectorize(function, otypes, signature, excluded)
    if signature is not None or excluded:
        raise NotJudged("np.vectorize with a signature or with excluded arguments")

    def mapped(*arrays: Any, **fixed: Any) -> Any:
        arrays = np.broadcast_arrays(*(np.asarray(lift(a) if is_real(a) else plain(a)) for a in arrays))
        results = [pyfunc(*values, **fixed) for values in zip(*(a.ravel().tolist() for a in arrays), strict=True)]
        several = isinstance(results[0], tuple)
        columns = list(zip(*results, strict=True)) if several else [results]
        given = [otypes] if isinstance(otypes, type) else otypes
        kinds = [float if is_real(c[0]) else np.asarray(c[0]).dtype for c in columns] if given is None else list(given)
        out = [cast(np.array(c, object).reshape(arrays[0].shape), k) for c, k in zip(columns, kinds, strict=True)]
        out = [o if o.ndim else o.item() if given is None else o for o in out]
        return tuple(out) if several else out[0]

    return mapped


def frompyfunc(function: Callable, nin: int, nout: int, **options: Any) -> Callable:
    ufunc = np.frompyfunc(function, nin, nout)
    return lambda *arrays: wrap(ufunc(*(lift(a) if is_real(a) else plain(a) for a in arrays)))


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    counts = np.bincount(plain(x), minlength=minlength)
    if weights is None:
        return wrap(counts)
    out = zeros(len(counts))
    np.add.at(np.asarray(out), plain(x), lift(weights))
    return out


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """On straight lines between the points; beyond them the values at the ends."""
    if period is not None:
        raise NotJudged("np.interp with a period")
    xs, xp, fp = lift(x), lift(xp), lift(fp)
    ends = (fp[0] if left is None else ball(left), fp[-1] if right is None else ball(right))

    def one(x: Any) -> Any:
        if x < xp[0]:
            return ends[0]
        if not x < xp[-1]:
            return fp[-1] if x == xp[-1] else ends[1]
        i = next(i for i in range(1, len(xp)) if x < xp[i])
        return fp[i - 1] + (fp[i] - fp[i - 1]) / (xp[i] - xp[i - 1]) * (x - xp[i - 1])

    return wrap(np.frompyfunc(one, 1, 1)(xs))


def nditer(op: Any, flags: Any = (), *args: Any, **options: Any) -> np.nditer:
    return np.nditer(np.asarray(plain(op)), [*flags, "refs_ok"], *args, **options)


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Without asking whether the numbers are equal, which no ball can tell."""
    a, b = lift(a), lift(b)
    return apply(np.less_equal, "__call__", (abs(wrap(a - b)), abs(wrap(b)) * ball(rtol) + ball(atol)))


def i0(x: Any) -> Any:
    """The modified Bessel function of order 0."""
    return wrap(np.frompyfunc(lambda v: v.i0(), 1, 1)(lift(x)))


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The bin of each number."""
    bins, side = array(bins), "left" if right else "right"
    if bins[0] > bins[-1]:
        return len(bins) - np.searchsorted(bins[::-1], lift(x), side=side)
    return np.searchsorted(bins, lift(x), side=side)


def corrcoef(*arguments: Any, **options: Any) -> Any:
    """The covariance by the standard deviations; over the reals it needs no clip to [-1, 1]."""
    c = Array.functions("cov", None, arguments, options)
    deviations = apply(np.sqrt, "__call__", (np.diag(c),)) if np.ndim(c) else c
    return c / deviations[:, None] / deviations[None, :] if np.ndim(c) else c / c


def result_type(*arguments: Any) -> np.dtype:
    """Of balls, float64."""
    found = np.result_type(*map(plain, arguments))
    return FLOAT if found.kind == "O" else found


OURS: dict[str, Callable] = {
    f.__name__: f
    for f in (array, full, full_like, eye, arange, mean, var, std, where, clip, around, vectorize, frompyfunc, bincount)
}
OURS |= {f.__name__: f for f in (nditer, fromiter, asarray, interp, digitize, corrcoef, result_type, isclose, i0)}
OURS |= {
    "zeros": zeros, "ones": ones, "empty": empty, "zeros_like": zeros_like, "ones_like": ones_like,
    "empty_like": empty_like, "identity": eye, "round": around, "round_": around,
    "sum": _reduction(np.add, True), "prod": _reduction(np.multiply, True), "product": _reduction(np.multiply, True),
    "max": _reduction(np.maximum), "amax": _reduction(np.maximum),
    "min": _reduction(np.minimum), "amin": _reduction(np.minimum),
    "any": _reduction(np.logical_or), "all": _reduction(np.logical_and),
    "cumsum": _running(np.add), "cumprod": _running(np.multiply),
    "fix": lambda a, out=None: apply(np.trunc, "__call__", (a,), out=out), "copy": lambda a, *rest, **options: array(a),
    "asscalar": lambda a: np.asarray(a).item(), "in1d": lambda a, b, **options: wrap(np.isin(plain(a), plain(b))),
    "real": lambda a: wrap(lift(a)).real if is_real(a) else wrap(np.real(plain(a))),
    "imag": lambda a: wrap(lift(a)).imag if is_real(a) else wrap(np.imag(plain(a))),
    "iscomplexobj": lambda a: array(a).dtype.kind == "c",
}  # fmt: skip
OURS |= {"alltrue": OURS["all"], "sometrue": OURS["any"], "cumproduct": OURS["cumprod"]}  # as old NumPy had them
OURS |= dict.fromkeys("asanyarray asfarray require asarray_chkfinite".split(), asarray)
OURS |= dict.fromkeys(("ascontiguousarray", "asfortranarray"), lambda a, dtype=None: np.atleast_1d(asarray(a, dtype)))
OURS |= dict.fromkeys("save savez savez_compressed savetxt".split(), lambda *args, **options: None)
OURS |= {f"linalg.{name}": f for name, f in numpy_linalg.FUNCTIONS.items()}
OURS |= {f"fft.{name}": f for name, f in numpy_fft.FUNCTIONS.items()}
