"""Which wrong lines explain a derivation? The fewest of them, confirmed at every draw.

The search looks at few draws of one group. What it finds must hold at all draws of all groups, since a mistake that
shows at some patterns or sizes only is another mistake.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification import scales
from twolayer.verification.evidence import PROBED, Group
from twolayer.verification.forwards import Forward
from twolayer.verification.numbers.field import FieldValue
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Setting
from twolayer.verification.search import CHAIN, Choice, Search, Start, Way, met
from twolayer.verification.unexplained import differs
from twolayer.verification.verdict import LEAVES

MOST_WRONG_LINES = 3


class Explanation(NamedTuple):
    """One line a step, a wrong forward pass if that is part of it, and the factors left at the leaves.

    local: the factor shown at each step that the derivation shows.
    inside: step -> the factors with which its array occurs inside the program; none if it does not.
    """

    choices: tuple[Choice, ...]
    forward: Forward | None
    literal: Fraction | None
    totals: dict[str, int]
    local: dict[str, int]
    inside: dict[str, frozenset[int]]

    @property
    def wrong(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.wrong)

    @property
    def errors(self) -> int:
        """Wrong lines, wrong factors and a wrong forward pass together."""
        return len(self.wrong) + len(scales.placements(self.totals)[0]) + (self.forward is not None)

    @property
    def unknown(self) -> int:
        return sum(choice.line is None for choice in self.wrong)

    @property
    def unseen(self) -> int:
        """Steps of the chain that should be computed on the way, and are not met inside the program."""
        return sum(not self.inside.get(step) for step in CHAIN if step not in self.local)


class Probe(NamedTuple):
    """The few draws that a search looks at: a group, and their numbers in it."""

    group: Group
    draws: np.ndarray


def explanations(
    setting: Setting, groups: list[Group], literals: tuple[Fraction, ...], probe: Probe | None
) -> list[Explanation]:
    """The explanations with the fewest errors, those that the program itself bears out first; none if there is none."""
    if probe is None or not _followed(groups):
        return []
    first, draws = probe
    search = Search(setting, first, literals, draws)
    starts = search.starts()
    found: list[Explanation] = []
    # Without anything of the output layer to match, three wrong lines are too many to try.
    most = MOST_WRONG_LINES if {"dO2", "dZ2", "dW2", "db2"} & set(search.shown) else MOST_WRONG_LINES - 1
    for budget in range(most + 1):
        if found and min(e.errors for e in found) <= budget:
            break
        for start in starts:
            left = budget - (start.forward is not None)
            if left < 0 or (start.forward is not None and left > 1):
                continue
            for way in search.walk(start, left):
                if sum(choice.wrong for choice in way.choices) == left:
                    inside = met(way.scope, first, draws)
                    found.append(Explanation(way.choices, start.forward, start.literal, *way[1:3], inside))
    found.sort(key=_rank)
    confirmed: list[Explanation] = []
    for explanation in found:
        if confirmed and _rank(explanation) > _rank(confirmed[0]):
            break
        if all(holds(explanation, setting, group, literals) is not None for group in groups):
            confirmed.append(explanation)
    return confirmed


def telling(groups: list[Group]) -> Probe | None:
    """The few draws at which most entries of most leaves are wrong, so that every error shows; any if none is wrong."""
    usable = [group for group in groups if group.keep.any()]
    if not usable:
        return None
    each = [_wrong_shares(group) for group in usable]
    group, wrong = max(zip(usable, each, strict=True), key=lambda one: np.count_nonzero(one[1], axis=0).max())
    if not wrong.any():
        return Probe(usable[0], np.flatnonzero(usable[0].keep)[:PROBED])
    shown = np.count_nonzero(wrong, axis=0) + np.mean(wrong, axis=0)
    best = np.argsort(-shown, kind="stable")[:PROBED]
    return Probe(group, np.flatnonzero(group.keep)[best[shown[best] > 0]])


def _wrong_shares(group: Group) -> np.ndarray:
    """The share of entries that are wrong, of each leaf at each draw that counts."""
    draws, leaves = group.keep.sum(), [leaf for leaf in LEAVES if leaf in group.mine]
    shares = [differs(*group.pair(leaf)).reshape(draws, -1).mean(axis=1) for leaf in leaves]
    return np.array(shares) if leaves else np.zeros((1, draws))


def _followed(groups: list[Group]) -> bool:
    """Whether the leaves that are wrong are known in full at ordinary draws; if not, anything would explain them."""
    leaves = [leaf for leaf in LEAVES if leaf in groups[0].mine]
    wrong = [leaf for leaf in leaves if any(differs(*group.pair(leaf)).any() for group in groups)]
    ordinary = [group for group in groups if group.kind == "ordinary"]
    return not any(opaque_mask(group.pair(leaf)[0]).any() for group in ordinary for leaf in wrong)


def _rank(explanation: Explanation) -> tuple[int, int, int]:
    return explanation.errors, explanation.unknown, explanation.unseen


def holds(
    explanation: Explanation, setting: Setting, group: Group, literals: tuple[Fraction, ...]
) -> tuple[dict[str, int], dict[str, int]] | None:
    """The total factor of each leaf and the factors shown on the way, at a group of draws; None if it does not hold.

    Both are empty where the explanation cannot be tried: no draw counts, or its lines do not fit the sizes.
    """
    kept = np.flatnonzero(group.keep)
    if not len(kept):
        return {}, {}
    search = Search(setting, group, literals, kept)
    start = search.start(explanation.forward, explanation.literal)
    if start is None:
        return {}, {}
    way = Way((), {}, {}, start.scope)
    for choice in explanation.choices:
        way = search.advance(way, choice, _value(choice, search, start, way.scope))
        if way is None:
            return None
    return way.totals, way.local


def _value(choice: Choice, search: Search, start: Start, scope: dict[str, FieldValue]) -> FieldValue | None:
    """What a choice computes at other draws; a constant that was solved for is solved for again."""
    step, line, literal = choice
    if line is None:
        return search.shown.get(step)
    if line.affine:
        literal = search.solve(step, line, start, scope)
        return None if literal is None else search.step(step, line, scope, literal)
    return search.step(step, start.right[step] if line.id == "right" else line, scope, literal)


def right_inside(probe: Probe | None) -> frozenset[str]:
    """Which of the right arrays Z1, ..., dZ1 the program computes on its way, factor included."""
    if probe is None:
        return frozenset()
    group, draws = probe
    scope = {name: value._replace(element=value.element[draws]) for name, value in group.right.items()}
    return frozenset(step for step, factors in met(scope, group, draws).items() if 1 in factors)
