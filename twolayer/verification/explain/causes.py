"""From explanations to findings: the causes with their sentences and lines, and each step's verdict.

An explanation is its wrong lines and each way of blaming its wrong factors on as few steps as possible.
"""

import ast
import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.calls import OTHER_PRODUCTS
from twolayer.verification.evidence.cases import Case, first_wrong
from twolayer.verification.explain import unexplained, where, wrong_activations
from twolayer.verification.explain.mended import Mended
from twolayer.verification.explain.search import Explanation
from twolayer.verification.numbers import factors as numbers
from twolayer.verification.numbers.balls import BITS, Ball, precision
from twolayer.verification.problem import CHAIN, LEAVES, STEPS, TRACE, Setting, right_lines
from twolayer.verification.verdict import Cause, StepVerdict

MISTYPED = frozenset(id for id, _ in wrong_activations.EDITED.values())  # errors in the formula of a derivative


class Evidence(NamedTuple):
    """What is known when causes are sought.

    cases: the derivation at all points. probe: one of them, with the user's locals.
    leaves: each leaf's own verdict.
    scale, decay: what the own loss is times the declared one behind it, and so all its steps; what is added to a leaf,
      times its parameter, by the L2 terms of the own loss; decays: that as a formula of the sizes.
    thresholds: comparisons, clips and roundings of the code, with their lines. source: the text of its file.
    mended: finds the line of the user's code that is to be mended; asked only where nothing here explains an error.
    """

    setting: Setting
    cases: Sequence[Case]
    probe: Case | None
    leaves: Mapping[str, StepVerdict]
    scale: Fraction = Fraction(1)
    thresholds: Sequence[str] = ()
    decay: Mapping[str, Fraction] = MappingProxyType({})
    decays: Mapping[str, str] = MappingProxyType({})
    source: str = ""
    mended: Callable[[], Mended | None] = lambda: None

    @property
    def right_inside(self) -> frozenset[str]:
        """Which of the right arrays the user's variables are, factor included."""
        return frozenset(one.step for one in self.seen if one.factor == 1)

    @property
    def seen(self) -> list[where.Seen]:
        if self.probe is None:
            return []
        return self.seen_as({name: self.probe.right[name] for name in where.NAMED})

    def seen_as(self, arrays: Mapping[str, np.ndarray]) -> list[where.Seen]:
        """The user's variables that are one of these arrays, which are by the loss that can be declared."""
        if self.probe is None:
            return []
        found = where.seen(self.probe.locals, self.by_own_loss(arrays))
        return [one._replace(factor=one.factor / self.scale) if one.step in STEPS else one for one in found]

    def by_own_loss(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of the loss that can be declared with the L2 terms of the own loss, but for its constant."""
        if self.probe is None or not self.decay:
            return dict(arrays)
        with precision(BITS):
            parts = {f"d{n}": Ball(t / self.scale) * self.probe.right[n] for n, t in self.decay.items()}
            return {name: array + parts[name] if name in parts else array for name, array in arrays.items()}

    @property
    def known(self) -> dict[str, np.ndarray]:
        """The right arrays at the probe, as the user's variables may show them."""
        return {} if self.probe is None else self.by_own_loss(where.known(self.setting, self.probe.right))

    @property
    def returned(self) -> frozenset[str]:
        return frozenset(name for case in self.cases for name in case.mine)


class Alternative(NamedTuple):
    """One explanation with its wrong factors placed: the causes, and the steps that they make wrong.

    mends: whether it is an edit of the user's code that puts everything right.
    """

    causes: tuple[Cause, ...]
    steps: tuple[str, ...]
    explanation: Explanation | None = None
    mends: bool = False


class Findings(NamedTuple):
    """Causes, the eight steps, and the first step that is wrong given what came before it."""

    causes: tuple[Cause, ...]
    steps: dict[str, StepVerdict]
    first_wrong_step: str | None


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
    if all(cause.id == "unknown" for one in alternatives for cause in one.causes):
        alternatives = _mended(alternatives, evidence)
    alternatives = _of_their_shape(alternatives, evidence)
    fewest = min((len(a.causes) for a in alternatives), default=0)
    alternatives = [a for a in alternatives if len(a.causes) == fewest]
    alternatives.sort(key=_likelihood)
    causes = tuple(
        dataclasses.replace(_with_line(cause, alternative, evidence), explanation=i)
        for i, alternative in enumerate(alternatives)
        for cause in sorted(alternative.causes, key=lambda cause: cause.leaf != "forward" and STEPS.index(cause.leaf))
    )
    blamed = alternatives[0].steps if alternatives else ()
    first = next((step for step in STEPS if step in blamed), None)
    explained = bool(explanations) or any(one.mends for one in alternatives)
    steps = _steps(evidence, blamed, explanations[0] if explanations else None, seen, explained)
    for cause in causes:  # the variable that is to be changed, not one before it that has the same value
        if cause.explanation == 0 and cause.line is not None and cause.leaf in steps:
            named = (cause.variable, cause.line) if cause.variable else (None, None)
            steps[cause.leaf] = dataclasses.replace(steps[cause.leaf], variable=named[0], line=named[1])
    return Findings(causes, steps, first)


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
    unseen = [len(set(CHAIN) - set(_inside(one, evidence)) - set(one.local)) for one in explanations]
    return [one for one, n in zip(explanations, unseen, strict=True) if n == min(unseen)]


def _arrays(explanation: Explanation, evidence: Evidence) -> dict[str, np.ndarray]:
    """The arrays of an explanation at the probe."""
    from twolayer.verification.explain.search import confirm

    if evidence.probe is None:
        return {}
    held = confirm(explanation, evidence.setting, [evidence.probe], _literals(explanation))
    return {name: value[0] for name, value in held.scope.items()} if held else {}


def _literals(explanation: Explanation) -> tuple[Fraction, ...]:
    return tuple(choice.literal for choice in explanation.choices if choice.literal is not None)


def _inside(explanation: Explanation, evidence: Evidence) -> dict[str, frozenset[Fraction]]:
    """Which arrays of an explanation the user's variables are: step -> the factors with which they are."""
    found: dict[str, set[Fraction]] = {}
    if evidence.probe is not None:
        arrays = _arrays(explanation, evidence)
        for one in evidence.seen_as({n: arrays[n] for n in where.NAMED if n in arrays}):
            found.setdefault(one.step, set()).add(one.factor)
    return {step: frozenset(factors) for step, factors in found.items()}


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
        for factors in _wrong_factors(explanation, evidence)
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


def _wrong_factors(explanation: Explanation, evidence: Evidence) -> list[Alternative]:
    """Each way of placing the factors; those that the derivation itself bears out, if there are any."""
    constants = explanation.each
    if not constants:
        return [Alternative((), ())]
    right, inside, result = right_lines(evidence.setting), _inside(explanation, evidence), []
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
    cause = Cause("unknown", text, leaf, code, line=mended.line, variable=variable)
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


def _with_line(cause: Cause, alternative: Alternative, evidence: Evidence) -> Cause:
    """The cause with the user's line and variable, where they are known."""
    probe = evidence.probe
    if probe is None or not probe.locals or cause.line is not None:
        return cause
    if alternative.explanation is None or cause.id == "unknown":
        wrong = [leaf for leaf in LEAVES if evidence.leaves[leaf].verdict == "wrong"]
        mine = evidence.by_own_loss({leaf: probe.mine[leaf] for leaf in wrong if leaf in probe.mine})
        found = where.between(probe.locals, evidence.known, mine)
    else:
        found = _placed(cause, _arrays(alternative.explanation, evidence), evidence, probe)
        if found is not None and cause.id == "one_example":
            found = _of_loop(found, evidence.source, probe)
    if found is None:
        return cause
    return dataclasses.replace(cause, line=found.line, variable=found.name or None, since=found.since)


def _placed(cause: Cause, arrays: Mapping[str, np.ndarray], evidence: Evidence, probe: Case) -> where.Place | None:
    """Where the array of a cause is set, or what made it wrong: the probabilities, or a slope that is mistyped."""
    own, known, steps = dict(evidence.by_own_loss(arrays)), evidence.known, [cause.leaf]
    with precision(BITS):
        if cause.leaf == "forward":
            steps = _first_forward(arrays, probe)
        elif cause.leaf == "dO2" and "P" in known and "dO2" in own:
            own["P"] = where.probabilities(arrays["dO2"], probe.right)
            steps = ["dO2"] if where.equal(own["P"], known["P"]) else ["P", "dO2"]
        elif cause.id in MISTYPED and {cause.leaf, f"dO{cause.leaf[2]}"} <= own.keys():
            own["slope"] = arrays[cause.leaf] / arrays[f"dO{cause.leaf[2]}"]
            steps = ["slope", cause.leaf]
    for step in (step for step in steps if step in own):
        caller = cause.id == "other_activation"  # it is the caller's choice, and no fault of a helper
        found = where.place(step, own, probe.locals, known, evidence.scale, probe.sizes.m, caller)
        if found is not None and (found.name or step not in ("P", "slope")):
            return found
    return None


def _of_loop(found: where.Place, source: str, probe: Case) -> where.Place:
    """The loop around a line, where that line is run for all examples but one: the loop leaves it out."""
    times = collections.Counter(local.name for local in probe.locals if local.line == found.line)
    if probe.sizes.m - 1 not in times.values():
        return found
    loops = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.For)]
    around = [node.lineno for node in loops if node.lineno < found.line <= (node.end_lineno or 0)]
    return where.Place(max(around), "", source.splitlines()[max(around) - 1].strip()) if around else found


def _first_forward(arrays: Mapping[str, np.ndarray], probe: Case) -> list[str]:
    """The arrays of a wrong forward pass that differ from the right ones, in their order."""
    from twolayer.verification.numbers.agreement import EQUAL, compare

    return [
        name
        for name in ("Z1", "O1", "Z2", "O2")
        if name in arrays and (compare(arrays[name], probe.right[name]) != EQUAL).any()
    ]


def _steps(
    evidence: Evidence,
    blamed: Sequence[str],
    explanation: Explanation | None,
    seen: Sequence[where.Seen],
    explained: bool,
) -> dict[str, StepVerdict]:
    """The eight steps. Where a leaf is undecided, nothing is inferred of steps that are not seen.

    explained: whether all that is wrong comes from the steps to be blamed.
    """
    steps, names = {}, where.variables(seen)
    arrays = _arrays(explanation, evidence) if explanation else {}
    if evidence.probe is not None and arrays:
        named = {name: arrays[name] for name in STEPS if name in arrays}
        names = where.variables(evidence.seen_as(named)) | names
    inferred = explained and not any(leaf.verdict == "undecided" for leaf in evidence.leaves.values())
    for step in STEPS:
        one = names.get(step)
        variable, line = (one.name, one.line) if one else (None, None)
        source = "returned" if step in evidence.returned else "found" if one and one.factor == 1 else None
        if step in LEAVES and evidence.leaves[step].verdict in ("not_derived", "undecided"):
            steps[step] = evidence.leaves[step]
            continue
        if step in blamed:
            verdict = "wrong"
        elif source == "returned" and (explained or step in LEAVES):
            right = explained or evidence.leaves[step].verdict == "right"
            verdict = "right" if right else "undecided"
        elif source == "found":
            verdict = "right"
        else:
            verdict, source = ("right", "inferred") if inferred else ("not_shown", None)
        scale = _carried(step, explanation) if explanation and source == "returned" and step not in blamed else None
        steps[step] = StepVerdict(verdict, scale, where=source, variable=variable, line=line)
    return steps


def _carried(step: str, explanation: Explanation) -> str | None:
    """The constant that a shown step is too large by, if it is paid back later."""
    if step in LEAVES or step not in explanation.local or not explanation.each:
        return None
    values = []
    for _, local, sizes in explanation.each:
        c = Fraction(1)
        for name in ("dO2", "dZ2", "dO1", "dZ1"):
            c *= local.get(name, 1)
            if name == step:
                break
        values.append((c, sizes))
    if all(c == 1 for c, _ in values):
        return None
    return " * ".join(factor.text for factor in numbers.factors(values[:1]))
