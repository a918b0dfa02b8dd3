"""What a verification says, as data. The terminal, the report and the JSON are three views of one Verdict."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

ORDER = ("wrong", "undecided", "not_derived", "right")


@dataclasses.dataclass(frozen=True)
class StepVerdict:
    """One of the eight steps of back-propagation.

    verdict: "right", "wrong", "undecided" or "not_derived"; a step that is not returned and not found is "not_shown".
    scale: the constant that the derivation carries here and pays back later, such as "m"; None for none.
    reason: one sentence, where there is something to say: the operation that could not be followed, the formula of a
      missing leaf.
    where: where its arrays come from: "returned", "found" (a variable of the user's code), "inferred" or None.
    variable, line: the user's name for it, and the line that sets it.
    """

    verdict: str
    scale: str | None = None
    reason: str | None = None
    where: str | None = None
    variable: str | None = None
    line: int | None = None


@dataclasses.dataclass(frozen=True)
class Cause:
    """One wrong line that explains the evidence.

    id: from the catalogue; "unknown" if nothing in it explains the evidence.
    text: one sentence for a student.
    leaf: the step where the line stands ("dZ1"), or "forward".
    correction: the right line, as code.
    explanation: causes with the same number belong together (two errors at once); different numbers are alternatives.
    line, variable: the line of the user's file, and the variable that it sets; None where they are not known.
    since: the last line that is right, where the error lies between that and `line`.
    """

    id: str
    text: str
    leaf: str
    correction: str
    explanation: int = 0
    line: int | None = None
    variable: str | None = None
    since: int | None = None


@dataclasses.dataclass(frozen=True)
class Formula:
    """The exact part: equality of real functions, in balls of several hundred bits at random points.

    verdict: "wrong" is a proof: an interval without 0. "right" is agreement to 2^-200 at every point.
    points, patterns, sizes: how many points, activation patterns and sizes were tested.
    bits: that every difference is smaller than 2^-bits of the number.
    left_out: points at which a number of the derivation was not finite, or could not be followed.
    rounded: literals of many digits, known to their last digit only; it is right up to their rounding.
    guards: constants that keep a number from 0 or 1, such as the 1e-8 in a logarithm, and how much they change.
    """

    verdict: str
    points: int = 0
    patterns: int = 0
    sizes: int = 0
    bits: int = 200
    left_out: int = 0
    rounded: tuple[str, ...] = ()
    exact_batch: str | None = None
    guards: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rounding:
    """The rounding of one step in one precision: `eta` is the largest error in units of u |A| |B|."""

    step: str
    eta: float
    error_over_bound: float
    bound_over_entry: float


@dataclasses.dataclass(frozen=True)
class Program:
    """The rounding part, for one precision.

    verdict: "right" (every entry within its bound), "wrong", or "undecided" with the reason.
    agreement: "jit", "vmap", "split" (the batch in two), "sharding": "right", "wrong" or a reason for not running it.
    wrong: the steps with an entry beyond its bound.
    finite_on_batch: whether what it returns on the given batch is finite, if one is given.
    """

    precision: str
    verdict: str
    steps: tuple[Rounding, ...] = ()
    agreement: dict[str, str] = dataclasses.field(default_factory=dict)
    reason: str | None = None
    wrong: tuple[str, ...] = ()
    finite_on_batch: bool = True


@dataclasses.dataclass(frozen=True)
class Counterexample:
    """The smallest case found at which the derivation is wrong, for checking by hand. Nested lists, rows first."""

    sizes: dict[str, int]
    inputs: dict[str, list]
    forward: dict[str, list]
    quantity: str
    index: tuple[int, ...]
    yours: float
    right: float


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome of a verification.

    conventions: what was found rather than judged, such as {"relu_at_zero": {"hidden": "0", "output": "1/2"}}.
    loss: what the derivation's own statement of the loss turned out to be, if it has one.
    standard: what it was held against: the declared loss, or the file's own.
    line, line_number, variable: the first wrong line of the user's file, stripped, and what it sets; None if not known.
    notes: sentences that belong on the first screen.
    """

    verdict: str
    leaves: dict[str, StepVerdict]
    steps: dict[str, StepVerdict]
    first_wrong_step: str | None
    causes: tuple[Cause, ...]
    formula: Formula | None
    program: tuple[Program, ...] = ()
    conventions: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    loss: str | None = None
    standard: str | None = None
    counterexample: Counterexample | None = None
    line: str | None = None
    line_number: int | None = None
    variable: str | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict:
        """The verdict as plain dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)


def worst(verdicts: Iterable[str]) -> str:
    """The verdict of the whole, from those of its parts."""
    found = set(verdicts)
    return next((verdict for verdict in ORDER if verdict in found), "right")


class Reason(NamedTuple):
    """Why an output of any function is wrong: an id, one sentence, and the text of the line."""

    id: str
    text: str
    line: str | None = None


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The outcome for any derivative.

    verdict: "right", "wrong", "undecided" or "not_derived".
    outputs: name -> {"verdict": ..., "reason": ...}.
    causes: the explanations with the fewest changes; those that tie stand together.
    line, line_number: the first wrong line of the user's file, stripped, and its number; None where they are not known.
    branches: for each place where the code compares numbers, "both", "only true" or "only false".
    text: what the terminal shows.
    """

    verdict: str
    outputs: dict[str, dict[str, str | None]]
    causes: tuple[Reason, ...] = ()
    line: str | None = None
    line_number: int | None = None
    branches: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    text: str = ""
    seconds: float = 0.0

    def json(self) -> dict:
        """The same as plain dicts, lists, strings and numbers."""
        return dataclasses.asdict(self) | {"causes": [reason._asdict() for reason in self.causes]}

    def __str__(self) -> str:
        return self.text


def assert_right(verdict: Judgement) -> None:
    """Raise AssertionError with what the terminal would show, unless the verdict is "right"; for tests."""
    if verdict.verdict != "right":
        raise AssertionError(f"\n{verdict.text}")
