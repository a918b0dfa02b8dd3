"""Any contraction as a batched matrix product."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.arrays import apply, as_value, leading
from twolayer.verification.numbers.system import Numbers


def dot_general(call: Any, a: Any, b: Any) -> Any:
    """Any contraction as a batched matrix product: (batch, rows, contracted) @ (batch, contracted, columns)."""
    (contract_a, contract_b), (batch_a, batch_b) = call.params["dimension_numbers"]
    sizes_a, sizes_b = (var.aval.shape for var in call.eqn.invars)
    free_a = [axis for axis in range(len(sizes_a)) if axis not in (*contract_a, *batch_a)]
    free_b = [axis for axis in range(len(sizes_b)) if axis not in (*contract_b, *batch_b)]

    def matrix(order: list[int], groups: list[int], sizes: tuple[int, ...]) -> Callable:
        rank = len(sizes)

        def move(array: Numbers) -> Numbers:
            lead = leading(array, rank)
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
    return apply(call.system, lambda p: p.reshape((*leading(p, 3), *call.eqn.outvars[0].aval.shape)), product)
