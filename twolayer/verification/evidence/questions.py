"""A question about any two computations: both sides at a point, and the verdict on each output over all points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.evidence.branches import Branches, Seen
from twolayer.verification.evidence.cases import finite
from twolayer.verification.evidence.shapes import Arguments
from twolayer.verification.numbers import balls, literals
from twolayer.verification.numbers.agreement import DIFFERENT, UNKNOWN, compare
from twolayer.verification.numbers.balls import BITS, MORE_BITS, Undecided, arb, precision
from twolayer.verification.programs import NotJudged, Program, RaisedInside, Refused
from twolayer.verification.reference import Reference

EXAMPLE = "example"  # the kind of a point of small whole numbers
Values = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]
CLOSE, NEAR = 1e-12, 1e-6  # relative: what approximations to float64, and those of fewer terms, may differ by
ROUGH = 1e-3  # and at numbers beyond those that they were made for
UNIT = 2.0**-50  # relative: what one literal that is rounded may come to
FEW_OPEN = 3  # of the ordinary points so many may be open: one in three
ROUNDED = 4  # literals of many digits, and it is a polynomial or rational approximation
ABSENT = {"it is not returned": "mine", "the other function does not return it": "right"}


class At(NamedTuple):
    """A point: the sizes of the letters, the values of all arguments as balls or integers, and its kind.

    origin: the point near which it lies; what is drawn at that, such as cotangents, is kept here.
    """

    kind: str
    sizes: dict[str, int]
    values: dict[str, np.ndarray]
    origin: Any = None


def once(draw: Callable[[At], Any]) -> Callable[[At], Any]:
    """What is drawn at a point, the same whenever it is asked for. The point is kept too: its id stands for it."""
    known: dict[int, tuple[At, Any]] = {}

    def drawn(at: At) -> Any:
        at = at.origin or at
        if id(at) not in known:
            known[id(at)] = (at, draw(at))
        return known[id(at)][1]

    return drawn


class Compared(NamedTuple):
    """Both sides at a point, by the name of the output. `reason`: why one could not be followed.

    tied: whether two numbers that are compared there are equal, so that it may be a kink.
    """

    at: At
    mine: Outputs
    right: Outputs
    reason: str | None = None
    tied: bool = False


class Again(NamedTuple):
    """How an edited copy of the judged function is called, to look for what makes it right.

    given: its arguments at a point. named: the outputs by name of what it returns. of: what is judged of a function
      where that is not the function itself, as of a rule.
    """

    given: Callable[[At], Sequence[Any]]
    named: Callable[[Any], Outputs]
    of: Callable[[Callable], Callable] = lambda function: function


class Question(NamedTuple):
    """Two computations that shall be the same.

    title: what is asked, for the screen. program: the user's code, whose lines are named.
    reference: the function whose derivative it is, where it is one; `outer`: its cotangents at a point.
    notes: what is to be said beside the verdict.
    approximates: whether the plain program is a series, or a loop that stops when it is near enough.
    iterates: whether a loop of it goes on until numbers are near enough: where it differs by more, nothing is decided.
    remark: what is to be said of a wrong output.
    plain_ties: whether what the plain program gives at a tie is right too, be it a subgradient or not.
    extra: what it is called with beside its arguments, by names: cotangents, directions.
    most: numbers of all points together, if only so many can be followed.
    again: see Again; None where no copy can be judged.
    known: from a point and what is wrong there to a cause that this question alone can have.
    met: the function, and its cotangents at a point, whose numbers are right ones too, if it is not `reference`.
    repeats: whether the plain program takes a fixed number of steps, which may not be enough at other scales.
    """

    title: str
    arguments: Arguments
    mine: Callable[[At], Outputs]
    right: Callable[[At], Outputs]
    program: Program
    reference: Reference | None = None
    outer: Callable[[At], Outputs] | None = None
    run: Callable[[At, bool], Any] | None = None
    notes: tuple[str, ...] = ()
    approximates: bool = False
    iterates: bool = False
    remark: Callable[[str, Sequence[Compared]], str | None] = lambda name, found: None
    plain_ties: bool = False
    most: int | None = None
    extra: Callable[[At], Outputs] | None = None
    again: Again | None = None
    known: Callable[[At, Outputs], Any] | None = None
    met: tuple[Reference, Callable[[At], Outputs]] | None = None
    repeats: bool = False


def compared(question: Question, at: At, branches: Branches) -> Compared:
    """Both sides at a point, with more bits where the first are not enough."""
    reason, wide = None, None
    for bits in (BITS, *MORE_BITS):
        try:
            with precision(bits), branches.watching() as seen:
                mine, right = question.mine(at), question.right(at)
                right = _symmetric(question.arguments, mine, right)
        except Undecided as error:
            reason = str(error)
            continue
        except NotJudged as error:
            return Compared(at, {}, {}, str(error))
        except RaisedInside:
            if at.kind == "ordinary" and min(at.sizes.values(), default=2) > 1:
                raise
            return Compared(at, {}, {}, "its code raises here")
        states = [compare(mine[name], right[name]) for name in mine if name in right]
        if not any((state == UNKNOWN).any() for state in states):
            return Compared(at, mine, right, tied=seen.tied)
        reason = "it is not known well enough"
        lost = [name for name in mine if name in right and not finite(mine[name]) and finite(right[name])]
        wide = Compared(at, mine, right, tied=seen.tied) if lost and min(at.sizes.values(), default=2) > 1 else None
    return wide or Compared(at, {}, {}, reason)


def _symmetric(arguments: Arguments, mine: Outputs, right: Outputs) -> Outputs:
    """The right outputs; beside a symmetric derivative by a symmetric argument the symmetric part of the right one.

    Such an argument moves in symmetric directions alone, whichever triangle of it a program reads.
    """
    found = dict(right)
    for name in (f"d{array.path}" for array in arguments.arrays if array.domain == "spd"):
        if name in mine and name in right and np.shape(mine[name]) == np.shape(right[name]):
            own, other = np.asarray(mine[name], object), np.asarray(right[name], object)
            if not (compare(own, np.swapaxes(own, -1, -2)) == DIFFERENT).any():
                found[name] = (other + np.swapaxes(other, -1, -2)) / balls.Ball(2)
    return found


def looked(question: Question, at: At, branches: Branches) -> Seen | None:
    """The comparisons at a point, none of which counts as seen; None where the program cannot be followed."""
    before = {key: set(some) for key, some in branches.outcomes.items()}
    try:
        with precision(BITS), branches.watching() as seen:
            question.mine(at)
            if question.reference is not None:
                question.reference.value(at.values)
    except (Undecided, NotJudged, Refused):
        return None
    finally:
        branches.outcomes = before
    return seen


def check_repeats(question: Question, known: Sequence[Compared]) -> None:
    """Raise Refused if it gives something else when it is called again."""
    for one in known[:1]:
        with precision(BITS):
            again = question.mine(one.at)
        if any((compare(again[name], one.mine[name]) == DIFFERENT).any() for name in one.mine):
            raise Refused("it gives another result when it is called again: it depends on more than its arguments")


def differs(name: str, found: Sequence[Compared]) -> bool:
    """Whether an output is surely another one at some point."""
    pairs = [(one.mine[name], one.right[name]) for one in found if name in one.mine and name in one.right]
    return any(np.shape(a) != np.shape(b) or (compare(a, b) == DIFFERENT).any() for a, b in pairs)


def judged(question: Question, found: Sequence[Compared]) -> dict[str, dict[str, str | None]]:
    """The verdict on each output, by its name: "verdict" and "reason"."""
    names = dict.fromkeys(name for one in found for name in (*one.right, *one.mine))
    ordinary = [one for one in found if one.at.kind == "ordinary"]
    reasons = [one.reason for one in ordinary if one.reason]
    reason = reasons[0] if len(reasons) * FEW_OPEN > len(ordinary) else None
    outputs = {name: _judged(question, name, found, reason) for name in names}
    if not outputs and reason:
        outputs["result"] = {"verdict": "undecided", "reason": reason}
    return outputs


def _judged(question: Question, name: str, found: Sequence[Compared], reason: str | None) -> dict[str, str | None]:
    absent = next(
        (words for words, side in ABSENT.items() if not any(name in getattr(one, side) for one in found)), None
    )
    if absent and any(one.mine for one in found):
        return {"verdict": "not_derived" if name[0] == "d" else "wrong", "reason": absent}
    states: dict[str, set[int]] = {}
    for one in found:
        if name not in one.mine or name not in one.right:
            continue
        mine, right = one.mine[name], one.right[name]
        if np.shape(mine) != np.shape(right):
            return {"verdict": "wrong", "reason": f"it has shape {np.shape(mine)}, and {np.shape(right)} is right"}
        if one.at.kind == "ordinary" and not finite(mine) and finite(right):
            return {"verdict": "wrong", "reason": "NaN or infinity comes out"}
        states.setdefault(one.at.kind, set()).update(np.unique(compare(mine, right)).tolist())
    wrong = [kind for kind, some in states.items() if DIFFERENT in some]
    if wrong:
        return _differs(question, name, found, wrong)
    if not states or any(UNKNOWN in some for some in states.values()) or reason:
        return {"verdict": "undecided", "reason": reason or "it is not known well enough"}
    return {"verdict": "right", "reason": None}


def _differs(question: Question, name: str, found: Sequence[Compared], kinds: Sequence[str]) -> dict[str, str | None]:
    """An output that is not the same: wrong, unless the right one approximates, and as well as floats can show."""
    both = [one for one in found if name in one.mine and name in one.right]
    largest = max(_relative(one.mine[name], one.right[name]) for one in both)
    rounds = literals.rounded and largest <= UNIT
    if rounds or question.approximates or len(literals.rounded) >= ROUNDED:
        digits = f"{largest:.1g} relative" if largest else "the last bit of float64"
        said = f"to {digits}, as a program that approximates can be"
        if largest <= CLOSE:
            return {"verdict": "right", "reason": said}
    usual = [_relative(one.mine[name], one.right[name]) for one in both if one.at.kind == "ordinary"]
    if len(literals.rounded) >= ROUNDED and max(usual, default=1.0) <= CLOSE:
        if largest <= NEAR:
            return {"verdict": "right", "reason": f"to {largest:.1g} relative where it approximates, exact elsewhere"}
        said = "it is right at ordinary numbers, and a program that approximates says no more"
        return {"verdict": "undecided", "reason": f"{said}: give a reference that is exact"}
    if len(literals.rounded) >= ROUNDED and max(usual, default=1.0) <= NEAR and largest <= ROUGH:
        said = f"to {max(usual):.1g} relative at ordinary numbers, as a program that approximates can be"
        return {"verdict": "undecided", "reason": f"it is right {said}: give a reference that is exact"}
    if largest <= NEAR and (rounds or question.approximates or len(literals.rounded) >= ROUNDED):
        said = f"to {largest:.1g} relative, as a program that approximates can be"
        return {"verdict": "undecided", "reason": f"it is right {said}: give a reference that is exact"}
    if question.iterates:
        said = "the plain program iterates until it is near enough, and its steps have another derivative"
        return {"verdict": "undecided", "reason": f"{said}: give a reference that is exact"}
    if question.repeats and set(kinds) == {"scaled"}:
        said = "it is right at ordinary numbers; at others the fixed number of steps of its loop may not be enough"
        return {"verdict": "undecided", "reason": f"{said}: give a reference that is exact"}
    if "ordinary" in kinds:
        return {"verdict": "wrong", "reason": question.remark(name, found)}
    where = {"scaled": "at very large or small numbers", "tie": "at a kink", "sizes": "at larger sizes"}
    where["repeated"] = "where a label occurs more than once"
    return {"verdict": "wrong", "reason": f"only {where.get(kinds[0], 'on a branch that few numbers enter')}"}


def _relative(mine: np.ndarray, right: np.ndarray) -> float:
    """The largest difference of numbers that float64 can hold, in parts of the largest number."""
    a, b = (balls.floats(side).ravel() for side in (mine, right))
    shown = np.isfinite(a) & np.isfinite(b) & (a != b)
    exact = zip(np.ravel(mine)[shown], np.ravel(right)[shown], strict=True)
    error = max((float(abs(arb(u) - arb(v)).upper()) for u, v in exact), default=0.0)
    size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    return error / float(size) if size else float(error > 0)
