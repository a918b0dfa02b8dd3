"""Primitives that pick entries by comparing them: the shadows decide, every component follows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax.extend.core import Literal

from twolayer.verification.arrays import apply, same_rank
from twolayer.verification.numbers.system import Numbers

RULES: dict[str, Callable] = {}


def compare(call: Any, op: Callable, a: Any, b: Any) -> Numbers:
    """A comparison: exact on integers, decided by the shadows on floats."""
    a, b = same_rank(call, (a, b))
    return op(a, b) if isinstance(a, np.ndarray) else call.system.compare(op, a, b)


def choose(system: Any, which: Numbers, *cases: Any) -> Any:
    """Entry by entry the case that `which` (booleans or integers) names. All broadcast against each other."""
    which = np.asarray(which).astype(int)

    def move(*arrays: Numbers) -> Numbers:
        size = np.broadcast_shapes(which.shape, *(a.shape for a in arrays))
        stacked = np.stack([np.broadcast_to(a, size) for a in arrays])
        return np.take_along_axis(stacked, np.broadcast_to(which, size)[None], axis=0)[0]

    return apply(system, move, *cases)


def _select(call: Any, which: Any, *cases: Any) -> Any:
    which, *cases = same_rank(call, (which, *cases))
    return choose(call.system, which, *cases)


RULES["select_n"] = _select


def _larger(call: Any, op: Callable, a: Any, b: Any) -> Any:
    least = -np.inf if op is np.greater else np.inf
    for atom, other in zip(call.eqn.invars, (b, a), strict=True):
        if isinstance(atom, Literal) and np.ndim(atom.val) == 0 and atom.val == least:
            return other  # a softmax may start its maximum from -inf, a number that exact systems do not have
    a, b = same_rank(call, (a, b))
    prefer_b = op(b, a) if isinstance(a, np.ndarray) else call.system.compare(op, b, a)
    return choose(call.system, prefer_b, a, b)


RULES["max"] = lambda call, a, b: _larger(call, np.greater, a, b)
RULES["min"] = lambda call, a, b: _larger(call, np.less, a, b)


def _clamp(call: Any, low: Any, a: Any, high: Any) -> Any:
    low, a, high = same_rank(call, (low, a, high))
    compare = (lambda op, a, b: op(a, b)) if isinstance(a, np.ndarray) else call.system.compare
    above, below = compare(np.greater, a, high), compare(np.less, a, low)
    return choose(call.system, np.where(below, 1, np.where(above, 2, 0)), a, low, high)


RULES["clamp"] = _clamp


def _ranks_of(call: Any, value: Any) -> Numbers:
    return value if isinstance(value, np.ndarray) else call.system.rank(value)


def _extreme(call: Any, a: Any, arg: Callable) -> Any:
    axes = sorted(axis - call.ranks[0] for axis in call.params["axes"])
    kept = call.ranks[0] - len(axes)

    def flatten(array: Numbers) -> Numbers:
        last = np.moveaxis(array, axes, range(-len(axes), 0))
        return last.reshape((*last.shape[: last.ndim - len(axes)], -1))

    at = arg(flatten(_ranks_of(call, a)), axis=-1)
    assert at.ndim in (kept, kept + 1)
    return apply(call.system, lambda array: np.take_along_axis(flatten(array), at[..., None], axis=-1)[..., 0], a)


RULES["reduce_max"] = lambda call, a: _extreme(call, a, np.argmax)
RULES["reduce_min"] = lambda call, a: _extreme(call, a, np.argmin)


def _where_extreme(call: Any, a: Any, arg: Callable) -> Numbers:
    (axis,) = call.params["axes"]
    return arg(_ranks_of(call, a), axis=axis - call.ranks[0]).astype(call.params["index_dtype"])


RULES["argmax"] = lambda call, a: _where_extreme(call, a, np.argmax)
RULES["argmin"] = lambda call, a: _where_extreme(call, a, np.argmin)


def _sort(call: Any, *values: Any) -> list:
    axis = call.params["dimension"] - call.ranks[0]
    keys = [_ranks_of(call, value) for value in values[: call.params["num_keys"]]]
    order = np.argsort(keys[0], axis=axis, kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1], axis=axis)
    return [
        apply(call.system, lambda a: np.take_along_axis(np.broadcast_to(a, order.shape), order, axis=axis), v)
        for v in values
    ]


RULES["sort"] = _sort
