"""Arrays as people's code sees them: NumPy's own, with balls wherever NumPy would hold floats.

Integers and booleans stay what they are. An operation that NumPy would answer with floats is done on balls; one whose
meaning is not known here raises NotJudged. So no number of the user's ever becomes a float.
"""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers import recorded
from twolayer.verification.numbers.balls import Ball, array_of
from twolayer.verification.numbers.complexes import parts
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins.one_number import COMPILED, NUMBER, OF_TRUTH, OURS, ball

_true_dtype = np.ndarray.dtype.__get__
FLOAT, COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)
LARGEST = 1_000_000  # entries; a data set stays in floats, and becomes balls where it is computed with


def as_balls(array: np.ndarray) -> np.ndarray:
    """An array of any numbers as a plain object array of balls; the same memory where it holds nothing else."""
    flat = array.ravel().tolist()
    if array.dtype == object and all(issubclass(kind, Ball) for kind in set(map(type, flat))):
        return array
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:  # the shortest decimal of a float32 is its own
        flat = [array.dtype.type(v) for v in flat]
    return array_of(array.shape, [ball(v) for v in flat])


def exactly(values: Any) -> Any:
    """Floats that were drawn or measured, and are no literals: each means itself."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return array_of(values.shape, [NUMBER.get()(flint.arb(v)) for v in values.ravel().tolist()]).view(Array)
    return NUMBER.get()(flint.arb(float(values))) if isinstance(values, (float, np.floating)) else wrap(values)


def is_real(value: Any) -> bool:
    """Whether this holds a number that is no integer: a ball, a float, or an array or a list of such."""
    if isinstance(value, np.ndarray):
        return _true_dtype(value).kind in "Ofc"
    if isinstance(value, (list, tuple)):
        return any(map(is_real, value))
    return isinstance(value, (Ball, float, complex, np.inexact))


def plain(value: Any) -> Any:
    """What NumPy itself may see of this: no subclass of arrays, and lists of numbers as arrays."""
    if isinstance(value, (list, tuple)):
        value = np.asarray(value, object) if is_real(value) else np.asarray(value)
    return np.asarray(value) if isinstance(value, np.ndarray) else value


def lift(value: Any) -> Any:
    """The same numbers as balls: a plain object array, or a ball."""
    value = plain(value)
    if isinstance(value, np.ndarray):
        return as_balls(value)
    return ball(value) if isinstance(value, (Ball, int, float, complex, np.generic)) else value


def wrap(value: Any) -> Any:
    """What NumPy gave, as people's code shall see it: arrays as Array, floats as balls."""
    if isinstance(value, np.ndarray):
        value = np.asarray(value)
        small = value.dtype.kind in "fc" and value.size <= LARGEST
        if small or (value.dtype == object and all_numbers(value)):
            value = as_balls(value)
        return value.view(Array)
    if isinstance(value, (float, complex, np.inexact)):
        return ball(value)
    return type(value)(map(wrap, value)) if type(value) in (list, tuple) else value


def reals(value: Any) -> Any:
    """Numbers of any kind as people's code shall see balls: an Array, or a ball."""
    return wrap(lift(value))


def all_numbers(array: np.ndarray) -> bool:
    """Whether an object array holds numbers only; people also keep strings, lists and functions in them."""
    kinds = set(map(type, array.ravel().tolist()))
    return all(issubclass(kind, (Ball, int, float, complex, np.number, np.bool_)) for kind in kinds)


def real_dtype(dtype: Any) -> bool:
    """Whether a dtype argument asks for floats."""
    return dtype is not None and np.dtype(dtype).kind in "fOc"


def truth(value: Any) -> np.ndarray:
    """Which entries are not 0."""
    value = plain(value)
    return np.not_equal(lift(value), np.asarray(ball(0), object)) if is_real(value) else np.asarray(value, bool)


COMPARES = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
LOGICAL = {"logical_and", "logical_or", "logical_not", "logical_xor"}
NATIVE = set(
    "add subtract multiply divide true_divide power negative positive absolute reciprocal exp exp2 expm1 log log2 log10"
    " log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh maximum minimum fmax"
    " fmin conjugate matmul vecdot matvec vecmat greater greater_equal less less_equal equal not_equal clip".split()
)


def apply(ufunc: np.ufunc, method: str, inputs: tuple, out: Any = None, **options: Any) -> Any:
    """A ufunc of NumPy, or one of its methods (reduce, accumulate, outer, at, reduceat), over balls."""
    if method == "__call__" and len(inputs) > ufunc.nin:
        inputs, out = inputs[: ufunc.nin], inputs[ufunc.nin :]
    out = out if isinstance(out, tuple) or out is None else (out,)
    wants = options.pop("dtype", None)
    options = {k: v for k, v in options.items() if k not in ("casting", "order", "subok", "signature")}
    if method == "at":
        return _changed_at(ufunc, *inputs)
    if any(v is None or isinstance(v, str) for v in inputs):
        return getattr(ufunc, method)(*map(plain, inputs), **options)
    values = [plain(v) for v in inputs]
    into = None if out is None else tuple(None if o is None else np.asarray(o) for o in out)
    if ufunc.__name__ in LOGICAL:
        values[0 : 1 if method != "__call__" else None] = [
            truth(v) for v in (values if method == "__call__" else values[:1])
        ]
    elif any(map(is_real, values)) or real_dtype(wants) or (_of_reals(into) and ufunc is not np.reciprocal):
        return _over_balls(ufunc, method, values, out, into, options)
    else:
        if wants is not None:
            options["dtype"] = wants
    with np.errstate(all="ignore"):
        result = getattr(ufunc, method)(*values, **options, **({} if into is None else {"out": into}))
    if is_real(result) and ufunc is not np.reciprocal:  # of integers, as 1 / 3 is: once more, exactly
        return _over_balls(ufunc, method, values, out, into, options)
    return _given(result, out)


def _of_reals(into: tuple | None) -> bool:
    """Whether one of the arrays to be written into holds balls."""
    return into is not None and any(o is not None and o.dtype == object for o in into)


def _over_balls(ufunc: np.ufunc, method: str, values: list, out: Any, into: Any, options: dict) -> Any:
    """The ufunc on balls: ours where there is one, else NumPy's loop over objects."""
    name = ufunc.__name__
    if name == "modf" and into is None:
        whole = apply(np.trunc, "__call__", tuple(values))
        return wrap(values[0] - whole), whole
    if name == "divmod":
        return tuple(apply(f, "__call__", tuple(values)) for f in (np.floor_divide, np.remainder))
    if name not in OURS and name not in NATIVE:
        raise NotJudged(f"np.{name}")
    positions = 1 if method in ("reduce", "accumulate", "reduceat") else ufunc.nin
    values = [*map(lift, values[:positions]), *values[positions:]]
    if recorded.active() and name in ("multiply", "matmul", "divide", "true_divide"):
        values[:positions] = map(recorded.told_apart, values[:positions])
    if options.get("initial") is not None and isinstance(options["initial"], (int, float, np.number)):
        options = options | {"initial": ball(options["initial"])}
    if isinstance(options.get("where"), np.ndarray):
        options = options | {"where": np.asarray(options["where"])}
    start = recorded.clock() if recorded.active() else 0
    result = getattr(COMPILED.get(name, ufunc), method)(*values, **options, **({} if into is None else {"out": into}))
    if recorded.active() and name not in COMPARES:
        if name in ("maximum", "minimum", "fmax", "fmin") and method == "__call__" and into is None:
            result = recorded.chosen(result, values)
        recorded.note(name if method == "__call__" else f"{name}.{method}", values[: ufunc.nin], result, start)
    if name in OF_TRUTH:
        result = result.astype(bool) if isinstance(result, np.ndarray) else np.bool_(result)
    if name in COMPARES and type(result) is bool:
        result = np.bool_(result)
    if type(result) in (int, float):  # a sum of nothing
        result = ball(result)
    return _given(result, out)


def _changed_at(ufunc: np.ufunc, array: np.ndarray, key: Any, *values: Any) -> None:
    """np.add.at(array, key, value): in place, also where an index comes twice."""
    here, key = np.asarray(array), tuple(map(_index, key)) if isinstance(key, tuple) else _index(key)
    if here.dtype != object and any(map(is_real, values)):
        raise TypeError(f"cannot cast the result of {ufunc.__name__} to integers")
    if here.dtype == object and ufunc.__name__ not in NATIVE:
        raise NotJudged(f"np.{ufunc.__name__}.at")
    if here.dtype == object and here.size:
        here[...] = as_balls(here)
    ufunc.at(here, key, *(lift(v) if here.dtype == object else plain(v) for v in values))


def _given(result: Any, out: Any) -> Any:
    """The array that was to be written into, or the result as people's code shall see it."""
    if out is not None and any(o is not None for o in out):
        return out[0] if len(out) == 1 else out
    if isinstance(result, tuple):
        return tuple(_given(r, None) for r in result)
    return np.asarray(result).view(Array) if isinstance(result, np.ndarray) else result


def _named(name: str) -> Callable:
    """The method of arrays that is NumPy's function of that name."""

    def method(self: "Array", *args: Any, **kwargs: Any) -> Any:
        return Array.functions(name, None, (self, *args), kwargs)

    return method


class Array(np.ndarray):
    """An array of the user's. Its dtype says float64 where it holds balls."""

    functions: Callable  # of NumPy, on arrays of this class; numpy_module.py sets it

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return apply(ufunc, method, inputs, **options)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        module = getattr(function, "__module__", "numpy").removeprefix("numpy").lstrip(".")
        return Array.functions(f"{module}.{function.__name__}".lstrip("."), function, args, kwargs)

    @property
    def dtype(self) -> np.dtype:
        kept = _true_dtype(self)
        return kept if kept.kind != "O" else FLOAT if parts(np.asarray(self))[1] is None else COMPLEX

    def __setitem__(self, key: Any, value: Any) -> None:
        key = tuple(map(_index, key)) if isinstance(key, tuple) else _index(key)
        if _true_dtype(self).kind in "iub" and is_real(value):  # NumPy cuts off what is behind the point
            value = np.asarray(plain(value)).astype(_true_dtype(self))
        np.asarray(self)[key] = plain(value)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(tuple(map(_index, key)) if isinstance(key, tuple) else _index(key))

    def astype(self, dtype: Any, *args: Any, **options: Any) -> "Array":
        same = np.dtype(dtype) == self.dtype and options.get("copy", True) is False
        return self if same else cast(np.asarray(self), dtype)

    def fill(self, value: Any) -> None:
        self[...] = value

    mean, std, var, dot, round, argmax, argmin = map(_named, ("mean", "std", "var", "dot", "round", "argmax", "argmin"))
    sum, prod, cumsum, cumprod, ptp = map(_named, ("sum", "prod", "cumsum", "cumprod", "ptp"))
    max, min, any, all, clip, trace = map(_named, ("max", "min", "any", "all", "clip", "trace"))
    argsort, searchsorted, conj, conjugate = map(_named, ("argsort", "searchsorted", "conj", "conj"))

    def sort(self, axis: int = -1, **options: Any) -> None:
        self[...] = Array.functions("sort", None, (self, axis), {})

    @property
    def real(self) -> "Array":
        return self if _true_dtype(self).kind != "O" else parts(np.asarray(self))[0].view(Array)

    @property
    def imag(self) -> "Array":
        imaginary = parts(np.asarray(self))[1] if _true_dtype(self).kind == "O" else None
        return (self * 0 if imaginary is None else imaginary).view(Array)

    def __deepcopy__(self, memo: Any) -> "Array":
        return self.copy()

    def __round__(self, digits: int = 0) -> "Array":
        return self.round(digits)


def _index(key: Any) -> Any:
    """A key as NumPy itself may see it."""
    if isinstance(key, np.ndarray) and _true_dtype(key).kind == "O":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return np.asarray(key) if isinstance(key, np.ndarray) else key


def cast(array: np.ndarray, dtype: Any) -> Array:
    """A copy with another dtype: all floating ones are the real numbers."""
    kind = np.dtype(dtype)
    if kind.kind in "fOc":
        made = wrap(array.copy()) if array.dtype == object else as_balls(array).view(Array)
        return made.real if kind.kind == "f" else made
    if array.dtype == object and kind.kind in "iu":
        values = [int(v) for v in array.ravel().tolist()]
        return np.array(values, kind).reshape(array.shape).view(Array)
    return (truth(array) if kind.kind == "b" else array.astype(kind)).view(Array)
