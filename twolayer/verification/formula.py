"""The exact verdict: each leaf against the truth at every draw, and the odds that a wrong formula passed."""

import functools
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from twolayer.verification import programs, unexplained
from twolayer.verification.draws import Shadows, patterns
from twolayer.verification.evidence import Group, opaque_reason
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.degrees import Degrees
from twolayer.verification.numbers.field import Q, S
from twolayer.verification.numeric import beyond_rounding
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
    lines, first = right_lines(*setting), groups[0]
    too_far = functools.cache(lambda: beyond_rounding(first.traced, setting, first.point.shadows))
    verdicts = {}
    for leaf in LEAVES:
        if leaf not in first.mine | first.named:
            verdicts[leaf] = StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}")
            continue
        pairs = [group.pair(leaf) for group in groups]
        where = "returned" if leaf in first.mine else "named"
        reason = next((r for r in (opaque_reason(mine) for mine, _ in pairs) if r), None)
        if any(unexplained.differs(*pair).any() for pair in pairs):
            verdicts[leaf] = StepVerdict("wrong", where=where)
        elif reason and leaf in too_far():
            verdicts[leaf] = StepVerdict("wrong", reason=f"its numbers are wrong; {reason} has no algebra", where=where)
        elif reason or not any(len(mine) for mine, _ in pairs):
            reason = f"{reason} has no algebraic meaning" if reason else "it is not finite at any draw"
            verdicts[leaf] = StepVerdict("undecided", reason=reason, where=where)
        else:
            verdicts[leaf] = StepVerdict("right", where=where)
    return verdicts


def summarise(
    leaves: dict[str, StepVerdict], steps: dict[str, StepVerdict], groups: list[Group], constants: tuple[Fraction, ...]
) -> Formula:
    """How much was tested, and the odds that a wrong formula passed it all."""
    shown = (step.verdict for step in steps.values() if step.where in ("returned", "named"))
    verdict = worst([*(leaf.verdict for leaf in leaves.values()), *(v for v in shown if v == "wrong")])
    kept = [patterns(Shadows(*(part[g.keep] for part in g.point.shadows)), g.setting.hidden) for g in groups]
    degree, setting = _degree(groups[0]), groups[0].setting
    modulus = S if "sigmoid" in (setting.hidden, setting.output) else Q  # the smallest that the draws are made by
    return Formula(
        verdict,
        error_probability=degree / modulus if verdict == "right" else 0.0,
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
