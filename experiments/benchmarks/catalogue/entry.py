"""A mistake is a wrong line; an entry is a whole derivation with one or two of them, in one setting and layout."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from experiments.benchmarks.catalogue.base import LAYOUTS, LOSSES, OUTPUTS, REDUCTIONS, Change, source

BATCHED = ("rows", "columns")


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One wrong line, or several that are one misconception, such as a wrong activation and its derivative.

    step: where the line stands, one of the eight steps or "forward".
    name: unique among the mistakes of that step.
    causes: the cause ids that a teacher would accept for it; "unknown" if no other id says it exactly.
    changes: (slot, new right-hand side) pairs, as `base.source` takes them.
    kind: "coarse"; "fine", wrong by little or only at some sizes of the numbers; "shape", a transpose, a wrong axis or
      a mixed-up name; "equivalent", right after all.
    at: multiply all parameters by this, and it shows in a leaf.
    square: the arrays only fit each other if m = d = K = C.
    losses, outputs, reductions, layouts: where it can be made.
    reason: for an equivalent one, why it is right.
    """

    step: str
    name: str
    causes: tuple[str, ...]
    changes: tuple[tuple[str, Change], ...]
    kind: str = "coarse"
    at: float = 1.0
    square: bool = False
    losses: tuple[str, ...] = LOSSES
    outputs: tuple[str, ...] = OUTPUTS
    reductions: tuple[str, ...] = REDUCTIONS
    layouts: tuple[str, ...] = tuple(LAYOUTS)
    reason: str = ""

    @property
    def id(self) -> str:
        return f"{self.step}-{self.name}"

    def fits(self, loss: str, output: str, reduction: str, layout: str) -> bool:
        """Whether it can be made in this setting."""
        return (
            loss in self.losses and output in self.outputs and reduction in self.reductions and layout in self.layouts
        )


def table(step: str, rows: Iterable[tuple], **options) -> tuple[Mistake, ...]:
    """Mistakes of one step from rows (name, causes, change) or (name, causes, change, options).

    causes is a string of ids. A change that is no dict stands in the slot of its step.
    """
    mistakes = []
    for name, causes, change, *more in rows:
        changes = change if isinstance(change, dict) else {step: change}
        mistakes.append(
            Mistake(step, name, tuple(causes.split()), tuple(changes.items()), **options | (more[0] if more else {}))
        )
    return tuple(mistakes)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A complete derivation: the right one of its setting and layout, but for its mistakes."""

    mistakes: tuple[Mistake, ...]
    loss: str
    output: str
    reduction: str = "mean"
    layout: str = "rows"

    @property
    def id(self) -> str:
        return "+".join(m.id for m in self.mistakes) + f" {self.loss} {self.output} {self.reduction} {self.layout}"

    @property
    def steps(self) -> tuple[str, ...]:
        """Where the wrong lines stand, in the order of back-propagation."""
        return tuple(mistake.step for mistake in self.mistakes)

    @property
    def causes(self) -> tuple[str, ...]:
        """Acceptable cause ids. With two mistakes, those of either; `accepted` keeps them apart."""
        return tuple(cause for mistake in self.mistakes for cause in mistake.causes)

    @property
    def accepted(self) -> dict[str, tuple[str, ...]]:
        """For each wrong step the cause ids that a teacher would accept there."""
        return {mistake.step: mistake.causes for mistake in self.mistakes}

    @property
    def kind(self) -> str:
        """That of its mistake, or "double"."""
        return self.mistakes[0].kind if len(self.mistakes) == 1 else "double"

    @property
    def at(self) -> float:
        """Multiply all parameters by this, and it shows in a leaf."""
        return self.mistakes[0].at

    @property
    def square(self) -> bool:
        """Whether it runs, with leaves of the right shapes, only if m = d = K = C."""
        return any(mistake.square for mistake in self.mistakes)

    @property
    def reason(self) -> str:
        """For an equivalent one, why it is right."""
        return self.mistakes[0].reason

    def source(self, steps: bool = False) -> str:
        """The text of the derivation file; `steps` says whether it returns all eight steps or only the leaves."""
        changes = dict(change for mistake in self.mistakes for change in mistake.changes)
        return source(self.loss, self.output, self.reduction, self.layout, changes, steps=steps)

    def function(self, steps: bool = False) -> Callable[..., dict]:
        """`gradients` of that file."""
        return load(self.source(steps), f"<{self.id}>")


def load(text: str, name: str = "<derivation>") -> Callable[..., dict]:
    """The function `gradients` that a derivation file defines. Runs the text."""
    namespace: dict = {}
    exec(compile(text, name, "exec"), namespace)
    return namespace["gradients"]


def entries(mistakes: Iterable[Mistake], settings: Iterable[tuple[str, str, str, str]]) -> Iterator[Entry]:
    """Each mistake in each setting (loss, output, reduction, layout) in which it can be made."""
    settings = tuple(settings)
    return (Entry((mistake,), *s) for mistake in mistakes for s in settings if mistake.fits(*s))
