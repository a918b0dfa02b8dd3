"""Primitives that move entries without computing: one NumPy function moves every component of a value.

Axes count from the end, so the leading axis of draws, where there is one, stays out of the way.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.arrays import apply, joined, leading
from twolayer.verification.numbers.system import Numbers

RULES: dict[str, Callable] = {}


def _one(name: str) -> Callable:
    """Register a rule given as (params, rank) -> function of one array."""

    def register(build: Callable) -> Callable:
        RULES[name] = lambda call, a: apply(call.system, build(call, call.ranks[0]), a)
        return build

    return register


@_one("transpose")
def _transpose(call: Any, rank: int) -> Callable:
    order = call.params["permutation"]
    return lambda a: a.transpose(*range(a.ndim - rank), *(a.ndim - rank + axis for axis in order))


@_one("reshape")
def _reshape(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*leading(a, rank), *call.params["new_sizes"]))


@_one("squeeze")
def _squeeze(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*leading(a, rank), *call.eqn.outvars[0].aval.shape))


@_one("expand_dims")
def _expand_dims(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*leading(a, rank), *call.eqn.outvars[0].aval.shape))


@_one("broadcast_in_dim")
def _broadcast_in_dim(call: Any, rank: int) -> Callable:
    new, axes = call.params["shape"], call.params["broadcast_dimensions"]

    def move(a: Numbers) -> Numbers:
        lead = leading(a, rank)
        ones = [1] * len(new)
        for axis, size in zip(axes, a.shape[len(lead) :], strict=True):
            ones[axis] = size
        return np.broadcast_to(a.reshape((*lead, *ones)), (*lead, *new))

    return move


@_one("rev")
def _rev(call: Any, rank: int) -> Callable:
    return lambda a: np.flip(a, [axis - rank for axis in call.params["dimensions"]])


@_one("slice")
def _slice(call: Any, rank: int) -> Callable:
    starts, limits = call.params["start_indices"], call.params["limit_indices"]
    strides = call.params["strides"] or (1,) * rank
    return lambda a: a[(..., *(slice(*cut) for cut in zip(starts, limits, strides, strict=True)))]


@_one("tile")
def _tile(call: Any, rank: int) -> Callable:
    return lambda a: np.tile(a, (*(1 for _ in leading(a, rank)), *call.params["reps"]))


def _iota(call: Any) -> Any:
    size, axis = call.params["shape"], call.params["dimension"]
    ones = [1] * len(size)
    ones[axis] = size[axis]
    counts = np.broadcast_to(np.arange(size[axis]).reshape(ones), size)
    dtype = np.dtype(call.params["dtype"])
    return call.system.constant(counts.astype(np.float64)) if dtype.kind == "f" else counts.astype(dtype)


RULES["iota"] = _iota


def _concatenate(call: Any, *values: Any) -> Any:
    axis = call.params["dimension"] - call.ranks[0]
    return joined(call, lambda *arrays: np.concatenate(arrays, axis=axis), values, call.ranks)


RULES["concatenate"] = _concatenate


def _stack(call: Any, *values: Any) -> Any:
    axis = call.params["axis"] - call.ranks[0] - 1
    return joined(call, lambda *arrays: np.stack(arrays, axis=axis), values, call.ranks)


RULES["stack"] = _stack


def _unstack(call: Any, a: Any) -> list:
    axis = call.params["axis"] - call.ranks[0]
    count = call.eqn.invars[0].aval.shape[call.params["axis"]]
    return [apply(call.system, lambda a, i=i: np.take(a, i, axis=axis), a) for i in range(count)]


RULES["unstack"] = _unstack
