"""From evidence to a verdict: what is right, where it goes wrong, and why."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.activations import ACTIVATIONS
from twolayer.names import CONVENTIONS
from twolayer.precisions import PRECISIONS
from twolayer.verification import problem
from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.calls import ways
from twolayer.verification.evidence.cases import Case, Subject, gather, subject, usable, verdict_of
from twolayer.verification.evidence.counterexample import smallest
from twolayer.verification.evidence.elsewhere import LAYERS, Finding, at_sizes, at_ties, kinked, on_batch
from twolayer.verification.evidence.guards import Guarded, without
from twolayer.verification.evidence.own_loss import Standard, Terms, describe
from twolayer.verification.explain import causes
from twolayer.verification.explain.mended import mended
from twolayer.verification.explain.search import explanations, telling
from twolayer.verification.numbers.balls import BITS, Undecided, precision
from twolayer.verification.numbers.differences import central
from twolayer.verification.numbers.literals import rounded, simplest_rational
from twolayer.verification.problem import LEAVES, LOSSES, STEPS, Setting, activation, right_lines
from twolayer.verification.programs import NotJudged, Program, RaisedInside, Refused
from twolayer.verification.programs.load import Loaded, program_of
from twolayer.verification.verdict import Cause, Formula, StepVerdict, Verdict, worst

AT_ZERO = {name: None if name == "any" else Fraction(name) for name in CONVENTIONS}


class OraclesDisagree(RuntimeError):
    """The right lines and the difference of the loss give different derivatives: a mistake of this package."""


def verify(
    gradients: Any,
    *,
    loss: str | None = None,
    output: str = "relu",
    reduction: str = "mean",
    activation: str = "relu",
    biases: bool = True,
    own_loss: Any = None,
    allow_guards: bool = False,
    batch: tuple | None = None,
    relu_at_zero: str = "any",
    precisions: Sequence[str] = ("float32",),
    seed: int = 0,
    effort: int = 1,
    counterexample: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Say whether a hand-derived gradient is right, or which step is wrong, in which line, and why.

    FORMULA: the code is run as it stands on real numbers of several hundred bits, at many points, activation patterns
    and sizes, beside the right gradient. PROGRAM: what it computes in floats is held against its own formula, within a
    derived rounding bound. docs/derivation.md says what is assumed.

    Args:
      gradients: (params, x, y) -> {"dW1": (K, d), "db1": (K,), "dW2": (C, K), "db2": (C,)} and, if it likes, dO2, dZ2
        (m, C), dO1, dZ1 (m, K), in NumPy, JAX or plain Python; or the path of a file that defines it. params has W1,
        b1, W2, b2; x is (m, d); y (m, C) is one-hot for cross-entropy, 0 and 1 for binary cross-entropy, else real.
      loss: what it claims to differentiate, or "own": its own loss. None: "own" where there is one, else
        "cross_entropy".
      output, activation: of the output layer and of the hidden layer, by name (twolayer.activations). Binary
        cross-entropy has the sigmoid of the output inside it: "identity" and "sigmoid" are the same there.
      reduction: "mean" or "sum" over the examples.
      biases: whether the declared network has them.
      own_loss: (params, x, y) -> (), the derivation's own statement of the loss; of a file, its `loss`.
      allow_guards: whether small constants that keep a number from 0 or 1 may stand in it.
      batch: (params, x, y), float32 or float64 arrays on which it is judged exactly as well.
      relu_at_zero: which ReLU'(0) it must have: "0", "1/2", "1", or "any", which only names it.
      precisions: of PROGRAM: "float64", "float32", "bfloat16", "tensorfloat32".
      seed: of the points. The same seed gives the same verdict.
      effort: multiplies the number of points.
      counterexample: whether the smallest one is looked for.
      progress: called with what is being done.

    Raises:
      ValueError: `Refused`, one line: the function raises an exception, returns wrong keys or shapes, is random; or an
        argument is not known.
    """
    started, say = time.perf_counter(), progress or (lambda text: None)
    rounded.clear()
    program, statement = _programs(gradients, own_loss)
    own = loss == "own" or (loss is None and statement is not None)
    _check(relu_at_zero, "relu_at_zero", AT_ZERO)
    for name in precisions:
        _check(name, "precisions", PRECISIONS)
    checks = _Checks(AT_ZERO[relu_at_zero], tuple(precisions), batch, seed, effort, counterexample, allow_guards, say)
    say("running")
    try:
        verdict = _asked(program, statement, own, (loss, output, reduction, activation, biases), checks)
    except (Undecided, NotJudged) as error:
        verdict = _not_followed(str(error))
    return dataclasses.replace(verdict, seconds=time.perf_counter() - started)


def _asked(program: Program, statement: Program | None, own: bool, asked: tuple, checks: "_Checks") -> Verdict:
    """The verdict by the declared loss, or by the file's own."""
    loss, *others = asked
    if own:
        if statement is None:
            raise Refused("the file's own loss is the standard, and it defines no loss(params, x, y)")
        found, standard = _by_own(program, statement, *others)
        if standard.setting is None:
            return _with_standard(_by_gradient(found, standard, checks), found, standard, own)
    else:
        found = subject(program, _setting(loss or "cross_entropy", *others))
        standard = _standard(statement, found, recognise=True) if statement is not None else None
    check_oracles(found.setting)
    verdict = _judge(found, checks)
    return verdict if standard is None else _with_standard(verdict, found, standard, own)


def _not_followed(reason: str) -> Verdict:
    """Code that cannot be run over balls at all."""
    leaves = {leaf: StepVerdict("undecided", reason=reason) for leaf in LEAVES}
    steps = {step: leaves.get(step, StepVerdict("not_shown")) for step in STEPS}
    return Verdict("undecided", leaves, steps, None, (), Formula("undecided"), notes=(reason,))


class _Checks(NamedTuple):
    """What is to be looked at, and how closely."""

    convention: Fraction | None
    precisions: tuple[str, ...]
    batch: tuple | None
    seed: int
    effort: int
    counterexample: bool
    allow_guards: bool
    say: Callable[[str], None]


def _programs(gradients: Any, own_loss: Any) -> tuple[Program, Program | None]:
    if isinstance(gradients, str):
        file = Loaded(gradients)
        gradients = file.program("gradients")
        own_loss = own_loss or (file.program("loss") if _states_a_loss(file) else None)
    if not callable(gradients) and not hasattr(gradients, "run"):
        raise Refused(f"gradients must be a function (params, x, y), got {type(gradients).__name__}")
    return program_of(gradients), None if own_loss is None else program_of(own_loss)


def _states_a_loss(file: Loaded) -> bool:
    """Whether a file's `loss` takes the arguments of the gradients; else it is a helper, or a number."""
    if not file.defines("loss"):
        return False
    try:
        return bool(ways(file.program("loss").function, Setting("quadratic", "identity", "mean")))
    except RaisedInside:
        raise
    except Refused:
        return False


def _setting(loss: str, output: str, reduction: str, hidden: str, biases: bool) -> Setting:
    _check(loss, "loss", LOSSES)
    _check(reduction, "reduction", ("mean", "sum"))
    for name, value in (("output", output), ("activation", hidden)):
        try:
            activation(value)
        except ValueError as error:
            raise Refused(f"{name}={value!r} is not known; choose one of: {', '.join(ACTIVATIONS)}") from error
    if loss == "binary_cross_entropy" and output == "sigmoid":  # people name the one that is inside the loss
        output = "identity"
    return Setting(loss, output, reduction, hidden, biases)


def _check(value: Any, name: str, known: Collection[str]) -> None:
    if value not in known:
        raise Refused(f"{name}={value!r} is not known; choose one of: {', '.join(map(str, known))}")


def _by_own(
    program: Program, statement: Program, output: str, reduction: str, hidden: str, biases: bool
) -> tuple[Subject, Standard]:
    """The derivation by its own loss: with real targets if it is a loss for such, else with 0 and 1, else one-hot."""
    tried: list[tuple[Subject, Standard]] = []
    error: Refused | None = None
    for loss in ("quadratic", "binary_cross_entropy", "cross_entropy"):
        try:
            found = subject(program, _setting(loss, output, reduction, hidden, biases))
            standard = _standard(statement, found)
        except Refused as refused:
            error = error or refused
            continue
        if standard.setting is not None:
            return found._replace(setting=standard.setting, standard=standard), standard
        tried.append((found, standard))
    if not tried:
        raise error or Refused("loss cannot be followed")
    return next((one for one in tried if _right_for_own(*one)), tried[-1])


def _standard(statement: Program, found: Subject, recognise: bool = False) -> Standard:
    """The own loss, called in the first way in which it runs; `recognise`: on targets of other losses too."""
    point = where.points(found.setting, found.sizes[0], "ordinary", 1)[0]
    first: Refused | None = None
    for call in ways(statement.function, found.setting):
        try:
            with precision(BITS):
                value = call.run(statement, point.right).result
            if np.size(value) != 1:
                shape = np.shape(value)
                raise Refused(f"loss must return one number; it returned an array of shape {shape}")
        except RaisedInside as error:
            first = first or error
            continue
        standard = Standard(statement, call, found.setting, found.sizes)
        for loss in LOSSES if recognise and standard.setting is None else ():
            other = found.setting._replace(loss=loss)
            if problem.targets(other) != problem.targets(found.setting):
                seen = Standard(statement, call, other, found.sizes)
                if seen.setting is not None:
                    seen.declared = found.setting
                    return seen
        return standard
    raise Refused(str(first).replace("gradients raised", "loss raised"))


@functools.cache
def check_oracles(setting: Setting) -> None:
    """Hold the right gradients against the central difference of the loss, which shares nothing with them.

    Raises:
      OraclesDisagree: they differ along a random direction of some parameter.
    """
    point = where.points(setting, where.SMALL, "ordinary", 1)[0]
    inputs = {name: point.right[name] for name in where.INPUTS}
    for leaf in LEAVES if setting.biases else ("dW1", "dW2"):
        name = leaf[1:]
        direction = where.exactly(np.random.default_rng(0).normal(size=inputs[name].shape))
        slope = central(
            lambda array, name=name: problem.total(setting, inputs | {name: array}), inputs[name], direction
        )
        with precision(BITS):
            right = (point.right[leaf] * direction).sum()
        if not abs(slope.v - right.v).upper() < 2.0**-150:
            raise OraclesDisagree(f"the closed form and the difference of the loss disagree on {leaf} of {setting}")


def _judge(found: Subject, checks: _Checks) -> Verdict:
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


def _formula(found: Subject, cases: Sequence[Case], checks: _Checks) -> Verdict:
    leaves = leaf_verdicts(found, cases)
    returned = {name for case in cases for name in case.mine}
    steps = [
        step for step in STEPS if step in returned and step not in LEAVES and verdict_of(step, usable(cases)) == "wrong"
    ]
    wrong = bool(steps) or any(leaf.verdict == "wrong" for leaf in leaves.values())
    checks.say("explanations")
    literals = tuple(dict.fromkeys(simplest_rational(abs(n)) for n in found.program.literals()))
    explained = explanations(found.setting, cases, literals) if wrong else []
    probe, terms, decays = _watched(found, cases), Terms(Fraction(1), {}), dict[str, str]()
    if probe is not None and found.standard is not None:
        terms, decays = found.standard.terms(probe.sizes), found.standard.decays()
    evidence = causes.Evidence(
        found.setting, cases, probe, leaves, terms.constant, found.program.thresholds(), terms.decay, decays,
        found.program.source or "", functools.cache(lambda: mended(found, found.standard, cases)),
    )  # fmt: skip
    findings = causes.find(explained, evidence)
    formula = summarise(leaves, findings.steps, cases, found.setting)
    first = next((cause for cause in findings.causes if cause.line is not None), None)
    return Verdict(
        formula.verdict, leaves, findings.steps, findings.first_wrong_step, findings.causes, formula,
        **_place(found, first),
    )  # fmt: skip


def _place(found: Subject, cause: Cause | None) -> dict[str, Any]:
    """The line of a cause in the user's file, its number and the variable that it sets, as fields of a verdict."""
    if cause is None or cause.line is None:
        return {}
    lines = found.program.source.splitlines() if found.program.source else []
    line = lines[cause.line - 1].strip() if lines else None
    return {"line": line, "line_number": cause.line, "variable": cause.variable}


def _watched(found: Subject, cases: Sequence[Case]) -> Case | None:
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


def _at_ties(found: Subject, verdict: Verdict, checks: _Checks) -> Iterator[Finding]:
    layers = [one for one in kinked(found.setting) if verdict.steps[f"dZ{LAYERS[one]}"].verdict != "wrong"]
    right, returned = _right(verdict)
    return at_ties(found, right, layers, checks.convention, checks.seed) if layers and returned else iter(())


def _at_others(found: Subject, verdict: Verdict, checks: _Checks) -> Iterator[Finding]:
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


def _compiling(found: Subject, checks: _Checks) -> _Begun:
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


def _with_program(verdict: Verdict, found: Subject, checks: _Checks, begun: _Begun) -> Verdict:
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


def _by_gradient(found: Subject, standard: Standard, checks: _Checks) -> Verdict:
    """A derivation by its own loss, which is none that can be declared: the leaves alone, by that loss's gradient."""
    cases = [case for case in gather(found, checks.seed, checks.effort) if case.point.kind == "ordinary"]
    own = [case._replace(point=case.point._replace(right=case.right | standard.gradient(case.point))) for case in cases]
    leaves = leaf_verdicts(found, own)
    probe = _watched(found, own)
    if probe is not None:
        probe = probe._replace(point=probe.point._replace(right=probe.right | standard.gradient(probe.point)))
    evidence = causes.Evidence(
        found.setting, own, probe, leaves, thresholds=found.program.thresholds(),
        mended=lambda: mended(found, standard, own),
    )  # fmt: skip
    findings = causes.find((), evidence)
    first, said = findings.first_wrong_step, "it differs from the derivative of the file's own loss"
    known = all(not cause.text.startswith("unknown") for cause in findings.causes)
    steps = {s: one if s in LEAVES or (known and s == first) else StepVerdict("not_shown")
             for s, one in findings.steps.items()}  # fmt: skip
    if not known:
        first = next((leaf for leaf in STEPS if leaf in LEAVES and leaves[leaf].verdict == "wrong"), None)
    found_causes = tuple(
        dataclasses.replace(cause, text=cause.text if known else said, correction="") for cause in findings.causes
    )
    formula = summarise(leaves, steps, own, found.setting)
    place = _place(found, next(iter(found_causes), None))
    return Verdict(formula.verdict, leaves, steps, first, found_causes, formula, **place)


def _with_standard(verdict: Verdict, found: Subject, standard: Standard, own: bool) -> Verdict:
    """What the own loss is; and where another was declared, whether the derivation is right for its own."""
    if own:
        said = f"your own loss is {standard.said()}"
        causes_ = tuple(
            dataclasses.replace(cause, correction=standard.correction(cause.leaf, cause.correction))
            for cause in verdict.causes
        )
        return dataclasses.replace(verdict, causes=causes_, loss=said, standard=standard.said())
    declared = describe(standard.declared)
    if standard.is_declared:
        return dataclasses.replace(verdict, loss=f"your own loss is the declared one, {declared}")
    own_loss = standard.said()
    if own_loss.partition(" of ")[2] == declared.partition(" of ")[2]:
        own_loss = own_loss.partition(" of ")[0]
    text = f"the file's own loss is {own_loss}; you declared {declared}"
    if verdict.verdict == "wrong" and _right_for_own(found, standard):
        right = f"right for the file's own loss, {own_loss}; you declared {declared}"
        return dataclasses.replace(verdict, loss=text, causes=(Cause("loss", right, "loss", ""),))
    if verdict.verdict == "right":
        text = f"the gradient is right for the declared loss, {declared}; the file's own loss is {own_loss}"
    causes_ = verdict.causes or (Cause("loss", text, "loss", ""),)
    return dataclasses.replace(verdict, loss=text, verdict="wrong", causes=causes_)


def _right_for_own(found: Subject, standard: Standard) -> bool:
    point = where.points(found.setting, found.sizes[0], "ordinary", 1)[0]
    case = found.at(point)
    own = standard.gradient(point)
    case = case._replace(point=point._replace(right=point.right | own))
    return all(verdict_of(leaf, [case]) == "right" for leaf in LEAVES if leaf in case.mine)
