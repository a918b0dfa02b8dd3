"""Numbers that remember how they were made, and the reverse pass over that record: automatic differentiation.

A loss that runs on balls runs on these, so any loss in NumPy or plain Python has its gradient. Where it compares
numbers (a maximum, a mask, an `if`), the branch that was taken is differentiated.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flint
import numpy as np

from twolayer.verifier.numbers.balls import Ball, balls


class Recorded(Ball):
    """A ball that remembers its operands, and the derivatives by them."""

    __slots__ = ("operands", "slopes")

    def __init__(self, value: Any = 0):
        super().__init__(value)
        self.operands: tuple = ()
        self.slopes: Callable[[], tuple] | None = None

    @classmethod
    def made(cls, v: flint.arb, operands: tuple = (), slopes: Callable[[], tuple] | None = None) -> "Recorded":
        number = object.__new__(cls)
        number.v, number.operands, number.slopes = v, operands, slopes
        return number


def recorded(values: Any) -> np.ndarray:
    """An object array of new variables, to differentiate by."""
    array = balls(values)
    array.ravel()[:] = [Recorded(number) for number in array.ravel().tolist()]
    return array


def gradient(output: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The derivatives of one number by arrays of variables, as object arrays of Ball of their shapes.

    Args:
      output: what a loss returned for `inputs`: a Recorded or an array of one; any other number has no derivative.
      inputs: arrays from `recorded`.
    """
    output = output.item() if isinstance(output, np.ndarray) else output
    sensitivity = {id(output): flint.arb(1)}
    for number in reversed(_in_order(output)):
        by_it = sensitivity.get(id(number))
        if by_it is None or not number.operands:
            continue
        for operand, slope in zip(number.operands, number.slopes(), strict=True):
            if isinstance(operand, Recorded) and not slope.is_zero():
                before = sensitivity.get(id(operand))
                sensitivity[id(operand)] = by_it * slope if before is None else before + by_it * slope
    return [
        balls([Ball(sensitivity.get(id(number), 0)) for number in one.ravel().tolist()]).reshape(one.shape)
        for one in inputs
    ]


def _in_order(output: Any) -> list[Recorded]:
    """Every number that went into `output`, each after its own operands."""
    order: list[Recorded] = []
    seen: set[int] = set()
    stack = [(output, False)] if isinstance(output, Recorded) else []
    while stack:
        number, done = stack.pop()
        if done:
            order.append(number)
        elif id(number) not in seen:
            seen.add(id(number))
            stack.append((number, True))
            stack += [(operand, False) for operand in number.operands if isinstance(operand, Recorded)]
    return order
