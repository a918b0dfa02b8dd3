"""From evidence to a verdict: what is right, where it goes wrong, and why."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax

from twolayer.gradients import check_names
from twolayer.names import check_choice
from twolayer.verification import explain, findings, kinks, numeric, of_size_one, programs, unexplained, untraceable
from twolayer.verification import own_loss as statements
from twolayer.verification.counterexample import smallest
from twolayer.verification.evidence import Group, Subject, gather, subject
from twolayer.verification.exact import check_batch
from twolayer.verification.formula import leaf_verdicts, summarise, worst
from twolayer.verification.program import check_program
from twolayer.verification.reference import HIDDEN, OUTPUTS, Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.stepwise import PRECISIONS
from twolayer.verification.tracing import NotTraceable
from twolayer.verification.verdict import LEAVES, STEPS, Cause, Program, StepVerdict, Verdict

CONVENTIONS = {"any": None, "0": Fraction(0), "1/2": Fraction(1, 2), "1": Fraction(1)}


def verify(
    gradients: Callable[..., dict[str, Any]],
    *,
    loss: str = "cross_entropy",
    output: str = "relu",
    reduction: str = "mean",
    activation: str = "relu",
    own_loss: Callable | None = None,
    batch: tuple | None = None,
    relu_at_zero: str = "any",
    precisions: Sequence[str] = ("float32",),
    seed: int = 0,
    effort: int = 1,
    counterexample: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Prove a hand-derived gradient right, or say which step is wrong and why.

    FORMULA, exact: the function is traced and its algebra tested at random points of a prime field, over many
    activation patterns and sizes of numbers, against jax.grad and against an exact forward derivative. PROGRAM: what
    the compiled function computes is held against its own formula, within a derived rounding bound.
    docs/derivation.md says what is assumed.

    Args:
      gradients: (params, x, y) -> {"dW1": (K, d), "db1": (K,), "dW2": (C, K), "db2": (C,)} and, if it likes, dO2, dZ2
        (m, C), dO1, dZ1 (m, K). params has W1, b1, W2, b2; x is (m, d); y (m, C) is one-hot for the cross-entropies,
        else real targets. Sizes are taken from the shapes.
      loss, output, reduction: what it claims to differentiate.
      activation: of the hidden layer, "relu" or "sigmoid".
      own_loss: (params, x, y) -> (), the derivation's own statement of the loss.
      batch: (params, x, y), float32 or float64 arrays on which it is judged exactly as well.
      relu_at_zero: which ReLU'(0) it must have: "0", "1/2", "1", or "any", which only names it.
      precisions: of the PROGRAM check: "float64", "float32", "bfloat16", "tensorfloat32".
      seed: of the draws. The same seed gives the same verdict.
      effort: multiplies the number of draws.
      counterexample: whether the smallest one is looked for.
      progress: called with what is being done.

    Raises:
      ValueError: `Refused`, one line: the function raises an exception, returns wrong keys or shapes, has side effects;
        or an argument is not known.
    """
    started = time.perf_counter()
    if not callable(gradients):
        raise ValueError(f"gradients must be a function (params, x, y), got {type(gradients).__name__}")
    check_names(loss, output, reduction)
    check_choice("output", output, OUTPUTS)
    check_choice("activation", activation, HIDDEN)
    check_choice("relu_at_zero", relu_at_zero, CONVENTIONS)
    for precision in precisions:
        check_choice("precisions", precision, PRECISIONS)
    setting, say = Setting(loss, output, reduction, activation), progress or (lambda text: None)
    say("tracing")
    with jax.enable_x64(True):
        try:
            traced = subject(gradients, setting)
        except NotTraceable as error:
            traced, verdict = None, _numeric(gradients, setting, error, precisions)
            if own_loss is not None:  # what can be followed in its stead is the package's own derivation
                groups = gather(subject(untraceable.canonical(setting), setting), setting, seed, effort)
                verdict = _with_own_loss(verdict, statements.check_own_loss(own_loss, setting, groups))
        else:
            verdict = _judge(setting, traced, own_loss, CONVENTIONS[relu_at_zero], seed, effort, say)
    if traced and verdict.verdict != "wrong":
        say("large sizes")
        verdict = _with_large_sizes(verdict, gradients, traced, setting, seed)
    if traced and traced.at_any_sizes and verdict.verdict != "wrong":
        say("sizes of one")
        verdict = _with_sizes_of_one(verdict, gradients, setting, seed)
    if traced and not traced.at_any_sizes and precisions:
        note = "rounding was not judged: the code does not run at other sizes"
        verdict = dataclasses.replace(verdict, notes=(*verdict.notes, note))
    if traced and traced.at_any_sizes and precisions:
        say("rounding")
        verdict = _with_program(verdict, check_program(gradients, setting, precisions, batch=batch, seed=seed))
    if batch is not None:
        say("the batch, exactly")
        verdict = _with_batch(verdict, *_exactly(gradients, setting, batch))
    if counterexample and verdict.verdict == "wrong":
        say("the smallest counterexample")
        shown = [name for name in STEPS if verdict.steps[name].where == "returned"]
        verdict = dataclasses.replace(verdict, counterexample=smallest(gradients, setting, shown))
    return dataclasses.replace(verdict, seconds=time.perf_counter() - started)


def _judge(
    setting: Setting,
    traced: Subject,
    loss: Callable | None,
    convention: Fraction | None,
    seed: int,
    effort: int,
    say: Callable[[str], None],
) -> Verdict:
    say("exact algebra")
    groups = gather(traced, setting, seed, effort)
    leaves = leaf_verdicts(groups, setting)
    unclear = frozenset().union(*(programs.unclear(one.jaxpr) for one in traced.traced))
    if unclear and not (beyond := _refuted_by_numbers(leaves, groups, setting)) >= _wrong(leaves):
        groups = gather(traced, setting, seed, effort, unclear)
        leaves = leaf_verdicts(groups, setting) | {leaf: leaves[leaf] for leaf in beyond}
    constants = programs.literals(traced.traced[0].jaxpr)
    say("explanations")
    probe = explain.telling(groups)
    found, inside = explain.explanations(setting, groups, constants, probe), explain.right_inside(probe)
    causes, steps, first = findings.find(found, setting, groups, leaves, constants, inside)
    if traced.shapes and first and all(cause.id == "unknown" for cause in causes):
        text = f"it runs only where d = K = C = m: {traced.shapes}"
        causes = tuple(dataclasses.replace(cause, text=f"unknown; {text}") for cause in causes)
    formula = summarise(leaves, steps, groups, constants)
    verdict = Verdict(
        formula.verdict, leaves, steps, first, causes, formula, notes=tuple(filter(None, (traced.note, traced.shapes)))
    )
    if loss is not None:
        statement = statements.check_own_loss(loss, setting, groups)
        verdict = _with_own_loss(verdict, statement, groups)
    judged_right = frozenset(leaf for leaf in LEAVES if leaves[leaf].verdict == "right")
    return _with_conventions(verdict, kinks.at_ties(traced, setting, judged_right), convention, setting)


def _wrong(leaves: dict[str, StepVerdict]) -> set[str]:
    return {leaf for leaf, one in leaves.items() if one.verdict == "wrong"}


def _refuted_by_numbers(leaves: dict[str, StepVerdict], groups: Sequence[Group], setting: Setting) -> set[str]:
    """The wrong leaves that are so by more than rounding: their float64 numbers differ from the right ones as well.

    Of the others, the formula may be refuted by a literal alone that was not meant as the fraction it was read as.
    """
    found: set[str] = set()
    for group in groups:
        if _wrong(leaves) - found:
            found |= _wrong(leaves) & numeric.beyond_rounding(group.traced, setting, group.point.shadows)
    return found


def _with_own_loss(verdict: Verdict, statement: statements.OwnLoss, groups: Sequence[Group] = ()) -> Verdict:
    """`groups` hold the derivation's own values; none where it could not be followed."""
    if statement.agrees is not False:
        return dataclasses.replace(verdict, loss=statement.text)
    text = statement.text
    if groups and statements.right_for_own_loss(statement, groups):
        text = f"your gradient is right for your own loss, but {text}"
    causes = verdict.causes or (Cause("loss", text, "loss", "the declared loss, or another declaration"),)
    return dataclasses.replace(verdict, loss=text, verdict="wrong", causes=causes)


def _with_conventions(verdict: Verdict, found: kinks.AtTies, wanted: Fraction | None, setting: Setting) -> Verdict:
    """Name ReLU'(0); fail it if it is no subgradient, not one in all gradients, or not the one that was asked for."""
    open_ = {layer for layer, n in kinks.LAYERS.items() if verdict.steps[f"dZ{n}"].verdict != "wrong"}
    named = {layer: str(value) for layer, value in found.named.items() if layer in open_}
    verdict = dataclasses.replace(verdict, conventions={"relu_at_zero": named} if named else {})
    for fault in (*found.faults, *_unwanted(found.slopes, wanted)):
        if fault.layer in open_ and verdict.verdict != "wrong":
            verdict = _with_fault(verdict, fault, setting)
    return verdict


def _unwanted(slopes: dict[str, Fraction], wanted: Fraction | None) -> Iterator[kinks.Fault]:
    for layer, value in slopes.items():
        n = kinks.LAYERS[layer]
        said = f"at Z{n} = 0 the mask is {value}"
        if not 0 <= value <= 1:
            yield kinks.Fault(layer, "wrong", f"dZ{n}", f"{said}: a subgradient of ReLU lies in [0, 1]")
        elif wanted is not None and value != wanted:
            yield kinks.Fault(layer, "wrong", f"dZ{n}", f"{said}; you asked for {wanted}")


def _with_fault(verdict: Verdict, fault: kinks.Fault, setting: Setting) -> Verdict:
    """A fault at exact ties: of a step, and of the leaves that show it."""
    wrong = fault.verdict == "wrong"
    reason = None if wrong else fault.text
    step = dataclasses.replace(verdict.steps[fault.step], verdict=fault.verdict, reason=reason)
    verdict = dataclasses.replace(
        verdict,
        verdict=worst([verdict.verdict, fault.verdict]),
        steps=verdict.steps | {fault.step: step},
    )
    if not wrong:
        return verdict
    cause = Cause("relu_at_zero", fault.text, fault.step, right_lines(*setting)[fault.step].code)
    leaves = {
        leaf: dataclasses.replace(verdict.leaves[leaf], verdict="wrong", reason=fault.text) for leaf in fault.leaves
    }
    return dataclasses.replace(
        verdict,
        leaves=verdict.leaves | leaves,
        causes=(cause,),
        first_wrong_step=verdict.first_wrong_step or fault.step,
    )


def _with_large_sizes(verdict: Verdict, gradients: Callable, traced: Subject, setting: Setting, seed: int) -> Verdict:
    """A derivation that is wrong at large sizes only: its code looks at them."""
    with jax.enable_x64(True):
        found = numeric.wrong_at_large_sizes(gradients, traced, setting, seed)
    if found is None:
        return verdict
    sizes, wrong = found
    at = ", ".join(f"{letter} = {size}" for letter, size in sizes._asdict().items())
    return _with_sizes(verdict, f"right at small sizes, wrong at {at}: the code depends on its sizes", wrong, setting)


def _with_sizes_of_one(verdict: Verdict, gradients: Callable, setting: Setting, seed: int) -> Verdict:
    """A derivation that is wrong, or does not run, where there is one input, hidden unit, output or example."""
    right = frozenset(leaf for leaf in LEAVES if verdict.leaves[leaf].verdict == "right")
    with jax.enable_x64(True):
        found = of_size_one.judge(gradients, setting, right, seed)
    if found.wrong:
        text = f"right at other sizes, wrong at {found.at}: the code depends on its sizes"
        return _with_sizes(verdict, text, found.wrong, setting)
    open_ = {
        leaf: dataclasses.replace(verdict.leaves[leaf], verdict="undecided", reason=reason)
        for leaf, reason in found.undecided.items()
    }
    return dataclasses.replace(
        verdict,
        verdict=worst([verdict.verdict, *(leaf.verdict for leaf in open_.values())]),
        leaves=verdict.leaves | open_,
        steps=verdict.steps | open_,
        notes=(*verdict.notes, *found.notes),
    )


def _with_sizes(verdict: Verdict, text: str, wrong: Collection[str], setting: Setting) -> Verdict:
    """These leaves are wrong at some sizes. An error in both layers is taken to have come with dO2."""
    derived = {leaf for leaf in LEAVES if verdict.leaves[leaf].verdict != "not_derived"}
    both = len({leaf[2] for leaf in wrong}) == 2
    step = "dO2" if both else unexplained.first_wrong(set(wrong), derived, set())
    leaves = verdict.leaves | {leaf: dataclasses.replace(verdict.leaves[leaf], verdict="wrong") for leaf in wrong}
    seen = verdict.steps[step].where
    steps = verdict.steps | {step: StepVerdict("wrong", where=seen if seen in ("returned", "named") else None)}
    cause = Cause("sizes", text, step, right_lines(*setting)[step].code)
    return dataclasses.replace(
        verdict, verdict="wrong", leaves=leaves, steps=steps, first_wrong_step=step, causes=(*verdict.causes, cause)
    )


def _with_program(verdict: Verdict, found: tuple[Program, ...]) -> Verdict:
    """A program that errs by more than rounding is wrong, however right its formula; with NaN it is not right."""
    bad = next((one for one in found if one.verdict == "wrong"), None)
    endless = next((one for one in found if not one.finite_on_batch), None)
    if bad is None and endless and verdict.verdict == "right":
        note = f"the formula is right; on the given batch the program is not: {endless.reason}"
        return dataclasses.replace(verdict, program=found, verdict="undecided", notes=(note, *verdict.notes))
    if bad is None or verdict.verdict == "wrong":
        return dataclasses.replace(verdict, program=found)
    note = f"the formula is {verdict.verdict}; the program is not: {bad.reason}"
    return dataclasses.replace(verdict, program=found, verdict="wrong", notes=(*verdict.notes, note))


def _exactly(gradients: Callable, setting: Setting, batch: tuple) -> tuple[dict[str, str], str]:
    result = check_batch(gradients, setting, *batch)
    return result.leaves, result.text


def _with_batch(verdict: Verdict, leaves: dict[str, str], text: str) -> Verdict:
    formula = verdict.formula and dataclasses.replace(verdict.formula, exact_batch=text)
    judged = {leaf: one for leaf, one in leaves.items() if verdict.leaves[leaf].where}
    wrong = [leaf for leaf in LEAVES if judged.get(leaf) == "wrong"]
    return dataclasses.replace(
        _with_wrong(verdict, wrong, "wrong on the given batch"),
        formula=formula,
        verdict=worst([verdict.verdict, *judged.values()]),
        first_wrong_step=verdict.first_wrong_step or next(iter(wrong), None),
        notes=verdict.notes if formula else (*verdict.notes, text),
    )


def _with_wrong(verdict: Verdict, leaves: Sequence[str], reason: str) -> Verdict:
    """These leaves, too, are wrong; of those that were so already nothing changes."""
    new = {
        leaf: dataclasses.replace(verdict.leaves[leaf], verdict="wrong", reason=reason)
        for leaf in leaves
        if verdict.leaves[leaf].verdict != "wrong"
    }
    return dataclasses.replace(verdict, leaves=verdict.leaves | new, steps=verdict.steps | new)


def _numeric(gradients: Callable, setting: Setting, why: NotTraceable, precisions: Sequence[str]) -> Verdict:
    """For a program that JAX cannot trace: numbers only, no proof."""
    found = check_program(gradients, setting, precisions or ("float64",))
    lines = right_lines(*setting)
    wrong = {step for one in found if one.verdict == "wrong" for step in one.wrong}
    reason = "the program cannot be traced, so only its numbers were judged"
    verdicts = {
        step: StepVerdict("wrong" if step in wrong else "undecided", reason=reason, where="returned")
        for step in STEPS
        if step in why.returned
    }
    missing = {leaf: StepVerdict("not_derived", reason=f"it should be {lines[leaf].code}") for leaf in LEAVES}
    leaves = {leaf: verdicts.get(leaf, missing[leaf]) for leaf in LEAVES}
    steps = {step: StepVerdict("not_shown") for step in STEPS} | verdicts | leaves
    first, causes = None, ()
    if wrong:
        derived = why.returned & set(LEAVES)
        by_leaves = unexplained.first_wrong(wrong & derived, derived, why.returned - wrong)
        first = min(wrong - derived | {by_leaves}, key=STEPS.index)
        causes = (Cause("unknown", unexplained.UNKNOWN.format(step=first), first, lines[first].code),)
    verdict = worst(leaf.verdict for leaf in leaves.values())
    notes = (f"FORMULA undecided: {why}",)
    return Verdict(verdict, leaves, steps, first, causes, None, program=found, notes=notes)
