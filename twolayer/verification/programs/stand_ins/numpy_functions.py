"""NumPy's functions over balls, where NumPy's own would compute with floats or lose what is behind the point."""

import math
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import linalg
from twolayer.verification.programs.stand_ins.arrays import (
    Array,
    apply,
    ball,
    cast,
    is_real,
    lift,
    pi,
    plain,
    truth,
    wrap,
)


def array(values: Any = (), dtype: Any = None, copy: bool | None = True, ndmin: int = 0, **options: Any) -> Array:
    """np.array: floats and balls become balls, integers stay integers."""
    if type(values) is Array and not copy and (dtype is None or values.dtype == np.dtype(dtype)):
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
    def create(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Array:
        return cast(np.full(plain(shape), value, object), dtype)

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
    if not any(map(is_real, (start, stop, step))):
        return array(np.arange(start, stop, step), dtype)
    count = max(0, math.ceil(float(((ball(stop) - start) / step).v) - 1e-9))
    return array(ball(start) + np.arange(count).astype(object) * ball(step), dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Array:
    steps = np.arange(int(num)).astype(object).reshape(-1, *[1] * np.ndim(lift(start) - lift(stop)))
    return array(lift(start) + steps * ((lift(stop) - lift(start)) / ball(max(1, num - 1 if endpoint else num))), dtype)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, where: Any = True
) -> Any:
    weights = np.broadcast_to(truth(where), np.shape(plain(a)))
    total = apply(np.add, "reduce", (lift(a) if where is True else lift(a) * weights,), axis=axis, keepdims=keepdims)
    return apply(np.divide, "__call__", (total, np.sum(weights, axis=axis, keepdims=keepdims)), out=out)


def average(a: Any, axis: Any = None, weights: Any = None, **options: Any) -> Any:
    if weights is None:
        return mean(a, axis, **options)
    w = lift(weights) if np.ndim(plain(weights)) == np.ndim(plain(a)) or axis is None else None
    if w is None:
        w = np.expand_dims(lift(weights), [i for i in range(np.ndim(plain(a))) if i != axis % np.ndim(plain(a))])
    total = apply(np.add, "reduce", (apply(np.multiply, "__call__", (a, w)),), axis=axis, **options)
    return total / np.sum(np.broadcast_to(w, np.shape(plain(a))), axis=axis, **options)


def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    away = apply(np.square, "__call__", (lift(a) - mean(a, axis, keepdims=True),))
    count = np.size(plain(a)) // max(1, np.size(mean(a, axis, keepdims=True)))
    total = apply(np.add, "reduce", (away,), axis=axis, keepdims=keepdims)
    return apply(np.divide, "__call__", (total, count - ddof), out=out)


def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
    return apply(np.sqrt, "__call__", (var(a, axis, **options),), out=out)


def _reduction(ufunc: np.ufunc, takes_dtype: bool = False) -> Callable:
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
    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        a = np.ravel(plain(a)) if axis is None else a
        return apply(ufunc, "accumulate", (a,), axis=axis or 0, dtype=dtype, out=out)

    return accumulate


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return OURS["max"](a, axis, keepdims=keepdims) - OURS["min"](a, axis, keepdims=keepdims)


def _without_nan(name: str, neutral: Any) -> Callable:
    def reduce(a: Any, *args: Any, **options: Any) -> Any:
        if not is_real(a):
            return OURS[name](a, *args, **options)
        return OURS[name](where(apply(np.isnan, "__call__", (a,)), neutral, a), *args, **options)

    return reduce


def nanmean(a: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    there = apply(np.logical_not, "__call__", (apply(np.isnan, "__call__", (a,)),))
    return OURS["nansum"](a, axis=axis, keepdims=keepdims) / OURS["sum"](there, axis=axis, keepdims=keepdims)


def quantile(a: Any, q: Any, axis: Any = None, **options: Any) -> Any:
    """Of one probability, between the two nearest by a straight line."""
    a = np.sort(np.ravel(lift(a)) if axis is None else lift(a), axis=axis or 0)
    place = ball(q) * (a.shape[axis or 0] - 1)
    below = min(math.floor(float(place.v) + 1e-9), a.shape[axis or 0] - 1)
    low, high = (np.take(a, i, axis or 0) for i in (below, min(below + 1, a.shape[axis or 0] - 1)))
    return wrap(low + (high - low) * (place - below))


def median(a: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    a = np.ravel(lift(a)) if axis is None else lift(a)
    ordered = np.sort(a, axis=0 if axis is None else axis)
    n = ordered.shape[0 if axis is None else axis]
    middle = np.take(ordered, [(n - 1) // 2, n // 2], axis=0 if axis is None else axis)
    return mean(middle, 0 if axis is None else axis, keepdims=keepdims)


def where(condition: Any, *choices: Any) -> Any:
    if choices and any(map(is_real, choices)):
        choices = tuple(map(lift, choices))
    return wrap(np.where(truth(condition), *map(plain, choices)))


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.get("min", a_min), options.get("max", a_max)
    if low is None and high is None:
        return array(a)
    bounds = tuple(b for b in (low, high) if b is not None)
    ufunc = (
        np.clip if False else np._core.umath.clip if len(bounds) == 2 else np.maximum if high is None else np.minimum
    )
    return apply(ufunc, "__call__", (a, *bounds), out=out)


def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    if not is_real(a):
        return wrap(np.round(plain(a), decimals))
    scale = ball(10) ** int(decimals)
    return apply(np.divide, "__call__", (apply(np.rint, "__call__", (lift(a) * scale,)), scale), out=out)


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    a, b = lift(a), lift(b)
    return apply(np.less_equal, "__call__", (abs(wrap(a - b)), abs(wrap(b)) * ball(rtol) + ball(atol)))


def allclose(*args: Any, **options: Any) -> bool:
    return bool(np.all(isclose(*args, **options)))


def array_equal(a: Any, b: Any, **options: Any) -> bool:
    a, b = plain(a), plain(b)
    return np.shape(a) == np.shape(b) and bool(np.all(apply(np.equal, "__call__", (a, b))))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if not is_real(x):
        return array(x)[()]
    if np.any(apply(np.isinf, "__call__", (x,))):
        raise NotJudged("np.nan_to_num of an infinity")
    return where(apply(np.isnan, "__call__", (x,)), nan, x)[()]


def sinc(x: Any) -> Any:
    x = apply(np.multiply, "__call__", (lift(x), pi()))
    none = apply(np.equal, "__call__", (x, 0))
    x = where(none, 1, x)
    return where(none, 1, apply(np.sin, "__call__", (x,)) / x)


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


def apply_along_axis(func1d: Callable, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    a = np.moveaxis(plain(arr), axis, -1)
    results = [np.asarray(plain(func1d(wrap(a[i]), *args, **kwargs))) for i in np.ndindex(a.shape[:-1])]
    results = [r.astype(results[0].dtype) for r in results]  # as there, the first says the dtype
    made = np.array(results, results[0].dtype).reshape(a.shape[:-1] + results[0].shape)
    back = range(a.ndim - 1, made.ndim)
    return wrap(np.moveaxis(made, list(back), [axis % a.ndim + i for i in range(len(back))]))


def piecewise(x: Any, condlist: Any, funclist: list, *args: Any) -> Any:
    x, conditions = array(x), [truth(c) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.logical_or.reduce(conditions))
    out = zeros_like(x)
    for condition, f in zip(conditions, funclist, strict=True):
        out[condition] = f(x[condition], *args) if callable(f) else f
    return out


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    out = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        out = where(condition, choice, out)
    return array(out)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    counts = np.bincount(plain(x), minlength=minlength)
    if weights is None:
        return wrap(counts)
    out = zeros(len(counts))
    np.add.at(np.asarray(out), plain(x), lift(weights))
    return out


def nditer(op: Any, flags: Any = (), *args: Any, **options: Any) -> np.nditer:
    return np.nditer(np.asarray(plain(op)), [*flags, "refs_ok"], *args, **options)


def fromfunction(function: Callable, shape: Any, dtype: Any = float, **options: Any) -> Any:
    return function(*(cast(i, dtype) for i in np.indices(shape)))


OURS: dict[str, Callable] = {
    f.__name__: f
    for f in (array, full, full_like, eye, arange, linspace, mean, average, var, std, ptp, median, where, clip, around)
}
OURS |= {
    f.__name__: f
    for f in (isclose, allclose, array_equal, nan_to_num, vectorize, frompyfunc, apply_along_axis, piecewise, select)
}
OURS |= {f.__name__: f for f in (bincount, nditer, fromfunction, nanmean, quantile, sinc, fromiter, asarray)}
OURS |= {
    "zeros": zeros, "ones": ones, "empty": empty, "zeros_like": zeros_like, "ones_like": ones_like,
    "empty_like": empty_like, "identity": eye, "round": around, "round_": around,
    "percentile": lambda a, q, *rest, **options: quantile(a, ball(q) / 100, *rest, **options),
    "sum": _reduction(np.add, True), "prod": _reduction(np.multiply, True), "product": _reduction(np.multiply, True),
    "max": _reduction(np.maximum), "amax": _reduction(np.maximum),
    "min": _reduction(np.minimum), "amin": _reduction(np.minimum),
    "any": _reduction(np.logical_or), "all": _reduction(np.logical_and),
    "cumsum": _running(np.add), "cumprod": _running(np.multiply),
    "nansum": _without_nan("sum", 0), "nanprod": _without_nan("prod", 1),
    "nanmax": _without_nan("max", -math.inf), "nanmin": _without_nan("min", math.inf),
    "fix": lambda a: apply(np.trunc, "__call__", (a,)), "copy": lambda a, *rest, **options: array(a),
    "asscalar": lambda a: np.asarray(a).item(), "in1d": lambda a, b, **options: wrap(np.isin(plain(a), plain(b))),
}  # fmt: skip
OURS |= {"alltrue": OURS["all"], "sometrue": OURS["any"], "cumproduct": OURS["cumprod"]}  # as old NumPy had them
OURS |= dict.fromkeys("asanyarray asfarray require asarray_chkfinite".split(), asarray)
OURS |= dict.fromkeys(("ascontiguousarray", "asfortranarray"), lambda a, dtype=None: np.atleast_1d(asarray(a, dtype)))
OURS |= dict.fromkeys("save savez savez_compressed savetxt".split(), lambda *args, **options: None)
OURS |= {f"linalg.{name}": f for name, f in linalg.FUNCTIONS.items()}
