"""The module that people's code gets for `numpy`: the same functions by the same names, over balls.

A name is one of OURS (written here or in linalg.py), of MOVES (NumPy's own function, which only moves entries about or
combines them by operators, so that it is right on objects), of LOOKS (it asks about shapes, or sets how things print),
a ufunc or a class. Any other runs on integers only, and is NotJudged on balls.
"""

import math
import types
from collections.abc import Callable, Iterable
from typing import Any

import flint
import numpy as np

from twolayer.verifier.numbers.balls import Ball
from twolayer.verifier.programs import NotJudged
from twolayer.verifier.programs.stand_ins import linalg
from twolayer.verifier.programs.stand_ins.arrays import (
    Array,
    apply,
    ball,
    cast,
    is_real,
    lift,
    pi,
    plain,
    real_dtype,
    truth,
    wrap,
)
from twolayer.verifier.programs.stand_ins.randomness import NumpyRandom


def array(values: Any = (), dtype: Any = None, copy: bool | None = True, ndmin: int = 0, **options: Any) -> Array:
    """np.array: floats and balls become balls, integers stay integers."""
    if isinstance(values, Array) and not copy and (dtype is None or values.dtype == np.dtype(dtype)):
        return values
    if isinstance(values, Iterable) and not isinstance(values, (np.ndarray, list, tuple, range, str, dict, set)):
        values = values if hasattr(values, "__array__") or not hasattr(values, "__next__") else list(values)
    made = np.array(plain(values), ndmin=ndmin)
    if dtype is not None and np.dtype(dtype) != object:
        return cast(made, dtype)
    return wrap(made)


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


zeros, ones, zeros_like, ones_like = (_filled(n, v) for n, v in zip(("zeros", "ones", "zeros_like", "ones_like"), (0, 1, 0, 1), strict=True))  # fmt: skip
# What np.empty holds is not defined. It is filled before it is used, or the result is no number.
empty, empty_like = _filled("empty", math.nan), _filled("empty_like", math.nan)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, **options: Any) -> Array:
    if stop is None:
        start, stop = 0, start
    if not any(map(is_real, (start, stop, step))):
        return array(np.arange(start, stop, step), dtype)
    count = max(0, math.ceil((ball(stop) - start) / step))
    return array(ball(start) + np.arange(count).astype(object) * ball(step), dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Array:
    steps = np.arange(int(num)).astype(object)
    return array(lift(start) + steps * ((lift(stop) - lift(start)) / ball(max(1, num - 1 if endpoint else num))), dtype)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, where: Any = True
) -> Any:
    weights = np.broadcast_to(truth(where), np.shape(plain(a)))
    total = apply(np.add, "reduce", (lift(a),), axis=axis, keepdims=keepdims, where=weights)
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


def _reduction(ufunc: np.ufunc, name: str) -> Callable:
    def reduce(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any
    ) -> Any:
        if isinstance(a, types.GeneratorType):
            a = list(a)
        options = {k: v for k, v in options.items() if v is not np._NoValue}
        return apply(ufunc, "reduce", (a,), axis=axis, keepdims=keepdims, out=out, dtype=dtype, **options)

    def without_dtype(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        return reduce(a, axis, None, out, keepdims, **options)

    return reduce if name in ("sum", "prod") else without_dtype


def _running(ufunc: np.ufunc) -> Callable:
    def accumulate(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        a = np.ravel(plain(a)) if axis is None else a
        return apply(ufunc, "accumulate", (a,), axis=axis or 0, dtype=dtype, out=out)

    return accumulate


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return OURS["max"](a, axis, keepdims=keepdims) - OURS["min"](a, axis, keepdims=keepdims)


def _without_nan(name: str, neutral: Any) -> Callable:
    def reduce(a: Any, *args: Any, **options: Any) -> Any:
        return OURS[name](where(apply(np.isnan, "__call__", (a,)), neutral, a), *args, **options)

    return reduce


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
    return apply(np.less_equal, "__call__", (abs(a - b), abs(b) * ball(rtol) + ball(atol)))


def allclose(*args: Any, **options: Any) -> bool:
    return bool(np.all(isclose(*args, **options)))


def array_equal(a: Any, b: Any, **options: Any) -> bool:
    a, b = plain(a), plain(b)
    return np.shape(a) == np.shape(b) and bool(np.all(apply(np.equal, "__call__", (a, b))))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if np.any(apply(np.isinf, "__call__", (x,))):
        raise NotJudged("np.nan_to_num of an infinity")
    return where(apply(np.isnan, "__call__", (x,)), nan, x)


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


class _Index:
    """np.c_, np.r_, np.mgrid and np.ogrid."""

    def __init__(self, native: Any):
        self.native = native

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        return wrap(
            self.native[tuple(lift(k) if is_real(k) else plain(k) for k in keys) if isinstance(key, tuple) else keys[0]]
        )


class Ufunc:
    """A ufunc of NumPy over balls, with its methods."""

    def __init__(self, ufunc: np.ufunc):
        self.ufunc, self.__name__ = ufunc, ufunc.__name__

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return apply(self.ufunc, "__call__", inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("reduce", "accumulate", "reduceat"):

            def method(a: Any, *rest: Any, **options: Any) -> Any:
                names = (
                    ("axis", "dtype", "out", "keepdims") if name != "reduceat" else ("indices", "axis", "dtype", "out")
                )
                options |= dict(zip(names, rest, strict=False))
                more = (options.pop("indices"),) if name == "reduceat" else ()
                return apply(self.ufunc, name, (a, *more), **options)

            return method
        if name in ("outer", "at"):
            return lambda *inputs, **options: apply(self.ufunc, name, inputs, **options)
        return getattr(self.ufunc, name)


class _Kind(type):
    """The type of the stand-ins for float, np.float64, np.integer ...: a class that balls may be instances of."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.among)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(
            getattr(other, "dtype", np.dtype(object)).type if isinstance(other, _Kind) else other, cls.among
        )

    def __call__(cls, value: Any = 0.0, *args: Any) -> Any:
        if isinstance(value, (str, bytes)):
            return float(value)
        made = cast(np.asarray(plain(value), object if is_real(value) else None), cls.dtype)
        if cls.scalar and made.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        return made.item() if cls.scalar or not np.ndim(plain(value)) else made

    def __eq__(cls, other: Any) -> bool:
        return cls is other or other in (cls.dtype, cls.__name__)

    __hash__ = type.__hash__


def _kind(name: str, among: tuple, scalar: bool = False) -> type:
    return _Kind(name, (), {"dtype": np.dtype(np.float64), "among": among, "scalar": scalar})


Float = _kind("float", (float, np.floating, Ball), scalar=True)
FLOATS = {n: _kind(n, (np.floating, Ball)) for n in ("float64", "float32", "float16", "longdouble", "floating", "float_", "double", "single", "half", "inexact")}  # fmt: skip
FLOATS |= {n: _kind(n, (np.generic, Ball)) for n in ("number", "generic")}

OURS: dict[str, Callable] = {
    f.__name__: f
    for f in (array, full, full_like, eye, arange, linspace, mean, average, var, std, ptp, median, where, clip, around)
    + (isclose, allclose, array_equal, nan_to_num, vectorize, frompyfunc, apply_along_axis, piecewise, select, bincount)
    + (nditer, fromfunction)
} | {
    "zeros": zeros, "ones": ones, "empty": empty, "zeros_like": zeros_like, "ones_like": ones_like,
    "empty_like": empty_like, "identity": eye, "round": around, "round_": around, "fix": lambda a: apply(np.trunc, "__call__", (a,)),
    "sum": _reduction(np.add, "sum"), "prod": _reduction(np.multiply, "prod"), "product": _reduction(np.multiply, "prod"),
    "max": _reduction(np.maximum, "max"), "amax": _reduction(np.maximum, "max"),
    "min": _reduction(np.minimum, "min"), "amin": _reduction(np.minimum, "min"),
    "any": _reduction(np.logical_or, "any"), "all": _reduction(np.logical_and, "all"),
    "cumsum": _running(np.add), "cumprod": _running(np.multiply),
    "nansum": _without_nan("sum", 0), "nanprod": _without_nan("prod", 1),
    "asarray": lambda a, dtype=None, *r, **k: array(a, dtype, copy=False), "copy": lambda a, *r, **k: array(a),
    "asscalar": lambda a: np.asarray(a).item(), "sinc": lambda x: where(lift(x) == 0, 1, apply(np.sin, "__call__", (lift(x) * pi(),)) / (lift(where(lift(x) == 0, 1, x)) * pi())),
    "asmatrix": lambda *a, **k: _not_judged("np.matrix"), "matrix": lambda *a, **k: _not_judged("np.matrix"),
    "save": lambda *a, **k: None, "savez": lambda *a, **k: None, "savetxt": lambda *a, **k: None,
    "savez_compressed": lambda *a, **k: None,
}  # fmt: skip
OURS |= {
    n: OURS["asarray"]
    for n in ("asanyarray", "ascontiguousarray", "asfortranarray", "asfarray", "require", "asarray_chkfinite")
}
OURS |= {"mat": OURS["matrix"], "in1d": lambda a, b, **k: wrap(np.isin(plain(a), plain(b), **k))}
OURS |= {f"linalg.{name}": f for name, f in linalg.FUNCTIONS.items()}
# Right as they stand on arrays of balls: they move entries about, or use +, -, *, / and comparisons only.
MOVES = set(
    "append argmax argmin argpartition argsort argwhere array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays"
    " broadcast_to choose column_stack compress concatenate concat convolve copyto correlate count_nonzero cross delete diag"
    " diagflat diagonal diff dot dsplit dstack ediff1d einsum expand_dims extract fill_diagonal flatnonzero flip fliplr"
    " flipud hsplit hstack inner insert kron lexsort meshgrid moveaxis nonzero outer pad permute_dims place polyval put"
    " put_along_axis putmask ravel real repeat reshape resize roll rollaxis rot90 searchsorted sort split squeeze stack"
    " swapaxes take take_along_axis tensordot tile trace transpose tril trim_zeros triu unique unstack vander vdot vsplit"
    " vstack row_stack matrix_transpose linalg.multi_dot isin nanargmax".split()
) - {"nanargmax"}
LOOKS = set(
    "shape ndim size errstate seterr geterr set_printoptions get_printoptions printoptions array_repr array_str array2string"
    " array_equiv shares_memory may_share_memory ndindex ndenumerate unravel_index ravel_multi_index tril_indices triu_indices"
    " diag_indices diag_indices_from tril_indices_from triu_indices_from indices ix_ iterable issubdtype dtype finfo iinfo"
    " isscalar iscomplexobj isrealobj result_type can_cast promote_types newaxis inf nan Inf NaN NAN infty s_ index_exp"
    " int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp int_ integer bool_ str_ object_ typing random_integers"
    " seterrcall format_float_positional broadcast_shapes broadcast loadtxt genfromtxt load fromstring bool integer signedinteger"
    " unsignedinteger uint intc longlong".split()
)
OLD_NAMES = {"float": Float, "int": int, "object": object, "str": str, "math": None, "Inf": math.inf, "infty": math.inf,
             "NaN": math.nan, "NAN": math.nan, "float_": FLOATS["float64"], "row_stack": np.vstack}  # fmt: skip


def _not_judged(name: str) -> None:
    raise NotJudged(name)


def call(name: str, native: Callable | None, args: tuple, kwargs: dict) -> Any:
    """NumPy's function of this name ("exp", "linalg.norm"), over balls."""
    if name in OURS:
        return OURS[name](*args, **kwargs)
    native = getattr(np, name) if native is None else native
    real = name in MOVES and (is_real(args) or is_real(tuple(kwargs.values())))
    kwargs = {k: v for k, v in kwargs.items() if not (k == "dtype" and real_dtype(v))}
    if real:
        args = tuple(_lift_tree(a) for a in args)
    elif is_real(args) and name not in MOVES and name not in LOOKS:
        raise NotJudged(f"np.{name}")
    return wrap(
        native(*map(_plain_tree, args), **{k: _plain_tree(_lift_tree(v) if real else v) for k, v in kwargs.items()})
    )


def _lift_tree(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_lift_tree, value)) if is_real(value) and type(value) in (list, tuple) else value
    return lift(value) if is_real(value) else value


def _plain_tree(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_plain_tree, value))
    return np.asarray(value) if isinstance(value, np.ndarray) else value


Array.functions = staticmethod(call)


class Module(types.ModuleType):
    """A stand-in module: `find(name)` gives what it has not yet."""

    def __init__(self, name: str, find: Callable[[str], Any], **known: Any):
        super().__init__(name)
        self.__dict__.update(known, _find=find)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__version__",):
            raise AttributeError(name)
        return self._find(name)


def _function(name: str, native: Any = None) -> Callable:
    def function(*args: Any, **kwargs: Any) -> Any:
        return call(name, native, args, kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def find(name: str) -> Any:
    """What `np.name` is."""
    if name in ("pi", "e", "euler_gamma"):
        return pi() if name == "pi" else ball(1).exp() if name == "e" else ball(flint.arb.const_euler())
    if name in FLOATS:
        return FLOATS[name]
    if name in OURS:
        return OURS[name]
    native = OLD_NAMES[name] if name in OLD_NAMES else getattr(np, name)
    if isinstance(native, np.ufunc):
        return Ufunc(native)
    if name in ("c_", "r_", "mgrid", "ogrid"):
        return _Index(native)
    return _function(name, native) if callable(native) and not isinstance(native, type) else native


def _find_linalg(name: str) -> Any:
    if f"linalg.{name}" in OURS:
        return OURS[f"linalg.{name}"]
    native = getattr(np.linalg, name)
    return native if isinstance(native, type) else _function(f"linalg.{name}", native)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """An assertion of np.testing: it says nothing about a derivative."""


NUMPY = Module("numpy", find, ndarray=Array, random=NumpyRandom())
NUMPY.linalg = Module("numpy.linalg", _find_linalg)
NUMPY.testing = Module("numpy.testing", lambda name: _nothing)
NUMPY.lib = types.SimpleNamespace(
    stride_tricks=types.SimpleNamespace(
        as_strided=lambda *a, **k: _not_judged("as_strided"),
        sliding_window_view=_function("sliding_window_view", np.lib.stride_tricks.sliding_window_view),
    )
)
