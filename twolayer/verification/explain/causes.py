"""From explanations to findings: the causes with their sentences and lines, and each step's verdict.

An explanation is its wrong lines and each way of blaming its wrong factors on as few steps as possible.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from twolayer.verification.evidence.calls import OTHER_PRODUCTS
from twolayer.verification.evidence.cases import first_wrong
from twolayer.verification.explain import unexplained
from twolayer.verification.explain.blamed import wrong_factors
from twolayer.verification.explain.known import Alternative, Evidence, inside_of
from twolayer.verification.explain.places import steps_of, with_line
from twolayer.verification.explain.search import Explanation
from twolayer.verification.numbers import factors as numbers
from twolayer.verification.problem import CHAIN, LEAVES, STEPS, TRACE, right_lines
from twolayer.verification.verdict import Cause, StepVerdict


class Findings(NamedTuple):
    """Causes, the eight steps, and the first step that is wrong given what came before it.

    explained: whether every cause says what is wrong, and not only where.
    """

    causes: tuple[Cause, ...]
    steps: dict[str, StepVerdict]
    first_wrong_step: str | None
    explained: bool


def find(explanations: Sequence[Explanation], evidence: Evidence) -> Findings:
    """Put into words what the search found, or failed to find. `explanations`: the simplest ones."""
    found, seen = evidence.right_inside, evidence.seen
    alternatives: list[Alternative] = []
    for explanation in _borne_out(explanations, evidence):
        for alternative in _alternatives(explanation, evidence, found):
            if _identity(alternative) not in map(_identity, alternatives):
                alternatives.append(alternative)
    wrong = {leaf for leaf, verdict in evidence.leaves.items() if verdict.verdict == "wrong"}
    if not alternatives and wrong:
        alternatives = [_unexplained(evidence, wrong, found)]
    if all(cause.id in ("unknown", "zero") for one in alternatives for cause in one.causes):
        alternatives = _mended(alternatives, evidence)
    alternatives = _of_their_shape(alternatives, evidence)
    fewest = min((len(a.causes) for a in alternatives), default=0)
    alternatives = [a for a in alternatives if len(a.causes) == fewest]
    alternatives.sort(key=_likelihood)
    causes = tuple(
        dataclasses.replace(with_line(cause, alternative, evidence), explanation=i)
        for i, alternative in enumerate(alternatives)
        for cause in sorted(alternative.causes, key=lambda cause: cause.leaf != "forward" and STEPS.index(cause.leaf))
    )
    blamed = alternatives[0].steps if alternatives else ()
    first = next((step for step in STEPS if step in blamed), None)
    explained = bool(explanations) or any(one.mends for one in alternatives)
    steps = steps_of(evidence, blamed, explanations[0] if explanations else None, seen, explained)
    for cause in causes:  # the variable that is to be changed, not one before it that has the same value
        if cause.explanation == 0 and cause.line is not None and cause.leaf in steps:
            named = (cause.variable, cause.line) if cause.variable else (None, None)
            steps[cause.leaf] = dataclasses.replace(steps[cause.leaf], variable=named[0], line=named[1])
    said = all(one.mends or all(cause.id != "unknown" for cause in one.causes) for one in alternatives)
    return Findings(causes, steps, first, said)


def _of_their_shape(alternatives: list[Alternative], evidence: Evidence) -> list[Alternative]:
    """Where a bias gradient is one number, a sum over all entries; though a column of zeros would explain it too."""
    spread = {leaf for leaf, one in evidence.leaves.items() if one.reason and "is one number" in one.reason}
    fitting = [a for a in alternatives if all(cause.id == "wrong_axis" for cause in a.causes if cause.leaf in spread)]
    return fitting or alternatives


def _identity(alternative: Alternative) -> list[tuple[str, str]]:
    return [(cause.id, cause.leaf) for cause in alternative.causes]


def _likelihood(alternative: Alternative) -> tuple[bool, int]:
    """Of two that explain it equally well, something that people write comes before something that is zero."""
    silly = any(cause.id in ("zero", "scale") for cause in alternative.causes)
    return silly, min(map(STEPS.index, alternative.steps))


def _borne_out(explanations: Sequence[Explanation], evidence: Evidence) -> list[Explanation]:
    """Those whose arrays the user's variables show most."""
    if len(explanations) < 2 or evidence.probe is None or not evidence.probe.locals:
        return list(explanations)
    unseen = [len(set(CHAIN) - set(inside_of(one, evidence)) - set(one.local)) for one in explanations]
    return [one for one, n in zip(explanations, unseen, strict=True) if n == min(unseen)]


def _alternatives(explanation: Explanation, evidence: Evidence, found: frozenset[str]) -> list[Alternative]:
    """The wrong lines of an explanation, with each way of blaming its wrong factors.

    A step that the derivation shows without a factor of its own is not blamed if another can be.
    """
    if any(choice.step == "dO2" and choice.line is None for choice in explanation.wrong):
        forward = _in_the_forward_pass(evidence, found)
        if forward is not None:  # what comes after follows from it
            return [Alternative((forward,), ("dO2",), explanation)]
    lines = _wrong_lines(explanation, evidence, found)
    joined = (
        Alternative(lines.causes + factors.causes, lines.steps + factors.steps, explanation)
        for factors in wrong_factors(explanation, evidence)
    )
    return [alternative for alternative in joined if alternative.causes]


def _wrong_lines(explanation: Explanation, evidence: Evidence, found: frozenset[str]) -> Alternative:
    right, causes, steps = right_lines(evidence.setting), [], []
    if explanation.forward is not None:
        forward, text = explanation.forward, explanation.forward.text.format(t=_number(explanation.literal))
        causes.append(Cause(forward.id, text, "forward", forward.correction))
        steps.append("dO2")
    for step, line, literal in explanation.wrong:
        steps.append(step)
        if line is None:
            causes.append(_described(step, evidence, found))
        else:
            text = line.text.format(t=_number(literal))
            if line.id == "phantom_l2" and literal is not None and step[1:] in evidence.decay:
                text = _other_decay(step[1:], evidence, literal * evidence.scale)
            causes.append(Cause(line.id, text, step, right[step].code))
    return Alternative(tuple(causes), tuple(steps))


def _other_decay(name: str, evidence: Evidence, more: Fraction) -> str:
    """What is wrong with the L2 term of a gradient whose loss has one."""
    decay, wanted = evidence.decay[name], f"{evidence.decays[name]} {name}"
    if not decay + more:
        return f"the L2 term of the loss is missing: its derivative is {wanted}"
    if evidence.probe is not None and evidence.decays[name] != _number(decay):  # it depends on the sizes
        times = numbers.product(numbers.factors([((decay + more) / decay, evidence.probe.sizes)]))
        return f"the L2 term is {times} times that of the loss, whose derivative is {wanted}"
    return f"the L2 term gives {_number(decay + more)} {name}; the derivative of that of the loss is {wanted}"


def _number(literal: Fraction | None) -> str:
    return "" if literal is None else f"{float(literal):.12g}"


def _unexplained(evidence: Evidence, wrong: set[str], found: frozenset[str]) -> Alternative:
    """No line of the catalogue fits: say where the error enters, and what else is certain."""
    cases = evidence.cases
    alone = unexplained.single_entries(cases, sorted(wrong))
    if set(alone) == wrong:
        steps = tuple(step for step in STEPS if step in alone)
        return Alternative(tuple(_described(step, evidence, found) for step in steps), steps)
    derived = {leaf for leaf in LEAVES if evidence.leaves[leaf].verdict in ("right", "wrong")}
    step = first_wrong(wrong, derived, found)
    if step == "dO1" and evidence.setting.hidden == "relu":
        layer = [leaf for leaf in ("dW1", "db1") if leaf in wrong]
        step = "dZ1" if unexplained.right_where_all_units_are_on(cases, layer) else step
    forward = _in_the_forward_pass(evidence, found) if step == "dO2" else None
    return Alternative((forward or _described(step, evidence, found),), (step,))


def _mended(alternatives: list[Alternative], evidence: Evidence) -> list[Alternative]:
    """In the place of what no line of the catalogue explains: the line of the user's code that is to be mended."""
    mended = evidence.mended() if alternatives else None
    if mended is None:
        return alternatives
    blamed = alternatives[0].steps[0] if alternatives[0].causes[0].leaf == "forward" else alternatives[0].causes[0].leaf
    step = mended.step or blamed
    code = unexplained.FORWARD_TEXT[step] if step in TRACE else right_lines(evidence.setting)[step].code
    text = mended.text or f"this line makes something else than {step}, which belongs there"
    settings = evidence.probe.locals if evidence.probe is not None else ()
    variable = next((local.name for local in settings if local.line == mended.line), None)
    leaf = step if step in STEPS else "forward"
    id = alternatives[0].causes[0].id
    cause = Cause(id, text, leaf, code, line=mended.line, variable=variable)
    return [Alternative((cause,), (step if step in STEPS else "dO2",), mends=True)]


def _described(step: str, evidence: Evidence, found: frozenset[str]) -> Cause:
    """A step that no line explains; its shape may."""
    code = right_lines(evidence.setting)[step].code
    shape = evidence.leaves[step].reason if step in LEAVES else None
    if shape and "summed over the units" in shape:
        return Cause("wrong_axis", shape, step, code)
    for id, said in OTHER_PRODUCTS.get(step, {}).values():
        if shape and shape.endswith(said):
            return Cause(id, shape, step, code)
    if shape and "is transposed" in shape:
        return Cause("transpose", shape, step, code)
    return unexplained.describe(step, code, evidence.cases, found, evidence.thresholds)


def _in_the_forward_pass(evidence: Evidence, found: frozenset[str]) -> Cause | None:
    probe = evidence.probe
    shown = probe is not None and unexplained.shows_its_forward_pass(probe.locals, probe.sizes)
    return unexplained.forward_error(evidence.cases, found, evidence.thresholds, shown)
