"""From explanations to findings: each step's verdict, the causes with their sentences, and the first wrong step."""

import dataclasses
import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification import explain, scales, unexplained
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import Group
from twolayer.verification.explain import Explanation
from twolayer.verification.reference import Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, STEPS, Cause, StepVerdict

UNKNOWN = "unknown, the error enters at {step}"
FORWARD = {
    "Z1": "Z1 = x @ W1.T + b1",
    "O1": "O1 = ReLU(Z1)",
    "Z2": "Z2 = O1 @ W2.T + b2",
    "O2": "O2 = ReLU(Z2), or Z2 for an identity output",
}


class Findings(NamedTuple):
    """Causes, the eight steps, and the first step that is wrong given what came before it."""

    causes: tuple[Cause, ...]
    steps: dict[str, StepVerdict]
    first_wrong_step: str | None


class _Alternative(NamedTuple):
    """One explanation with its wrong factors placed: the causes, and the steps that they make wrong."""

    causes: tuple[Cause, ...]
    steps: tuple[str, ...]


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
    alternatives: list[_Alternative] = []
    for explanation in explanations:
        for alternative in _placed(explanation, setting, groups, literals, found):
            if _identity(alternative) not in map(_identity, alternatives):
                alternatives.append(alternative)
    wrong = {leaf for leaf, verdict in leaves.items() if verdict.verdict == "wrong"}
    if not alternatives and wrong:
        alternatives = [_unexplained(setting, groups, leaves, wrong, found)]
    fewest = min((len(a.causes) for a in alternatives), default=0)
    alternatives = [a for a in alternatives if len(a.causes) == fewest]
    causes = tuple(dataclasses.replace(c, explanation=i) for i, a in enumerate(alternatives) for c in a.causes)
    blamed = alternatives[0].steps if alternatives else ()
    first = next((step for step in STEPS if step in blamed), None)
    local = explanations[0].local if explanations else {}
    return Findings(causes, _steps(setting, groups, leaves, blamed, local, bool(explanations), found), first)


def _identity(alternative: _Alternative) -> list[tuple[str, str]]:
    return [(cause.id, cause.leaf) for cause in alternative.causes]


def _placed(
    explanation: Explanation,
    setting: Setting,
    groups: list[Group],
    literals: tuple[Fraction, ...],
    found: frozenset[str],
) -> list[_Alternative]:
    """The wrong lines of an explanation, with each way of blaming its wrong factors.

    A step that the derivation shows without a factor of its own is not blamed if another can be.
    """
    lines = right_lines(*setting)
    causes, steps = [], []
    if any(choice.step == "dO2" and choice.line is None for choice in explanation.wrong):
        forward = _forward_error(groups, found)
        if forward is not None:  # what comes after follows from it
            return [_Alternative((forward,), ("dO2",))]
    if explanation.forward is not None:
        forward, text = explanation.forward, explanation.forward.text.format(t=_number(explanation.literal))
        causes.append(Cause(forward.id, text, "forward", forward.correction))
        steps.append("dO2")
    for step, line, literal in explanation.wrong:
        steps.append(step)
        if line is None:
            causes.append(_describe(step, lines[step].code, groups))
        else:
            causes.append(Cause(line.id, line.text.format(t=_number(literal)), step, lines[step].code))
    each = [(explain.holds(explanation, setting, group, literals), group.sizes) for group in groups if group.keep.any()]
    constants = [(held[0], held[1], sizes) for held, sizes in each if held and held[0]]
    if not constants:
        return [_Alternative(tuple(causes), tuple(steps))] if causes else []
    result = []
    for placement in scales.placements(constants[0][0]):
        places = {}
        for step, c in placement.items():
            places[step] = _where(step, c, placement.get("dO2", 1) if step == "dO1" else 1, explanation)
        for chosen in itertools.product(*places.values()):
            said, blamed = list(causes), list(steps)
            for step, at in zip(placement, chosen, strict=True):
                for place in at:
                    values = _same_placement(set(placement), step, constants)
                    if len(at) > 1:  # a part of the factor at each, as the derivation shows
                        values = [(local[place], sizes) for _, local, sizes in constants if place in local]
                    factors = _checked(scales.factors(values), values, place, placement, groups)
                    for factor in factors:
                        text = _spoken(factor, setting) if len(factors) == 1 else factor.sentence
                        said.append(Cause(factor.id, text, place, lines[place].code))
                    blamed.append(place)
            if said:
                shown = all(explanation.local.get(place) != 1 for at in chosen for place in at)
                result.append((shown, _Alternative(tuple(said), tuple(blamed))))
    borne_out = [alternative for shown, alternative in result if shown]
    return borne_out or [alternative for _, alternative in result]


def _checked(
    found: list[scales.Factor],
    values: list[tuple[int, Sizes]],
    place: str,
    placement: dict[str, int],
    groups: list[Group],
) -> list[scales.Factor]:
    """The factors, if the shadows of a leaf have that ratio too: a constant of many digits is no small fraction."""
    leaf = next((leaf for leaf, path in scales.PATHS.items() if place in path and leaf in groups[0].mine), None)
    value = scales.rational(values[0][0]) if values else None
    if leaf is None or len(placement) > 1 or not groups[0].keep.any():
        return found
    mine, right = (v.shadow[groups[0].keep] for v in (groups[0].mine[leaf], groups[0].right[leaf]))
    ratio = float(np.median(mine[right != 0] / right[right != 0])) if (right != 0).any() else np.nan
    if not np.isfinite(ratio) or (value is not None and abs(float(value) - ratio) <= 1e-6 * abs(ratio)):
        return found
    return [scales.Factor("scale", f"{ratio:.16g}", f"a constant factor of about {ratio:.16g} too many")]


def _same_placement(placed: set[str], step: str, constants: list[tuple[dict, dict, Sizes]]) -> list[tuple[int, Sizes]]:
    """The factor at a step in each group of draws, blamed on the same steps as in the first."""
    values = []
    for totals, _, sizes in constants:
        match = next((p for p in scales.placements(totals) if set(p) == placed), None)
        if match is not None:
            values.append((match[step], sizes))
    return values


def _where(step: str, c: int, before: int, explanation: Explanation) -> tuple[tuple[str, ...], ...]:
    """Where the factor c comes in between dO and dZ: the alternatives, each one step or, a part at each, both.

    `before` is the factor that came in earlier. Without a returned or named array, those inside the program decide:
    if dO occurs there without c but not with it, c came after.
    """
    later = {"dO2": "dZ2", "dO1": "dZ1"}.get(step)
    if later is None:
        return ((step,),)
    local = explanation.local
    if step in local or later in local:
        first, second = local.get(step, 1), local.get(later, 1)
        if 1 not in (first, second) and first * second % scales.P == c:
            return ((step, later),)
        return ((later,),) if second == c and first != c else ((step,),)
    inside = explanation.inside.get(step, frozenset())
    if before * c % scales.P in inside:
        return ((step,),)
    return ((later,),) if before in inside else ((step,), (later,))


def _spoken(factor: scales.Factor, setting: Setting) -> str:
    if factor.id == "reduction" and factor.text == "m" and setting.reduction == "mean":
        return f"{factor.sentence}: it is right for the sum; you declared the mean"
    if factor.id == "reduction" and factor.text == "1/m" and setting.reduction == "sum":
        return f"{factor.sentence}: it is right for the mean; you declared the sum"
    return factor.sentence


def _unexplained(
    setting: Setting, groups: list[Group], leaves: dict[str, StepVerdict], wrong: set[str], found: frozenset[str]
) -> _Alternative:
    """No line of the catalogue fits: say where the error enters, and what else is certain."""
    lines = right_lines(*setting)
    alone = unexplained.single_entries(unexplained.errors(groups, tuple(sorted(wrong))))
    if set(alone) == wrong:
        steps = tuple(step for step in STEPS if step in alone)
        return _Alternative(tuple(_describe(step, lines[step].code, groups) for step in steps), steps)
    derived = {leaf for leaf in LEAVES if leaves[leaf].verdict in ("right", "wrong")}
    step = unexplained.first_wrong(wrong, derived, set(found))
    forward = _forward_error(groups, found) if step == "dO2" else None
    if forward is not None:
        return _Alternative((forward,), (step,))
    return _Alternative((_describe(step, lines[step].code, groups),), (step,))


def _forward_error(groups: list[Group], found: frozenset[str]) -> Cause | None:
    """If the program shows its arrays, and stops computing right ones before O2, the error is in the forward pass."""
    order = ("Z1", "O1", "Z2", "O2")
    last = max((i for i, name in enumerate(order) if name in found), default=-1)
    if last == 3 or not any(group.inside for group in groups):
        return None
    missing = order[last + 1]
    leaves = tuple(leaf for leaf in LEAVES if leaf in groups[0].mine)
    places = unexplained.acts_at_some_sizes(unexplained.errors(groups, leaves))
    text = f"the error enters in the forward pass: the program computes no right {missing}"
    if places:
        return Cause(
            "threshold", f"{text} at some sizes of the numbers ({', '.join(places[:3])})", "forward", FORWARD[missing]
        )
    return Cause("unknown", f"unknown, {text}", "forward", FORWARD[missing])


def _describe(step: str, correction: str, groups: list[Group]) -> Cause:
    """What is certain of an error at a step that no line of the catalogue explains."""
    leaves = tuple(leaf for leaf in LEAVES if leaf in groups[0].mine)
    compared = unexplained.errors(groups, (step,) if step in leaves else leaves)
    alone = unexplained.single_entries(compared)
    if step in alone:
        return Cause("one_entry", f"only the entry {alone[step]} of {step} is wrong", step, correction)
    places = unexplained.acts_at_some_sizes(compared)
    if places:
        text = (
            f"right for some numbers and wrong for others: a threshold, clip or rounding acts ({', '.join(places[:3])})"
        )
        return Cause("threshold", text, step, correction)
    return Cause("unknown", UNKNOWN.format(step=step), step, correction)


def _steps(
    setting: Setting,
    groups: list[Group],
    leaves: dict[str, StepVerdict],
    blamed: tuple[str, ...],
    local: dict[str, int],
    explained: bool,
    found: frozenset[str],
) -> dict[str, StepVerdict]:
    steps = {}
    group = groups[0]
    for step in STEPS:
        source = "returned" if step in group.mine else "named" if step in group.named else None
        if step in LEAVES and leaves[step].verdict in ("not_derived", "undecided"):
            steps[step] = leaves[step]
        elif step in blamed:
            steps[step] = StepVerdict("wrong", where=source)
        elif source and (explained or step in LEAVES):
            right = explained or leaves[step].verdict == "right"
            steps[step] = StepVerdict("right" if right else "undecided", _carried(step, local, groups), where=source)
        elif step in found:
            steps[step] = StepVerdict("right", where="found")
        else:
            steps[step] = StepVerdict("right" if explained else "not_shown", where="inferred" if explained else None)
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


def _number(literal: Fraction | None) -> str:
    return "" if literal is None else f"{float(literal):.12g}"
