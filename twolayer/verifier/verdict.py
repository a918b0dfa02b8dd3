"""What a verification says, as data. The terminal, the report and the JSON are three views of one Verdict."""

import dataclasses

LEAVES = ("dW1", "db1", "dW2", "db2")
STEPS = ("dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1")


@dataclasses.dataclass(frozen=True)
class StepVerdict:
    """One of the eight steps of back-propagation.

    verdict: "right", "wrong", "undecided" or "not_derived"; a step that is not returned and not found is "not_shown".
    scale: the constant that the derivation carries here and pays back later, such as "m"; None for none.
    reason: one sentence, where there is something to say: the operation without an algebraic meaning, the implied
      formula of a missing leaf.
    where: where its arrays come from: "returned", "named" (checkpoint_name), "found" (met inside the program) or None.
    """

    verdict: str
    scale: str | None = None
    reason: str | None = None
    where: str | None = None


@dataclasses.dataclass(frozen=True)
class Cause:
    """One wrong line that explains the evidence.

    id: from the catalogue; "unknown" if nothing in it explains the evidence.
    text: one sentence for a student.
    leaf: the step where the line stands ("dZ1"), or "forward".
    correction: the right line, as code.
    explanation: causes with the same number belong together (two errors at once); different numbers are alternatives.
    """

    id: str
    text: str
    leaf: str
    correction: str
    explanation: int = 0


@dataclasses.dataclass(frozen=True)
class Formula:
    """The exact part: an identity of rational functions, tested at random points of a prime field.

    error_probability: that a wrong formula passed, for each activation pattern tested (Schwartz-Zippel); 0 if refuted.
    draws, patterns: how many points, and how many different activation patterns, were tested.
    left_out: draws at which a number of the derivation was not finite, with the reason.
    literals: float literals of the program and the rationals they were read as, such as {"0.1": "1/10"}.
    """

    verdict: str
    error_probability: float
    degree: int
    draws: int
    patterns: int
    left_out: int = 0
    literals: dict[str, str] = dataclasses.field(default_factory=dict)
    exact_batch: str | None = None


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
    """The outcome of a verification. See the README for what "right" means and at which odds.

    conventions: what was found rather than judged, such as {"relu_at_zero": {"hidden": "0", "output": "1/2"}}.
    loss: what the derivation's own statement of the loss turned out to be, if it has one.
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
    counterexample: Counterexample | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict:
        """The verdict as plain dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)
