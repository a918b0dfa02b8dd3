"""Comparisons of balls: decided, or Undecided; and who is told of each, with the user's line that asks."""

import contextlib
import operator
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Any

import flint


class Undecided(Exception):
    """A question that the balls leave open, in a few words.

    raised: how many there have been, so that whoever runs code that catches all exceptions can tell.
    """

    raised = 0

    def __init__(self, *args: Any):
        Undecided.raised += 1
        super().__init__(*args)


def same_ball(u: flint.arb, v: flint.arb) -> bool:
    """Whether two balls have the same midpoint and radius, as the same operations on the same numbers give."""
    return u.is_finite() and v.is_finite() and u.mid() == v.mid() and u.rad() == v.rad()


# Each comparison with its negation (of balls that overlap both are false), and whether it holds of equal numbers.
DECISIONS = {"eq": (operator.eq, operator.ne, True), "ne": (operator.ne, operator.eq, False)}
DECISIONS |= {"gt": (operator.gt, operator.le, False), "le": (operator.le, operator.gt, True)}
DECISIONS |= {"lt": (operator.lt, operator.ge, False), "ge": (operator.ge, operator.lt, True)}

# Told every comparison of numbers: its outcome, and both numbers.
observer: Callable[[bool, flint.arb, flint.arb], None] | None = None


def surely_nan(v: flint.arb) -> bool:
    """Whether it is what is left of infinity less infinity; a ball that is too wide for a function may be a number."""
    return v.is_nan() and v.rad() == 0


def decision(name: str, open_: str) -> Callable[[flint.arb, flint.arb], bool]:
    """A comparison of two numbers; where the balls leave it open it raises Undecided with this text."""
    holds, fails, of_equals = DECISIONS[name]

    def outcome(u: flint.arb, v: flint.arb) -> bool:
        if surely_nan(u) or surely_nan(v):
            return name == "ne"
        if holds(u, v):
            return True
        if fails(u, v):
            return False
        if (u is v and not u.is_nan()) or same_ball(u, v):  # one number, computed twice the same way
            return of_equals
        raise Undecided("a comparison with NaN" if u.is_nan() or v.is_nan() else open_)

    def decide(u: flint.arb, v: flint.arb) -> bool:
        found = outcome(u, v)
        if observer is not None and u is not v:  # x != x asks for NaN
            observer(found, u, v)
        return found

    return decide


Place = tuple[int, Any]  # a line, and which of its operations
_place_now: Callable[[], Place | None] | None = None


@contextlib.contextmanager
def at_place(place: Callable[[], Place | None]) -> Iterator[None]:
    """Inside, `place()` says which of the user's lines runs: the code itself ran before, when it was traced."""
    global _place_now
    before, _place_now = _place_now, place
    try:
        yield
    finally:
        _place_now = before


def place_of(filenames: Collection[str | None]) -> Place | None:
    """The place that runs now in one of these files, in the innermost of its functions."""
    if _place_now is not None:
        return _place_now()
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in filenames:
            return frame.f_lineno, (frame.f_code.co_filename, frame.f_lasti)
        frame = frame.f_back
    return None
