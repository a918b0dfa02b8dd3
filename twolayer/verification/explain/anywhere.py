"""Where and why, for any function: the change of the right reverse pass that gives what was returned, and its line.

The reference is run on recorded numbers, so its right reverse pass is at hand with every intermediate and cotangent.
Mutants of it (mutants.py) are held against the result; the user's variables are matched with the arrays of the mutant
that fits, and the first that is a wrong one names the line.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain import where
from twolayer.verification.explain.blame import Numbers, first_wrong
from twolayer.verification.explain.mutants import BRIDGES, Graph, Mutant, fitting
from twolayer.verification.numbers.agreement import DIFFERENT, EQUAL, compare
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.factors import decimal, ratio, short
from twolayer.verification.numbers.recorded import Recorded, recording
from twolayer.verification.programs import Local, NotJudged, Refused
from twolayer.verification.programs.load import from_function
from twolayer.verification.reference import leaves, weighted
from twolayer.verification.verdict import Reason

POINTS = 2
DEEPEST = 3  # operations in an expression that stands for an array without a name
KINDS = ("cut", "factor", "bridge", "part")  # the likelier first
MOST = 6  # explanations that are told


class Located(NamedTuple):
    """The causes that tie, and the line of the first."""

    causes: tuple[Reason, ...] = ()
    line: str | None = None
    line_number: int | None = None


class Recording(NamedTuple):
    """The reference at a point on recorded numbers: its graph, what is judged, the names of its arrays, its text."""

    graph: Graph
    paths: list[str]
    names: dict[tuple, str]
    source: str | None
    sizes: Mapping[str, int]
    kept: dict[str, Graph]

    @property
    def signature(self) -> list[tuple]:
        """What two recordings share if the code went the same way."""
        nodes = self.graph.nodes
        return [(node.op, node.line, node.output.shape, *(a.shape for a in node.operands)) for node in nodes]

    def exact(self) -> Graph:
        """The graph in balls."""
        if "exact" not in self.kept:
            exact = self.kept["exact"] = Graph.__new__(Graph)
            exact.__dict__.update(self.graph.__dict__)
            exact.exact = True
            exact.edges, exact.first = exact._edges()
        return self.kept["exact"]


def locate(question: Any, cases: Sequence[Any], outputs: Mapping[str, Mapping[str, Any]]) -> Located:
    """Look for the change that explains what is wrong; without one, for the line alone.

    Args:
      question: what was asked (derivatives.Question).
      cases: both sides at ordinary points, the first ones at one size.
      outputs: the verdict on each output.
    """
    telling = [case for case in cases if _differs(case)]
    others = [case for case in cases if not _differs(case)]
    cases = [case for case in (*telling, *others) if case.at.sizes == (*telling, *others)[0].at.sizes][:POINTS]
    if not cases or question.run is None:
        return Located()
    user = _watched(question, cases[0])
    recordings = [_recorded(question, case) for case in cases] if question.reference is not None else []
    if not recordings or any(one is None for one in recordings):
        return _by_outputs(question, cases, user, outputs)
    found = _explained(question, recordings, cases)
    causes, place = [], None
    for mutant, c in found:
        causes.append(_reason(mutant, c, recordings[0], question))
        place = place or _place(question, (mutant, c), recordings[0], cases[0], user)
    if not found:
        return _by_outputs(question, cases, user, outputs, recordings[0])
    line = place[1] if place else None
    unique = tuple(dict.fromkeys(Reason(why.id, why.text, line) for why in causes))
    return Located(unique, line, place[0] if place else None)


def _differs(case: Any) -> bool:
    """Whether something is wrong at a point."""
    pairs = [(a, case.right[name]) for name, a in case.mine.items() if name in case.right]
    return any(np.shape(a) != np.shape(b) or (compare(a, b) == DIFFERENT).any() for a, b in pairs)


def _watched(question: Any, case: Any) -> tuple[Local, ...]:
    try:
        with precision(BITS):
            return question.run(case.at, True).locals
    except (Undecided, NotJudged, Refused, TypeError):
        return ()


def _recorded(question: Any, case: Any) -> Recording | None:
    """The reference as it stands on recorded numbers; None where it cannot be run so."""
    reference, spec = question.reference, question.arguments
    program = reference.program if not reference.jax else _stand_in(reference.function)
    if program is None:
        return None
    try:
        with precision(BITS):
            outer = question.outer(case.at)
            given = {p: balls(a, Recorded) if p in spec.floating else a for p, a in case.at.values.items()}
            paths = [path for path in spec.floating if f"d{path}" in case.mine]
            inputs = [given[path].copy() for path in paths]
            with recording() as record:
                run = program.run(*spec.built(given), watch=True)
            total = weighted({p: a for p, a in leaves(run.result).items() if p in outer}, outer)
    except (Undecided, NotJudged, Refused, KeyError):
        return None
    if not isinstance(total, Recorded):
        return None
    names = {_key(given[path]): path for path in spec.floating}
    for local in run.locals:
        names.setdefault(_key(local.value), local.name)
    return Recording(Graph(total, record.nodes, inputs), paths, names, program.source, case.at.sizes, {})


def _stand_in(function: Any) -> Any:
    try:
        return from_function(getattr(function, "fun", function))
    except Refused:
        return None


def _key(array: np.ndarray) -> tuple:
    flat = np.asarray(array, object).ravel().tolist()
    return (np.shape(array), *(v.order if isinstance(v, Recorded) else -1 for v in flat))


def _explained(question: Any, recordings: Sequence[Recording], cases: Sequence[Any]) -> list[tuple[Mutant, Fraction]]:
    """The mutants of the likeliest kind that fit, confirmed in balls at the first point."""
    rows = []
    for case in cases:
        parts = [case.mine[f"d{path}"] for path in recordings[0].paths]
        if any(
            np.shape(part) != case.at.values[path].shape for path, part in zip(recordings[0].paths, parts, strict=True)
        ):
            return []
        rows.append(np.concatenate([floats(part).ravel() for part in parts]) if parts else np.zeros(0))
    alike = [one for one in zip(recordings, rows, cases, strict=True) if one[0].signature == recordings[0].signature]
    found = fitting([one.graph for one, _, _ in alike], [row for _, row, _ in alike])
    found.sort(key=lambda one: (KINDS.index(one[0].kind), _simple(one), not _plain(one[1]), one[0].group))
    confirmed = (one for one in found if all(_holds(one, recording, case) for recording, _, case in alike))
    return _distinct(list(itertools.islice(confirmed, 2 * MOST)), recordings[0].graph)[:MOST]


def _simple(found: tuple[Mutant, Fraction]) -> int:
    """Which of the bridges is the simplest to say."""
    return list(BRIDGES).index(found[0].detail[3]) if found[0].kind == "bridge" else 0


def _distinct(found: list[tuple[Mutant, Fraction]], graph: Graph) -> list[tuple[Mutant, Fraction]]:
    """Of bridges and parts, which are many ways to say one thing, those of the simplest kind that fits."""
    kinds = {mutant.kind for mutant, _ in found}
    if kinds & {"cut", "factor"}:
        found = [one for one in found if one[0].kind in ("cut", "factor")]
    least = min((_simple(one) for one in found), default=0)
    return [one for one in found if _simple(one) == least]


def _plain(c: Fraction) -> bool:
    return c in (0, -1, 2, Fraction(1, 2), 1)


def _holds(found: tuple[Mutant, Fraction], recording: Recording, case: Any) -> bool:
    """Whether a mutant gives what was returned, in balls."""
    mutant, c = found
    with precision(BITS):
        exact = recording.exact()
        columns = exact.of(exact.inputs, exact.run([mutant]))
        right, changed = columns[:, 0], columns[:, 1]
        value = [
            Ball(b) if mutant.kind != "cut" else Ball(b + (a - b) * _arb(c))
            for a, b in zip(right, changed, strict=True)
        ]
        mine = np.concatenate([np.asarray(case.mine[f"d{path}"], object).ravel() for path in recording.paths])
        own = np.empty(len(value), object)
        own[:] = value
        return not (compare(mine, own) == DIFFERENT).any()


def _arb(c: Fraction) -> Any:
    import flint

    return flint.arb(c.numerator) / c.denominator


SYMBOLS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "matmul": "@",
    "true_divide": "/",
    "divide": "/",
    "power": "**",
}


def _name(array: np.ndarray, recording: Recording, depth: int = 0) -> str:
    """An array in the words of the reference: its variable, or the expression that it is."""
    known = recording.names.get(_key(array))
    if known is not None or depth > DEEPEST:
        return known or "..."
    if np.size(array) == 1 and not isinstance(np.asarray(array, object).ravel()[0], Recorded):
        return f"{float(floats(array).ravel()[0]):.6g}"
    for node in recording.graph.nodes:
        if _key(node.output) == _key(array):
            parts = [_name(operand, recording, depth + 1) for operand in node.operands]
            if node.op in SYMBOLS and len(parts) == 2:
                text = f"{parts[0]} {SYMBOLS[node.op]} {parts[1]}"
                return f"({text})" if depth else text
            op = {"add.reduce": "sum", "maximum.reduce": "max", "negative": "-"}.get(node.op, node.op)
            return f"{op}({', '.join(parts)})"
    turned = recording.names.get(_key(np.asarray(array, object).T))
    return f"{turned}.T" if turned else f"an array of shape {np.shape(array)}"


def _reason(mutant: Mutant, c: Fraction, recording: Recording, question: Any) -> Reason:
    """A change in words."""
    graph = recording.graph
    if mutant.kind == "bridge":
        below, above, index, pattern = (_name(graph.arrays[graph.series[i][0]], recording) if isinstance(i, int) else i
                                        for i in mutant.detail)  # fmt: skip
        if pattern == "1":
            return Reason("derivative_missing", f"the derivative of {above} by {below} is missing")
        said = pattern.format(index, index)
        return Reason("derivative", f"{said} stands where the derivative of {above} by {below} belongs")
    group = graph.groups[mutant.group]
    node = graph.nodes[group.nodes[0]]
    node = graph.nodes[group.nodes[-1]]
    through, line = _name(node.operands[group.operand], recording), _statement(node.line, recording)
    if mutant.kind == "factor":
        own = _name(node.operands[1 - group.operand], recording)
        return _of_factor(mutant.detail, own, line, recording)
    if mutant.kind == "part":
        which, axis, part = mutant.detail
        what = ("run" if which == "loop" else "entry") + ("" if which == "loop" else f" along axis {axis}")
        said = f"only the {part} {what}" if " " not in part else f"all but the {part.split()[1]} {what}"
        return Reason("part", f"of the path to {through} through {line}, {said} counts")
    if c == 0:
        return Reason("path_missing", f"the path to {through} through {line} is missing")
    if c == -1:
        return Reason("sign", f"the path to {through} through {line} has the wrong sign")
    return Reason("factor", f"the path to {through} through {line} has a factor {_factor(c, recording.sizes)} too many")


def _of_factor(detail: tuple, own: str, line: str, recording: Recording) -> Reason:
    which, shift, turned = detail
    if which is None:
        return Reason("other_factor", f"the factor {own} is missing, of {line}")
    how = {"": "", "T": " transposed", "reversed": " turned around"}[turned]
    if which < 0:
        return Reason("other_factor", f"the factor {own} is{how}, of {line}")
    graph = recording.graph
    other = _name(graph.arrays[graph.series[which][-1]], recording) + how
    if other == own or shift:
        other += " of another step"
    return Reason("other_factor", f"{other} stands where the factor {own} belongs, of {line}")


def _factor(c: Fraction, sizes: Mapping[str, int]) -> str:
    """A constant in terms of the sizes where it is one of them."""
    for letter, n in sizes.items():
        one_less = Fraction(max(n - 1, 1))
        known = {letter: Fraction(n), f"1/{letter}": Fraction(1, n), f"{letter}/({letter} - 1)": n / one_less}
        known[f"({letter} - 1)/{letter}"] = one_less / n
        for text, value in known.items():
            if c == value and n > 2:
                return text
    return decimal(c) if short(c) else f"{float(c):.6g}"


def _statement(line: int | None, recording: Recording) -> str:
    if line is None or not recording.source:
        return "it"
    return f"`{recording.source.splitlines()[line - 1].strip()}`"


def _place(
    question: Any, found: tuple[Mutant, Fraction], recording: Recording, case: Any, user: Sequence[Local]
) -> tuple[int, str] | None:
    """The user's line that first sets an array of the mutant that differs from the right one.

    Where a derivative is missing, the wrong array is what the line before it gave, rightly: the last variable that has
    it is the one that should have been another.
    """
    (mutant, c), graph = found, recording.graph
    adjoint = graph.run([mutant])
    wrong: list[np.ndarray] = []
    for array in graph.arrays:
        right, changed = graph.of([array], adjoint).T
        changed = changed + float(c) * (right - changed) if mutant.kind == "cut" else changed
        if np.abs(right - changed).max(initial=0) > 1e-12 * np.abs(right).max(initial=0):
            wrong.append(changed.reshape(array.shape))
    wrong += [floats(case.mine[f"d{path}"]) for path in recording.paths if not _equal(case.mine, case.right, path)]
    repeats = mutant.kind == "bridge" and mutant.detail[3] == "1"
    outputs = [floats(case.mine[f"d{path}"]) for path in recording.paths if not _equal(case.mine, case.right, path)]
    if not repeats:
        everything = [*wrong, *_changed(graph, adjoint, c if mutant.kind == "cut" else Fraction(0))]
        return first_wrong(user, _right(recording, case), Numbers(everything)) or _whole(user, outputs)
    return _repeated(user, wrong) or _whole(user, outputs)


def _repeated(user: Sequence[Local], wrong: Sequence[np.ndarray]) -> tuple[int, str] | None:
    """The last setting of the first variable that is one of these arrays, but for a constant."""
    first: tuple[int, str] | None = None
    value_of_first: np.ndarray | None = None
    for local in user:
        value = where._floats(local.value)
        if value is None or value.size < 2:
            continue
        if first is not None:
            if value_of_first is not None and _same(value, value_of_first):
                first = local.line, local.text
            continue
        if any(_same(value, array) for array in wrong):
            first, value_of_first = (local.line, local.text), value
    return first


def _changed(graph: Graph, adjoint: np.ndarray, c: Fraction) -> list[np.ndarray]:
    """The cotangents of a mutant that are not right."""
    right, changed = adjoint[:, 0], adjoint[:, 1]
    changed = changed + float(c) * (right - changed)
    return [changed[np.abs(right - changed) > 1e-9 * np.abs(right)]]


def _right(recording: Recording, case: Any) -> Numbers:
    """All numbers that the right computation meets: values, cotangents and derivatives of single operations."""
    graph = recording.graph
    adjoint = graph.run([])
    return Numbers(
        [
            np.array([float(number.v) for number in graph.numbers]),
            adjoint[:, 0],
            np.array([edge.slope for edge in graph.edges]),
            *map(floats, case.right.values()),
            *(floats(v) for v in case.at.values.values()),
        ]
    )


def _equal(mine: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray], path: str) -> bool:
    return bool((compare(mine[f"d{path}"], right[f"d{path}"]) == EQUAL).all())


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are one, as they are or transposed, but for a constant."""
    if a.size != b.size or a.size < 2:
        return False
    if a.shape != b.shape:
        a = a.T if a.T.shape == b.shape else a.reshape(b.shape) if a.ndim != b.ndim else a
    return a.shape == b.shape and ratio((a,), (b,)) is not None


def _by_outputs(
    question: Any,
    cases: Sequence[Any],
    user: Sequence[Local],
    outputs: Mapping[str, Mapping[str, Any]],
    recording: Recording | None = None,
) -> Located:
    """No change explains it: the first line that sets what is returned wrongly."""
    case = cases[0]
    causes = _factors(cases, outputs)
    wrong = [floats(case.mine[n]) for n, one in outputs.items() if one["verdict"] == "wrong" and n in case.mine]
    right = _right(recording, case) if recording is not None else Numbers(map(floats, case.right.values()))
    place = first_wrong(user, right, Numbers(wrong)) or _whole(user, wrong)
    if place is None:
        return Located(tuple(causes))
    return Located(tuple(why._replace(line=place[1]) for why in causes), place[1], place[0])


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
    """An output that is at every point the right one times one constant, or nothing."""
    found = []
    for name, one in outputs.items():
        if one["verdict"] != "wrong" or any(
            name not in case.mine or np.shape(case.mine[name]) != np.shape(case.right.get(name)) for case in cases
        ):
            continue
        with precision(BITS):
            mine, right = ([np.asarray(side[name], object) for side in sides]
                           for sides in ([c.mine for c in cases], [c.right for c in cases]))  # fmt: skip
            if all((compare(a, np.full(a.shape, Ball(0), object)) == EQUAL).all() for a in mine):
                found.append(Reason("zero", f"{name} is zero"))
                continue
            c = ratio(mine, right)
        if c is not None and c != 1:
            word = "the wrong sign" if c == -1 else f"a factor {_factor(c, cases[0].at.sizes)} too many"
            found.append(Reason("sign" if c == -1 else "factor", f"{name} has {word}"))
    return found
