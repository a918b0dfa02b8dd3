"""From evidence to a verdict: what is right, where it goes wrong, and why."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from twolayer.verifier import problem
from twolayer.verifier.evidence import points as where
from twolayer.verifier.evidence.cases import Case, Subject, gather, subject, usable, verdict_of
from twolayer.verifier.explain import causes
from twolayer.verifier.explain.search import explanations, telling
from twolayer.verifier.numbers import balls
from twolayer.verifier.numbers.balls import BITS, Undecided, precision
from twolayer.verifier.numbers.differences import central
from twolayer.verifier.numbers.literals import simplest_rational
from twolayer.verifier.problem import LEAVES, STEPS, Setting, right_lines
from twolayer.verifier.programs import NotJudged, Refused
from twolayer.verifier.programs.load import program_of
from twolayer.verifier.verdict import Formula, StepVerdict, Verdict, worst

CONVENTIONS = {"any": None, "0": Fraction(0), "1/2": Fraction(1, 2), "1": Fraction(1)}


class OraclesDisagree(RuntimeError):
    """The right lines and the difference of the loss give different derivatives: a mistake of this package."""


def check_oracles(setting: Setting) -> None:
    """Hold the right gradients against the central difference of the loss, which shares nothing with them.

    Raises:
      OraclesDisagree: they differ along a random direction of some parameter.
    """
    point = where.points(setting, where.SMALL, "ordinary", 1)[0]
    inputs = {name: point.right[name] for name in where.INPUTS}
    for leaf in LEAVES if setting.biases else ("dW1", "dW2"):
        name = leaf[1:]
        direction = where.exactly(where.np.random.default_rng(0).normal(size=inputs[name].shape))
        slope = central(
            lambda array, name=name: problem.total(setting, inputs | {name: array}), inputs[name], direction
        )
        with precision(BITS):
            right = (point.right[leaf] * direction).sum()
        if not abs(slope.v - right.v).upper() < 2.0**-150:
            raise OraclesDisagree(f"the closed form and the difference of the loss disagree on {leaf} of {setting}")


def verify(
    gradients: Any,
    *,
    loss: str = "cross_entropy",
    output: str = "relu",
    reduction: str = "mean",
    activation: str = "relu",
    biases: bool = True,
    relu_at_zero: str = "any",
    seed: int = 0,
    effort: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Say whether a hand-derived gradient is right, or which step is wrong and why."""
    started = time.perf_counter()
    say = progress or (lambda text: None)
    setting = Setting(loss, output, reduction, activation, biases)
    check_oracles(setting)
    balls.rounded.clear()
    program = program_of(gradients)
    say("running")
    found = subject(program, program.function, setting)
    verdict = _judge(found, CONVENTIONS[relu_at_zero], seed, effort, say)
    return dataclasses.replace(verdict, seconds=time.perf_counter() - started)


def _judge(found: Subject, convention: Fraction | None, seed: int, effort: int, say: Callable[[str], None]) -> Verdict:
    say("exact arithmetic")
    cases = gather(found, seed, effort)
    leaves = leaf_verdicts(found, cases)
    say("explanations")
    literals = tuple(simplest_rational(abs(number)) for number in found.program.literals())
    wrong = any(leaf.verdict == "wrong" for leaf in leaves.values()) or any(
        verdict_of(step, cases) == "wrong" for step in STEPS if any(step in case.mine for case in cases)
    )
    explained = explanations(found.setting, cases, literals) if wrong else ()
    probe = _watched(found, cases, wrong)
    evidence = causes.Evidence(found.setting, cases, probe, leaves, found.program.thresholds())
    findings = causes.find(explained, evidence)
    formula = summarise(leaves, findings.steps, cases, found.setting)
    first = next((c for c in findings.causes if c.line is not None), None)
    text = None
    if first is not None and found.program.source:
        text = found.program.source.splitlines()[first.line - 1].strip()
    return Verdict(
        formula.verdict, leaves, findings.steps, findings.first_wrong_step, findings.causes, formula,
        notes=tuple(found.notes), line=text, line_number=first and first.line, variable=first and first.variable,
    )  # fmt: skip


def _watched(found: Subject, cases: Sequence[Case], wrong: bool) -> Case | None:
    """The case at which the user's variables are looked at."""
    known = telling(cases)[:1] if wrong else [case for case in usable(cases) if case.point.kind == "ordinary"][:1]
    known = [case for case in usable(cases) if case.point.kind == "ordinary" and case.sizes == cases[0].sizes][
        :1
    ] or known
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
        if not found.setting.biases and leaf[1] == "b":
            verdicts[leaf] = StepVerdict("right", reason="the declared network has no biases")
            continue
        fault = found.shapes[leaf].fault if leaf in found.shapes else None
        if fault:
            verdicts[leaf] = StepVerdict("wrong", reason=fault, where="returned")
        elif reason and leaf not in returned:
            verdicts[leaf] = StepVerdict("undecided", reason=reason, where="returned")
        elif leaf not in returned:
            verdicts[leaf] = StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}")
        else:
            state = verdict_of(leaf, usable(cases))
            why = reason or ("it is not known well enough" if state == "unknown" else None)
            state = "undecided" if state == "unknown" or (reason and state == "right") else state
            verdicts[leaf] = StepVerdict(state, reason=why if state == "undecided" else None, where="returned")
    return verdicts


def summarise(
    leaves: dict[str, StepVerdict], steps: dict[str, StepVerdict], cases: Sequence[Case], setting: Setting
) -> Formula:
    """How much was tested."""
    known = usable(cases)
    shown = [step.verdict for step in steps.values() if step.where == "returned"]
    verdict = worst([*(leaf.verdict for leaf in leaves.values()), *(v for v in shown if v == "wrong")])
    patterns = {
        (
            case.sizes,
            tuple((where.np.concatenate([Z.ravel() for Z in where.forward(case.point.floats, setting)]) > 0).tolist()),
        )
        for case in known
    }
    return Formula(
        verdict, points=len(known), patterns=len(patterns), sizes=len({case.sizes for case in known}),
        left_out=len(cases) - len(known), rounded=tuple(sorted(map(repr, balls.rounded))),
    )  # fmt: skip
