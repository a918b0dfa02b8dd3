"""Exact ties: any subgradient is right there, and a value between those on both sides where the function jumps.

The pieces of a function that meet at a tie are found by moving its arguments by 2^-80. An entry between the least and
the largest of what the right side is on them is taken as right; what it is, is named. A derivative that has no limit
there is not judged.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import flint
import numpy as np

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.exploring import SMOOTH
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import At, Compared, Outputs, Question, compared, looked
from twolayer.verification.numbers.agreement import DIFFERENT, compare
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, arb, precision
from twolayer.verification.programs import NotJudged, Refused

NEAR, NEARER = 80, 100  # the pieces are looked at 2^-80 and 2^-100 from the tie
AROUND = 4  # directions, and their opposites
ROOM = flint.arb(2) ** -40  # relative: what the pieces change on the way from the tie
CANDIDATES, FOUND, SECONDS = 48, 10, 4.0  # points that are tried for a tie, ties that are judged, and for how long
GRID = 64  # ties are sought at multiples of 1/64: sums and products of such numbers are exact


class Kink(NamedTuple):
    """An entry of an output at a tie: what it is, and the least and largest of the pieces that meet there."""

    output: str
    entry: tuple[int, ...]
    mine: float
    low: float
    high: float
    at: At


def settled(question: Question, one: Compared) -> tuple[Compared, list[Kink]]:
    """A comparison at a tie, with the entries that any convention allows taken as right, and what they are."""
    if not one.tied or one.reason:
        return one, []
    right, kinks, wrong = dict(one.right), list[Kink](), {}
    for name in one.right:
        mine = one.mine.get(name)
        if mine is not None and np.shape(mine) == np.shape(one.right[name]):
            differs = compare(mine, one.right[name]) == DIFFERENT
            if differs.any() or one.at.kind == "tie":
                wrong[name] = mine, differs
    if not wrong or _is_smooth(question, one, wrong):
        return one, []
    near, nearer = (_pieces(question, one, wrong, bits, AROUND) for bits in (NEAR, NEARER))
    for name, (mine, differs) in wrong.items():
        pieces = [[piece[name] for piece in side if name in piece] for side in (near, nearer)]
        if not all(len(side) == 2 * AROUND and len(set(map(np.shape, side))) == 1 for side in pieces):
            continue
        changed = np.array(one.right[name], object)
        for entry in np.ndindex(np.shape(mine)):
            sides = [[arb(piece[entry]) for piece in side] for side in pieces]
            own = arb(mine[entry])
            allowed = _allowed(own, *sides)
            if allowed is None:
                if differs[entry]:  # no limit: not judged
                    changed[entry] = mine[entry]
                continue
            low, high = (min(sides[0], key=float), max(sides[0], key=float))
            jumps = _apart(low, high)
            if allowed and differs[entry]:
                changed[entry] = mine[entry]
            elif not allowed and (differs[entry] or not question.plain_ties):
                changed[entry] = Ball(min(sides[1], key=lambda v, own=own: float(abs(v - own))))
            if allowed and jumps and name[0] == "d":
                kinks.append(Kink(name, entry, float(own), float(low), float(high), one.at))
        right[name] = changed
    return one._replace(right=right), kinks


def _is_smooth(question: Question, one: Compared, wrong: Collection[str]) -> bool:
    """Whether the right outputs go through the point without a kink: what is equal there is so whatever is given."""
    here = _pieces(question, one, wrong, NEAR, 1)
    pairs = [(one.right[name], piece.get(name)) for piece in here for name in wrong]
    return bool(pairs) and all(
        piece is not None
        and np.shape(piece) == np.shape(right)
        and not any(map(_apart, map(arb, np.ravel(right)), map(arb, np.ravel(piece))))
        for right, piece in pairs
    )


def _pieces(question: Question, one: Compared, names: Collection[str], bits: int, around: int) -> list[Outputs]:
    """The right outputs near a tie, on all sides of it; none where they cannot be followed there.

    names: of what is looked at. A derivative has a kink in what it is taken by; all else is given.
    """
    rng, found, at = np.random.default_rng(5), [], one.at
    by = [name[1:] for name in one.right if name[0] == "d" and name[1:] in at.values]
    smooth = [a.path for a in question.arguments.arrays if isinstance(a.domain, str) and a.domain in SMOOTH]
    moved = by if by and all(name[0] == "d" for name in names) else list(dict.fromkeys(smooth + by))
    step = Ball(flint.arb(2) ** -bits)
    try:
        with precision(BITS):
            for _ in range(around):
                directions = {path: exactly(np.asarray(rng.normal(size=np.shape(at.values[path])))) for path in moved}
                for sign in (1, -1):
                    values = {
                        p: np.asarray(at.values[p] + sign * step * along, object) for p, along in directions.items()
                    }
                    found.append(question.right(At("near", at.sizes, dict(at.values) | values, at)))
    except (Undecided, NotJudged, Refused):
        return []
    return found


def _allowed(mine: flint.arb, near: Sequence[flint.arb], nearer: Sequence[flint.arb]) -> bool | None:
    """Whether a number lies between the pieces; None where they have no limit, or it is no number."""
    if not all(v.is_finite() for v in (*near, *nearer, mine)):
        return None
    if any(_apart(a, b) for a, b in zip(near, nearer, strict=True)):
        return None
    low, high = min(near, key=float), max(near, key=float)
    room = ROOM * (1 + max(abs(low).upper(), abs(high).upper(), key=float))
    return bool(mine >= low - room) and bool(mine <= high + room)


def _apart(a: flint.arb, b: flint.arb) -> bool:
    if not (a.is_finite() and b.is_finite()):
        return True
    return bool(abs(a - b).lower() > ROOM * (1 + abs(a).upper()))


def ties(question: Question, branches: Branches, start: At, seed: int) -> Iterator[At]:
    """Points at which two numbers that the code compares are equal.

    An entry is 0, equal to another one, a number of the code, or what makes a sum in which it stands hit a threshold.
    """
    rng, left, until = np.random.default_rng([seed, 13]), [CANDIDATES], time.process_time() + 2 * SECONDS
    domains = {array.path: array.domain for array in question.arguments.arrays}
    smooth = [path for path, domain in domains.items() if isinstance(domain, str) and domain == "real"]
    base = {path: exactly(_on_grid(rng, np.shape(start.values[path]))) for path in smooth}
    at = At("tie", start.sizes, dict(start.values) | base)
    first = looked(question, at, branches)
    if first is None or not first.margins:
        return
    for path in smooth:
        for number in _numbers(question, base[path]):
            changed = np.array(base[path], object)
            if changed.size:
                changed.ravel()[0] = number
                yield at._replace(values=at.values | {path: changed})
    for key, margins in first.margins.items():
        for path in sorted(smooth, key=lambda path: base[path].size):
            for i in range(min(2, base[path].size)):
                if left[0] <= 0 or time.process_time() > until:
                    return
                left[0] -= 1
                moved = _solved(question, branches, at, path, i, key, margins[0])
                if moved is not None:
                    yield moved


def _on_grid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.round(rng.normal(size=shape) * GRID) / GRID + 1 / (2 * GRID))


def _numbers(question: Question, array: np.ndarray) -> list[Ball]:
    """What an entry is set to: zero, another entry of its array, the numbers of the code."""
    literals = [n for n in question.program.literals() if np.isfinite(n)][:6]
    return [Ball(0), *([array.ravel()[-1]] if array.size > 1 else []), *map(Ball, literals)]


def _solved(
    question: Question, branches: Branches, at: At, path: str, i: int, key: tuple, margin: flint.arb
) -> At | None:
    """The point with one entry moved so that the first comparison of a place is one of equal numbers, exactly."""

    def moved(by: flint.arb) -> At:
        changed = np.array(at.values[path], object)
        changed.ravel()[i] = changed.ravel()[i] + Ball(by)
        return at._replace(values=at.values | {path: changed})

    seen = looked(question, moved(flint.arb(1)), branches)
    if seen is None or not seen.margins.get(key):
        return None
    with precision(BITS):
        slope = seen.margins[key][0] - margin
        by = -margin / slope if not slope.contains(0) else None
    if by is None or not by.is_exact() or not by.is_finite() or by == 0:
        return None
    seen = looked(question, moved(by), branches)
    return moved(by) if seen is not None and seen.margins.get(key) and seen.margins[key][0].is_zero() else None


def at_ties(question: Question, branches: Branches, start: At, seed: int) -> tuple[list[Compared], list[Kink]]:
    """Both sides at ties, settled, and the kinks that were met."""
    found, kinks, started = [], [], time.process_time()
    for at in ties(question, branches, start, seed):
        one = compared(question, at, branches)
        if one.tied and not one.reason:
            one, some = settled(question, one)
            found.append(one)
            kinks += some
        if len(found) >= FOUND or (found and time.process_time() - started > SECONDS):
            break
    return found, kinks
