"""Small constants that keep a quotient or a root from 0: of any function, what is right but for them.

They are looked for by taking them out: everywhere, or of the judged code alone. The network has guards.py, which names
what each stands for.
"""

import ast
from collections.abc import Callable, Collection, Sequence

import numpy as np

from twolayer.verification.evidence.questions import At, Compared, Outputs, Question, differs
from twolayer.verification.numbers import literals
from twolayer.verification.numbers.balls import MORE_BITS, Undecided, floats, precision
from twolayer.verification.programs import NotJudged, Refused

POINTS, LEAST = 6, 3  # at which they are taken out; at so many it must be right then
SLIGHT = 1e-5  # relative: more than this no small constant of both sides may change at ordinary numbers


def but_for(
    question: Question, known: Sequence[Compared], wrong: Collection[str], own: bool
) -> tuple[str, int | None] | None:
    """What is to be said where wrong outputs are right without small constants, and the first line of one.

    Args:
      known: both sides at points.
      wrong: the outputs that differ.
      own: whether those of the judged code alone are taken out, or all. A factor that matters at ordinary numbers, such
        as 1e-6 in 1e-6 * w, is no guard.
    """
    points = _telling(known, wrong)
    slight = max(_change([one for one in known if one.at.kind == "ordinary"], name) for name in wrong)
    if not own and slight > SLIGHT:
        return None
    lines, factors = _read(question.program.source or "")
    taken, right = set[float](), 0
    for one in points:
        try:
            mine, found = _without(question.mine, one, None)
            if not found.met:
                return None
            others, of_right = _without(question.right, one, None)
            met = found.met
            if own:
                met = met - of_right.met
                mine, _ = _without(question.mine, one, met)
                others = one.right
        except (Undecided, NotJudged, Refused):
            continue
        bare = one._replace(mine=mine, right=others)
        if not met or any(differs(name, [bare]) for name in wrong):
            return None
        taken |= met
        factors |= found.factors
        right += 1
    if not taken or right < min(LEAST, len(points)) or (slight and taken & factors):
        return None
    line = min((lines[number] for number in taken if number in lines), default=None)
    each = " and ".join(f"{n!r}{f' at line {lines[n]}' if n in lines else ''}" for n in sorted(taken)[:3])
    by = f"by at most {slight:.1g} relative on ordinary inputs" if slight else "and not on ordinary inputs"
    return f"it differs by the guard {each}, {by}", line


def _change(points: Sequence[Compared], name: str) -> float:
    """The largest difference of an output at some points, in parts of its largest number."""
    both = [one for one in points if name in one.mine and name in one.right]
    pairs = [(floats(one.mine[name]), floats(one.right[name])) for one in both]
    pairs = [(a, b) for a, b in pairs if np.shape(a) == np.shape(b)]
    most = max((np.abs(a - b).max(initial=0.0) for a, b in pairs), default=0.0)
    size = max((np.abs(b).max(initial=0.0) for _, b in pairs), default=0.0)
    return float(most / size) if size else float(most)


def _telling(known: Sequence[Compared], wrong: Collection[str]) -> list[Compared]:
    """Points off the ties, where there are any, those first at which something is wrong."""
    usable = [one for one in known if all(name in one.mine and name in one.right for name in wrong)]
    usable = [one for one in usable if not one.tied] or usable
    return sorted(usable, key=lambda one: not any(differs(name, [one]) for name in wrong))[:POINTS]


def _without(
    side: Callable[[At], Outputs], one: Compared, only: Collection[float] | None
) -> tuple[Outputs, literals.Guards]:
    """One side at a point without the guards, all or these alone; and which were met."""
    with precision(MORE_BITS[0]), literals.without_guards(only) as guards:
        return side(one.at), guards


def _read(source: str) -> tuple[dict[float, int], set[float]]:
    """Where numbers stand in the code, as far as they are written there; and which of them multiply."""
    lines: dict[float, int] = {}
    factors: set[float] = set()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return lines, factors
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            lines[node.value] = min(node.lineno, lines.get(node.value, node.lineno))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            sides = (side for side in (node.left, node.right) if isinstance(side, ast.Constant))
            factors |= {side.value for side in sides if isinstance(side.value, float)}
    return lines, factors
