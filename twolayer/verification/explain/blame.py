"""Where, for any function: which numbers of the user's variables are right ones, entry by entry, and which are wrong.

A variable may hold a part of an array, a chunk, one step of time or its transpose; its entries are still numbers that
the right computation meets, or that only a wrong one does. Numbers are told apart by ten digits, at random points;
simple ones such as 1/2 say nothing.
"""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain import where
from twolayer.verification.programs import Local

CLOSE = 1e-10
SIMPLE = 64  # denominators of numbers that many computations meet


class Numbers:
    """A set of numbers, but for their sign."""

    def __init__(self, arrays: Iterable[np.ndarray]):
        arrays = [np.asarray(array, np.float64).ravel() for array in arrays]
        self.signed = set(np.concatenate([np.zeros(1), *arrays]).round(9).tolist())
        flat = [np.abs(array) for array in arrays]
        numbers = np.unique(np.concatenate([np.zeros(0), *flat]))
        self.sorted = numbers[np.isfinite(numbers)]

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which entries are in the set."""
        values = np.abs(values.ravel())
        at = np.searchsorted(self.sorted, values * (1 - CLOSE))
        near = np.append(self.sorted, np.inf)[at]
        return near <= values * (1 + CLOSE)

    def all(self, value: Any) -> bool:
        """Whether every entry is in the set, with its sign."""
        if np.iscomplexobj(value):
            return False
        return self.signed.issuperset(np.asarray(value, np.float64).ravel().round(9).tolist())


class Blamed(NamedTuple):
    """A line of the user's file, and its text."""

    line: int
    text: str


def telling(value: np.ndarray) -> np.ndarray:
    """The entries that are no simple numbers."""
    flat = value.ravel()
    flat = flat[np.isfinite(flat)]
    return np.array([v for v in flat.tolist() if abs(Fraction(v).limit_denominator(SIMPLE) - Fraction(v)) > 1e-9])


def first_wrong(locals_: Sequence[Local], right: Numbers, wrong: Numbers) -> Blamed | None:
    """The first setting that gives numbers which only the wrong computation meets.

    From there back to what the same name was before, if that is no right array either: dx *= r scales what is wrong
    already. And on to the last of those that hand the same numbers on: one of them should have changed them.
    """
    settings = [(local, _numbers(local)) for local in locals_]
    at = next((i for i, (_, numbers) in enumerate(settings) if _is_wrong(numbers, right, wrong)), None)
    while at is not None:
        before = _source(settings, at, right)
        if before is None:
            break
        at = before
    if at is None:
        return None
    same = (i for i in range(at, len(settings)) if np.array_equal(settings[i][1], settings[at][1]))
    local = settings[max(same)][0]
    return Blamed(local.line, local.text)


def _is_wrong(numbers: np.ndarray, right: Numbers, wrong: Numbers) -> bool:
    known = right.holds(numbers)
    own = wrong.holds(numbers) & ~known
    return bool(own.any() and (own | known).all())


def _source(settings: Sequence[tuple[Local, np.ndarray]], at: int, right: Numbers) -> int | None:
    """The setting before one of the same name that it makes use of, if it is no right array."""
    local = settings[at][0]
    uses_itself = re.search(r"\S\s*(\*|/|-|\+|@)=", local.text) or re.search(
        rf"\b{_name(local)}\b", local.text.split("=", 1)[-1]
    )
    if not uses_itself or _name(local) == "return":
        return None
    for i in range(at - 1, -1, -1):
        if _name(settings[i][0]) == _name(local):
            numbers = settings[i][1]
            return i if len(numbers) and not right.holds(numbers).any() else None
    return None


def _name(local: Local) -> str:
    found = re.match(r"[A-Za-z_]\w*", local.name)
    return found.group() if found else local.name


def _numbers(local: Local) -> np.ndarray:
    value = where._floats(local.value)
    return np.zeros(0) if value is None else telling(value)


__all__ = ["Blamed", "Numbers", "first_wrong", "telling"]
