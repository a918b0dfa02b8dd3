"""JAX's functions by NumPy on plain floats: a function that runs again and again is a hundred times faster so.

For the search of edits (explain/repairs.py), which holds what comes out against the balls, and takes JAX itself where
this knows too little: an attribute that is not here is none. A custom rule is its two functions, which need no JAX.
"""

import builtins
import functools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twolayer.verification.programs.stand_ins import control
from twolayer.verification.programs.stand_ins.numpy_module import Module
from twolayer.verification.programs.stand_ins.pallas_floats import PALLAS, Shape


class FloatArray(np.ndarray):
    """An array that is never changed: `x += 1` binds a new one, as in JAX."""

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("JAX arrays are immutable; write x = x.at[index].set(value)")

    @property
    def at(self) -> "_At":
        return _At(self)


for _name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
    _method = getattr(np.ndarray, f"__{_name}__")
    setattr(FloatArray, f"__i{_name}__", lambda a, b, method=_method: method(a, b))


class _At:
    """x.at[index].set(value) and its kin: a changed copy."""

    def __init__(self, values: np.ndarray, key: Any = None):
        self.values, self.key = values, key

    def __getitem__(self, key: Any) -> "_At":
        return _At(self.values, key)

    def _by(self, ufunc: np.ufunc, value: Any, **options: Any) -> FloatArray:
        out = np.array(self.values)
        ufunc.at(out, self.key, value)
        return as_jax(out)

    def set(self, value: Any, **options: Any) -> FloatArray:
        out = np.array(self.values)
        out[self.key] = value
        return as_jax(out)

    def get(self, **options: Any) -> Any:
        return self.values[self.key]

    add = functools.partialmethod(_by, np.add)
    multiply = mul = functools.partialmethod(_by, np.multiply)
    divide = functools.partialmethod(_by, np.divide)
    max = functools.partialmethod(_by, np.maximum)
    min = functools.partialmethod(_by, np.minimum)


def as_jax(value: Any) -> Any:
    """The same, its arrays unchangeable."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(FloatArray)
    return type(value)(*map(as_jax, value)) if hasattr(value, "_fields") else (
        type(value)(map(as_jax, value)) if type(value) in (list, tuple) else value
    )  # fmt: skip


_FOR_DEVICES = ("precision", "preferred_element_type", "mode", "unique_indices", "indices_are_sorted", "inplace")


def _of(function: Callable) -> Callable:
    def of_floats(*args: Any, **options: Any) -> Any:
        for option in _FOR_DEVICES:
            options.pop(option, None)
        result = function(*args, **options)
        return as_jax(result.copy() if isinstance(result, np.ndarray) and any(result is a for a in args) else result)

    return of_floats


_TYPES = {"float16": np.float64, "float32": np.float64, "bfloat16": np.float64, "ndarray": FloatArray}


def _numpy(name: str) -> Any:
    if name in _TYPES:
        return _TYPES[name]
    value = getattr(np, name)
    return _of(value) if callable(value) and not isinstance(value, type) else value


def _stacked(rows: list) -> FloatArray:
    return as_jax(np.stack(rows))


def _softmax(x: Any, axis: int = -1, **options: Any) -> Any:
    return np.exp(_log_softmax(x, axis))


def _log_softmax(x: Any, axis: int = -1, **options: Any) -> Any:
    return x - _logsumexp(x, axis, keepdims=True)


def _logsumexp(x: Any, axis: Any = None, b: Any = None, keepdims: bool = False, **options: Any) -> Any:
    most = np.max(x, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - most) * (1.0 if b is None else b), axis=axis, keepdims=True)) + most
    return total if keepdims else np.squeeze(total, axis)


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0.0, -np.asarray(x)))


_erf = np.vectorize(math.erf, otypes=[float])


def _gelu(x: Any, approximate: bool = True) -> Any:
    inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)) if approximate else _erf(x / math.sqrt(2))
    return x * (1 + inner) / 2


def _one_hot(x: Any, num_classes: int, **options: Any) -> Any:
    return (np.asarray(x)[..., None] == np.arange(num_classes)) * 1.0


NN = {
    "relu": lambda x: np.maximum(x, 0.0), "sigmoid": _sigmoid, "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x), "softplus": lambda x: np.logaddexp(x, 0.0), "gelu": _gelu, "tanh": np.tanh,
    "log_sigmoid": lambda x: -np.logaddexp(0.0, -x), "softmax": _softmax, "log_softmax": _log_softmax,
    "logsumexp": _logsumexp, "one_hot": _one_hot, "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x >= 0, x, negative_slope * x),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)),
}  # fmt: skip


def _slice(x: Any, starts: Sequence[int], sizes: Sequence[int]) -> Any:
    return x[tuple(slice(int(a), int(a) + n) for a, n in zip(starts, sizes, strict=True))]


def _slice_in_dim(x: Any, start: int, size: int, axis: int = 0) -> Any:
    return np.take(x, np.arange(size) + int(start), axis=axis)


def _update_slice(x: Any, update: Any, starts: Sequence[int]) -> Any:
    out = np.array(x)
    out[tuple(slice(int(a), int(a) + n) for a, n in zip(starts, np.shape(update), strict=True))] = update
    return out


LAX = {
    "scan": functools.partial(control.scan, _stacked), "fori_loop": control.fori_loop,
    "while_loop": control.while_loop, "cond": control.cond, "switch": control.switch,
    **{name: _numpy(name) for name in "exp log tanh sin cos sqrt abs sign square expm1 log1p".split()},
    "stop_gradient": lambda x: x, "rsqrt": _of(lambda x: 1 / np.sqrt(x)), "select": _of(np.where),
    "logistic": _of(_sigmoid), "erf": _of(_erf), "max": _of(np.maximum), "min": _of(np.minimum),
    "dynamic_slice": _of(_slice), "dynamic_slice_in_dim": _of(_slice_in_dim),
    "dynamic_update_slice": _of(_update_slice), "integer_pow": lambda x, n: x**n,
    "clamp": _of(lambda low, x, high: np.clip(x, low, high)),
    "cumsum": _of(lambda x, axis=0, reverse=False: np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse
                  else np.cumsum(x, axis)),
}  # fmt: skip


class Rule:
    """A function with a custom rule: what it computes, and the functions of the rule."""

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = ()):
        self.fun, self.nondiff, self.alone = fun, tuple(nondiff_argnums), None
        self.rule: tuple[Callable, ...] | None = None
        functools.update_wrapper(self, fun)

    def __call__(self, *args: Any) -> Any:
        return self.fun(*args)

    def value_and_cotangents(self, args: Sequence[Any], outer: Sequence[Any]) -> tuple[Any, tuple]:
        """What the forward rule returns, and what the backward rule does for cotangents; None for the other arguments.

        Raises:
          TypeError: no rule is defined.
        """
        own = [i for i in range(len(args)) if i not in self.nondiff]
        value, found = self._of_rule(args, own, outer)
        by_place = dict(zip(own, found, strict=True))
        return value, tuple(by_place.get(i) for i in range(len(args)))

    def _of_rule(self, args: Sequence[Any], own: Sequence[int], outer: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        fixed, (forward, backward) = [args[i] for i in self.nondiff], self._defined()
        value, kept = forward(*args)
        return value, backward(*fixed, kept, _shaped(value, outer))

    def _defined(self) -> tuple[Callable, ...]:
        if self.rule is None:
            raise TypeError("no rule is defined")
        return self.rule


class ByVjp(Rule):
    """jax.custom_vjp."""

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        self.rule = fwd, bwd


class ByJvp(Rule):
    """jax.custom_jvp; its transpose is taken entry by entry, since what is judged is small."""

    def defjvp(self, jvp: Callable) -> Callable:
        self.rule = (jvp,)
        return jvp

    def defjvps(self, *rules: Callable | None) -> None:
        def jvp(primals: tuple, tangents: tuple) -> tuple:
            out = self(*primals)
            terms = [rule(t, out, *primals) for rule, t in zip(rules, tangents, strict=True) if rule is not None]
            return out, sum(terms[1:], terms[0])

        self.rule = (jvp,)

    def _of_rule(self, args: Sequence[Any], own: Sequence[int], outer: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        fixed, (jvp,) = [args[i] for i in self.nondiff], self._defined()
        primals = tuple(args[i] for i in own)
        zeros = [np.zeros(np.shape(a)) for a in primals]
        value, found = None, []
        for k, zero in enumerate(zeros):
            slope = np.zeros(zero.shape)
            for at in np.ndindex(zero.shape):
                way = zero.copy()
                way[at] = 1.0
                tangents = tuple(as_jax(way if j == k else other) for j, other in enumerate(zeros))
                value, moved = jvp(*fixed, primals, tangents)
                slope[at] = sum(np.vdot(g, t) for g, t in zip(outer, control.tree_leaves(moved), strict=True))
            found.append(slope)
        return value, found


class ByGradient(Rule):
    """jax.custom_gradient: the value, and the function that takes the cotangents back."""

    def __call__(self, *args: Any) -> Any:
        return self.fun(*args)[0]

    def _of_rule(self, args: Sequence[Any], own: Sequence[int], outer: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        value, back = self.fun(*args)
        found = back(_shaped(value, outer))
        return value, found if isinstance(found, tuple) else (found,)


def _shaped(value: Any, outer: Sequence[Any]) -> Any:
    """Cotangents in the structure of a value."""
    follow = iter(outer)
    return control.tree_map(lambda leaf: as_jax(next(follow)), value)


def _module(name: str, find: Callable | None = None, **known: Any) -> Module:
    def missing(attribute: str) -> Any:
        raise AttributeError(f"{name}.{attribute} is not known on floats")

    return Module(name, find or missing, **known)


_TREE = {"tree_map": control.tree_map, "map": control.tree_map}
_JNP = _module("jax.numpy", _numpy, linalg=_module("jax.numpy.linalg", lambda name: _of(getattr(np.linalg, name))))
_ROOT = {
    "numpy": _JNP, "lax": _module("jax.lax", **LAX), "nn": _module("jax.nn", **{n: _of(f) for n, f in NN.items()}),
    "tree": _module("jax.tree", **_TREE), "tree_util": _module("jax.tree_util", **_TREE),
    "scipy": _module("jax.scipy", special=_module("jax.scipy.special", logsumexp=_of(_logsumexp), erf=_of(_erf),
                                                  expit=_of(_sigmoid))),
    "jit": control.passed_through, "checkpoint": control.passed_through, "remat": control.passed_through,
    "vmap": functools.partial(control.vmap, _stacked), "custom_vjp": ByVjp, "custom_jvp": ByJvp,
    "custom_gradient": ByGradient, "Array": FloatArray, "ShapeDtypeStruct": Shape,
    "experimental": _module("jax.experimental", pallas=PALLAS),
    "config": types.SimpleNamespace(update=lambda *a: None),
}  # fmt: skip
JAX = _module("jax", **_ROOT)


def stand_in(value: Any) -> Any:
    """The stand-in for a module of JAX, or for a function that was taken from one; None for all else."""
    if isinstance(value, types.ModuleType):
        return _found(value.__name__)
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not module.startswith("jax") or not name:
        return None
    places = (JAX, JAX.numpy, JAX.nn, JAX.lax)
    return next((vars(place)[name] for place in places if name in vars(place)), None)


def _found(dotted: str) -> Any:
    top, *rest = dotted.split(".")
    try:
        return functools.reduce(getattr, rest, JAX) if top == "jax" else None
    except AttributeError:
        return None


def builtins_of() -> dict:
    """The builtins of code that shall get these modules for JAX's."""

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        found = _found(name if fromlist else name.split(".")[0])
        return builtins.__import__(name, globals, locals, fromlist, level) if found is None else found

    return builtins.__dict__ | {"__import__": import_}
