"""Which branches a program has taken: for each place where it compares numbers, whether both sides were seen.

The pieces of a program between its kinks are functions of their own. A verdict speaks of those that were entered.
"""

import contextlib
from collections.abc import Iterator

from twolayer.verification.numbers import balls
from twolayer.verification.programs import Program


class Branches:
    """Collects the outcomes of comparisons by the user's line."""

    def __init__(self, program: Program):
        self.program = program
        self.outcomes: dict[int, set[bool]] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note every comparison of numbers that runs inside."""
        before, balls.observer = balls.observer, self._note
        try:
            yield
        finally:
            balls.observer = before

    def _note(self, outcome: bool) -> None:
        line = balls.line_of(self.program.filename)
        if line is not None:
            self.outcomes.setdefault(line, set()).add(outcome)

    def seen(self) -> dict[str, str]:
        """The place of each comparison, and "both", "only true" or "only false"."""
        words = {frozenset({True}): "only true", frozenset({False}): "only false"}
        return {f"line {line}": words.get(frozenset(seen), "both") for line, seen in sorted(self.outcomes.items())}
