"""On which step a wrong factor is blamed: as few steps as possible, and what the user's variables bear out."""

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from twolayer.verification.explain.known import Alternative, Evidence, inside_of
from twolayer.verification.explain.search import Explanation
from twolayer.verification.numbers import factors as numbers
from twolayer.verification.problem import CHAIN, LEAVES, Setting, right_lines
from twolayer.verification.verdict import Cause


def wrong_factors(explanation: Explanation, evidence: Evidence) -> list[Alternative]:
    """Each way of placing the factors; those that the derivation itself bears out, if there are any."""
    constants = explanation.each
    if not constants:
        return [Alternative((), ())]
    right, inside, result = right_lines(evidence.setting), inside_of(explanation, evidence), []
    for smallest in numbers.placements(constants[0][0]):
        placement, passed = _passed(smallest, explanation, evidence, inside)
        places = {
            step: _where(
                step, c, placement.get("dO2", Fraction(1)) if step == "dO1" else Fraction(1), explanation, inside
            )
            for step, c in placement.items()
        }
        for chosen in itertools.product(*places.values()):
            causes, steps = [], []
            for step, at in zip(placement, chosen, strict=True):
                for place in at:
                    values = _same_placement(set(smallest), passed, step, constants)
                    if len(at) > 1:  # a part of the factor at each, as the derivation shows
                        values = [(local[place], sizes) for _, local, sizes in constants if place in local]
                    for factor in (found := numbers.factors(values)):
                        text = _spoken(factor, evidence.setting) if len(found) == 1 else factor.sentence
                        code = right[place].code + _of_m(factor, place, explanation)
                        causes.append(Cause(factor.id, text, place, code))
                    steps.append(place)
            borne_out = all(explanation.local.get(place) != 1 for place in steps)
            result.append((borne_out, Alternative(tuple(causes), tuple(steps))))
    return [one for borne_out, one in result if borne_out] or [one for _, one in result]


def _passed(
    placement: dict[str, Fraction],
    explanation: Explanation,
    evidence: Evidence,
    inside: Mapping[str, frozenset[Fraction]],
) -> tuple[dict[str, Fraction], tuple[str, ...]]:
    """The placement, with a factor that a right variable is still without blamed on what comes after that.

    Also the steps that are so cleared. A sum where the mean is declared, or the mean where the sum is, is one cause for
    all leaves, and stays one.
    """
    cleared: tuple[str, ...] = ()
    m = explanation.each[0][2].m
    other_reduction = Fraction(m) if evidence.setting.reduction == "mean" else Fraction(1, m)
    for step in ("dO2", "dO1") if not explanation.unknown else ():  # what no line explains has no factor to go by
        if step not in placement or (step == "dO2" and placement[step] == other_reduction):
            continue
        before = _shown("dZ2", explanation, inside) if step == "dO1" else {Fraction(1)}
        shown = _shown(f"dZ{step[2]}", explanation, inside)
        if len(before) == 1 and before <= shown and not any(c * placement[step] in shown for c in before):
            placement, cleared = numbers.after(placement, step, explanation.totals), (*cleared, step)
    return placement, cleared


def _shown(step: str, explanation: Explanation, inside: Mapping[str, frozenset[Fraction]]) -> frozenset[Fraction]:
    """The factors with which a dZ is seen: that of the one returned, else those of the user's variables."""
    if step not in explanation.local:
        return inside.get(step, frozenset())
    before = (explanation.local.get(name, Fraction(1)) for name in CHAIN[: CHAIN.index(step) + 1])
    return frozenset({math.prod(before, start=Fraction(1))})


def _same_placement(
    placed: set[str], passed: Sequence[str], step: str, constants: Sequence[tuple]
) -> list[tuple[Fraction, object]]:
    """The factor at a step at each size, blamed on the same steps as at the first."""
    values = []
    for totals, _, sizes in constants:
        match = next((p for p in numbers.placements(totals) if set(p) == placed), None)
        if match is None:
            continue
        for cleared in passed:
            match = numbers.after(match, cleared, totals)
        if step in match:
            values.append((match[step], sizes))
    return values


def _where(
    step: str, c: Fraction, before: Fraction, explanation: Explanation, inside: Mapping[str, frozenset[Fraction]]
) -> tuple[tuple[str, ...], ...]:
    """Where the factor c comes in between dO and dZ: the alternatives, each one step or, a part at each, both.

    `before` is the factor that came in earlier. Where nothing is returned, the user's variables decide: if dO occurs
    there without c but not with it, c came after, unless dZ occurs without it too.
    """
    later = {"dO2": "dZ2", "dO1": "dZ1"}.get(step)
    if later is None:
        return ((step,),)
    local = explanation.local
    if step in local or later in local:
        first, second = local.get(step, Fraction(1)), local.get(later, Fraction(1))
        if 1 not in (first, second) and first * second == c:
            return ((step, later),)
        return ((later,),) if second == c and first != c else ((step,),)
    shown = inside.get("dZ2", frozenset()) if step == "dO1" else frozenset()
    before = min(shown) if len(shown) == 1 else before  # what it carries, such as m, beside what is wrong
    after = before * c
    here, there = (inside.get(name, frozenset()) for name in (step, later))
    if after in here:
        return ((step,),)
    later_for_sure = before in here and (after in there or before not in there)
    return ((later,),) if later_for_sure else ((step,), (later,))


def _spoken(factor: numbers.Factor, setting: Setting) -> str:
    if factor.id == "reduction" and factor.text == "m" and setting.reduction == "mean":
        return f"{factor.sentence}: it is right for the sum; you declared the mean"
    if factor.id == "reduction" and factor.text == "1/m" and setting.reduction == "sum":
        return f"{factor.sentence}: it is right for the mean; you declared the sum"
    return factor.sentence


def _of_m(factor: numbers.Factor, place: str, explanation: Explanation) -> str:
    """What belongs to the right line of a leaf with a wrong power of m, if no step shows where its 1/m is taken."""
    if place not in LEAVES or factor.text not in ("m", "1/m"):
        return ""
    before = ("dO2", "dZ2") if place[2] == "2" else CHAIN
    if any(step in explanation.local for step in before):
        return ""
    return f", where {before[-1]} has the 1/m in it; if not, / m"
