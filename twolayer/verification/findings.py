"""From explanations to findings: each step's verdict, the causes with their sentences, and the first wrong step."""

import dataclasses
from fractions import Fraction
from typing import NamedTuple

from twolayer.verification import placing, scales, unexplained
from twolayer.verification.evidence import Group
from twolayer.verification.explain import Explanation
from twolayer.verification.placing import Alternative
from twolayer.verification.reference import Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, STEPS, Cause, StepVerdict


class Findings(NamedTuple):
    """Causes, the eight steps, and the first step that is wrong given what came before it."""

    causes: tuple[Cause, ...]
    steps: dict[str, StepVerdict]
    first_wrong_step: str | None


def find(
    explanations: list[Explanation],
    setting: Setting,
    groups: list[Group],
    leaves: dict[str, StepVerdict],
    literals: tuple[Fraction, ...],
    found: frozenset[str] = frozenset(),
) -> Findings:
    """Put into words what the search found, or failed to find.

    Args:
      explanations: of explain.explanations, the simplest ones.
      leaves: each leaf's own verdict.
      literals: of the derivation.
      found: the steps whose right arrays occur inside the program.
    """
    alternatives: list[Alternative] = []
    for explanation in explanations:
        for alternative in placing.alternatives(explanation, setting, groups, literals, found):
            if _identity(alternative) not in map(_identity, alternatives):
                alternatives.append(alternative)
    wrong = {leaf for leaf, verdict in leaves.items() if verdict.verdict == "wrong"}
    if not alternatives and wrong:
        alternatives = [_unexplained(setting, groups, leaves, wrong, found)]
    alternatives.sort(key=lambda alternative: min(map(STEPS.index, alternative.steps)))
    fewest = min((len(a.causes) for a in alternatives), default=0)
    alternatives = [a for a in alternatives if len(a.causes) == fewest]
    causes = tuple(dataclasses.replace(c, explanation=i) for i, a in enumerate(alternatives) for c in a.causes)
    blamed = alternatives[0].steps if alternatives else ()
    first = next((step for step in STEPS if step in blamed), None)
    local = explanations[0].local if explanations else {}
    explained = bool(explanations) and any(group.mine or group.named for group in groups)
    return Findings(causes, _steps(setting, groups, leaves, blamed, local, explained, found), first)


def _identity(alternative: Alternative) -> list[tuple[str, str]]:
    return [(cause.id, cause.leaf) for cause in alternative.causes]


def _steps(
    setting: Setting,
    groups: list[Group],
    leaves: dict[str, StepVerdict],
    blamed: tuple[str, ...],
    local: dict[str, int],
    explained: bool,
    found: frozenset[str],
) -> dict[str, StepVerdict]:
    """The eight steps. Where a leaf is undecided, nothing is inferred of steps that are not seen."""
    steps = {}
    group = groups[0]
    inferred = explained and not any(leaf.verdict == "undecided" for leaf in leaves.values())
    for step in STEPS:
        source = "returned" if step in group.mine else "named" if step in group.named else None
        unknown = step not in LEAVES and source and unexplained.unknown(step, groups)
        if step in LEAVES and leaves[step].verdict in ("not_derived", "undecided"):
            steps[step] = leaves[step]
        elif unknown:
            steps[step] = StepVerdict("undecided", reason=f"{unknown} has no algebraic meaning", where=source)
        elif step in blamed:
            steps[step] = StepVerdict("wrong", where=source)
        elif source and (explained or step in LEAVES):
            right = explained or leaves[step].verdict == "right"
            steps[step] = StepVerdict("right" if right else "undecided", _carried(step, local, groups), where=source)
        elif step in found:
            steps[step] = StepVerdict("right", where="found")
        else:
            steps[step] = StepVerdict("right" if inferred else "not_shown", where="inferred" if inferred else None)
    return steps


def _carried(step: str, local: dict[str, int], groups: list[Group]) -> str | None:
    """The constant that a shown step is too large by, if it is paid back later."""
    if step in LEAVES or step not in local:
        return None
    c = 1
    for name in ("dO2", "dZ2", "dO1", "dZ1"):
        c = c * local.get(name, 1) % scales.P
        if name == step:
            break
    return None if c == 1 else " * ".join(factor.text for factor in scales.factors([(c, groups[0].sizes)]))


def _unexplained(
    setting: Setting, groups: list[Group], leaves: dict[str, StepVerdict], wrong: set[str], found: frozenset[str]
) -> Alternative:
    """No line of the catalogue fits: say where the error enters, and what else is certain."""
    lines = right_lines(*setting)
    alone = unexplained.single_entries(unexplained.errors(groups, tuple(sorted(wrong))))
    if set(alone) == wrong:
        steps = tuple(step for step in STEPS if step in alone)
        return Alternative(tuple(unexplained.describe(step, lines[step].code, groups, found) for step in steps), steps)
    derived = {leaf for leaf in LEAVES if leaves[leaf].verdict in ("right", "wrong")}
    step = unexplained.first_wrong(wrong, derived, set(found))
    if step == "dO1" and setting.hidden == "relu":
        layer = tuple(leaf for leaf in ("dW1", "db1") if leaf in wrong)
        step = "dZ1" if unexplained.right_where_all_units_are_on(groups, layer) else step
    forward = unexplained.forward_error(groups, found) if step == "dO2" else None
    if forward is not None:
        return Alternative((forward,), (step,))
    return Alternative((unexplained.describe(step, lines[step].code, groups, found),), (step,))
