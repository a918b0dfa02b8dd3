"""The user's lines and variables: of a cause the one that is to be changed, of each step the one that shows it."""

import ast
import collections
import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from twolayer.verification.evidence.cases import Case
from twolayer.verification.explain import where, wrong_activations
from twolayer.verification.explain.known import Alternative, Evidence, arrays_of
from twolayer.verification.explain.search import Explanation
from twolayer.verification.numbers import factors as numbers
from twolayer.verification.numbers.agreement import EQUAL, compare
from twolayer.verification.numbers.balls import BITS, precision
from twolayer.verification.problem import LEAVES, STEPS
from twolayer.verification.verdict import Cause, StepVerdict

MISTYPED = frozenset(id for id, _ in wrong_activations.EDITED.values())  # errors in the formula of a derivative


def with_line(cause: Cause, alternative: Alternative, evidence: Evidence) -> Cause:
    """The cause with the user's line and variable, where they are known."""
    probe = evidence.probe
    if probe is None or not probe.locals or cause.line is not None:
        return cause
    if alternative.explanation is None or cause.id == "unknown":
        wrong = [leaf for leaf in LEAVES if evidence.leaves[leaf].verdict == "wrong"]
        mine = evidence.by_own_loss({leaf: probe.mine[leaf] for leaf in wrong if leaf in probe.mine})
        found = where.between(probe.locals, evidence.known, mine)
    else:
        found = _placed(cause, arrays_of(alternative.explanation, evidence), evidence, probe)
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
    return [
        name
        for name in ("Z1", "O1", "Z2", "O2")
        if name in arrays and (compare(arrays[name], probe.right[name]) != EQUAL).any()
    ]


def steps_of(
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
    arrays = arrays_of(explanation, evidence) if explanation else {}
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
