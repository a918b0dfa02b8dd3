"""Which branches a program has taken: for each place where it compares numbers, whether both sides were seen.

The pieces of a program between its kinks are functions of their own. A verdict speaks of those that were entered.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import flint

from twolayer.verification.numbers import comparisons
from twolayer.verification.programs import Program

Key = tuple[Any, ...]  # the line, and which comparison of it
SIDES = {frozenset({True}): "only true", frozenset({False}): "only false"}
KEPT = 64  # comparisons of one place that are kept at a point


class Seen:
    """The comparisons at one point.

    Attributes:
      outcomes: of each place.
      margins: the differences of the numbers that were compared there, in the order of running.
      tied: whether two numbers were equal.
    """

    def __init__(self) -> None:
        self.outcomes: dict[Key, set[bool]] = {}
        self.margins: dict[Key, list[flint.arb]] = {}
        self.tied = False


class Branches:
    """Collects the outcomes of comparisons by the user's line. The first program is the one that is judged."""

    def __init__(self, *programs: Program):
        self.filenames = list(dict.fromkeys(program.filename for program in programs))
        self.outcomes: dict[Key, set[bool]] = {}
        self._now = Seen()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Seen]:
        """Note every comparison of numbers that runs inside."""
        before, comparisons.observer = comparisons.observer, self._note
        self._now = Seen()
        try:
            yield self._now
        finally:
            comparisons.observer = before
            for key, outcomes in self._now.outcomes.items():
                self.outcomes.setdefault(key, set()).update(outcomes)

    def _note(self, outcome: bool, a: flint.arb, b: flint.arb) -> None:
        seen = self._now
        difference = a - b
        if difference.is_zero():
            seen.tied = True
        key = comparisons.place_of(self.filenames)
        if key is not None:
            seen.outcomes.setdefault(key, set()).add(outcome)
            margins = seen.margins.setdefault(key, [])
            if len(margins) < KEPT:
                margins.append(difference)

    def one_sided(self) -> list[Key]:
        """The comparisons of which one outcome was never seen."""
        return [key for key, outcomes in sorted(self.outcomes.items(), key=_order) if len(outcomes) == 1]

    def seen(self) -> dict[str, str]:
        """The place of each comparison, and "both", "only true" or "only false"."""
        found: dict[str, str] = {}
        for key, outcomes in sorted(self.outcomes.items(), key=_order):
            name = f"line {key[0]}"
            other = key[1][0] if isinstance(key[1][0], str) and key[1][0] != self.filenames[0] else None
            name = f"{pathlib.Path(other).name} {name}" if other else name
            said = SIDES.get(frozenset(outcomes), "both")
            found[name] = said if found.get(name, "both") == "both" else found[name]
        return found


def _order(item: tuple[Key, Any]) -> tuple:
    return item[0][0], str(item[0][1:])
