"""What every rule needs: a value or an array, with or without a leading axis of draws, treated alike."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.numbers.system import Numbers


def apply(system: Any, f: Callable, *values: Any) -> Any:
    """Move the entries of values of the system, or of plain integer arrays."""
    return np.asarray(f(*values)) if isinstance(values[0], np.ndarray) else system.move(f, *values)


def shape(value: Any) -> tuple[int, ...]:
    """The shape of a value or array, draws included."""
    return value.shape if isinstance(value, Numbers) else shape(value[0])


def leading(array: Numbers, rank: int) -> tuple[int, ...]:
    """The axis of draws, if the array has one more axis than the jaxpr knows of."""
    return array.shape[: array.ndim - rank]


def same_rank(call: Any, values: tuple) -> list:
    """Elementwise operands whose axes of draws line up: a scalar operand gets trailing axes of length one."""
    rank = max(call.ranks)

    def widen(value: Any, own: int) -> Any:
        if own == rank:
            return value
        return apply(
            call.system, lambda a: a.reshape((*leading(a, own), *(1,) * (rank - own), *a.shape[a.ndim - own :])), value
        )

    return [widen(value, own) for value, own in zip(values, call.ranks, strict=True)]


def joined(call: Any, f: Callable, values: tuple, ranks: list[int]) -> Any:
    """Apply f to arrays brought to a common leading axis."""

    def move(*arrays: Numbers) -> Numbers:
        lead = np.broadcast_shapes(*(leading(a, rank) for a, rank in zip(arrays, ranks, strict=True)))
        return f(*(np.broadcast_to(a, lead + a.shape[a.ndim - r :]) for a, r in zip(arrays, ranks, strict=True)))

    return apply(call.system, move, *values)


def stack(call: Any, values: list, rank: int) -> Any:
    """Values of this rank, stacked along a new first axis (after the draws)."""
    return joined(call, lambda *arrays: np.stack(arrays, axis=-rank - 1), tuple(values), [rank] * len(values))


def as_value(system: Any, a: Any) -> Any:
    """Integers and booleans, such as a mask in a matrix product, as the numbers that they are."""
    return system.constant(a.astype(np.float64)) if isinstance(a, np.ndarray) else a


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
