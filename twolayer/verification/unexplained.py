"""Where an error enters when no line of the catalogue explains it, and what can still be said of it."""

from typing import NamedTuple

import numpy as np

from twolayer.verification import programs
from twolayer.verification.draws import PRIME_SIZES
from twolayer.verification.evidence import Group, opaque_reason
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.verdict import LEAVES, Cause

UNKNOWN = "unknown, the error enters at {step}"
FORWARD = {
    "Z1": "Z1 = x @ W1.T + b1",
    "O1": "O1 = the hidden activation of Z1",
    "Z2": "Z2 = O1 @ W2.T + b2",
    "O2": "O2 = the output activation of Z2",
}


class Errors(NamedTuple):
    """Which entries of a leaf are wrong, at all draws that count of one group, and which are not zero."""

    group: Group
    wrong: dict[str, np.ndarray]
    telling: dict[str, np.ndarray]


def errors(groups: list[Group], leaves: tuple[str, ...]) -> list[Errors]:
    """Compare these leaves, entry by entry, at every group of draws."""
    pairs = [(g, {leaf: g.pair(leaf) for leaf in leaves}) for g in groups]
    return [
        Errors(g, {leaf: differs(*p) for leaf, p in each.items()}, {leaf: p[1] != 0 for leaf, p in each.items()})
        for g, each in pairs
    ]


def differs(mine: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two arrays of field elements are known to differ."""
    return (mine != right) & ~opaque_mask(mine)


def unknown(step: str, groups: list[Group]) -> str | None:
    """Why a step that is shown cannot be judged, if so: an operation without algebraic meaning."""
    reasons = (opaque_reason(group.pair(step)[0]) for group in groups if step in group.mine | group.named)
    return next(filter(None, reasons), None)


def first_wrong(wrong: set[str], derived: set[str], found: set[str]) -> str:
    """The step at which the error enters, from which leaves are wrong and which right steps the program contains.

    A leaf is wrong by itself if its sibling, which shares all that came before, is right, or if the program contains a
    right dZ2 and goes on with it. Otherwise the error came with dZ, or before it: with dO if it contains no right dO.
    """
    for layer in ("2", "1"):
        pair = {f"dW{layer}", f"db{layer}"}
        if not pair & wrong:
            continue
        if pair & derived - wrong or (layer == "2" and {"dZ2", "dO1"} <= found):
            return next(leaf for leaf in (f"dW{layer}", f"db{layer}") if leaf in wrong)
        return f"dZ{layer}" if f"dO{layer}" in found else f"dO{layer}"
    raise ValueError("no leaf is wrong")


def right_where_all_units_are_on(groups: list[Group], leaves: tuple[str, ...]) -> bool:
    """Whether these leaves, wrong elsewhere, are right wherever all hidden units are on: then dZ1 has a wrong mask."""
    all_on = 0
    for group in groups:
        on = (group.right["Z1"].shadow[group.keep] > 0).all(axis=(1, 2))
        for leaf in leaves:
            mine, right = group.pair(leaf)
            if differs(mine[on], right[on]).any():
                return False
            all_on += int(right[on].any())
    return all_on > 0


def single_entries(compared: list[Errors]) -> dict[str, tuple[int, ...]]:
    """Leaves of which one entry alone is ever wrong: leaf -> its index."""
    found = {}
    for leaf in compared[0].wrong if compared else ():
        where = [(np.argwhere(e.wrong[leaf].any(axis=0)), e.wrong[leaf].shape[1:]) for e in compared]
        places = [(place[0], shape) for place, shape in where if len(place) == 1]
        if not places or len(places) < sum(len(place) > 0 for place, _ in where):
            continue
        for index in (places[0][0], places[0][0] - places[0][1]):  # counted from the start, or from the end
            if all((place == index % shape).all() for place, shape in places):
                found[leaf] = tuple(int(i) for i in index)
                break
    return found


def acts_at_some_sizes(compared: list[Errors]) -> list[str]:
    """The thresholds of a program that is right at part of the draws and wrong at others; empty if that is not so.

    Scales are what varies most between the draws of the group "extreme", patterns between those of "every pattern";
    so being right at all patterns or at all ordinary draws, and wrong elsewhere, speaks of a threshold.
    """
    by_kind: dict[str, list[np.ndarray]] = {}
    for e in compared:
        bad, telling = (
            np.any([a.reshape(len(a), -1).any(axis=1) for a in part.values()], axis=0) for part in (e.wrong, e.telling)
        )
        by_kind.setdefault(e.group.kind, []).append(bad[telling | bad])  # zero is right for many wrong reasons
    shares = {kind: np.concatenate(parts).mean() for kind, parts in by_kind.items() if sum(map(len, parts))}
    ordinary = shares.get("ordinary", 1.0)
    if not shares.get("every pattern", 1.0):
        ordinary = 0.0
    extreme = shares.get("extreme", 0.0)
    if extreme > ordinary + 0.1 or extreme > ordinary == 0:
        return programs.thresholds(compared[0].group.traced.jaxpr)
    return []


def describe(step: str, correction: str, groups: list[Group], found: frozenset[str] = frozenset()) -> Cause:
    """What is certain of an error at a step that no line of the catalogue explains."""
    leaves = tuple(leaf for leaf in LEAVES if leaf in groups[0].mine)
    compared = errors(groups, (step,) if step in leaves else leaves)
    alone = single_entries(compared)
    if step in alone:
        return Cause("one_entry", f"only the entry {alone[step]} of {step} is wrong", step, correction)
    places = acts_at_some_sizes(compared)
    if places:
        text = (
            f"right for some numbers and wrong for others: a threshold, clip or rounding acts ({', '.join(places[:3])})"
        )
        return Cause("threshold", text, step, correction)
    text = UNKNOWN.format(step=step)
    if step in ("dZ2", "dZ1") and f"dO{step[2]}" in found - set(groups[0].mine | groups[0].named):
        text += f"; before it, the program computes a right dO{step[2]}"
    return Cause("unknown", text, step, correction)


def forward_error(groups: list[Group], found: frozenset[str]) -> Cause | None:
    """If the program shows its arrays, and stops computing right ones before O2, the error is in the forward pass."""
    order = ("Z1", "O1", "Z2", "O2")
    last = max((i for i, name in enumerate(order) if name in found), default=-1)
    if last == 3 or not any(group.inside for group in groups if group.sizes in PRIME_SIZES):
        return None  # where sizes are equal, any array has the shape of Z1
    missing = order[last + 1]
    leaves = tuple(leaf for leaf in LEAVES if leaf in groups[0].mine)
    places = acts_at_some_sizes(errors(groups, leaves))
    text = f"the error enters in the forward pass: the program computes no right {missing}"
    if places:
        return Cause(
            "threshold", f"{text} at some sizes of the numbers ({', '.join(places[:3])})", "forward", FORWARD[missing]
        )
    return Cause("unknown", f"unknown, {text}", "forward", FORWARD[missing])
