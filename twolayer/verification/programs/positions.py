"""Primitives with an index arithmetic of their own: gather, scatter, pad, windows, convolutions.

Each is a table of positions in the flat operands, and the entries follow it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twolayer.verification.programs.interpreter import Call, System, Value, plain
from twolayer.verification.programs.jaxprs import is_float
from twolayer.verification.programs.primitives import RULES, as_value, move, product, rule

__all__ = ["RULES", "follow"]


def follow(system: System, at: np.ndarray, *values: Value) -> Value:
    """The entries at these positions, counted through all the values one after the other."""
    return move(system, lambda *arrays: np.concatenate([np.ravel(a) for a in arrays])[at], *values)


def filling(call: Call, number: float) -> Value:
    """One number of the output's kind, for entries that come from nowhere."""
    if is_float(call.out):
        return call.system.literal(np.asarray(number, np.float64), np.float64)
    return np.asarray(number, call.out.dtype)


@rule("pad")
def _pad(call: Call, a: Value, padding: Value) -> Value:
    shape = call.eqn.invars[0].aval.shape
    return follow(call.system, _padded(shape, call.params["padding_config"], math.prod(shape)), a, padding)


def _padded(shape: Sequence[int], config: Sequence, beyond: int) -> np.ndarray:
    """Positions after padding by (low, high, between); `beyond` where there is none. Negative padding cuts off."""
    at = np.arange(math.prod(shape)).reshape(shape)
    for axis, (low, high, between) in enumerate(config):
        n = at.shape[axis]
        spread = np.full((*at.shape[:axis], max(n + (n - 1) * between, 0), *at.shape[axis + 1 :]), beyond)
        spread[(slice(None),) * axis + (slice(None, None, between + 1),)] = at
        widths = [(0, 0)] * at.ndim
        widths[axis] = (max(low, 0), max(high, 0))
        at = np.pad(spread, widths, constant_values=beyond)
        cut = slice(max(-low, 0), at.shape[axis] - max(-high, 0))
        at = at[(slice(None),) * axis + (cut,)]
    return at


@rule("dynamic_slice")
def _dynamic_slice(call: Call, a: Value, *starts: Any) -> Value:
    at = _region(call.eqn.invars[0].aval.shape, call.params["slice_sizes"], starts)
    return move(call.system, lambda a: a[at], a)


@rule("dynamic_update_slice")
def _dynamic_update_slice(call: Call, a: Value, update: Value, *starts: Any) -> Value:
    at = _region(call.out.shape, call.eqn.invars[1].aval.shape, starts)

    def put(a: np.ndarray, update: np.ndarray) -> np.ndarray:
        a = np.array(a)
        a[at] = update
        return a

    return move(call.system, put, a, update)


def _region(shape: Sequence[int], sizes: Sequence[int], starts: Sequence[Any]) -> tuple[slice, ...]:
    starts = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(s, s + size) for s, size in zip(starts, sizes, strict=True))


def _windows(
    shape: Sequence[int], indices: np.ndarray, sizes: Sequence[int], axes: Sequence, batching: Any, mode: Any
) -> np.ndarray:
    """Positions of the window at each index vector: (*indices.shape[:-1], *sizes), -1 where it lies outside."""
    lead, room = indices.shape[:-1], np.array(shape, int) - np.array(sizes, int)
    start = np.zeros((*lead, len(shape)), int)
    start[..., list(axes)] = indices
    for axis, along in batching:
        start[..., axis] = np.arange(lead[along]).reshape([-1 if k == along else 1 for k in range(len(lead))])
    if str(mode).endswith("CLIP"):
        start = np.clip(start, 0, room)
    inside = ((start >= 0) & (start <= room)).all(axis=-1)
    strides = np.array([math.prod(shape[k + 1 :]) for k in range(len(shape))], int)
    offsets = np.zeros((), int)
    for size, stride in zip(sizes, strides, strict=True):
        offsets = offsets[..., None] + stride * np.arange(size)
    ones = (1,) * len(sizes)
    at = (start @ strides).reshape((*lead, *ones)) + offsets
    return np.where(inside.reshape((*lead, *ones)), at, -1)


@rule("gather")
def _gather(call: Call, a: Value, indices: Any) -> Value:
    d, sizes, shape = call.params["dimension_numbers"], call.params["slice_sizes"], call.eqn.invars[0].aval.shape
    batching = list(zip(d.operand_batching_dims, d.start_indices_batching_dims, strict=True))
    at = _windows(shape, np.asarray(indices), sizes, d.start_index_map, batching, call.params["mode"])
    gone = {*map(int, d.collapsed_slice_dims), *map(int, d.operand_batching_dims)}
    lead, kept = indices.shape[:-1], [size for k, size in enumerate(sizes) if k not in gone]
    rest = [k for k in range(len(call.out.shape)) if k not in d.offset_dims]
    at = np.moveaxis(at.reshape((*lead, *kept)), range(len(lead) + len(kept)), [*rest, *d.offset_dims])
    if not at.size or at.min() >= 0:
        return follow(call.system, at, a)
    fill = call.params["fill_value"]
    if fill is None:
        fill = np.nan if is_float(call.out) else _outside(call.out.dtype)
    return follow(call.system, np.where(at < 0, math.prod(shape), at), a, filling(call, fill))


def _outside(dtype: Any) -> int:
    if np.dtype(dtype).kind == "b":
        return 1
    return np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else np.iinfo(dtype).min


def _landing(call: Call, indices: Any) -> np.ndarray:
    """The flat position at which each update lands, -1 for none."""
    d, shape, updates = call.params["dimension_numbers"], call.eqn.invars[0].aval.shape, call.eqn.invars[2].aval.shape
    gone = {*map(int, d.inserted_window_dims), *map(int, d.operand_batching_dims)}
    window = iter([updates[k] for k in d.update_window_dims])
    sizes = [1 if k in gone else next(window) for k in range(len(shape))]
    batching = list(zip(d.operand_batching_dims, d.scatter_indices_batching_dims, strict=True))
    at = _windows(shape, np.asarray(indices), sizes, d.scatter_dims_to_operand_dims, batching, call.params["mode"])
    lead, kept = indices.shape[:-1], [size for k, size in enumerate(sizes) if k not in gone]
    rest = [k for k in range(len(updates)) if k not in d.update_window_dims]
    return np.moveaxis(at.reshape((*lead, *kept)), range(len(lead) + len(kept)), [*rest, *d.update_window_dims]).ravel()


@rule("scatter")
def _scatter(call: Call, a: Value, indices: Any, updates: Value) -> Value:
    size, at = math.prod(call.out.shape), _landing(call, indices)
    positions, there = np.arange(size), at >= 0
    positions[at[there]] = size + there.nonzero()[0]
    return follow(call.system, positions.reshape(call.out.shape), a, updates)


def _combining(name: str, neutral: float, combine: Callable[[Call, Value], Value]) -> None:
    """A scatter that combines each entry with all updates that land there: the last axis of one array."""

    def apply(call: Call, a: Value, indices: Any, updates: Value) -> Value:
        at = _landing(call, indices)
        terms = _terms(at, math.prod(call.out.shape), at.size)
        beside = follow(call.system, terms.reshape((*call.out.shape, -1)), a, updates, filling(call, neutral))
        return combine(call, beside)

    rule(name, name.replace("-", "_"))(apply)


def _terms(at: np.ndarray, size: int, count: int) -> np.ndarray:
    """For each entry its own position and those of its updates, filled up with the position beyond the last."""
    order = np.argsort(at, kind="stable")
    landed = at[order]
    rank = np.arange(count) - np.searchsorted(landed, landed)  # among those that land at the same entry
    there = landed >= 0
    terms = np.full((size, 2 + int(rank[there].max(initial=-1))), size + count)
    terms[:, 0] = np.arange(size)
    terms[landed[there], 1 + rank[there]] = size + order[there]
    return terms


def _sum(call: Call, beside: Value) -> Value:
    return beside.sum(axis=-1, dtype=beside.dtype) if plain(beside) else call.system.sum(beside, (beside.ndim - 1,))


def _product(call: Call, beside: Value) -> Value:
    return beside.prod(axis=-1, dtype=beside.dtype) if plain(beside) else product(call.system, beside, beside.ndim - 1)


def _extreme(sign: int) -> Callable:
    def combine(call: Call, beside: Value) -> Value:
        if plain(beside):
            return beside.max(axis=-1) if sign > 0 else beside.min(axis=-1)
        return call.system.extreme(beside, (beside.ndim - 1,), sign)

    return combine


_combining("scatter-add", 0.0, _sum)
_combining("scatter-mul", 1.0, _product)


@rule("scatter-sub", "scatter_sub")
def _scatter_sub(call: Call, a: Value, indices: Any, updates: Value) -> Value:
    negative = -updates if plain(updates) else call.system.neg(updates)
    return call.system.rules["scatter-add"](call, a, indices, negative)


# Windows: pooling and convolutions.


def _patches(shape: Sequence[int], window: Sequence[int], strides: Any, spread: Any, config: Any) -> np.ndarray:
    """Positions of the entries under each window: (*places, *window), one beyond the last where there is none."""
    at = _padded(shape, config, math.prod(shape))
    n, places = len(window), []
    for k in range(n):
        reach = (window[k] - 1) * spread[k] + 1
        first = np.arange(0, max(at.shape[k] - reach + 1, 0), strides[k])
        grid = first[:, None] + spread[k] * np.arange(window[k])
        ones = [1] * (2 * n)
        ones[k], ones[n + k] = grid.shape
        places.append(grid.reshape(ones))
    return at[tuple(places)]


def _pooling(name: str, neutral: float, combine: Callable) -> None:
    def apply(call: Call, a: Value) -> Value:
        p, shape = call.params, call.eqn.invars[0].aval.shape
        config = [(low, high, b - 1) for (low, high), b in zip(p["padding"], p["base_dilation"], strict=True)]
        at = _patches(shape, p["window_dimensions"], p["window_strides"], p["window_dilation"], config)
        beside = follow(call.system, at.reshape((*call.out.shape, -1)), a, filling(call, neutral))
        return combine(call, beside)

    rule(name)(apply)


_pooling("reduce_window_sum", 0.0, _sum)
for _sign, _word in ((1, "max"), (-1, "min")):
    _combining(f"scatter-{_word}", -_sign * np.inf, _extreme(_sign))
    _pooling(f"reduce_window_{_word}", -_sign * np.inf, _extreme(_sign))


@rule("select_and_scatter_add")
def _select_and_scatter_add(call: Call, source: Value, a: Value) -> Value:
    """Each number of `source` is added to the largest (or smallest) entry under its window."""
    p, shape = call.params, call.eqn.invars[1].aval.shape
    config = [(low, high, 0) for low, high in p["padding"]]
    at = _patches(shape, p["window_dimensions"], p["window_strides"], [1] * len(shape), config)
    at = at.reshape(math.prod(call.eqn.invars[0].aval.shape), -1)
    sign = 1 if p["select_prim"].name == "ge" else -1
    beside = follow(call.system, at, a, filling(call, -sign * np.inf))
    best = np.take_along_axis(at, np.asarray(call.system.place(beside, 1, sign))[:, None], axis=1)[:, 0]
    terms = _terms(best, math.prod(shape), best.size)[:, 1:]  # counted through the entries of a, then the source
    zero = filling(call, 0.0)
    terms = np.where(terms < math.prod(shape) + best.size, terms - math.prod(shape), best.size)
    return _sum(call, follow(call.system, terms.reshape((*shape, -1)), source, zero))


@rule("conv_general_dilated")
def _convolution(call: Call, a: Value, kernel: Value) -> Value:
    p, system = call.params, call.system
    d, groups, batches = p["dimension_numbers"], p["feature_group_count"], p["batch_group_count"]
    a, kernel = as_value(system, a), as_value(system, kernel)
    a = move(system, lambda a: a.transpose(d.lhs_spec), a)  # batch, features, space
    kernel = move(system, lambda k: k.transpose(d.rhs_spec), kernel)  # out, in, space
    (n, features, *space), (out, inner, *window) = a.shape, kernel.shape
    config = [(low, high, b - 1) for (low, high), b in zip(p["padding"], p["lhs_dilation"], strict=True)]
    under = _patches(space, window, p["window_strides"], p["rhs_dilation"], config)
    places, beyond, size = under.shape[: len(space)], math.prod(space), n * features * math.prod(space)
    start = np.arange(n * features).reshape(n, features, 1) * beyond
    at = np.where(under.ravel() < beyond, start + under.ravel(), size)
    at = at.reshape(batches, n // batches, groups, inner, math.prod(places), math.prod(window))
    at = at.transpose(0, 2, 1, 4, 3, 5).reshape(batches * groups, -1, inner * math.prod(window))
    left = follow(system, at, a, filling(call, 0.0))
    right = move(system, lambda k: k.reshape(batches * groups, -1, inner * math.prod(window)).swapaxes(1, 2), kernel)
    product = system.matmul(left, right)  # groups, (batch, place), out of the group

    def arrange(a: np.ndarray) -> np.ndarray:
        a = a.reshape(batches * groups, n // batches, math.prod(places), -1)
        a = a.transpose(1, 0, 3, 2).reshape(n // batches, out, *places)
        return a.transpose(np.argsort(d.out_spec))

    return move(system, arrange, product)
