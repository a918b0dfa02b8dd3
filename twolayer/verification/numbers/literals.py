"""What a float literal means: the simplest rational that rounds to it. 0.1 is 1/10, and Python's 1 / 7 is 1/7."""

import functools
import math
from fractions import Fraction

import numpy as np


@functools.lru_cache(maxsize=4096)
def simplest_rational(number: float, dtype: str = "float64") -> Fraction:
    """The fraction of smallest denominator (then numerator) in the interval of reals that round to `number`."""
    if number == 0:
        return Fraction(0)
    if number < 0:
        return -simplest_rational(-number, dtype)
    exact = Fraction(number)
    below = Fraction(float(np.nextafter(np.array(number, dtype), np.array(0, dtype)).astype(np.float64)))
    half_gap = (exact - below) / 2  # the gap below is the smaller one at a power of two, so nothing wrong is let in
    return _simplest_between(exact - half_gap, exact + half_gap)


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
