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
from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction
from typing import Any

import flint
import numpy as np

ROUNDED_TWICE = 4  # units in the last place
SIMPLER_BY_FAR = 10**6  # the smaller denominator, as many times
PLAIN = 2**40  # product of numerator and denominator; that of a float drawn at random is near 2^53
PLAIN_SINGLE, MANY_BITS = 2**12, 20  # the same of single precision, near 2^24; and what a numerator of its own has
ROUNDED_DIGITS = 7  # significant, runs of zeros and nines not counted: so many are a rounded number
GUARD = 1.0001e-6  # the largest constant that guards a quotient or a root
ALL_DIGITS = 16  # a float64 has no more
RUNS = re.compile("0{3,}|9{3,}")  # 1.0000001 has two digits that say something
LESS_TO_WRITE = 2**20  # the smaller product of numerator and denominator, as many times


@functools.lru_cache(maxsize=4096)
def simplest_rational(number: float, dtype: str = "float64") -> Fraction:
    """The fraction of smallest denominator (then numerator) among those that `number`, a float of `dtype`, may mean."""
    meant = _simplest(number, dtype)
    if dtype != "float64" or not _was_float32(number):
        return meant
    before = simplest_rational(number, "float32")
    return before if _length(before) * LESS_TO_WRITE <= _length(meant) else meant


@functools.lru_cache(maxsize=4096)
def reading(number: float, dtype: str = "float64") -> tuple[Fraction, Fraction]:
    """What a literal means, and how far from it the number may be that was rounded to it: 0 where it means itself.

    Few digits mean what they say: 0.7979 is not sqrt(2 / pi). Seven or more that are no simple fraction are a rounded
    number, known to two units of the last digit that is written, or to four of the last bit where all are.
    """
    digits = _digits(number)
    if dtype != "float16" and _was_float32(number):
        dtype = "float64"
        if len(digits) >= ALL_DIGITS and Fraction(number).numerator.bit_length() > MANY_BITS:
            return _reading_of_float32(number)
    meant = simplest_rational(number, dtype)
    if len(digits) < ALL_DIGITS and len(RUNS.sub("", digits)) < ROUNDED_DIGITS:
        return Fraction(repr(number)), Fraction(0)
    if 1 in (abs(meant.numerator), meant.denominator) or _length(meant) < PLAIN:
        return meant, Fraction(0)
    if len(digits) >= ALL_DIGITS:
        ulp = Fraction(float(np.spacing(np.array(abs(number), dtype if dtype == "float16" else "float64"))))
        return Fraction(number), ROUNDED_TWICE * ulp
    written = Fraction(repr(number))
    last = Fraction(10) ** (math.floor(math.log10(abs(number))) - len(digits) + 1)
    return written, 2 * last


def _digits(number: float | np.floating) -> str:
    """The significant digits as Python or NumPy writes them."""
    return str(abs(number)).split("e")[0].replace(".", "").strip("0")


def _was_float32(number: float) -> bool:
    return abs(number) <= float(np.finfo(np.float32).max) and float(np.float32(number)) == number


def _reading_of_float32(number: float) -> tuple[Fraction, Fraction]:
    """`reading` of a number of single precision, be it still one or have it become a float64 since.

    Whole numbers mean themselves, few digits what they say, and a simple fraction that. All else is rounded.
    """
    exact, single = Fraction(number), np.float32(number)
    if exact.denominator == 1:
        return exact, Fraction(0)
    if len(_digits(single)) < ROUNDED_DIGITS:
        return Fraction(str(single)), Fraction(0)
    meant = _simplest(number, "float32")
    if _length(meant) < PLAIN_SINGLE:
        return meant, Fraction(0)
    return exact, ROUNDED_TWICE * Fraction(float(np.spacing(abs(single))))


rounded: set[float] = set()  # the literals met so far that are rounded numbers; whoever asks clears it


class Guards:
    """Literals as small as a guard, or as near to 1, that are met while they are left out.

    Attributes:
      met: the literals. only: which alone are left out; None for all.
      as_factor, as_threshold: whether one that is left out multiplies, or is compared.
    """

    def __init__(self, only: Collection[float] | None):
        self.met, self.only = set[float](), only
        self.as_factor = self.as_threshold = False


LEFT_OUT = flint.arb(0)  # what a guard becomes: this object, by which it is known again
_guards: Guards | None = None


@contextlib.contextmanager
def without_guards(only: Collection[float] | None = None) -> Iterator[Guards]:
    """Inside, literals as small as a guard are 0, and those as near to 1 are 1; all of them, or these alone."""
    global _guards
    before, _guards = _guards, Guards(only)
    try:
        yield _guards
    finally:
        _guards = before


def watch_guards(arrays: Iterable[Any], multiply: bool) -> None:
    """Told, inside of that, of arrays that are multiplied or compared."""
    if _guards is not None and any(v is LEFT_OUT for a in arrays for v in np.ravel(a).tolist()):
        _guards.as_factor |= multiply
        _guards.as_threshold |= not multiply


def _left_out(number: float) -> flint.arb | None:
    """What a literal is in place of itself, where it is left out."""
    small = 0 < abs(number) <= GUARD
    if _guards is None or not (small or 0 < 1 - number <= GUARD):
        return None
    _guards.met.add(number)
    if _guards.only is not None and number not in _guards.only:
        return None
    return LEFT_OUT if small else flint.arb(1)


def literal(number: float, dtype: str = "float64") -> flint.arb:
    """What a float literal means: a fraction, or a ball where it is a rounded number."""
    instead = _left_out(number)
    if instead is not None:
        return instead
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
