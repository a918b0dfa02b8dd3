"""JAX's functions in terms of NumPy's, for any kind of number: what jax_balls.py and jax_floats.py share."""

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import control
from twolayer.verification.programs.stand_ins.nothing import Nothing
from twolayer.verification.programs.stand_ins.numpy_module import Module


class Unchanging(np.ndarray):
    """An array that is never changed: `x += 1` binds a new one, as in JAX."""

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("JAX arrays are immutable; write x = x.at[index].set(value)")

    @property
    def at(self) -> "_At":
        return _At(self)

    def block_until_ready(self) -> "Unchanging":
        return self


for _name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
    _method = getattr(np.ndarray, f"__{_name}__")
    setattr(Unchanging, f"__i{_name}__", lambda a, b, method=_method: method(a, b))


class _At:
    """x.at[index].set(value) and its kin: a changed copy."""

    def __init__(self, values: Unchanging, key: Any = None):
        self.values, self.key = values, key

    def __getitem__(self, key: Any) -> "_At":
        return _At(self.values, key)

    def _by(self, ufunc: np.ufunc, value: Any, **options: Any) -> Unchanging:
        out = self.values.copy()
        ufunc.at(out, self.key, value)
        return out

    def set(self, value: Any, **options: Any) -> Unchanging:
        out = self.values.copy()
        super(Unchanging, out).__setitem__(self.key, value)
        return out

    def get(self, **options: Any) -> Any:
        return self.values[self.key]

    def __getattr__(self, name: str) -> Any:
        raise NotJudged(f"x.at[...].{name}")

    add = functools.partialmethod(_by, np.add)
    subtract = functools.partialmethod(_by, np.subtract)
    multiply = mul = functools.partialmethod(_by, np.multiply)
    divide = functools.partialmethod(_by, np.divide)
    power = functools.partialmethod(_by, np.power)
    max = functools.partialmethod(_by, np.maximum)
    min = functools.partialmethod(_by, np.minimum)


_FOR_DEVICES = ("precision", "preferred_element_type", "mode", "unique_indices", "indices_are_sorted", "inplace")


def _as_in_jax(function: Any, unchanging: Callable[[Any], Any]) -> Any:
    """A function of NumPy's as one of JAX: options that only speed it up are dropped, and its results never change."""
    if not callable(function) or isinstance(function, type):
        return function

    def of_jax(*args: Any, **options: Any) -> Any:
        for option in _FOR_DEVICES:
            options.pop(option, None)
        given = [a.view(np.ndarray) if isinstance(a, Unchanging) and a.dtype != object else a for a in args]
        result: Any = function(*given, **options)  # some of NumPy's write into arrays of the class that they are given
        copied = isinstance(result, np.ndarray) and any(result is a for a in (*args, *given))
        return unchanging(result.copy() if copied else result)

    of_jax.__name__ = getattr(function, "__name__", "function")
    return of_jax


def _nn(np: Any, special: dict[str, Callable]) -> dict[str, Callable]:
    """jax.nn.

    Args:
      np: NumPy, or what stands in for it.
      special: expit, erf, logsumexp and softmax.
    """
    sigmoid, logsumexp = special["expit"], special["logsumexp"]

    def gelu(x: Any, approximate: bool = True) -> Any:
        x = np.asarray(x)
        inner = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) if approximate else special["erf"](x / np.sqrt(2))
        return x * (1 + inner) / 2

    def one_hot(x: Any, num_classes: int, *, dtype: Any = float, **options: Any) -> Any:
        return (np.asarray(x)[..., None] == np.arange(num_classes)).astype(dtype)

    def silu(x: Any) -> Any:
        return np.asarray(x) * sigmoid(x)

    return {
        "relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6), "identity": lambda x: x,
        "leaky_relu": lambda x, negative_slope=0.01: np.where(np.asarray(x) >= 0, x, np.asarray(x) * negative_slope),
        "elu": lambda x, alpha=1: np.where(np.asarray(x) > 0, x, np.expm1(x) * alpha),
        "softplus": lambda x: np.logaddexp(x, 0), "log_sigmoid": lambda x: -np.logaddexp(-np.asarray(x), 0),
        "sigmoid": sigmoid, "silu": silu, "swish": silu, "gelu": gelu, "tanh": np.tanh,
        "soft_sign": lambda x: np.asarray(x) / (1 + abs(np.asarray(x))), "one_hot": one_hot,
        "softmax": lambda x, axis=-1, **options: special["softmax"](x, axis), "logsumexp": logsumexp,
        "log_softmax": lambda x, axis=-1, **options: np.asarray(x) - logsumexp(x, axis, keepdims=True),
    }  # fmt: skip


_SHARED = "exp log tanh sin cos sqrt abs add sign square expm1 log1p dot transpose".split()


def _lax(np: Any, special: dict[str, Callable]) -> dict[str, Callable]:
    """jax.lax without its control flow; see `_nn`."""

    def sliced(x: Any, starts: Sequence[int], sizes: Sequence[int]) -> Any:
        return x[_region(x, starts, sizes)]

    def sliced_in_dim(x: Any, start: int, size: int, axis: int = 0) -> Any:
        return np.take(x, np.arange(size) + min(max(int(start), 0), x.shape[axis] - size), axis=axis)

    def updated(x: Any, update: Any, starts: Sequence[int]) -> Any:
        out = np.array(x)
        out[_region(x, starts, np.shape(update))] = update
        return out

    def cumsum(x: Any, axis: int = 0, reverse: bool = False) -> Any:
        return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)

    return {name: getattr(np, name) for name in _SHARED} | {
        "rsqrt": lambda x: 1 / np.sqrt(x), "logistic": special["expit"], "erf": special["erf"], "max": np.maximum,
        "min": np.minimum, "select": np.where, "clamp": lambda low, x, high: np.clip(x, low, high), "cumsum": cumsum,
        "dynamic_slice": sliced, "dynamic_slice_in_dim": sliced_in_dim, "dynamic_update_slice": updated,
        "integer_pow": lambda x, n: x**n, "pow": np.power, "neg": np.negative,
        "sub": np.subtract, "mul": np.multiply, "div": lambda a, b: a / b,
    }  # fmt: skip


def _region(x: Any, starts: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    """A region of an array, moved inside where it does not fit."""
    begins = [min(max(int(a), 0), most - n) for a, n, most in zip(starts, sizes, np.shape(x), strict=True)]
    return tuple(slice(a, a + n) for a, n in zip(begins, sizes, strict=True))


def names(
    np: Any,
    special: dict[str, Callable],
    unchanging: Callable[[Any], Any],
    stack: control.Stack,
    array: type,
    missing: Callable[[str], Any],
    **types_: Any,
) -> dict[str, Any]:
    """What `jax` has, by name.

    Args:
      np: NumPy, or what stands in for it.
      special: the functions of jax.scipy.special.
      unchanging: from a value to the same with arrays that are never changed.
      stack: makes an array of rows.
      array: the class of arrays.
      missing: what a dotted name is that is not here.
      types_: what else jax.numpy has.
    """

    def of(value: Any) -> Any:
        return _as_in_jax(value, unchanging)

    def module(name: str, known: dict, as_they_are: dict | None = None) -> Module:
        functions = {attribute: of(value) for attribute, value in known.items()} | (as_they_are or {})
        return Module(name, lambda attribute: missing(f"{name}.{attribute}"), **functions)

    linalg = Module("jax.numpy.linalg", lambda name: of(getattr(np.linalg, name)))
    vmap = functools.partial(control.vmap, stack)
    flow = {name: getattr(control, name) for name in ("fori_loop", "while_loop", "cond", "switch")}
    flow |= {"scan": functools.partial(control.scan, stack), "map": lambda f, xs: vmap(f)(xs)}
    flow |= {"stop_gradient": lambda x: x}
    tree = {"tree_map": control.tree_map, "map": control.tree_map}
    tree |= {"leaves": control.tree_leaves, "tree_leaves": control.tree_leaves}
    return dict.fromkeys(("jit", "checkpoint", "remat", "named_call"), control.passed_through) | {
        "numpy": Module("jax.numpy", lambda name: of(getattr(np, name)), ndarray=array, linalg=linalg, **types_),
        "scipy": types.SimpleNamespace(special=module("jax.scipy.special", special)),
        "nn": module("jax.nn", _nn(np, special), {"initializers": Nothing("jax.nn.initializers", False)}),
        "lax": module("jax.lax", _lax(np, special), flow), "vmap": vmap, "tree_map": control.tree_map,
        "tree_util": module("jax.tree_util", {}, tree), "tree": module("jax.tree", {}, tree),
        "Array": array, "config": Nothing("jax.config", True), "debug": Nothing("jax.debug", True),
        "typing": Nothing("jax.typing", True), "named_scope": lambda name: Nothing("jax", True),
        "ad_checkpoint": types.SimpleNamespace(checkpoint_name=lambda x, name: x), "default_backend": lambda: "cpu",
        "devices": lambda *a: [], "device_get": lambda x: x, "device_put": lambda x, *a, **k: x,
        "block_until_ready": lambda x: x,
    }  # fmt: skip
