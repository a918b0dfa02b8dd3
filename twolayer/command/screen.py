"""A verdict on one screen: at most 40 lines of 100 columns, the verdict first."""

import os
import textwrap
from collections.abc import Callable
from typing import TextIO

from twolayer.command import wording
from twolayer.command.wording import LINE, Place
from twolayer.verification.problem import STEPS
from twolayer.verification.verdict import Cause, StepVerdict, Verdict

HEIGHT, WIDTH, GUTTER = 40, 100, 9
LEGEND = "itself: given the steps before it; gradient: as a whole; carries: a factor that is paid back later"
MORE = " " * GUTTER + "... more with --report=FILE.md"
# The most lines a part may take; what is left belongs to the formula, the program and the notes.
BUDGET = {"head": 4, "table": 10, "reasons": 3, "causes": 9, "counterexample": 7}
COLOURS = {"right": "32", "wrong": "31;1", "undecided": "33", "not_derived": "33", "not_shown": "2"}
NOT_SHOWN = StepVerdict("not_shown")
Paint = Callable[[str, str], str]  # a verdict and the text to show in its colour


def render(verdict: Verdict, name: str, *, source: str | None = None, place: Place = LINE, colour: bool = False) -> str:
    """The screen for one verdict.

    Args:
      verdict: what to show.
      name: what was judged against which loss, for the second line.
      source: text of the derivation file, to quote the line of a cause from.
      place: a line of it as people count it.
      colour: whether to use the terminal's colours.
    """

    def paint(word: str, text: str) -> str:
        return f"\x1b[{COLOURS[word]}m{text}\x1b[0m" if colour else text

    parts = {
        "head": _head(verdict, name, paint, place),
        "table": _table(verdict, paint, place) if wording.interesting_steps(verdict) else [],
        "reasons": _reasons(verdict),
        "causes": _causes(verdict, source, place),
        "counterexample": _counterexample(verdict),
    }
    budget = BUDGET if verdict.causes else BUDGET | {"reasons": BUDGET["causes"]}
    shown = [_cap(part, budget[title]) for title, part in parts.items() if part]
    shown.append(_cap(_facts(verdict), HEIGHT - sum(len(part) + 1 for part in shown)))
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in shown if part)


def wants_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _head(verdict: Verdict, name: str, paint: Paint, place: Place) -> list[str]:
    word, sentence = wording.headline(verdict, place)
    said = _cap(_wrapped(f"{word}: {sentence}", ""), BUDGET["head"] - 1)
    said[0] = paint(verdict.verdict, said[0][: len(word)]) + said[0][len(word) :]
    seconds = f"; {verdict.seconds:.1f} s"
    whole, room = _wrapped(name + seconds, ""), WIDTH - len(seconds)
    if len(said) + len(whole) <= BUDGET["head"]:
        return [*said, *whole]
    return [*said, f"{name[: room - 4]} ..." + seconds]


def _table(verdict: Verdict, paint: Paint, place: Place) -> list[str]:
    shown = ["step   itself       gradient     carries     seen as      yours"]
    for name in STEPS:
        step, leaf = verdict.steps.get(name, NOT_SHOWN), verdict.leaves.get(name)
        cells = [name.ljust(5), paint(step.verdict, _plain(step.verdict).ljust(11))]
        cells.append(paint(leaf.verdict, _plain(leaf.verdict).ljust(11)) if leaf else " " * 11)
        cells += [(step.scale or "")[:10].ljust(10), (step.where or "")[:11].ljust(11)]
        cells.append(f"{place(step.line)}: {step.variable}"[:40] if step.variable and step.line else "")
        shown.append("  ".join(cells))
    return [*shown, LEGEND]


def _reasons(verdict: Verdict) -> list[str]:
    new = [(name, why) for name, why in wording.reasons(verdict) if not wording.is_said(f"{name}: {why}", verdict)]
    return [line for name, why in new for line in _wrapped(why, name)]


def _causes(verdict: Verdict, source: str | None, place: Place) -> list[str]:
    found = wording.explanations(verdict)
    if not found:
        return []
    if len(found) == 1 and len(found[0]) == 1:
        return _cause(found[0][0], source, place, "cause", say=not wording.is_said(found[0][0].text, verdict))
    shown = [f"Any one of these {len(found)} explains it:" if len(found) > 1 else f"{len(found[0])} errors at once:"]
    for i, explanation in enumerate(found):
        for j, cause in enumerate(explanation):
            letter = f"({chr(97 + i)})" if len(found) > 1 else ""
            digit = f"{j + 1}." if len(explanation) > 1 else ""
            shown += _cause(cause, source, place, f"{letter} {digit}".strip(), say=True)
    return shown


def _cause(cause: Cause, source: str | None, place: Place, label: str, say: bool) -> list[str]:
    shown = _wrapped(f"at {cause.leaf}: {cause.text}", label) if say else []
    text = source.splitlines()[cause.line - 1].strip() if source and cause.line else None
    if text:
        before = f"after {place(cause.since)}, which is right, and at the latest here: " if cause.since else ""
        shown += _wrapped(f"{before}{text}   ({place(cause.line)})", "  yours")
    return shown + (_wrapped(cause.correction, "  right") if cause.correction else [])


def _counterexample(verdict: Verdict) -> list[str]:
    example = verdict.counterexample
    if example is None:
        return []
    sizes = ", ".join(f"{name} = {size}" for name, size in example.sizes.items())
    entry, yours, right = wording.disagreement(example)
    shown = _wrapped(f"{sizes}; entries counted from 0", "example")
    for arrays in (example.inputs, example.forward):
        shown += _flowed([f"{name} = {wording.array(values)}" for name, values in arrays.items()])
    return _cap(shown, BUDGET["counterexample"] - 1) + _flowed([f"{entry}: yours {yours}, right {right}"])


def _facts(verdict: Verdict) -> list[str]:
    shown = []
    told = verdict.standard or any(cause.leaf == "loss" for cause in verdict.causes)
    if verdict.loss and not told and not wording.is_said(verdict.loss, verdict):
        shown += _wrapped(verdict.loss, "LOSS")
    if verdict.formula:
        shown += _wrapped("; ".join([_plain(verdict.formula.verdict), *wording.formula(verdict.formula)]), "FORMULA")
        for guard in verdict.formula.guards:
            more = "" if verdict.verdict == "right" else "; without it the formula is right: --allow_guards accepts it"
            shown += _wrapped(guard + more, "GUARD")
    for part in verdict.program:
        detail = wording.program(part)
        if part.verdict == "right" and not part.steps:  # there was nothing to round
            continue
        shown += _wrapped(f"{part.precision} {_plain(part.verdict)}" + (f": {detail}" if detail else ""), "PROGRAM")
    carried = None if wording.interesting_steps(verdict) else wording.carried(verdict)
    notes = [("NOTE", note) for note in verdict.notes if not wording.is_said(note, verdict)]
    for label, text in [("SCALE", carried), *notes, *wording.conventions(verdict)]:
        shown += _wrapped(text, label) if text else []
    return shown


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _wrapped(text: str, label: str) -> list[str]:
    """The text beside its label, which has a column of its own; without a label over the full width."""
    indent = " " * GUTTER
    if not label:
        return textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return textwrap.wrap(text, WIDTH, initial_indent=label.ljust(GUTTER - 1) + " ", subsequent_indent=indent)


def _flowed(items: list[str]) -> list[str]:
    """As many items to a line as fit, none broken unless it is longer than a line."""
    shown: list[str] = []
    for item in items:
        if shown and len(shown[-1]) + 3 + len(item) <= WIDTH:
            shown[-1] += "   " + item
        else:
            shown += textwrap.wrap(item, WIDTH, initial_indent=" " * GUTTER, subsequent_indent=" " * (GUTTER + 2))
    return shown


def _cap(part: list[str], height: int) -> list[str]:
    return part if len(part) <= height else [*part[: height - 1], MORE]
