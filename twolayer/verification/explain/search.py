"""The explanations with the fewest errors: walks through back-propagation that hold at every point."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case, usable, wrong_entries
from twolayer.verification.explain.forwards import Forward
from twolayer.verification.explain.walk import Choice, Scope, Start, Value, Walks, Way
from twolayer.verification.numbers.balls import BITS, precision
from twolayer.verification.numbers.factors import placements, same
from twolayer.verification.problem import (
    LEAVES,
    Setting,
    Sizes,
)

MOST_WRONG_LINES = 3


GLANCE = 12  # one in so many of the patterns is looked at first


PROBED = 2  # points that the walk looks at


class Explanation(NamedTuple):
    """One line a step, a wrong forward pass if that is part of it, and the factors left at the leaves.

    local: the factor shown at each step that the derivation shows. scope: the arrays of the walk, in its numbers.
    each: (totals, local, sizes) at each size where it was confirmed.
    """

    choices: tuple[Choice, ...]
    forward: Forward | None
    literal: Fraction | None
    totals: dict[str, Fraction]
    local: dict[str, Fraction]
    scope: Scope
    each: tuple[tuple[dict[str, Fraction], dict[str, Fraction], Sizes], ...] = ()

    @property
    def wrong(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.wrong)

    @property
    def errors(self) -> int:
        """Wrong lines, wrong factors and a wrong forward pass together."""
        return len(self.wrong) + len(placements(self.totals)[0]) + (self.forward is not None)

    @property
    def unknown(self) -> int:
        return sum(choice.line is None for choice in self.wrong)


def explanations(setting: Setting, cases: Sequence[Case], literals: tuple[Fraction, ...]) -> list[Explanation]:
    """The explanations with the fewest errors that hold at every case; none if there is none."""
    probe = telling(cases)
    if not probe:
        return []
    search = Walks(setting, probe, literals, exact=probe[0].point.kind == "extreme")
    confirmed: list[Explanation] = []
    found: list[Explanation] = []
    known, tried = usable(cases), {}
    starts = search.starts()
    # Without anything of the output layer to match, three wrong lines are too many to try; in balls, two.
    most = MOST_WRONG_LINES if {"dO2", "dZ2", "dW2", "db2"} & set(search.shown) else MOST_WRONG_LINES - 1
    for budget in range((1 if search.exact else most) + 1):
        if confirmed and confirmed[0].errors <= budget:
            break
        found += _with_budget(search, starts, budget)
        confirmed = _confirmed(sorted(found, key=_rank), setting, known, literals, tried)
    return confirmed


def _with_budget(search: Walks, starts: Iterable[Start], budget: int) -> Iterator[Explanation]:
    """The ways with just so many wrong lines."""
    with precision(BITS):
        for start in starts:
            left = budget - (start.forward is not None)
            if left < 0 or (start.forward is not None and left > 1):
                continue
            for way in search.walk(start, left):
                if sum(choice.wrong for choice in way.choices) == left:
                    yield Explanation(way.choices, start.forward, start.literal, way.totals, way.local, way.scope)


def _confirmed(
    found: Iterable[Explanation],
    setting: Setting,
    known: Sequence[Case],
    literals: tuple[Fraction, ...],
    tried: dict[int, Explanation | None],
) -> list[Explanation]:
    """Those of lowest rank that hold in balls at every case. `tried`: what is known already, by identity."""
    confirmed: list[Explanation] = []
    for explanation in found:
        if confirmed and explanation.errors > confirmed[0].errors:
            break
        if id(explanation) not in tried:
            tried[id(explanation)] = _confirm(explanation, setting, known, literals)
        exact = tried[id(explanation)]
        if exact is not None:
            confirmed.append(exact)
    confirmed.sort(key=_rank)
    return [one for one in confirmed if _rank(one) == _rank(confirmed[0])]


def _rank(explanation: Explanation) -> tuple[int, int]:
    return explanation.errors, explanation.unknown


def telling(cases: Sequence[Case]) -> list[Case]:
    """The few cases of one kind and size at which most entries of most leaves are wrong, so that every error shows."""
    known = usable(cases)
    groups: dict[tuple, list[Case]] = {}
    for case in known:
        groups.setdefault((case.point.kind, case.sizes), []).append(case)
    best: tuple[float, list[Case]] = (0.0, [])
    for group in groups.values():
        scored = sorted(((_shown(case), i) for i, case in enumerate(group)), reverse=True)
        kept = [(score, group[i]) for score, i in scored[:PROBED] if score]
        if kept and kept[0][0] > best[0] + 0.5 * (best[0] > 0):  # another kind of point must show more
            best = (kept[0][0], [case for _, case in kept])
    return best[1]


def _shown(case: Case) -> float:
    shares = [wrong_entries(case, leaf).mean() for leaf in LEAVES if leaf in case.mine]
    return sum(share > 0 for share in shares) + float(np.mean(shares)) if any(shares) else 0.0


def confirm(
    explanation: Explanation, setting: Setting, cases: Sequence[Case], literals: tuple[Fraction, ...]
) -> Explanation | None:
    """The explanation with its exact factors, if it holds at every case; None if not."""
    return _confirm(explanation, setting, usable(cases), literals)


def _confirm(
    explanation: Explanation, setting: Setting, known: Sequence[Case], literals: tuple[Fraction, ...]
) -> Explanation | None:
    first: Explanation | None = None
    each: dict[Sizes, tuple[dict[str, Fraction], dict[str, Fraction], Sizes]] = {}
    few = [case for case in known if case.point.kind == "pattern"][::GLANCE]
    if few and not any(choice.line and choice.line.affine for choice in explanation.choices):
        with precision(BITS):  # small and of all patterns: most of what does not hold fails here
            if _holds(explanation, Walks(setting, few, literals, exact=True), False) is None:
                return None
    for size in dict.fromkeys(case.sizes for case in known):
        now, solve = explanation, True  # constants, solved for at the first points of a size, hold at the others
        for part in _by_kind([case for case in known if case.sizes == size]):
            with precision(BITS):
                held = _holds(now, Walks(setting, part, literals, exact=True), solve)
            if held is None or (isinstance(held, Explanation) and not _agrees(held, each.get(size))):
                return None
            if isinstance(held, Explanation):
                first, now, solve = first or held, held, False
                each.setdefault(size, (held.totals, held.local, size))
    return first and first._replace(each=tuple(each.values()))


def _agrees(held: Explanation, before: tuple | None) -> bool:
    """Whether the factors are those found at other points of this size."""
    return before is None or all(same(c, before[0][leaf]) for leaf, c in held.totals.items() if leaf in before[0])


def _by_kind(cases: list[Case]) -> Iterator[list[Case]]:
    """The ordinary cases first, then the others."""
    for kind in ("ordinary", "pattern", "extreme"):
        part = [case for case in cases if case.point.kind == kind]
        if part:
            yield part


def _holds(explanation: Explanation, search: Walks, solve: bool) -> Explanation | bool | None:
    """The explanation at the cases of a search; None if it does not hold, False if it cannot be tried there.

    `solve`: the constants of its lines are solved for again.
    """
    start = search.start(explanation.forward, explanation.literal)
    if start is None:
        return False
    way = Way((), {}, {}, start.scope)
    for choice in explanation.choices:
        step, line, literal = choice
        if line is not None and line.affine and solve:
            literal = search.solve(step, line, start, way.scope)
            if literal is None:
                return None
        choice = choice._replace(literal=literal)
        way = search.advance(way, choice, _value(choice, search, start, way.scope))
        if way is None:
            return None
    return explanation._replace(choices=way.choices, totals=way.totals, local=way.local, scope=way.scope)


def _value(choice: Choice, search: Walks, start: Start, scope: Scope) -> Value | None:
    """What a choice computes at other points."""
    step, line, literal = choice
    if line is None:
        return search.shown.get(step)
    return search.step(step, start.right[step] if line.id == "right" else line, scope, literal)
