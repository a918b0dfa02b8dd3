"""What a verdict says in words. The screen and the report put the same sentences in different places."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from twolayer.verification.problem import LEAVES, STEPS
from twolayer.verification.verdict import Cause, Counterexample, Formula, Program, Verdict

WORDS = {"right": "RIGHT", "wrong": "WRONG", "undecided": "UNDECIDED", "not_derived": "NOT DERIVED"}


Place = Callable[[Any], str]  # a line of the user's file as people count it: "line 12", "cell 3, line 4"
LINE: Place = "line {}".format


def headline(verdict: Verdict, place: Place = LINE) -> tuple[str, str]:
    """The first line: `WRONG at dZ1, line 14: delta1 should be dL/dZ1`, and the sentence after its last colon."""
    word, first = WORDS[verdict.verdict], _first(verdict)
    if first and first.leaf == "loss":
        word += " for the declared loss" if first.text.startswith("right") else ""
    elif verdict.verdict == "wrong" and verdict.first_wrong_step:
        word += f" at {verdict.first_wrong_step}"
        word += f", {where(first, place)}" if first and first.line is not None else ""
    return word, _SENTENCES[verdict.verdict](verdict).rstrip(".")


def _first(verdict: Verdict) -> Cause | None:
    """The cause that the headline tells."""
    found = explanations(verdict)
    return found[0][0] if found and verdict.verdict == "wrong" else None


def where(cause: Cause, place: Place = LINE) -> str:
    """The user's line, or the range in which the error is, and what the variable there should be."""
    if cause.since is not None:
        return f"between {place(cause.since)}, right, and {place(cause.line)}"
    if cause.variable is None and cause.leaf != "forward":
        return f"{place(cause.line)} or before"
    said = place(cause.line)
    return f"{said}: {cause.variable} should be dL/{cause.leaf}" if cause.leaf in STEPS else said


def is_said(text: str, verdict: Verdict) -> bool:
    """Whether the first line says this already."""
    return text.rstrip(".") == headline(verdict)[1]


def explanations(verdict: Verdict) -> list[list[Cause]]:
    """The causes by explanation, in the order of the computation.

    Each list explains the evidence alone; two causes in one list are two errors at once.
    """
    order = ("forward", *STEPS)
    causes = sorted(verdict.causes, key=lambda cause: order.index(cause.leaf) if cause.leaf in order else len(order))
    numbers = sorted({cause.explanation for cause in causes})
    found = [[cause for cause in causes if cause.explanation == number] for number in numbers]
    shown = {tuple(map(_shown, explanation)): explanation for explanation in reversed(found)}
    return list(reversed(shown.values()))


def _shown(cause: Cause) -> tuple:
    """What tells a cause from another: of one variable that is two steps, as dO2 and dZ2 without a ReLU, its line."""
    return cause.id, cause.text, (cause.line, cause.variable) if cause.variable else cause.leaf


def reasons(verdict: Verdict) -> list[tuple[str, str]]:
    """(name, reason) of each step and leaf that has one, each once."""
    found = {name: step.reason for name, step in verdict.steps.items() if step.reason}
    return list((found | {name: leaf.reason for name, leaf in verdict.leaves.items() if leaf.reason}).items())


def interesting_steps(verdict: Verdict) -> bool:
    """Whether the table of steps says more than the first line."""
    dull = {"right", "not_shown"}
    return verdict.verdict != "right" or any(step.verdict not in dull for step in verdict.steps.values())


def carried(verdict: Verdict) -> str | None:
    """The scale ledger of a right derivation in one sentence."""
    scales = {step: verdict.steps[step].scale for step in STEPS if step in verdict.steps and verdict.steps[step].scale}
    if not scales:
        return None
    return f"{', '.join(f'{step} carries {scale}' for step, scale in scales.items())}, paid back in the gradients"


def formula(part: Formula) -> list[str]:
    """What was established in real numbers, and where."""
    if part.verdict == "not_derived" and not part.points:
        return ["there is nothing to compare"]
    points = (
        f"{_count(part.points, 'point')}, {_count(part.patterns, 'activation pattern')}, {_count(part.sizes, 'size')}"
    )
    if part.verdict == "right":
        found = [f"equal to 2^-{part.bits} ({int(part.bits * 0.30103)} digits) at {points}"]
    elif part.verdict == "wrong":
        found = [f"proved different; tried at {points}"]
    else:
        found = [points]
    if part.left_out:
        found.append(f"{_count(part.left_out, 'point')} left out: a number is not finite there, or cannot be followed")
    if part.rounded:
        found.append(f"up to the rounding of {', '.join(part.rounded[:4])}")
    if part.exact_batch:
        found.append(f"on the given batch: {part.exact_batch}")
    return found


def program(part: Program) -> str:
    """The rounding of one precision in one sentence."""
    found = []
    if part.steps:
        largest = max(part.steps, key=lambda step: _rank(step.eta))
        found.append(f"eta <= {_up(largest.eta)} ({largest.step})")
        worst = max(part.steps, key=lambda step: _rank(step.error_over_bound))
        if not worst.error_over_bound <= 1:
            found.append(f"the error of {worst.step} is {worst.error_over_bound:.3g} times its bound")
    alike = [name for name, outcome in part.agreement.items() if outcome == "right"]
    if alike:
        found.append(f"{', '.join(alike)} agree" + ("s" if len(alike) == 1 else ""))
    found += [f"{name}: {outcome}" for name, outcome in part.agreement.items() if outcome != "right"]
    return "; ".join(found + ([part.reason] if part.reason else []))


def conventions(verdict: Verdict) -> list[tuple[str, str]]:
    """(name, what was found)."""
    names = {"relu_at_zero": "ReLU'(0)"}
    known = {
        names.get(name, name): [f"{layer} {value}" for layer, value in found.items() if value not in (None, "None")]
        for name, found in verdict.conventions.items()
    }
    return [(name, ", ".join(found)) for name, found in known.items() if found]


def disagreement(example: Counterexample) -> tuple[str, str, str]:
    """The entry that is wrong, as given and as it should be."""
    index = f"[{', '.join(map(str, example.index))}]" if example.index else ""
    yours, right = number(example.yours), number(example.right)
    if yours == right:  # they differ by less than is shown
        yours, right = repr(example.yours), repr(example.right)
    return f"{example.quantity}{index}", yours, right


def number(value: object) -> str:
    """As short as it can be told apart from its neighbours by hand."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def array(values: object) -> str:
    """A nested list on one line."""
    if isinstance(values, Sequence) and not isinstance(values, str):
        return f"[{', '.join(map(array, values))}]"
    return number(values)


def _right(verdict: Verdict) -> str:
    guarded = "; but for a guard" if verdict.formula and verdict.formula.guards else ""
    if verdict.standard:
        return f"{', '.join(LEAVES)} are the gradient of the loss of the file, which is {verdict.standard}{guarded}"
    return f"{', '.join(LEAVES)} are the gradient of the loss{guarded}"


def _wrong(verdict: Verdict) -> str:
    found = explanations(verdict)
    if len(found) > 1:
        return f"{found[0][0].text.rstrip('.')}; or another of {len(found)} causes, which explain it equally well"
    if found and len(found[0]) > 1:
        return f"{found[0][0].text.rstrip('.')}; the first of {len(found[0])} errors"
    if found:
        return found[0][0].text
    programs = [part for part in verdict.program if part.verdict == "wrong"]
    if programs and not (verdict.formula and verdict.formula.verdict == "wrong"):
        return f"the formula is not refuted, but in {programs[0].precision} the program is off by more than rounding"
    if verdict.loss:
        return verdict.loss
    if verdict.formula and verdict.formula.verdict != "wrong" and verdict.formula.exact_batch:
        return f"the formula is not refuted, but it is on the given batch: {verdict.formula.exact_batch}"
    return "the error enters here; nothing in the catalogue explains it"


def _undecided(verdict: Verdict) -> str:
    undecided = {name for part in (verdict.steps, verdict.leaves) for name in part if part[name].verdict == "undecided"}
    told = [f"{name}: {reason}" for name, reason in reasons(verdict) if name in undecided]
    return (told or list(verdict.notes) or ["no error was found, and nothing was proved"])[0]


def _not_derived(verdict: Verdict) -> str:
    missing = [leaf for leaf in LEAVES if leaf in verdict.leaves and verdict.leaves[leaf].verdict == "not_derived"]
    others = [verdict.leaves[leaf].verdict for leaf in verdict.leaves if leaf not in missing]
    rest = "; the others are right" if others and set(others) == {"right"} else ""
    return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing{rest}"


_SENTENCES = {"right": _right, "wrong": _wrong, "undecided": _undecided, "not_derived": _not_derived}


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" + ("" if n == 1 else "s")


def _up(value: float) -> str:
    """Two digits, rounded up: it is quoted as a bound."""
    if not (math.isfinite(value) and value > 0):
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(round(value / unit, 6)) * unit:.2g}"


def _rank(value: float) -> float:
    return math.inf if math.isnan(value) else value
