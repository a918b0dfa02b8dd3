"""Whether two arrays of balls are the same numbers, entry by entry."""

import flint
import numpy as np

from twolayer.verification.numbers.balls import AGREEMENT, arb
from twolayer.verification.numbers.literals import rounded

EQUAL, DIFFERENT, UNKNOWN = 0, 1, 2


def compare(mine: np.ndarray, right: np.ndarray) -> np.ndarray:
    """EQUAL, DIFFERENT or UNKNOWN for each entry.

    Equal: the interval of the difference is below 2^-200 of the right number; or it contains 0 and is below 2^-200 of
    the largest number in the array, whose cancellation may have left it so wide. Different: the interval excludes 0 and
    is larger than 2^-200 of the number. All else is unknown; but once a rounded literal has been met, an interval that
    contains 0 and is no wider than 10^-6 of the largest number counts as equal, and the verdict names the literal.
    """
    if np.shape(mine) != np.shape(right):
        return np.full(np.shape(right) or (1,), DIFFERENT)
    a = [arb(v) for v in np.asarray(mine, object).ravel().tolist()]
    b = [arb(v) for v in np.asarray(right, object).ravel().tolist()]
    sizes = [abs(v).upper() for v in b if v.is_finite()]
    largest = max((*sizes, _TINY), key=float)  # an array of zeros has no size
    return np.array([_compared(u, v, largest) for u, v in zip(a, b, strict=True)], int).reshape(np.shape(right))


_TINY = flint.arb(2) ** -AGREEMENT
_NOTHING = flint.arb(2) ** -(2**14)  # no float comes near it: what exp(-1e9) leaves of a masked entry
_LITERAL = flint.arb(10) ** -6  # the widest rounding of a literal, relative


def _compared(a: flint.arb, b: flint.arb, largest: flint.arb) -> int:
    if a is b or (a.is_exact() and b.is_exact() and a == b):
        return EQUAL
    difference = a - b
    if not difference.is_finite():
        return UNKNOWN
    own = abs(b).upper()
    if abs(difference).upper() <= _TINY * own or abs(difference).upper() <= _NOTHING:
        return EQUAL
    if not difference.contains(0):
        return DIFFERENT if abs(difference).lower() > _TINY * own else UNKNOWN
    if abs(difference).upper() <= _TINY * largest or (rounded and difference.rad() <= _LITERAL * largest):
        return EQUAL
    return UNKNOWN
