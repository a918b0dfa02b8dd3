"""One judge for any question: both sides at every point, at ties and in every branch; where and why; and the screen."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.exploring import MASK, Search, drawn, reach, within
from twolayer.verification.evidence.kinks import Kink, at_ties, settled
from twolayer.verification.evidence.questions import At, Compared, Question, check_repeats, compared, differs, judged
from twolayer.verification.evidence.small_constants import but_for
from twolayer.verification.evidence.smallest import Example, apart, code, smallest
from twolayer.verification.explain.anywhere import Located, locate
from twolayer.verification.numbers import literals
from twolayer.verification.numbers.balls import Undecided, floats
from twolayer.verification.reference import OraclesDisagree
from twolayer.verification.verdict import Judgement, Reason, worst

PATIENCE, ENOUGH = 15.0, 3  # seconds of work at the points that are drawn; points that are looked at whatever it takes
Outputs = dict[str, dict[str, str | None]]
WORDS = {"right": "RIGHT", "wrong": "WRONG", "undecided": "UNDECIDED", "not_derived": "NOT DERIVED"}


def judge(question: Question, strict: bool, seed: int, allow_guards: bool = False) -> Judgement:
    """The verdict on a question.

    Args:
      strict: whether "right" is "undecided" where a branch was never entered.
      seed: of the points.
      allow_guards: whether what is right but for small constants is right.
    """
    started = time.perf_counter()
    literals.rounded.clear()
    reference = question.reference
    branches = Branches(question.program, *([reference.program] if reference is not None else []))
    points = drawn(question.arguments, question.program, seed, question.most)
    largest = reach(reference.program) if reference is not None else None
    found, kinks = [], list[Kink]()

    def look(at: At) -> None:
        if not within(at, largest):
            return
        one, some = settled(question, compared(question, at, branches))
        found.append(one)
        kinks.extend(some)

    left_out = _affordable(points, look)
    known = [one for one in found if one.reason is None]
    check_repeats(question, known)
    disagreement, unheld = _check(question, known)
    outputs = judged(question, found)
    if known and question.most is None and all(one["verdict"] == "right" for one in outputs.values()):
        for at in Search(question, branches, known[0].at, seed).found():
            look(at)
        tied, some = at_ties(question, branches, known[0].at, seed)
        found += [one for one in tied if within(one.at, largest)]
        kinks += [kink for kink in some if within(kink.at, largest)]
        known = [one for one in found if one.reason is None]
        outputs = judged(question, found)
    outputs, located = _explained(question, known, outputs, allow_guards)
    verdict = worst(one["verdict"] or "undecided" for one in outputs.values()) if outputs else "undecided"
    one_sided = branches.one_sided()
    if verdict == "right" and (disagreement or (strict and one_sided)):
        verdict = "undecided"
    notes = _notes(branches, kinks, disagreement) + unheld + question.notes
    if left_out:
        notes += (f"it takes long: {left_out} of {len(points)} points were left out",)
    if largest is not None:
        notes += (f"tried with numbers up to {largest:.2g}: a number of the code beyond {MASK:g} stands for infinity",)
    seen, seconds = branches.seen(), time.perf_counter() - started
    found_ = Judgement(verdict, outputs, located.causes, located.line, located.line_number, seen, notes, "", seconds)
    wrong = [name for name, one in outputs.items() if one["verdict"] == "wrong"]
    example = smallest(question, wrong, known, seed) if wrong else None
    return dataclasses.replace(found_, text=_text(question, found_, known, example))


def _explained(
    question: Question, known: Sequence[Compared], outputs: Outputs, allow_guards: bool
) -> tuple[Outputs, Located]:
    """Where and why; where all that differs is right but for small constants, the outputs with that said of them."""
    open_or_wrong = [name for name, one in outputs.items() if one["verdict"] in ("wrong", "undecided")]
    differing = [name for name in open_or_wrong if differs(name, known)]
    if not differing:
        return outputs, Located()
    found, guard = Located(), but_for(question, known, differing, own=True)
    if guard is None:
        if not _flat([name for name in differing if outputs[name]["verdict"] == "wrong"], known):
            found = locate(question, sorted(known, key=lambda one: one.at.kind != "ordinary"), outputs)
        guard = but_for(question, known, differing, own=False) if not found.causes else None
    if guard is None:
        return outputs, found
    accepted, number = allow_guards and guard.acceptable, guard.line
    more = "; allow_guards accepts it" if guard.acceptable else ""
    verdict, reason = ("right", guard.said) if accepted else ("wrong", guard.said + more)
    told = dict[str, str | None](verdict=verdict, reason=reason)
    line = (question.program.source or "").splitlines()[number - 1].strip() if number else None
    found = Located() if accepted else Located((Reason("guard", guard.said, line),), line, number)
    return {name: told if name in differing else one for name, one in outputs.items()}, found


def _flat(names: Sequence[str], known: Sequence[Compared]) -> bool:
    """Whether the right outputs are zero wherever they are known: then anything that gives nothing is right."""
    right = [one.right[name] for one in known for name in names if name in one.right]
    return all(not floats(a).any() for a in right)


def _affordable(points: Sequence[At], look: Callable[[At], None]) -> int:
    """Look at points in their order, but for those that would take too long; how many these are."""
    started, cost, left_out = time.process_time(), float("inf"), 0
    for i, at in enumerate(points):
        spent, size = time.process_time() - started, 1 + sum(map(np.size, at.values.values()))
        if i >= ENOUGH and spent + cost * size > PATIENCE:
            left_out += 1
            continue
        look(at)
        cost = min(cost, (time.process_time() - started - spent) / size)
    return left_out


def _check(question: Question, known: Sequence[Compared]) -> tuple[str | None, tuple[str, ...]]:
    """What is to be said if the two oracles of the right derivative disagree, or one of them cannot be asked."""
    try:
        for one in sorted(known, key=lambda one: sum(map(np.size, one.at.values.values())))[:1]:
            if question.reference is not None and question.outer is not None:
                question.reference.check(one.at.values, question.outer(one.at))
    except OraclesDisagree as error:
        return str(error), ()
    except Undecided as error:
        return None, (f"the derivative could not be held against the difference quotient: {error}",)
    return None, ()


def _notes(branches: Branches, kinks: Sequence[Kink], disagreement: str | None) -> tuple[str, ...]:
    notes = []
    if branches.one_sided():
        places = [f"{place} ({sides})" for place, sides in branches.seen().items() if sides != "both"]
        notes.append(f"never entered on the other side: {', '.join(places[:4])}")
    for kink in list({kink.output: kink for kink in kinks}.values())[:2]:
        entry = f"{kink.output}{list(kink.entry) if kink.entry else ''}"
        notes.append(f"at a kink {entry} is {kink.mine:.4g}, of {kink.low:.4g} to {kink.high:.4g}: a subgradient")
    if literals.rounded:
        notes.append(f"up to the rounding of {', '.join(sorted(map(repr, literals.rounded))[:4])}")
    return (*notes, *([disagreement] if disagreement else []))


def _text(question: Question, verdict: Judgement, known: Sequence[Compared], example: Example | None) -> str:
    """What the terminal shows."""
    name = getattr(question.program.function, "__name__", "the function")
    said = WORDS[verdict.verdict] + (
        " by a small constant alone" if any(why.id == "guard" for why in verdict.causes) else ""
    )
    first = f"{said}: {name}, {question.title}"
    if verdict.line_number:
        first = f"{said} at line {verdict.line_number}: {verdict.line}"
    shown = [first, *(f"  {why.text}" for why in verdict.causes[:3])]
    if len(verdict.causes) > 3:
        shown.append(f"  or another of {len(verdict.causes)} causes")
    for output, one in verdict.outputs.items():
        reason = f": {one['reason']}" if one["reason"] else ""
        shown.append(f"  {output:12s} {str(one['verdict']).replace('_', ' ')}{reason}")
    sizes = len({tuple(one.at.sizes.items()) for one in known})
    shown.append(f"  {len(known)} points, {sizes} sizes, to 60 digits; {verdict.seconds:.1f} s; rounding is not judged")
    shown += [f"  {note}" for note in verdict.notes]
    if example is not None:
        entry = f"{example.output}{list(example.entry) if example.entry else ''}"
        sizes = ", ".join(f"{letter} = {size}" for letter, size in example.one.at.sizes.items())
        mine, right = apart(example.mine, example.right)
        shown.append(f"  {entry}: yours {mine}, right {right}{f' ({sizes})' if sizes else ''}")
        shown += [f"    {line}" for line in code(question, example)]
    return "\n".join(shown)
