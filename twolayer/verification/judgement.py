"""One judge for any question: both sides at every point, at ties and in every branch; where and why; and the screen."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.cases import EQUAL, compare
from twolayer.verification.evidence.exploring import Search, drawn
from twolayer.verification.evidence.kinks import Kink, at_ties, settled
from twolayer.verification.evidence.questions import Compared, Question, check_repeats, compared, judged
from twolayer.verification.explain.anywhere import Located, locate
from twolayer.verification.numbers import balls as numbers
from twolayer.verification.numbers.balls import Undecided, arb
from twolayer.verification.reference import OraclesDisagree
from twolayer.verification.verdict import Judgement, worst

WORDS = {"right": "RIGHT", "wrong": "WRONG", "undecided": "UNDECIDED", "not_derived": "NOT DERIVED"}


def judge(question: Question, strict: bool, seed: int) -> Judgement:
    """The verdict on a question.

    Args:
      strict: whether "right" is "undecided" where a branch was never entered.
      seed: of the points.
    """
    started = time.perf_counter()
    numbers.rounded.clear()
    reference = question.reference
    branches = Branches(question.program, *([reference.program] if reference is not None else []))
    points = drawn(question.arguments, question.program, seed, question.most)
    found, kinks = [], list[Kink]()

    def look(at: object) -> None:
        one, some = settled(question, compared(question, at, branches))
        found.append(one)
        kinks.extend(some)

    for at in points:
        look(at)
    known = [one for one in found if one.reason is None]
    check_repeats(question, known)
    disagreement = _check(question, known)
    outputs = judged(question, found)
    if known and question.most is None and all(one["verdict"] == "right" for one in outputs.values()):
        for at in Search(question, branches, known[0].at, seed).found():
            look(at)
        tied, some = at_ties(question, branches, known[0].at, seed)
        found, kinks = [*found, *tied], [*kinks, *some]
        known = [one for one in found if one.reason is None]
        outputs = judged(question, found)
    verdict = worst(one["verdict"] or "undecided" for one in outputs.values()) if outputs else "undecided"
    one_sided = branches.one_sided()
    if verdict == "right" and (disagreement or (strict and one_sided)):
        verdict = "undecided"
    ordinary = [one for one in known if one.at.kind == "ordinary"]
    located = locate(question, ordinary, outputs) if verdict == "wrong" else Located()
    notes = _notes(branches, kinks, disagreement) + question.notes
    seen, seconds = branches.seen(), time.perf_counter() - started
    found_ = Judgement(verdict, outputs, located.causes, located.line, located.line_number, seen, notes, "", seconds)
    return dataclasses.replace(found_, text=_text(question, found_, known))


def _check(question: Question, known: Sequence[Compared]) -> str | None:
    """What is to be said if the two oracles of the right derivative disagree."""
    try:
        for one in known[:1]:
            if question.reference is not None and question.outer is not None:
                question.reference.check(one.at.values, question.outer(one.at))
    except OraclesDisagree as error:
        return str(error)
    except Undecided as error:
        return f"the derivative could not be held against the difference quotient: {error}"
    return None


def _notes(branches: Branches, kinks: Sequence[Kink], disagreement: str | None) -> tuple[str, ...]:
    notes = []
    if branches.one_sided():
        places = [f"{place} ({sides})" for place, sides in branches.seen().items() if sides != "both"]
        notes.append(f"never entered on the other side: {', '.join(places[:4])}")
    for kink in list({kink.output: kink for kink in kinks}.values())[:2]:
        entry = f"{kink.output}{list(kink.entry) if kink.entry else ''}"
        notes.append(f"at a kink {entry} is {kink.mine:.4g}, of {kink.low:.4g} to {kink.high:.4g}: a subgradient")
    if numbers.rounded:
        notes.append(f"up to the rounding of {', '.join(sorted(map(repr, numbers.rounded))[:4])}")
    return (*notes, *([disagreement] if disagreement else []))


def _text(question: Question, verdict: Judgement, known: Sequence[Compared]) -> str:
    """What the terminal shows."""
    name = getattr(question.program.function, "__name__", "the function")
    first = f"{WORDS[verdict.verdict]}: {name}, {question.title}"
    if verdict.line_number:
        first = f"{WORDS[verdict.verdict]} at line {verdict.line_number}: {verdict.line}"
    shown = [first, *(f"  {why.text}" for why in verdict.causes[:3])]
    if len(verdict.causes) > 3:
        shown.append(f"  or another of {len(verdict.causes)} causes")
    for output, one in verdict.outputs.items():
        reason = f": {one['reason']}" if one["reason"] else ""
        shown.append(f"  {output:12s} {str(one['verdict']).replace('_', ' ')}{reason}")
    sizes = len({tuple(one.at.sizes.items()) for one in known})
    shown.append(f"  {len(known)} points, {sizes} sizes, to 60 digits; {verdict.seconds:.1f} s")
    shown += [f"  {note}" for note in verdict.notes]
    example = _example(verdict, known)
    return "\n".join(shown + ([example] if example else []))


def _example(verdict: Judgement, known: Sequence[Compared]) -> str | None:
    """One wrong entry, with both values, at the smallest point that has one."""
    wrong = [name for name, output in verdict.outputs.items() if output["verdict"] == "wrong"]
    for one in sorted(known, key=lambda one: sum(np.size(v) for v in one.at.values.values())):
        for name in wrong:
            if name in one.mine and np.shape(one.mine[name]) == np.shape(one.right.get(name)):
                entries = np.argwhere(compare(one.mine[name], one.right[name]) != EQUAL)
                if len(entries):
                    at = tuple(int(i) for i in entries[0])
                    mine, right = (float(arb(np.asarray(side[name])[at])) for side in (one.mine, one.right))
                    sizes = ", ".join(f"{k} = {v}" for k, v in one.at.sizes.items())
                    return f"  {name}{list(at) if at else ''}: yours {mine:.6g}, right {right:.6g} ({sizes})"
    return None
