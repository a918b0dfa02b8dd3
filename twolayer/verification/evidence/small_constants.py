"""Small constants that keep a quotient or a root from 0: of any function, what is right but for them.

They are looked for by taking them out: everywhere, or of the judged code alone. The network has guards.py, which names
what each stands for.
"""

import ast
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.questions import At, Compared, Outputs, Question, differs
from twolayer.verification.numbers import literals
from twolayer.verification.numbers.balls import MORE_BITS, Undecided, floats, precision
from twolayer.verification.programs import NotJudged, Refused

POINTS, LEAST = 6, 2  # at which they are taken out; at so many it must be right then
LEAST_FACTOR = 1e-9  # relative: a constant that multiplies may change no more at ordinary numbers
SLIGHT = 1e-5  # relative: more than this no guard may change at ordinary numbers


class Guard(NamedTuple):
    """What is to be said of small constants that alone make a difference, and the first line of one.

    acceptable: whether they guard a quotient, a root or a logarithm; a threshold of a comparison does not.
    """

    said: str
    line: int | None
    acceptable: bool


def but_for(question: Question, known: Sequence[Compared], wrong: Collection[str], own: bool) -> Guard | None:
    """The small constants without which wrong outputs are right; None where they would not be, or matter too much.

    Args:
      known: both sides at points.
      wrong: the outputs that differ.
      own: whether those of the judged code alone are taken out, or all. A factor that matters at ordinary numbers, such
        as 1e-6 in 1e-6 * w, is no guard.
    """
    points = _telling(known, wrong)
    slight = max(_change([one for one in known if one.at.kind == "ordinary"], name) for name in wrong)
    if slight > SLIGHT:
        return None
    taken, right, as_factor, as_threshold = set[float](), 0, False, False
    for one in points:
        if right == POINTS:
            break
        try:
            mine, found = _without(question.mine, one, None)
            if not found.met:
                return None
            others, of_right = _without(question.right, one, None)
            met = found.met
            if own:
                met = met - of_right.met
                mine, found = _without(question.mine, one, met)
                others = one.right
        except (Undecided, NotJudged, Refused):
            continue
        bare = one._replace(mine=mine, right=others)
        if not met or any(differs(name, [bare]) for name in wrong):
            return None
        taken, right = taken | met, right + 1
        as_factor, as_threshold = as_factor or found.as_factor, as_threshold or found.as_threshold
    lines, factors, thresholds = _read(question.program.source or "")
    if not hasattr(question.program, "trace"):  # of other code the text says what no jaxpr does
        as_factor, as_threshold = bool(taken & factors), bool(taken & thresholds)
    if not taken or right < min(LEAST, len(points)) or (slight > LEAST_FACTOR and as_factor):
        return None
    line = min((lines[number] for number in taken if number in lines), default=None)
    each = " and ".join(f"{n!r}{f' at line {lines[n]}' if n in lines else ''}" for n in sorted(taken)[:3])
    by = f"by at most {slight:.1g} relative on ordinary inputs" if slight else "and not on ordinary inputs"
    word = "threshold" if as_threshold else "guard"
    return Guard(f"it differs by the {word} {each}, {by}", line, not as_threshold)


def _change(points: Sequence[Compared], name: str) -> float:
    """The largest difference of an output at some points, in parts of its largest number."""
    both = [one for one in points if name in one.mine and name in one.right]
    pairs = [(floats(one.mine[name]), floats(one.right[name])) for one in both]
    pairs = [(a, b) for a, b in pairs if np.shape(a) == np.shape(b)]
    most = max((np.abs(a - b).max(initial=0.0) for a, b in pairs), default=0.0)
    size = max((np.abs(b).max(initial=0.0) for _, b in pairs), default=0.0)
    return float(most / size) if size else float(most)


def _telling(known: Sequence[Compared], wrong: Collection[str]) -> list[Compared]:
    """Points in the order in which they say most: those at which something is wrong, and off the ties."""
    usable = [one for one in known if all(name in one.mine and name in one.right for name in wrong)]
    return sorted(usable, key=lambda one: (not any(differs(name, [one]) for name in wrong), one.tied))


def _without(
    side: Callable[[At], Outputs], one: Compared, only: Collection[float] | None
) -> tuple[Outputs, literals.Guards]:
    """One side at a point without the guards, all or these alone; and which were met."""
    for bits in MORE_BITS:
        try:
            with precision(bits), literals.without_guards(only) as guards:
                return side(one.at), guards
        except Undecided:
            if bits == MORE_BITS[-1]:
                raise
    raise Undecided("no precision is enough")


def _read(source: str) -> tuple[dict[float, int], set[float], set[float]]:
    """Where numbers stand in the code, as far as they are written there; those that multiply, and those compared."""
    lines: dict[float, int] = {}
    factors, thresholds = set[float](), set[float]()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return lines, factors, thresholds
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            lines[node.value] = min(node.lineno, lines.get(node.value, node.lineno))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            factors |= _floats([node.left, node.right])
        if isinstance(node, ast.Compare):
            thresholds |= _floats([node.left, *node.comparators])
    return lines, factors, thresholds


def _floats(nodes: Sequence[ast.expr]) -> set[float]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)}
