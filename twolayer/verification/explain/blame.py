"""Where, for any function: which numbers of the user's variables are right ones, entry by entry, and which are wrong.

A variable may hold a part of an array, a chunk, one step of time or its transpose; its entries are still numbers that
the right computation meets, or that only a wrong one does. Numbers are told apart by ten digits, at random points;
simple ones such as 1/2 say nothing.
"""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.explain import where
from twolayer.verification.programs import Local

CLOSE = 1e-10
SIMPLE = 64  # denominators of numbers that many computations meet


class Numbers:
    """A set of numbers, but for their sign."""

    def __init__(self, arrays: Iterable[np.ndarray]):
        flat = [np.abs(np.asarray(array, np.float64)).ravel() for array in arrays]
        numbers = np.unique(np.concatenate([np.zeros(0), *flat]))
        self.sorted = numbers[np.isfinite(numbers)]

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which entries are in the set."""
        values = np.abs(values.ravel())
        at = np.searchsorted(self.sorted, values * (1 - CLOSE))
        near = np.append(self.sorted, np.inf)[at]
        return near <= values * (1 + CLOSE)


class Blamed(NamedTuple):
    """A line of the user's file, and its text."""

    line: int
    text: str


def telling(value: np.ndarray) -> np.ndarray:
    """The entries that are no simple numbers."""
    flat = value.ravel()
    flat = flat[np.isfinite(flat)]
    return np.array([v for v in flat.tolist() if abs(Fraction(v).limit_denominator(SIMPLE) - Fraction(v)) > 1e-9])


def first_wrong(locals_: Sequence[Local], right: Numbers, wrong: Numbers, *, far: bool = False) -> Blamed | None:
    """The first setting that gives numbers which only the wrong computation meets, or the one that it came from.

    From there back: to what the same name, or a function that was called, gave before, if that is no right array
    either; `far`: to any variable that the statement uses.
    """
    settings = [(local, _numbers(local)) for local in locals_]
    at = next((i for i, (_, numbers) in enumerate(settings) if _is_wrong(numbers, right, wrong)), None)
    while at is not None:
        local = settings[at][0]
        used = set(re.findall(r"[A-Za-z_]\w*", local.text.split("=", 1)[-1])) if far else set()
        if re.search(r"\S\s*(\*|/|-|\+|@)=", local.text) or _name(local) in local.text.split("=", 1)[-1]:
            used.add(_name(local))
        before = _source(settings, at, used, right)
        if before is None:
            return Blamed(local.line, local.text)
        at = before
    return None


def _is_wrong(numbers: np.ndarray, right: Numbers, wrong: Numbers) -> bool:
    known = right.holds(numbers)
    own = wrong.holds(numbers) & ~known
    return bool(own.any() and (own | known).all())


def _source(settings: Sequence[tuple[Local, np.ndarray]], at: int, used: set[str], right: Numbers) -> int | None:
    """The last setting before one that is of these names, or handed back just before, if it is no right array."""
    done: set[str] = set()
    for i in range(at - 1, -1, -1):
        local, numbers = settings[i]
        handed = i == at - 1 and local.name.startswith("return") and local.line != settings[at][0].line
        name = _name(local)
        if (handed or name in used) and name not in done:
            done.add(name)
            if len(numbers) and not right.holds(numbers).any():
                return i
    return None


def _name(local: Local) -> str:
    found = re.match(r"[A-Za-z_]\w*", local.name)
    return found.group() if found else local.name


def _numbers(local: Local) -> np.ndarray:
    value = where._floats(local.value)
    return np.zeros(0) if value is None else telling(value)


__all__ = ["Blamed", "Numbers", "first_wrong", "telling"]
