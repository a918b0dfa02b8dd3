"""The exact verdict: each leaf against the truth at every draw, and the odds that a wrong formula passed."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from twolayer.verification import programs, unexplained
from twolayer.verification.draws import Shadows, patterns
from twolayer.verification.evidence import Group, opaque_reason
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.degrees import Degrees
from twolayer.verification.numbers.field import Q
from twolayer.verification.numbers.rounding import Rounding, exactly
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, Formula, StepVerdict

ORDER = ("wrong", "undecided", "not_derived", "right")


def worst(verdicts: Iterable[str]) -> str:
    """The verdict of the whole, from those of its parts."""
    found = set(verdicts)
    return next((verdict for verdict in ORDER if verdict in found), "right")


def leaf_verdicts(groups: list[Group], setting: Setting) -> dict[str, StepVerdict]:
    """Each leaf by itself: equal to the true gradient at every draw, or not.

    A leaf with an operation that has no algebra is undecided, but for numbers so far from the truth that no rounding
    explains them: then it is wrong all the same.
    """
    lines = right_lines(*setting)
    verdicts = {}
    for leaf in LEAVES:
        if leaf not in groups[0].mine | groups[0].named:
            verdicts[leaf] = StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}")
            continue
        pairs = [group.pair(leaf) for group in groups]
        where = "returned" if leaf in groups[0].mine else "named"
        reason = next((r for r in (opaque_reason(mine) for mine, _ in pairs) if r), None)
        if any(unexplained.differs(*pair).any() for pair in pairs):
            verdicts[leaf] = StepVerdict("wrong", where=where)
        elif reason and beyond_rounding(groups[0], leaf):
            verdicts[leaf] = StepVerdict("wrong", reason=f"its numbers are wrong; {reason} has no algebra", where=where)
        elif reason or not any(len(mine) for mine, _ in pairs):
            reason = f"{reason} has no algebraic meaning" if reason else "it is not finite at any draw"
            verdicts[leaf] = StepVerdict("undecided", reason=reason, where=where)
        else:
            verdicts[leaf] = StepVerdict("right", where=where)
    return verdicts


def beyond_rounding(group: Group, leaf: str) -> bool:
    """Whether a leaf's float64 numbers differ from the true ones by more than both computations can have rounded."""
    if leaf not in group.traced.names:
        return False
    inputs = [exactly(part) for part in group.point.shadows]
    closed, names = backward_jaxpr(group.setting, group.sizes)
    try:
        mine = interpret(group.traced.jaxpr, Rounding("float64"), *inputs)[group.traced.names.index(leaf)]
        right = interpret(closed, Rounding("float64"), *inputs)[names.index(leaf)]
    except ArithmeticError:
        return False
    with np.errstate(invalid="ignore"):
        apart = abs(mine.numbers - right.numbers) > mine.bound + right.bound
    return bool((apart & np.isfinite(mine.numbers)).any())


def summarise(
    leaves: dict[str, StepVerdict], steps: dict[str, StepVerdict], groups: list[Group], constants: tuple[Fraction, ...]
) -> Formula:
    """How much was tested, and the odds that a wrong formula passed it all."""
    shown = (step.verdict for step in steps.values() if step.where in ("returned", "named"))
    verdict = worst([*(leaf.verdict for leaf in leaves.values()), *(v for v in shown if v == "wrong")])
    kept = [patterns(Shadows(*(part[g.keep] for part in g.point.shadows))) for g in groups]
    degree = _degree(groups[0])
    return Formula(
        verdict,
        error_probability=degree / Q if verdict == "right" else 0.0,
        degree=degree,
        draws=sum(map(len, kept)),
        patterns=sum(len(np.unique(rows, axis=0)) for rows in kept if len(rows)),
        left_out=sum(int((~g.keep).sum()) for g in groups),
        literals=programs.readings(constants),
    )


def _degree(group: Group) -> int:
    """A bound on the degree of "derivation minus truth", from the derivation's own operations and the truth's."""
    system = Degrees()
    arguments = [system.variable(part) for part in group.point.shadows]
    closed, _ = backward_jaxpr(group.setting, group.sizes)

    def largest(values: list) -> tuple[int, int]:
        above, below = [v.above.max() for v in values], [v.below.max() for v in values]
        return int(max(above, default=0)), int(max(below, default=0))

    (a, b), (c, d) = (largest(interpret(jaxpr, system, *arguments)) for jaxpr in (group.traced.jaxpr, closed))
    return max(a + d, c + b)
