"""What a float literal means: the simplest rational that rounds to it. 0.1 is 1/10, and Python's 1 / 7 is 1/7.

Python may have rounded more than once on the way: 1e-5 / 5 is not the float nearest to 1/500000. So where a rational
within a few units in the last place is simpler by far than any that rounds to the literal, that one is meant.

A float64 that float32 holds exactly was one before: np.float32(1 / 7) becomes 0.1428571492433548. So its reading as a
float32 is meant, where that is simpler by far; a dyadic number such as 3/8 stays itself.

Beyond 2^53 all floats are integers, and each means itself: 1e16, not the smallest integer that rounds to it. Nor does
the reciprocal of such a number, as 2.0**-60, mean that of a smaller one.
"""

import contextlib
import functools
import math
import re
from collections.abc import Iterator
from fractions import Fraction

import flint
import numpy as np

ROUNDED_TWICE = 4  # units in the last place
SIMPLER_BY_FAR = 10**6  # the smaller denominator, as many times
PLAIN = 2**40  # product of numerator and denominator; that of a float drawn at random is near 2^53
ROUNDED_DIGITS = 7  # significant, runs of zeros and nines not counted: so many are a rounded number
ALL_DIGITS = 16  # a float64 has no more
RUNS = re.compile("0{3,}|9{3,}")  # 1.0000001 has two digits that say something
LESS_TO_WRITE = 2**20  # the smaller product of numerator and denominator, as many times


@functools.lru_cache(maxsize=4096)
def simplest_rational(number: float, dtype: str = "float64") -> Fraction:
    """The fraction of smallest denominator (then numerator) among those that `number`, a float of `dtype`, may mean."""
    meant = _simplest(number, dtype)
    if dtype != "float64" or abs(number) > float(np.finfo(np.float32).max) or float(np.float32(number)) != number:
        return meant
    before = simplest_rational(number, "float32")
    return before if _length(before) * LESS_TO_WRITE <= _length(meant) else meant


@functools.lru_cache(maxsize=4096)
def reading(number: float, dtype: str = "float64") -> tuple[Fraction, Fraction]:
    """What a literal means, and how far from it the number may be that was rounded to it: 0 where it means itself.

    Few digits mean what they say: 0.7979 is not sqrt(2 / pi). Seven or more that are no simple fraction are a rounded
    number, known to two units of the last digit that is written, or to four of the last bit where all are.
    """
    meant = simplest_rational(number, dtype)
    digits = repr(abs(number)).split("e")[0].replace(".", "").strip("0")
    if len(digits) < ALL_DIGITS and len(RUNS.sub("", digits)) < ROUNDED_DIGITS:
        return Fraction(repr(number)), Fraction(0)
    if 1 in (abs(meant.numerator), meant.denominator) or _length(meant) < PLAIN:
        return meant, Fraction(0)
    if len(digits) >= ALL_DIGITS:
        ulp = Fraction(
            float(np.spacing(np.array(abs(number), dtype if dtype in ("float32", "float16") else "float64")))
        )
        return Fraction(number), ROUNDED_TWICE * ulp
    written = Fraction(repr(number))
    last = Fraction(10) ** (math.floor(math.log10(abs(number))) - len(digits) + 1)
    return written, 2 * last


rounded: set[float] = set()  # the literals met so far that are rounded numbers; whoever asks clears it


def literal(number: float, dtype: str = "float64") -> flint.arb:
    """What a float literal means: a fraction, or a ball where it is a rounded number."""
    if not math.isfinite(number):
        return flint.arb("nan") if number != number else flint.arb("inf") if number > 0 else flint.arb("-inf")
    fraction, radius = reading(number, dtype)
    if radius:
        rounded.add(number)
    value = flint.arb(fraction.numerator) / fraction.denominator
    return value if not radius or _at_midpoints else flint.arb(value, float(radius))


_at_midpoints = False


@contextlib.contextmanager
def literals_at_midpoints() -> Iterator[None]:
    """Long literals are single numbers inside: a difference of close numbers must not be all radius."""
    global _at_midpoints
    before, _at_midpoints = _at_midpoints, True
    try:
        yield
    finally:
        _at_midpoints = before


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
