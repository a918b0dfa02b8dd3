"""The verdict on one derivation by one loss: FORMULA first, then what else could be wrong, then PROGRAM."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.cases import Case, Subject, gather, usable, verdict_of
from twolayer.verification.evidence.counterexample import smallest
from twolayer.verification.evidence.elsewhere import LAYERS, Finding, at_sizes, at_ties, kinked, on_batch
from twolayer.verification.evidence.guards import Guarded, without
from twolayer.verification.evidence.own_loss import Terms
from twolayer.verification.explain import causes
from twolayer.verification.explain.known import Evidence
from twolayer.verification.explain.mended import mended
from twolayer.verification.explain.search import explanations, telling
from twolayer.verification.numbers.balls import Undecided
from twolayer.verification.numbers.literals import rounded, simplest_rational
from twolayer.verification.problem import LEAVES, STEPS, Setting, right_lines
from twolayer.verification.programs import NotJudged, Refused
from twolayer.verification.verdict import Cause, Formula, StepVerdict, Verdict, worst


class Checks(NamedTuple):
    """What is to be looked at, and how closely."""

    convention: Fraction | None
    precisions: tuple[str, ...]
    batch: tuple | None
    seed: int
    effort: int
    counterexample: bool
    allow_guards: bool
    say: Callable[[str], None]


def verdict_on(found: Subject, checks: Checks) -> Verdict:
    """FORMULA first; then, as long as nothing is wrong, whatever else could be; then PROGRAM and an example."""
    checks.say("exact arithmetic")
    cases = gather(found, checks.seed, checks.effort)
    verdict = _formula(found, cases, checks)
    guards = without(found, cases) if verdict.verdict == "wrong" else None
    if guards is not None:
        if checks.allow_guards:
            found, cases = guards.subject, guards.cases
            verdict = _formula(found, cases, checks)
        verdict = _with_guards(verdict, guards)
    begun = _compiling(found, checks)
    for check in (_at_ties, _at_others):
        if verdict.verdict != "wrong" or check is _at_ties:
            for finding in check(found, verdict, checks):
                if verdict.verdict != "wrong" or finding.id == "convention":
                    verdict = _with(verdict, finding, found.setting)
    if checks.precisions:
        verdict = _with_program(verdict, found, checks, begun)
    if checks.counterexample and verdict.verdict == "wrong":
        checks.say("the smallest counterexample")
        verdict = dataclasses.replace(verdict, counterexample=_counterexample(found, cases, verdict))
    return dataclasses.replace(verdict, notes=(*found.notes, *verdict.notes))


def _formula(found: Subject, cases: Sequence[Case], checks: Checks) -> Verdict:
    leaves = leaf_verdicts(found, cases)
    returned = {name for case in cases for name in case.mine}
    steps = [
        step for step in STEPS if step in returned and step not in LEAVES and verdict_of(step, usable(cases)) == "wrong"
    ]
    wrong = bool(steps) or any(leaf.verdict == "wrong" for leaf in leaves.values())
    checks.say("explanations")
    literals = tuple(dict.fromkeys(simplest_rational(abs(n)) for n in found.program.literals()))
    explained = explanations(found.setting, cases, literals) if wrong else []
    probe, terms, decays = watched(found, cases), Terms(Fraction(1), {}), dict[str, str]()
    if probe is not None and found.standard is not None:
        terms, decays = found.standard.terms(probe.sizes), found.standard.decays()
    evidence = Evidence(
        found.setting, cases, probe, leaves, terms.constant, found.program.thresholds(), terms.decay, decays,
        found.program.source or "", lambda: mended(found, cases),
    )  # fmt: skip
    findings = causes.find(explained, evidence)
    formula = summarise(leaves, findings.steps, cases, found.setting)
    first = next((cause for cause in findings.causes if cause.line is not None), None)
    return Verdict(
        formula.verdict, leaves, findings.steps, findings.first_wrong_step, findings.causes, formula,
        **place_of(found, first),
    )  # fmt: skip


def place_of(found: Subject, cause: Cause | None) -> dict[str, Any]:
    """The line of a cause in the user's file, its number and the variable that it sets, as fields of a verdict."""
    if cause is None or cause.line is None:
        return {}
    lines = found.program.source.splitlines() if found.program.source else []
    line = lines[cause.line - 1].strip() if lines else None
    return {"line": line, "line_number": cause.line, "variable": cause.variable}


def watched(found: Subject, cases: Sequence[Case]) -> Case | None:
    """A case once more, with the user's variables: one where it is wrong, else an ordinary one."""
    known = telling(cases) or [case for case in usable(cases) if case.point.kind == "ordinary"]
    if not known:
        return None
    try:
        return found.at(known[0].point, watch=True)
    except (Undecided, NotJudged, Refused):
        return None


def leaf_verdicts(found: Subject, cases: Sequence[Case]) -> dict[str, StepVerdict]:
    """Each leaf by itself: equal to the true gradient at every point, or not."""
    lines, verdicts = right_lines(found.setting), {}
    reason = next((case.reason for case in cases if case.reason and case.point.kind == "ordinary"), None)
    returned = {name for case in cases for name in case.mine}
    for leaf in LEAVES:
        fault = found.shapes[leaf].fault if leaf in found.shapes else None
        if not found.setting.biases and leaf[1] == "b":
            verdicts[leaf] = StepVerdict("right", reason="the declared network has no biases")
        elif fault:
            verdicts[leaf] = StepVerdict("wrong", reason=fault, where="returned")
        elif leaf not in returned and reason:
            verdicts[leaf] = StepVerdict("undecided", reason=reason, where="returned")
        elif leaf not in returned:
            verdicts[leaf] = StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}")
        else:
            state = verdict_of(leaf, usable(cases))
            open_ = state == "unknown" or (reason is not None and state == "right")
            why = reason or "it is not known well enough"
            verdicts[leaf] = StepVerdict(
                "undecided" if open_ else state, reason=why if open_ else None, where="returned"
            )
    return verdicts


def summarise(
    leaves: dict[str, StepVerdict], steps: dict[str, StepVerdict], cases: Sequence[Case], setting: Setting
) -> Formula:
    """How much was tested."""
    known = usable(cases)
    shown = [step.verdict for step in steps.values() if step.where == "returned"]
    patterns = {(case.sizes, _pattern(case, setting)) for case in known}
    return Formula(
        worst([*(leaf.verdict for leaf in leaves.values()), *(v for v in shown if v == "wrong")]),
        points=len(known), patterns=len(patterns), sizes=len({case.sizes for case in known}),
        left_out=len(cases) - len(known), rounded=tuple(sorted(map(repr, rounded))),
    )  # fmt: skip


def _pattern(case: Case, setting: Setting) -> bytes:
    return np.concatenate([(Z > 0).ravel() for Z in where.forward(case.point.floats, setting)]).tobytes()


def _at_ties(found: Subject, verdict: Verdict, checks: Checks) -> Iterator[Finding]:
    layers = [one for one in kinked(found.setting) if verdict.steps[f"dZ{LAYERS[one]}"].verdict != "wrong"]
    right, returned = _right(verdict)
    return at_ties(found, right, layers, checks.convention, checks.seed) if layers and returned else iter(())


def _at_others(found: Subject, verdict: Verdict, checks: Checks) -> Iterator[Finding]:
    """At other sizes, and on the given batch."""
    right, returned = _right(verdict)
    if found.at_any_sizes and set(right) & set(returned):
        checks.say("other sizes")
        yield from at_sizes(found, right, returned, checks.seed)
    if checks.batch is not None:
        checks.say("the batch, exactly")
        yield from on_batch(found, checks.batch)


def _right(verdict: Verdict) -> tuple[list[str], list[str]]:
    """The leaves that are right, and those that are returned."""
    right = [leaf for leaf in LEAVES if verdict.leaves[leaf].verdict == "right"]
    return right, [leaf for leaf in LEAVES if verdict.leaves[leaf].where]


def _with(verdict: Verdict, finding: Finding, setting: Setting) -> Verdict:
    """A verdict with one finding more."""
    replace = dataclasses.replace
    if finding.id == "convention":
        layer, value = finding.text.split()
        known = verdict.conventions.get("relu_at_zero", {})
        return replace(verdict, conventions={"relu_at_zero": known | {layer: value}})
    if finding.verdict == "right" or finding.step is None:
        if finding.id == "batch" and verdict.formula:
            return replace(verdict, formula=replace(verdict.formula, exact_batch=finding.text))
        return replace(verdict, notes=(*verdict.notes, finding.text))
    reason = finding.text
    leaves = verdict.leaves | {
        leaf: replace(verdict.leaves[leaf], verdict=finding.verdict, reason=reason) for leaf in finding.leaves
    }
    step = replace(
        verdict.steps[finding.step], verdict=finding.verdict, reason=None if finding.verdict == "wrong" else reason
    )
    verdict = replace(
        verdict,
        verdict=worst([verdict.verdict, finding.verdict]),
        leaves=leaves,
        steps=verdict.steps | {finding.step: step},
    )
    if finding.verdict != "wrong":
        return verdict
    cause = Cause(
        finding.id,
        finding.text,
        finding.step,
        right_lines(setting)[finding.step].code,
        line=step.line,
        variable=step.variable,
    )
    return replace(verdict, causes=(*verdict.causes, cause), first_wrong_step=verdict.first_wrong_step or finding.step)


def _with_guards(verdict: Verdict, guards: Guarded) -> Verdict:
    formula = verdict.formula and dataclasses.replace(verdict.formula, guards=guards.said)
    return dataclasses.replace(verdict, formula=formula)


class _Begun(NamedTuple):
    """The programs that PROGRAM will run, and the rounded literals that were met in them."""

    programs: Sequence = ()
    literals: Collection[float] = ()


def _compiling(found: Subject, checks: Checks) -> _Begun:
    """Let them be compiled while points elsewhere are judged; if they cannot be, it is said when it is tried again."""
    if not (checks.precisions and found.at_any_sizes and hasattr(found.program, "trace")):
        return _Begun()
    from twolayer.verification.rounding.program import compiling

    before, programs = set(rounded), ()
    with contextlib.suppress(Exception):
        programs = compiling(found.program, found.setting, checks.precisions, found.call, checks.seed)
    literals = rounded - before
    rounded.difference_update(literals)  # they count once PROGRAM is judged
    return _Begun(programs, literals)


def _with_program(verdict: Verdict, found: Subject, checks: Checks, begun: _Begun) -> Verdict:
    """A program that errs by more than rounding is wrong, however right its formula; with NaN it is not right."""
    if not found.at_any_sizes:
        note = "rounding was not judged: the code does not run at other sizes"
        return dataclasses.replace(verdict, notes=(*verdict.notes, note))
    checks.say("rounding")
    if hasattr(found.program, "trace"):
        from twolayer.verification.rounding.program import check_program
    else:
        from twolayer.verification.rounding.as_it_stands import check_program
    rounded.update(begun.literals)
    own: dict[str, Any] = {"programs": begun.programs} if begun.programs else {}
    programs = check_program(
        found.program, found.setting, checks.precisions, call=found.call, batch=checks.batch, seed=checks.seed, **own
    )
    bad = next((one for one in programs if one.verdict == "wrong"), None)
    endless = next((one for one in programs if not one.finite_on_batch), None)
    verdict = dataclasses.replace(verdict, program=programs)
    if bad is None and endless and verdict.verdict == "right":
        note = f"the formula is right; on the given batch the program is not: {endless.reason}"
        return dataclasses.replace(verdict, verdict="undecided", notes=(note, *verdict.notes))
    if bad is None or verdict.verdict == "wrong":
        return verdict
    note = f"the formula is {verdict.verdict}; the program is not: {bad.reason}"
    return dataclasses.replace(verdict, verdict="wrong", notes=(*verdict.notes, note))


def _counterexample(found: Subject, cases: Sequence[Case], verdict: Verdict) -> Any:
    shown = [name for name in STEPS if any(name in case.mine for case in cases)]
    if not shown:
        return None
    ordinary = [case for case in usable(cases) if case.point.kind == "ordinary"]
    everywhere = any(verdict_of(name, ordinary) == "wrong" for name in shown)
    return smallest(found, shown, scaled=not everywhere)
