"""Where and why, for any function: the edit of the user's code that makes it right, or else the first wrong numbers.

Edits are searched for on floats (repairs.py). The reference is run on recorded numbers, so that those of the right
computation and of its reverse pass are known: they tell lines that are right from those that are wrong. Where no edit
is found, the line is the first that gives numbers which only the wrong outputs have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.evidence.questions import differs
from twolayer.verification.explain import where
from twolayer.verification.explain.blame import Numbers, first_wrong
from twolayer.verification.explain.repairs.needed import place
from twolayer.verification.explain.repairs.runs import SECONDS
from twolayer.verification.explain.repairs.search import Repairs
from twolayer.verification.explain.repairs.words import told
from twolayer.verification.numbers.agreement import EQUAL, compare
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.factors import decimal, ratio
from twolayer.verification.numbers.recorded import Recorded, by, cotangents, reached, recording
from twolayer.verification.programs import Local, NotJudged, Refused
from twolayer.verification.programs.load import from_function
from twolayer.verification.reference import leaves, weighted
from twolayer.verification.verdict import Reason

MORE = 8  # points at which a repair is checked


class Located(NamedTuple):
    """The causes that tie, and the line of the first; what that makes once it is mended, run by run."""

    causes: tuple[Reason, ...] = ()
    line: str | None = None
    line_number: int | None = None
    made: tuple[np.ndarray, ...] = ()


class Recording(NamedTuple):
    """The right computation at a point.

    numbers: all that it meets, forwards and backwards. arrays: the cotangent of every array, with the line of the
      reference that made it.
    """

    numbers: Numbers
    arrays: list[tuple[str, np.ndarray]]


def locate(question: Any, cases: Sequence[Any], outputs: Mapping[str, Mapping[str, Any]]) -> Located:
    """Look for the edit that explains what is wrong; without one, for the line alone.

    Args:
      question: what was asked (evidence/questions.py).
      cases: both sides at points, the ordinary ones first.
      outputs: the verdict on each output.
    """
    by_wrong: tuple[list, list] = [], []
    for case in cases:
        by_wrong[any(differs(name, [case]) for name in case.mine)].append(case)
    others, telling = by_wrong
    if not telling or question.run is None:
        return Located()
    recorded = _recorded(question, telling[0])
    right = recorded.numbers if recorded else Numbers(map(floats, telling[0].right.values()))
    slopes = Numbers([*map(floats, telling[0].right.values()), *(a for _, a in (recorded.arrays if recorded else ()))])
    found = repaired(question, telling, others, right, slopes, lambda case: _arrays(question, case))
    if not found.causes:
        found = _by_outputs(question, telling, right, outputs, found)
    wrong = {name: a for name, a in telling[0].mine.items() if outputs[name]["verdict"] == "wrong"}
    known = question.known(telling[0].at, wrong) if question.known else None
    return found if known is None else found._replace(causes=(known._replace(line=found.line), *found.causes))


def _recorded(question: Any, case: Any) -> Recording | None:
    """The reference as it stands on recorded numbers; None where there is none, or it cannot be run so."""
    reference, outer_of = question.met or (question.reference, question.outer)
    spec = question.arguments
    if reference is None:
        return None
    try:
        program = from_function(getattr(reference.function, "fun", reference.function))
        with precision(BITS):
            outer = outer_of(case.at)
            given = {p: balls(a, Recorded) if p in spec.floating else a for p, a in case.at.values.items()}
            with recording() as record:
                result = program.run(*spec.built(given), watch=True).result
            total = weighted({p: a for p, a in leaves(result).items() if p in outer}, outer)
            slopes = cotangents(total)
            met = [number for number in reached(total) if number.order in slopes]
            flows = [slopes[number.order] * slope for number in met for _, slope in number.edges()]
            local = [slope for number in met for _, slope in number.edges()]
            arrays = [(_statement(node.line, program), floats(by(node.output, slopes))) for node in record.nodes]
    except (Undecided, NotJudged, Refused, TypeError):  # also a class of a library that cannot be copied
        return None
    values = (
        [float(number.v) for number in met],
        *(list(map(float, some)) for some in (slopes.values(), flows, local)),
    )
    inputs = (floats(v) for v in case.at.values.values())
    return Recording(Numbers([*map(np.array, values), *map(floats, case.right.values()), *inputs]), arrays)


def _statement(line: int | None, program: Any) -> str:
    return "" if line is None or not program.source else program.source.split("\n")[line - 1].strip()


def repaired(
    question: Any,
    telling: Sequence[Any],
    others: Sequence[Any],
    right: Numbers,
    slopes: Numbers,
    arrays: Callable[[Any], list[tuple[str, np.ndarray]]],
    seconds: float = SECONDS,
) -> Located:
    """The edits of the user's code that put everything right, at the line that is wrong; or the line alone.

    Args:
      telling, others: both sides at points, where something is wrong and where nothing is.
      right: all numbers of the right computation at the first; `slopes`: those that are derivatives by whole arrays.
      arrays: from a point to the arrays of the right reverse pass there, with the lines that they belong to.
      seconds: of work.
    """
    first = telling[0]
    many = [case for case in (*telling, *others) if min(case.at.sizes.values(), default=2) > 1]  # at 1 much cancels
    many.sort(key=_extent)
    same = [case for case in many if case is not first and case.at.sizes == first.at.sizes]
    other = [case for case in many if case.at.sizes != first.at.sizes]
    other.sort(key=lambda case: sum(n == first.at.sizes[letter] for letter, n in case.at.sizes.items()))
    jax = hasattr(question.program, "trace")  # it compiles every operation anew for other shapes
    cases = [first, *same[:2], *other[: 1 if jax else 2]]
    rest = [case for case in many if not any(case is one for one in cases)]
    rest = [case for case in rest if not jax or any(case.at.sizes == one.at.sizes for one in cases)]
    try:
        search = Repairs(question, cases, rest[:MORE], right, slopes, seconds)
        found = told(search, search.found(arrays))
        if found is None or not found.causes:
            found = place(search) or found
    except Refused:
        return Located()
    if found is None:
        return Located()
    line = question.program.source.split("\n")[found.line - 1].strip()
    return Located(tuple(Reason(id, text, line) for id, text in found.causes), line, found.line, found.made)


def _extent(case: Any) -> float:
    """How far the numbers of a point are from 1: there floats are far from balls."""
    largest = max((float(np.abs(floats(v)).max(initial=0.0)) for v in case.at.values.values()), default=0.0)
    return abs(np.log(largest or 1.0))


def _arrays(question: Any, case: Any) -> list[tuple[str, np.ndarray]]:
    recorded = _recorded(question, case)
    return recorded.arrays if recorded else []


def _by_outputs(
    question: Any, cases: Sequence[Any], right: Numbers, outputs: Mapping[str, Mapping[str, Any]], found: Located
) -> Located:
    """The line that was found, or else the first one that sets what is returned wrongly; and a factor of it all."""
    causes, user = _factors(cases, outputs), _watched(question, cases[0])
    mine = cases[0].mine
    wrong = [floats(mine[n]) for n, one in outputs.items() if one["verdict"] == "wrong" and n in mine]
    if found.line_number is None:
        number, line = first_wrong(user, right, Numbers(wrong)) or _whole(user, wrong) or (None, None)
        found = Located((), line, number)
    return found._replace(causes=tuple(why._replace(line=found.line) for why in causes))


def _watched(question: Any, case: Any) -> tuple[Local, ...]:
    try:
        with precision(BITS):
            return question.run(case.at, True).locals
    except (Undecided, NotJudged, Refused, TypeError):
        return ()


def _whole(user: Sequence[Local], wrong: Sequence[np.ndarray]) -> tuple[int, str] | None:
    """The last setting of what is returned wrongly, all of it: its numbers may be right ones in a wrong place."""
    found = None
    for local in user:
        value = where._floats(local.value)
        if value is not None and any(
            value.size == a.size and np.array_equal(np.sort(value, None), np.sort(a, None)) for a in wrong
        ):
            found = local.line, local.text
    return found


def _factors(cases: Sequence[Any], outputs: Mapping[str, Mapping[str, Any]]) -> list[Reason]:
    """An output that is at every point the right one times one constant, or one of its sizes, or nothing."""
    found = []
    for name, one in outputs.items():
        if one["verdict"] != "wrong" or any(
            name not in case.mine or np.shape(case.mine[name]) != np.shape(case.right.get(name)) for case in cases
        ):
            continue
        with precision(BITS):
            sides = [(np.asarray(c.mine[name], object), np.asarray(c.right[name], object)) for c in cases]
            if all((compare(a, np.full(a.shape, Ball(0), object)) == EQUAL).all() for a, _ in sides):
                found.append(Reason("zero", f"{name} is zero"))
                continue
            known = [(ratio((a,), (b,)), case.at.sizes) for (a, b), case in zip(sides, cases, strict=True)]
        said = _factor_in_words(
            [(c, sizes) for c, sizes in known if c is not None or min(sizes.values(), default=2) > 1]
        )
        if said:
            found.append(Reason("sign" if said == "the wrong sign" else "factor", f"{name} has {said}"))
    return found


def _factor_in_words(known: Sequence[tuple[Any, Mapping[str, int]]]) -> str | None:
    """What a factor is at all points: one number, a size, or one over it."""
    if not known or any(c is None for c, _ in known):
        return None
    c = known[0][0]
    if all(other == c for other, _ in known):
        return None if c == 1 else "the wrong sign" if c == -1 else f"a factor {decimal(c)} too many"
    for letter in known[0][1]:
        for sign, minus in ((1, ""), (-1, "-")):
            if all(c == sign * sizes[letter] for c, sizes in known):
                return f"a factor {minus}{letter} too many"
            if all(c * sign * sizes[letter] == 1 for c, sizes in known):
                return f"a factor {minus}1/{letter} too many"
    return None
