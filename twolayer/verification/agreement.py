"""Whether a leaf agrees with the right one, by integers or by balls, and the sentences that say so."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.numbers.balls import Ball, Balls
from twolayer.verification.numbers.integers import Rational, over_one_denominator
from twolayer.verification.numbers.opaque import opaque_mask

INTEGERS = 0  # in place of a number of bits
BITS = (128, 256, 512)
CLOSE = 2.0**-100


class Agreement(NamedTuple):
    """One leaf. `measure` is the bits of its largest integer, or the digits to which the balls agree."""

    verdict: str
    said: str = ""
    entries: int = 0
    left_out: int = 0
    bits: int = 0
    measure: int = 0


def by_integers(leaf: str, yours: Rational, right: Rational, touched: np.ndarray) -> Agreement:
    """Compare by ==. Entries that depend on ReLU'(0) (`touched`) count if they are equal, and are left out if not."""
    (a, b), denominator = over_one_denominator(yours, right)
    unknown = opaque_mask(a)
    gap = np.where(unknown, 0, a - b)
    judged = ~touched | (~unknown & (gap == 0))
    wrong = judged & (gap != 0)
    if wrong.any():
        at = _largest(gap, wrong)
        return _wrong(leaf, wrong, judged, at, Fraction(a[at], denominator), Fraction(b[at], denominator))
    if (unknown & judged).any():
        return Agreement("undecided", a[unknown & judged][0].reason)
    return _right(judged, INTEGERS, max(abs(n).bit_length() for n in b.flat))


def by_balls(leaf: str, yours: Ball, right: Ball, touched: np.ndarray, terms: np.ndarray, system: Balls) -> Agreement:
    """Compare by the ball of the difference; `terms` says what its radius is measured by."""
    gap = system.sub(yours, right).balls
    unknown = opaque_mask(gap)
    gap = np.where(unknown, 0, gap)
    apart = np.asarray(np.frompyfunc(_excludes_zero, 1, 1)(gap), bool)
    radius = np.frompyfunc(lambda ball: ball.rad() if ball else 0, 1, 1)(gap)
    close = ~unknown & ~apart & np.asarray(radius <= terms * CLOSE, bool)
    judged = ~touched | close
    if (apart & judged).any():
        at = _largest(gap, apart & judged)
        return _wrong(leaf, apart & judged, judged, at, yours.balls[at], right.balls[at])
    if (unknown & judged).any():
        return Agreement("undecided", yours.balls[unknown & judged][0].reason)
    if not close[judged].all():
        return Agreement("undecided", f"{system.bits} bits are not enough, or a number is not finite")
    worst = np.max(radius[judged].astype(np.float64) / np.where(terms > 0, terms, 1)[judged], initial=2.0**-system.bits)
    return _right(judged, system.bits, math.floor(-math.log10(worst)))


def _largest(gap: np.ndarray, among: np.ndarray) -> tuple:
    return tuple(map(int, np.unravel_index(np.argmax(np.abs(np.where(among, gap, 0))), gap.shape)))


def _excludes_zero(ball: Any) -> bool:
    return bool(ball) and ball.is_finite() and not ball.contains(0)


def _wrong(leaf: str, wrong: np.ndarray, judged: np.ndarray, at: tuple, yours: Any, right: Any) -> Agreement:
    said = (
        f"{leaf} is wrong in {wrong.sum()} of {judged.sum()} entries: {leaf}{list(at)} is {_rounded(yours)!r} "
        f"where {_rounded(right)!r} is right, off by {abs(_rounded(yours - right)):.2g}."
    )
    return Agreement("wrong", said, int(judged.sum()), int((~judged).sum()))


def _rounded(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # of a fraction; a ball becomes infinite by itself
        return math.inf if number > 0 else -math.inf


def _right(judged: np.ndarray, bits: int, measure: int) -> Agreement:
    if not judged.any():
        return Agreement("undecided", "every entry depends on ReLU'(0), which is not 0 in it", left_out=judged.size)
    return Agreement("right", "", int(judged.sum()), int((~judged).sum()), bits, measure)


def sentences(judged: dict[str, Agreement]) -> Iterator[str]:
    """What was found: first what is wrong, then what is right and how that is known, then what is open."""
    yield from (one.said for one in judged.values() if one.verdict == "wrong")
    for bits in (INTEGERS, *BITS):
        group = {leaf: one for leaf, one in judged.items() if one.verdict == "right" and one.bits == bits}
        if group:
            entries, measures = sum(one.entries for one in group.values()), [one.measure for one in group.values()]
            how = (
                f"are equal, as integers of up to {max(measures)} bits"
                if bits == INTEGERS
                else f"agree to at least {min(measures)} digits, in balls of {bits} bits"
            )
            yield f"{', '.join(group)} {'are' if len(group) > 1 else 'is'} right: {entries} entries {how}."
    yield from (f"{leaf} is undecided: {one.said}." for leaf, one in judged.items() if one.verdict == "undecided")
    left_out = sum(one.left_out for one in judged.values())
    if left_out:
        yield f"{left_out} entries are left out: they depend on ReLU'(0), a convention, and yours is not 0 there."
