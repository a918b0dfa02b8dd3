"""Primitives with an index arithmetic of their own: gather, scatter, pad, dynamic slices.

It is not written again here: JAX itself moves the positions 0, 1, 2, ... and the entries follow.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from twolayer.verification.arrays import apply, as_value, leading, shape
from twolayer.verification.numbers.system import Numbers

RULES: dict[str, Callable] = {}


def _by_position(call: Any, *inputs: Any) -> Any:
    """JAX moves the positions of all entries of the operands, and the entries follow."""
    name, shapes = call.eqn.primitive.name, [var.aval.shape for var in call.eqn.invars]
    params = call.params | ({"fill_value": -1} if name == "gather" else {})
    moved = {"gather": (0,), "dynamic_slice": (0,), "scatter": (0, 2)}.get(name, (0, 1))
    ends = np.cumsum([0] + [int(np.prod(shapes[i], dtype=int)) for i in moved])
    positions = list(inputs)
    for i, start, end in zip(moved, ends, ends[1:], strict=False):
        positions[i] = np.arange(start, end).reshape(shapes[i])
    at = _for_each_draw(lambda *arguments: call.eqn.primitive.bind(*arguments, **params), positions, shapes)
    if at.size and at.min() < 0:
        raise IndexError(f"{call.reason()}: an index is out of range")
    per_draw = at.ndim > len(call.eqn.outvars[0].aval.shape)

    def follow(*arrays: Numbers) -> Numbers:
        flat = [a.reshape(*leading(a, len(shapes[i])), -1) for i, a in zip(moved, arrays, strict=True)]
        lead = np.broadcast_shapes(*(a.shape[:-1] for a in flat), at.shape[:1] if per_draw else ())
        entries = np.concatenate([np.broadcast_to(a, (*lead, a.shape[-1])) for a in flat], axis=-1)
        if not per_draw:
            return entries[..., at]
        return np.take_along_axis(entries, at.reshape(len(at), -1), axis=-1).reshape(at.shape)

    return apply(call.system, follow, *(inputs[i] for i in moved))


def _for_each_draw(f: Callable, inputs: Any, shapes: Any) -> Numbers:
    """A function of arrays, mapped over the axis of draws of those that have one."""
    batched = [np.ndim(a) > len(own) for a, own in zip(inputs, shapes, strict=True)]
    return np.asarray(jax.vmap(f, [0 if one else None for one in batched])(*inputs) if any(batched) else f(*inputs))


for _name in ("gather", "dynamic_slice", "dynamic_update_slice", "scatter", "pad"):
    RULES[_name] = _by_position


def _scatter_add(call: Any, operand: Any, indices: Any, updates: Any) -> Any:
    """Where updates land is the transpose of the scatter, applied to positions; then one sum for each entry."""
    shapes = [var.aval.shape for var in call.eqn.invars]
    size, count = (int(np.prod(shapes[i], dtype=int)) for i in (0, 2))

    def landing(indices: Any) -> Any:
        add, zeros = jax.lax.scatter_add_p, np.zeros(shapes[0])
        scatter = jax.linear_transpose(lambda u: add.bind(zeros, indices, u, **call.params), np.zeros(shapes[2]))
        return scatter(1.0 + np.arange(size, dtype=np.float64).reshape(shapes[0]))[0]

    at = _for_each_draw(landing, [indices], shapes[1:2]).astype(int)
    lead = leading(at, len(shapes[2]))
    terms = _terms(at.reshape(-1, count), size).reshape(*lead, -1)

    def gather(updates: Numbers, zero: Numbers) -> Numbers:
        own = leading(updates, len(shapes[2]))
        flat = updates.reshape(*own, count)
        flat = np.concatenate([flat, np.broadcast_to(zero, (*own, 1))], axis=-1)
        if not lead:
            return flat[..., terms].reshape(*own, *shapes[0], -1)
        flat = np.broadcast_to(flat, (*lead, count + 1))
        return np.take_along_axis(flat, terms, axis=-1).reshape(*lead, *shapes[0], -1)

    if isinstance(operand, np.ndarray):
        return operand + gather(updates, np.zeros((), updates.dtype)).sum(axis=-1, dtype=operand.dtype)

    def beside(start: Numbers, landed: Numbers) -> Numbers:
        shape = np.broadcast_shapes(start.shape, landed.shape[:-1])
        parts = start[..., None], landed
        return np.concatenate([np.broadcast_to(a, (*shape, a.shape[-1])) for a in parts], axis=-1)

    landed = call.system.move(gather, updates, call.system.constant(np.float64(0)))
    return call.system.sum(call.system.move(beside, operand, landed), (-1,))


def _terms(at: Numbers, size: int) -> Numbers:
    """Which updates make up each entry: (draws, size * most), filled up with the one beyond the last.

    Args:
      at: (draws, updates), the entry where each lands, counted from 1; 0 for none.
    """
    draws, count = at.shape
    order = np.argsort(at, axis=1, kind="stable")
    landed = np.take_along_axis(at, order, axis=1)
    first = np.array([np.searchsorted(row, row) for row in landed]).reshape(landed.shape)
    rank = np.arange(count) - first  # among those that land at the same entry
    there = landed > 0
    most = int(rank[there].max(initial=0)) + 1
    terms = np.full((draws, size, most), count)
    draw = np.broadcast_to(np.arange(draws)[:, None], at.shape)
    terms[draw[there], landed[there] - 1, rank[there]] = order[there]
    return terms.reshape(draws, size * most)


RULES["scatter-add"] = RULES["scatter_add"] = _scatter_add


def _scatter_sub(call: Any, operand: Any, indices: Any, updates: Any) -> Any:
    negative = -updates if isinstance(updates, np.ndarray) else call.system.neg(updates)
    return _scatter_add(call, operand, indices, negative)


RULES["scatter-sub"] = RULES["scatter_sub"] = _scatter_sub


def _scatter_mul(call: Any, operand: Any, indices: Any, updates: Any) -> Any:
    """Times one plus the sum of u - 1 over the updates u that land there: their product, if there is one at most."""
    ones, each = np.ones(shape(operand), int), np.ones(shape(updates), int)
    if _scatter_add(call, 0 * ones, indices, each).max(initial=0) > 1:
        return call.system.opaque(call.system.shadow(operand) * np.nan, f"{call.reason()}: two factors for one entry")
    if isinstance(operand, np.ndarray):
        return operand * _scatter_add(call, ones, indices, updates - 1)
    one = call.system.constant(np.float64(1))
    updates = call.system.sub(updates, one)
    return call.system.mul(operand, _scatter_add(call, as_value(call.system, ones), indices, updates))


RULES["scatter-mul"] = RULES["scatter_mul"] = _scatter_mul
