"""The verdict on a derivation of the two-layer network: what is asked, by which loss, and what its own loss is."""

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from twolayer.activations import ACTIVATIONS
from twolayer.names import CONVENTIONS
from twolayer.precisions import PRECISIONS
from twolayer.verification import problem
from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.calls import ways
from twolayer.verification.evidence.cases import Subject, gather, subject, verdict_of
from twolayer.verification.evidence.own_loss import Standard, describe
from twolayer.verification.explain import causes
from twolayer.verification.explain.known import Evidence
from twolayer.verification.explain.mended import mended
from twolayer.verification.formula_and_program import (
    Checks,
    leaf_verdicts,
    place_of,
    summarise,
    verdict_on,
    watched,
)
from twolayer.verification.numbers.balls import BITS, Undecided, precision
from twolayer.verification.numbers.differences import central
from twolayer.verification.numbers.literals import rounded
from twolayer.verification.problem import LEAVES, LOSSES, STEPS, Setting, activation
from twolayer.verification.programs import NotJudged, Program, RaisedInside, Refused
from twolayer.verification.programs.load import Loaded, program_of
from twolayer.verification.verdict import Cause, Formula, StepVerdict, Verdict

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
    checks = Checks(AT_ZERO[relu_at_zero], tuple(precisions), batch, seed, effort, counterexample, allow_guards, say)
    say("running")
    try:
        verdict = _asked(program, statement, own, (loss, output, reduction, activation, biases), checks)
    except (Undecided, NotJudged) as error:
        verdict = _not_followed(str(error))
    return dataclasses.replace(verdict, seconds=time.perf_counter() - started)


def _asked(program: Program, statement: Program | None, own: bool, asked: tuple, checks: "Checks") -> Verdict:
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
    verdict = verdict_on(found, checks)
    return verdict if standard is None else _with_standard(verdict, found, standard, own)


def _not_followed(reason: str) -> Verdict:
    """Code that cannot be run over balls at all."""
    leaves = {leaf: StepVerdict("undecided", reason=reason) for leaf in LEAVES}
    steps = {step: leaves.get(step, StepVerdict("not_shown")) for step in STEPS}
    return Verdict("undecided", leaves, steps, None, (), Formula("undecided"), notes=(reason,))


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


def _by_gradient(found: Subject, standard: Standard, checks: Checks) -> Verdict:
    """A derivation by its own loss, which is none that can be declared: the leaves alone, by that loss's gradient."""
    cases = [case for case in gather(found, checks.seed, checks.effort) if case.point.kind == "ordinary"]
    own = [case._replace(point=case.point._replace(right=case.right | standard.gradient(case.point))) for case in cases]
    leaves = leaf_verdicts(found, own)
    probe = watched(found, own)
    if probe is not None:
        probe = probe._replace(point=probe.point._replace(right=probe.right | standard.gradient(probe.point)))
    evidence = Evidence(
        found.setting, own, probe, leaves, thresholds=found.program.thresholds(),
        mended=lambda: mended(found, own, standard),
    )  # fmt: skip
    findings = causes.find((), evidence)
    first, said = findings.first_wrong_step, "it differs from the derivative of the file's own loss"
    steps = {s: one if s in LEAVES or (findings.explained and s == first) else StepVerdict("not_shown")
             for s, one in findings.steps.items()}  # fmt: skip
    if not findings.explained:
        first = next((leaf for leaf in STEPS if leaf in LEAVES and leaves[leaf].verdict == "wrong"), None)
    found_causes = tuple(
        dataclasses.replace(cause, text=cause.text if findings.explained else said, correction="")
        for cause in findings.causes
    )
    formula = summarise(leaves, steps, own, found.setting)
    place = place_of(found, next(iter(found_causes), None))
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
