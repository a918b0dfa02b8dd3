"""Primitives that move entries without computing: one NumPy function moves every component of a value.

Axes count from the end, so the leading axis of draws, where there is one, stays out of the way. Primitives with an
index arithmetic of their own (gather, scatter, pad, ...) are not rewritten: JAX itself moves the positions 0, 1, 2, ...
and the entries follow.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from twolayer.verification.numbers.system import Numbers

RULES: dict[str, Callable] = {}


def apply(system: Any, f: Callable, *values: Any) -> Any:
    """Move the entries of values of the system, or of plain integer arrays."""
    return f(*values) if isinstance(values[0], np.ndarray) else system.move(f, *values)


def shape(value: Any) -> tuple[int, ...]:
    """The shape of a value or array, draws included."""
    return value.shape if isinstance(value, Numbers) else shape(value[0])


def _one(name: str) -> Callable:
    """Register a rule given as (params, rank) -> function of one array."""

    def register(build: Callable) -> Callable:
        RULES[name] = lambda call, a: apply(call.system, build(call, call.ranks[0]), a)
        return build

    return register


def _leading(array: Numbers, rank: int) -> tuple[int, ...]:
    return array.shape[: array.ndim - rank]


@_one("transpose")
def _transpose(call: Any, rank: int) -> Callable:
    order = call.params["permutation"]
    return lambda a: a.transpose(*range(a.ndim - rank), *(a.ndim - rank + axis for axis in order))


@_one("reshape")
def _reshape(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*_leading(a, rank), *call.params["new_sizes"]))


@_one("squeeze")
def _squeeze(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*_leading(a, rank), *call.eqn.outvars[0].aval.shape))


@_one("expand_dims")
def _expand_dims(call: Any, rank: int) -> Callable:
    return lambda a: a.reshape((*_leading(a, rank), *call.eqn.outvars[0].aval.shape))


@_one("broadcast_in_dim")
def _broadcast_in_dim(call: Any, rank: int) -> Callable:
    new, axes = call.params["shape"], call.params["broadcast_dimensions"]

    def move(a: Numbers) -> Numbers:
        lead = _leading(a, rank)
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
    return lambda a: np.tile(a, (*(1 for _ in _leading(a, rank)), *call.params["reps"]))


def _iota(call: Any) -> Any:
    size, axis = call.params["shape"], call.params["dimension"]
    ones = [1] * len(size)
    ones[axis] = size[axis]
    counts = np.broadcast_to(np.arange(size[axis]).reshape(ones), size)
    dtype = np.dtype(call.params["dtype"])
    return call.system.constant(counts.astype(np.float64)) if dtype.kind == "f" else counts.astype(dtype)


RULES["iota"] = _iota


def same_rank(call: Any, values: tuple) -> list:
    """Elementwise operands whose axes of draws line up: a scalar operand gets trailing axes of length one."""
    rank = max(call.ranks)

    def widen(value: Any, own: int) -> Any:
        if own == rank:
            return value
        return apply(
            call.system, lambda a: a.reshape((*_leading(a, own), *(1,) * (rank - own), *a.shape[a.ndim - own :])), value
        )

    return [widen(value, own) for value, own in zip(values, call.ranks, strict=True)]


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


def _joined(call: Any, f: Callable, values: tuple, ranks: list[int]) -> Any:
    """Apply f to arrays brought to a common leading axis."""

    def move(*arrays: Numbers) -> Numbers:
        lead = np.broadcast_shapes(*(_leading(a, rank) for a, rank in zip(arrays, ranks, strict=True)))
        return f(*(np.broadcast_to(a, lead + a.shape[a.ndim - r :]) for a, r in zip(arrays, ranks, strict=True)))

    return apply(call.system, move, *values)


def _concatenate(call: Any, *values: Any) -> Any:
    axis = call.params["dimension"] - call.ranks[0]
    return _joined(call, lambda *arrays: np.concatenate(arrays, axis=axis), values, call.ranks)


RULES["concatenate"] = _concatenate


def _stack(call: Any, *values: Any) -> Any:
    axis = call.params["axis"] - call.ranks[0] - 1
    return _joined(call, lambda *arrays: np.stack(arrays, axis=axis), values, call.ranks)


RULES["stack"] = _stack


def _unstack(call: Any, a: Any) -> list:
    axis = call.params["axis"] - call.ranks[0]
    count = call.eqn.invars[0].aval.shape[call.params["axis"]]
    return [apply(call.system, lambda a, i=i: np.take(a, i, axis=axis), a) for i in range(count)]


RULES["unstack"] = _unstack


def stack(call: Any, values: list, rank: int) -> Any:
    """Values of this rank, stacked along a new first axis (after the draws)."""
    return _joined(call, lambda *arrays: np.stack(arrays, axis=-rank - 1), tuple(values), [rank] * len(values))


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


def dot_general(call: Any, a: Any, b: Any) -> Any:
    """Any contraction as a batched matrix product: (batch, rows, contracted) @ (batch, contracted, columns)."""
    (contract_a, contract_b), (batch_a, batch_b) = call.params["dimension_numbers"]
    sizes_a, sizes_b = (var.aval.shape for var in call.eqn.invars)
    free_a = [axis for axis in range(len(sizes_a)) if axis not in (*contract_a, *batch_a)]
    free_b = [axis for axis in range(len(sizes_b)) if axis not in (*contract_b, *batch_b)]

    def matrix(order: list[int], groups: list[int], sizes: tuple[int, ...]) -> Callable:
        rank = len(sizes)

        def move(array: Numbers) -> Numbers:
            lead = _leading(array, rank)
            array = array.transpose(*range(len(lead)), *(len(lead) + axis for axis in order))
            return array.reshape((*lead, *groups))

        return move

    def size(sizes: tuple[int, ...], axes: Any) -> int:
        return int(np.prod([sizes[axis] for axis in axes], dtype=int))

    batch, inner = size(sizes_a, batch_a), size(sizes_a, contract_a)
    rows, columns = size(sizes_a, free_a), size(sizes_b, free_b)
    left = apply(call.system, matrix([*batch_a, *free_a, *contract_a], [batch, rows, inner], sizes_a), a)
    right = apply(call.system, matrix([*batch_b, *contract_b, *free_b], [batch, inner, columns], sizes_b), b)
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        product = left @ right
    else:
        product = call.system.matmul(*(as_value(call.system, factor) for factor in (left, right)))
    return apply(call.system, lambda p: p.reshape((*_leading(p, 3), *call.eqn.outvars[0].aval.shape)), product)


def as_value(system: Any, a: Any) -> Any:
    """Integers and booleans, such as a mask in a matrix product, as the numbers that they are."""
    return system.constant(a.astype(np.float64)) if isinstance(a, np.ndarray) else a


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
        flat = [a.reshape(*_leading(a, len(shapes[i])), -1) for i, a in zip(moved, arrays, strict=True)]
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
    """Where updates land is the transpose of the scatter, applied to positions; then a product with that matrix."""
    shapes = [var.aval.shape for var in call.eqn.invars]
    size, count = (int(np.prod(shapes[i], dtype=int)) for i in (0, 2))

    def landing(indices: Any) -> Any:
        add, zeros = jax.lax.scatter_add_p, np.zeros(shapes[0])
        scatter = jax.linear_transpose(lambda u: add.bind(zeros, indices, u, **call.params), np.zeros(shapes[2]))
        return scatter(1.0 + np.arange(size, dtype=np.float64).reshape(shapes[0]))[0]

    at = _for_each_draw(landing, [indices], shapes[1:2])
    matrix = at.reshape(*_leading(at, len(shapes[2])), count, 1) == 1 + np.arange(size)
    flat = apply(call.system, lambda a: a.reshape(*_leading(a, len(shapes[2])), 1, count), updates)
    if isinstance(operand, np.ndarray):
        added = (flat @ matrix).astype(operand.dtype)
        return operand + added.reshape(*_leading(added, 2), *shapes[0])
    added = call.system.matmul(flat, call.system.constant(matrix.astype(np.float64)))
    return call.system.add(operand, call.system.move(lambda a: a.reshape(*_leading(a, 2), *shapes[0]), added))


RULES["scatter-add"] = RULES["scatter_add"] = _scatter_add


def _scatter_sub(call: Any, operand: Any, indices: Any, updates: Any) -> Any:
    negative = -updates if isinstance(updates, np.ndarray) else call.system.neg(updates)
    return _scatter_add(call, operand, indices, negative)


RULES["scatter-sub"] = RULES["scatter_sub"] = _scatter_sub


def _scatter_mul(call: Any, operand: Any, indices: Any, updates: Any) -> Any:
    """Times one plus the sum of u - 1 over the updates u that land there: their product, if there is one at most."""
    ones, each = np.ones(shape(operand), int), np.ones(shape(updates), int)
    if _scatter_add(call, 0 * ones, indices, each).max(initial=0) > 1:
        raise NotImplementedError(f"{call.reason()}: two factors for one entry")
    if isinstance(operand, np.ndarray):
        return operand * _scatter_add(call, ones, indices, updates - 1)
    one = call.system.constant(np.float64(1))
    updates = call.system.sub(updates, one)
    return call.system.mul(operand, _scatter_add(call, as_value(call.system, ones), indices, updates))


RULES["scatter-mul"] = RULES["scatter_mul"] = _scatter_mul


def each_draw(call: Any, f: Callable, inputs: tuple) -> list:
    """Apply f (returning one value or several) to each draw by itself, or once where nothing depends on the draw."""
    batched = [len(shape(a)) > rank for a, rank in zip(inputs, call.ranks, strict=True)]
    if not any(batched):
        return _as_list(f(*inputs))
    (draws,) = {shape(a)[0] for a, one in zip(inputs, batched, strict=True) if one}

    def pick(i: int) -> list:
        return [apply(call.system, lambda a: a[i], a) if one else a for a, one in zip(inputs, batched, strict=True)]

    results = [_as_list(f(*pick(i))) for i in range(draws)]
    return [apply(call.system, lambda *arrays: np.stack(arrays), *parts) for parts in zip(*results, strict=True)]


def _as_list(result: Any) -> list:
    return result if isinstance(result, list) else [result]
