"""From the evidence to a verdict: what is right, where it goes wrong, and why."""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from twolayer.checks import check_choice
from twolayer.losses import LOSSES, REDUCTIONS
from twolayer.network import OUTPUTS
from twolayer.verification import explain, findings, kinks, programs, unexplained
from twolayer.verification.draws import patterns
from twolayer.verification.evidence import Group, gather, opaque_reason, subject
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.degrees import Degrees
from twolayer.verification.numbers.field import Q
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, Formula, StepVerdict, Verdict


def verify(
    gradients: Callable[..., dict[str, Any]],
    *,
    loss: str = "cross_entropy",
    output: str = "relu",
    reduction: str = "mean",
    own_loss: Callable | None = None,
    seed: int = 0,
    effort: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Judge a derivation."""
    started = time.perf_counter()
    check_choice("loss", loss, LOSSES)
    check_choice("output", output, OUTPUTS)
    check_choice("reduction", reduction, REDUCTIONS)
    setting = Setting(loss, output, reduction)
    with jax.enable_x64(True):
        traced = subject(gradients, setting)
        groups = gather(traced, setting, seed, effort)
        leaves = leaf_verdicts(groups, setting)
        constants = programs.literals(traced.traced[0].jaxpr)
        found = explain.explanations(setting, groups, constants)
        causes, steps, first = findings.find(found, setting, groups, leaves, constants, explain.right_inside(groups))
        formula = summarise(leaves, steps, groups, constants)
        conventions = {"relu_at_zero": {k: str(v) for k, v in kinks.relu_at_zero(traced, setting).items()}}
    return Verdict(
        formula.verdict, leaves, steps, first, causes, formula, conventions=conventions,
        notes=tuple(n for n in (traced.note, traced.shape_error) if n), seconds=time.perf_counter() - started,
    )  # fmt: skip


def leaf_verdicts(groups: list[Group], setting: Setting) -> dict[str, StepVerdict]:
    """Each leaf by itself: equal to the true gradient at every point, or not."""
    lines = right_lines(*setting)
    verdicts = {}
    for leaf in LEAVES:
        if leaf not in groups[0].mine | groups[0].named:
            verdicts[leaf] = StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}")
            continue
        pairs = [group.pair(leaf) for group in groups]
        if any(unexplained.differs(*pair).any() for pair in pairs):
            verdicts[leaf] = StepVerdict("wrong", where="returned")
            continue
        reason = next((r for r in (opaque_reason(mine) for mine, _ in pairs) if r), None)
        if reason or not any(len(mine) for mine, _ in pairs):
            verdicts[leaf] = StepVerdict("undecided", reason=reason or "not finite at any draw", where="returned")
        else:
            verdicts[leaf] = StepVerdict("right", where="returned")
    return verdicts


def summarise(
    leaves: dict[str, StepVerdict], steps: dict[str, StepVerdict], groups: list[Group], constants: tuple[Fraction, ...]
) -> Formula:
    """The exact part in numbers: how much was tested, and the odds that a wrong formula passed it all."""
    verdicts = {v.verdict for v in (*leaves.values(), *steps.values())}
    verdict = next((v for v in ("wrong", "undecided", "not_derived") if v in verdicts), "right")
    kept = [patterns(type(g.point.shadows)(*(part[g.keep] for part in g.point.shadows))) for g in groups]
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
    arguments = [system.variable(value.shadow) for value in group.point.arguments]
    own = interpret(group.traced.jaxpr, system, *arguments)
    closed, _ = backward_jaxpr(group.setting, group.sizes)
    true = interpret(closed, system, *arguments)

    def largest(values: list) -> tuple[int, int]:
        return int(max(v.above.max() for v in values)), int(max(v.below.max() for v in values))

    (a, b), (c, d) = largest(own), largest(true)
    return max(a + d, c + b)
