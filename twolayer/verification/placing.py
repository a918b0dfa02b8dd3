"""An explanation as causes: its wrong lines, and each way of blaming its wrong factors on as few steps as possible."""

import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification import explain, scales
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import Group
from twolayer.verification.explain import Explanation
from twolayer.verification.reference import Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.unexplained import describe, forward_error
from twolayer.verification.verdict import Cause


class Alternative(NamedTuple):
    """One explanation with its wrong factors placed: the causes, and the steps that they make wrong."""

    causes: tuple[Cause, ...]
    steps: tuple[str, ...]


def alternatives(
    explanation: Explanation,
    setting: Setting,
    groups: list[Group],
    literals: tuple[Fraction, ...],
    found: frozenset[str],
) -> list[Alternative]:
    """The wrong lines of an explanation, with each way of blaming its wrong factors.

    A step that the derivation shows without a factor of its own is not blamed if another can be.
    """
    if any(choice.step == "dO2" and choice.line is None for choice in explanation.wrong):
        forward = forward_error(groups, found)
        if forward is not None:  # what comes after follows from it
            return [Alternative((forward,), ("dO2",))]
    lines = _wrong_lines(explanation, setting, groups)
    joined = (
        Alternative(lines.causes + factors.causes, lines.steps + factors.steps)
        for factors in _wrong_factors(explanation, setting, groups, literals)
    )
    return [alternative for alternative in joined if alternative.causes]


def _wrong_lines(explanation: Explanation, setting: Setting, groups: list[Group]) -> Alternative:
    right, causes, steps = right_lines(*setting), [], []
    if explanation.forward is not None:
        forward, text = explanation.forward, explanation.forward.text.format(t=_number(explanation.literal))
        causes.append(Cause(forward.id, text, "forward", forward.correction))
        steps.append("dO2")
    for step, line, literal in explanation.wrong:
        steps.append(step)
        if line is None:
            causes.append(describe(step, right[step].code, groups))
        else:
            causes.append(Cause(line.id, line.text.format(t=_number(literal)), step, right[step].code))
    return Alternative(tuple(causes), tuple(steps))


def _wrong_factors(
    explanation: Explanation, setting: Setting, groups: list[Group], literals: tuple[Fraction, ...]
) -> list[Alternative]:
    """Each way of placing the factors; those that the derivation itself bears out, if there are any."""
    each = [(explain.holds(explanation, setting, group, literals), group.sizes) for group in groups if group.keep.any()]
    constants = [(held[0], held[1], sizes) for held, sizes in each if held and held[0]]
    if not constants:
        return [Alternative((), ())]
    right, result = right_lines(*setting), []
    for placement in scales.placements(constants[0][0]):
        places = {}
        for step, c in placement.items():
            places[step] = _where(step, c, placement.get("dO2", 1) if step == "dO1" else 1, explanation)
        for chosen in itertools.product(*places.values()):
            causes, steps = [], []
            for step, at in zip(placement, chosen, strict=True):
                for place in at:
                    values = _same_placement(set(placement), step, constants)
                    if len(at) > 1:  # a part of the factor at each, as the derivation shows
                        values = [(local[place], sizes) for _, local, sizes in constants if place in local]
                    factors = scales.factors(values)
                    if not explanation.wrong and len(placement) == 1:
                        factors = _checked(factors, values, place, groups)
                    for factor in factors:
                        text = _spoken(factor, setting) if len(factors) == 1 else factor.sentence
                        code = right[place].code + _of_m(factor, place, explanation)
                        causes.append(Cause(factor.id, text, place, code))
                    steps.append(place)
            borne_out = all(explanation.local.get(place) != 1 for place in steps)
            result.append((borne_out, Alternative(tuple(causes), tuple(steps))))
    return [one for borne_out, one in result if borne_out] or [one for _, one in result]


def _checked(
    found: list[scales.Factor],
    values: list[tuple[int, Sizes]],
    place: str,
    groups: list[Group],
) -> list[scales.Factor]:
    """The only factors that are wrong, if the shadows of a leaf have that ratio too: many digits are no fraction."""
    leaf = next((leaf for leaf, path in scales.PATHS.items() if place in path and leaf in groups[0].mine), None)
    value = scales.rational(values[0][0]) if values else None
    if leaf is None or not groups[0].keep.any():
        return found
    mine, right = (v.shadow[groups[0].keep] for v in (groups[0].mine[leaf], groups[0].right[leaf]))
    ratio = float(np.median(mine[right != 0] / right[right != 0])) if (right != 0).any() else np.nan
    if not np.isfinite(ratio) or (value is not None and abs(float(value) - ratio) <= 1e-6 * abs(ratio)):
        return found
    return [scales.Factor("scale", f"{ratio:.16g}", f"a constant factor of about {_short(ratio)} is wrong")]


def _short(ratio: float) -> str:
    """Four digits, or as many as tell it from 1."""
    return next((text for text in (f"{ratio:.{n}g}" for n in (4, 7, 10, 13)) if float(text) != 1), f"{ratio:.17g}")


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
    if dO occurs there without c but not with it, c came after, unless dZ occurs without it too.
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
    after = before * c % scales.P
    here, there = (explanation.inside.get(name, frozenset()) for name in (step, later))
    if after in here:
        return ((step,),)
    later_for_sure = before in here and (after in there or before not in there)
    return ((later,),) if later_for_sure else ((step,), (later,))


def _spoken(factor: scales.Factor, setting: Setting) -> str:
    if factor.id == "reduction" and factor.text == "m" and setting.reduction == "mean":
        return f"{factor.sentence}: it is right for the sum; you declared the mean"
    if factor.id == "reduction" and factor.text == "1/m" and setting.reduction == "sum":
        return f"{factor.sentence}: it is right for the mean; you declared the sum"
    return factor.sentence


def _of_m(factor: scales.Factor, place: str, explanation: Explanation) -> str:
    """What belongs to the right line of a leaf with a wrong power of m, if no step shows where its 1/m is taken."""
    if place not in scales.PATHS or factor.text not in ("m", "1/m"):
        return ""
    before = ("dO2", "dZ2") if place[2] == "2" else ("dO2", "dZ2", "dO1", "dZ1")
    if any(step in explanation.local for step in before):
        return ""
    return f", where {before[-1]} has the 1/m in it; if not, / m"


def _number(literal: Fraction | None) -> str:
    return "" if literal is None else f"{float(literal):.12g}"
