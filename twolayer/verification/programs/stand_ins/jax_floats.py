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

from twolayer.verification.programs.stand_ins import control, jax_functions
from twolayer.verification.programs.stand_ins.numpy_module import Module
from twolayer.verification.programs.stand_ins.pallas_floats import PALLAS, Shape


class FloatArray(jax_functions.Unchanging):
    """An array of floats that is never changed."""


def as_jax(value: Any) -> Any:
    """The same, its arrays unchangeable."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(FloatArray)
    return type(value)(*map(as_jax, value)) if hasattr(value, "_fields") else (
        type(value)(map(as_jax, value)) if type(value) in (list, tuple) else value
    )  # fmt: skip


def _softmax(x: Any, axis: int = -1) -> Any:
    return np.exp(x - _logsumexp(x, axis, keepdims=True))


def _logsumexp(x: Any, axis: Any = None, b: Any = None, keepdims: bool = False, **options: Any) -> Any:
    most = np.max(x, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - most) * (1.0 if b is None else b), axis=axis, keepdims=True)) + most
    return total if keepdims else np.squeeze(total, axis)


_SPECIAL = {
    "expit": lambda x: np.exp(-np.logaddexp(0.0, -np.asarray(x))), "erf": np.vectorize(math.erf, otypes=[float]),
    "softmax": _softmax, "logsumexp": _logsumexp,
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


def _missing(name: str) -> Any:
    raise AttributeError(f"{name} is not known on floats")


_TYPES = dict.fromkeys(("float16", "float32", "bfloat16"), np.float64)
_ROOT = jax_functions.names(np, _SPECIAL, as_jax, lambda rows: as_jax(np.stack(rows)), FloatArray, _missing, **_TYPES)
_ROOT |= {"custom_vjp": ByVjp, "custom_jvp": ByJvp, "custom_gradient": ByGradient, "ShapeDtypeStruct": Shape}
_ROOT |= {"experimental": types.SimpleNamespace(pallas=PALLAS)}
JAX = Module("jax", lambda name: _missing(f"jax.{name}"), **_ROOT)


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
