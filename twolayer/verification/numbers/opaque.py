"""What a number becomes when an operation without an algebraic meaning touches it: a value that absorbs all others."""

import numpy as np


class Opaque:
    """An unknown number, with the operation that made it so. It swallows arithmetic; only an exact zero undoes it."""

    __slots__ = ("reason",)

    def __init__(self, reason: str):
        self.reason = reason

    def _absorb(self, other: object = None) -> "Opaque":
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mod__ = __neg__ = __truediv__ = __rtruediv__ = _absorb

    def __mul__(self, other: object) -> "Opaque | int":
        return 0 if isinstance(other, int) and other == 0 else self

    __rmul__ = __mul__


BY_ZERO = Opaque("a division by zero")

is_opaque = np.frompyfunc(lambda a: isinstance(a, Opaque), 1, 1)


def opaque_mask(array: np.ndarray) -> np.ndarray:
    """Where an object array holds Opaque values."""
    return np.asarray(is_opaque(array), bool)


def absorbing(function: object, arguments: int = 1) -> object:
    """`function` of single numbers as a NumPy function of object arrays; an Opaque argument is the result."""

    def lifted(*numbers: object) -> object:
        for number in numbers:
            if isinstance(number, Opaque):
                return number
        return function(*numbers)

    return np.frompyfunc(lifted, arguments, 1)
