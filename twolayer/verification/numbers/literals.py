"""What a float literal means: the simplest rational that rounds to it. 0.1 is 1/10, and Python's 1 / 7 is 1/7.

Python may have rounded more than once on the way: 1e-5 / 5 is not the float nearest to 1/500000. So where a rational
within a few units in the last place is simpler by far than any that rounds to the literal, that one is meant.

A float64 that float32 holds exactly was one before: np.float32(1 / 7) becomes 0.1428571492433548. So its reading as a
float32 is meant, where that is simpler by far; a dyadic number such as 3/8 stays itself.

Beyond 2^53 all floats are integers, and each means itself: 1e16, not the smallest integer that rounds to it. Nor does
the reciprocal of such a number, as 2.0**-60, mean that of a smaller one.
"""

import functools
import math
from fractions import Fraction

import numpy as np

ROUNDED_TWICE = 4  # units in the last place
SIMPLER_BY_FAR = 10**6  # the smaller denominator, as many times
PLAIN = 2**40  # product of numerator and denominator; that of a float drawn at random is near 2^53
FEW_DIGITS = 14  # characters; a float drawn at random has 17 or 18
LESS_TO_WRITE = 2**20  # the smaller product of numerator and denominator, as many times


@functools.lru_cache(maxsize=4096)
def simplest_rational(number: float, dtype: str = "float64") -> Fraction:
    """The fraction of smallest denominator (then numerator) among those that `number`, a float of `dtype`, may mean."""
    meant = _simplest(number, dtype)
    if dtype != "float64" or abs(number) > float(np.finfo(np.float32).max) or float(np.float32(number)) != number:
        return meant
    before = simplest_rational(number, "float32")
    return before if _length(before) * LESS_TO_WRITE <= _length(meant) else meant


def is_plain(number: float) -> bool:
    """Whether a literal is likely to be the fraction that it is read as: of few digits, or simpler than most floats.

    math.sqrt(7) is neither: read as 130576328/49353213, it is as long as any float.
    """
    if number == 0 or not math.isfinite(number):
        return True
    meant = simplest_rational(number)
    return (
        len(repr(abs(number))) <= FEW_DIGITS or 1 in (abs(meant.numerator), meant.denominator) or _length(meant) < PLAIN
    )


def _length(fraction: Fraction) -> int:
    return abs(fraction.numerator) * fraction.denominator


def _simplest(number: float, dtype: str) -> Fraction:
    if number == 0:
        return Fraction(0)
    if number < 0:
        return -_simplest(-number, dtype)
    exact = Fraction(number)
    if exact.denominator == 1:
        return exact
    whole = _whole_reciprocal(number, dtype)
    if whole:
        return Fraction(1, whole)
    below = Fraction(float(np.nextafter(np.array(number, dtype), np.array(0, dtype)).astype(np.float64)))
    gap = exact - below  # the one below is the smaller at a power of two, so nothing wrong is let in
    nearest = _simplest_between(exact - gap / 2, exact + gap / 2)
    if dtype != "float64" or exact <= ROUNDED_TWICE * gap:
        return nearest  # among so few bits, or the smallest floats, something simpler is always near
    wider = _simplest_between(exact - ROUNDED_TWICE * gap, exact + ROUNDED_TWICE * gap)
    return wider if wider.denominator * SIMPLER_BY_FAR <= nearest.denominator else nearest


def _whole_reciprocal(number: float, dtype: str) -> int | None:
    """1 / number, if that is a float beyond those that have fractions, and number is its reciprocal."""
    one = np.ones((), dtype)
    with np.errstate(over="ignore"):
        inverse = one / np.array(number, dtype)
    whole = 2.0 ** (np.finfo(dtype).nmant + 1) <= inverse < np.inf and one / inverse == np.array(number, dtype)
    return int(inverse) if whole else None


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The simplest fraction in [low, high], 0 < low < high, by the common part of their continued fractions."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    whole -= 1
    return whole + 1 / _simplest_between(1 / (high - whole), 1 / (low - whole))


def rationals(array: np.ndarray) -> list[Fraction | None]:
    """The simplest rational of each entry, in order; None for an entry that is not finite."""
    array = np.asarray(array)
    dtype = str(array.dtype) if array.dtype in (np.float32, np.float16) else "float64"
    numbers = array.astype(np.float64).ravel().tolist()
    known = {number: simplest_rational(number, dtype) for number in set(numbers) if math.isfinite(number)}
    return [known.get(number) for number in numbers]
