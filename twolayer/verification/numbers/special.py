"""Functions of which FLINT has the value, but not everywhere soon enough, or not the derivative."""

from collections.abc import Callable

import flint

from twolayer.verification.numbers.balls import DIFFERENCE_BITS, Undecided, precision
from twolayer.verification.numbers.differences import STEP

FARTHEST = 100  # beyond it the incomplete gamma function takes seconds, and minutes
ROOM = 220  # bits: the third derivative is trusted to be below 2^300

OfTwo = Callable[[flint.arb, flint.arb], flint.arb]


def incomplete_gamma(function: Callable[..., flint.arb]) -> OfTwo:
    """The regularised function of a and x, from FLINT's lower or upper one."""

    def of(a: flint.arb, x: flint.arb) -> flint.arb:
        if not (abs(a) < FARTHEST and abs(x) < FARTHEST):
            raise Undecided(f"the incomplete gamma function is not followed beyond {FARTHEST:g}")
        return function(x, a, 1)

    return of


def by_first(function: OfTwo) -> OfTwo:
    """The derivative by the first argument, by the central difference."""

    def of(a: flint.arb, x: flint.arb) -> flint.arb:
        with precision(DIFFERENCE_BITS):
            h, at, beside = flint.arb(2) ** -STEP, a.mid(), x.mid()
            slope = (function(at + h, beside) - function(at - h, beside)) / (2 * h)
            room = (abs(slope) + 1) * (flint.arb(2) ** -ROOM + a.rad() + x.rad())
            return slope + flint.arb(0, 1) * room.upper()

    return of
