"""Where an error enters when no line of the catalogue explains it, and what can still be said of it."""

from collections.abc import Collection, Sequence

import numpy as np

from twolayer.verification.evidence.cases import Case, usable, wrong_entries
from twolayer.verification.evidence.points import PRIME_SIZES
from twolayer.verification.numbers.balls import floats
from twolayer.verification.problem import LEAVES, Sizes
from twolayer.verification.programs import Local
from twolayer.verification.verdict import Cause

FORWARD_TEXT = {
    "Z1": "Z1 = x @ W1.T + b1",
    "O1": "O1 = the hidden activation of Z1",
    "Z2": "Z2 = O1 @ W2.T + b2",
    "O2": "O2 = the output activation of Z2",
}
UNKNOWN = "unknown, the error enters at {step}"


def right_where_all_units_are_on(cases: Sequence[Case], leaves: Collection[str]) -> bool:
    """Whether these leaves, wrong elsewhere, are right wherever all hidden units are on: then dZ1 has a wrong mask."""
    all_on = 0
    for case in usable(cases):
        if (floats(case.right["Z1"]) > 0).all():
            if any(wrong_entries(case, leaf).any() for leaf in leaves):
                return False
            all_on += any((floats(case.right[leaf]) != 0).any() for leaf in leaves)
    return all_on > 0


def single_entries(cases: Sequence[Case], leaves: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Leaves of which one entry alone is ever wrong: leaf -> its index, counted from the start or from the end."""
    found = {}
    for leaf in leaves:
        by_shape: dict[tuple[int, ...], np.ndarray] = {}
        for case in usable(cases):
            if leaf in case.mine:
                wrong = wrong_entries(case, leaf)
                by_shape[wrong.shape] = by_shape.get(wrong.shape, False) | wrong
        places = [(np.argwhere(wrong), wrong.shape) for wrong in by_shape.values() if wrong.any()]
        if not places or any(len(place) != 1 for place, _ in places):
            continue
        first, shape = places[0][0][0], places[0][1]
        for index in (first, first - shape):
            if all((place[0] == index % other).all() for place, other in places):
                found[leaf] = tuple(int(i) for i in index)
                break
    return found


def acts_at_some_sizes(cases: Sequence[Case], leaves: Collection[str]) -> bool:
    """Whether a derivation is right at part of the points and wrong at others, as with a threshold, clip or rounding.

    Scales are what varies most between the extreme points, patterns between those of that kind; so being right at all
    patterns or at all ordinary points, and wrong elsewhere, speaks of a threshold.
    """
    by_kind: dict[str, list[bool]] = {}
    for case in usable(cases):
        telling = [leaf for leaf in leaves if leaf in case.mine]
        bad = any(wrong_entries(case, leaf).any() for leaf in telling)
        if bad or any((floats(case.right[leaf]) != 0).any() for leaf in telling):
            by_kind.setdefault(case.point.kind, []).append(bad)  # zero is right for many wrong reasons
    shares = {kind: float(np.mean(bad)) for kind, bad in by_kind.items()}
    ordinary = shares.get("ordinary", 1.0)
    if not shares.get("pattern", 1.0):
        ordinary = 0.0
    extreme = shares.get("extreme", 0.0)
    return extreme > ordinary + 0.1 or extreme > ordinary == 0


def describe(
    step: str, correction: str, cases: Sequence[Case], found: Collection[str] = (), thresholds: Sequence[str] = ()
) -> Cause:
    """What is certain of an error at a step that no line of the catalogue explains.

    `found`: the right arrays that the program computes. `thresholds`: its comparisons, clips and roundings, as
    "clip at homework.py:12".
    """
    leaves = [leaf for leaf in LEAVES if any(leaf in case.mine for case in cases)]
    judged = [step] if step in leaves else leaves
    alone = single_entries(cases, judged)
    if step in alone:
        return Cause("one_entry", f"only the entry {alone[step]} of {step} is wrong", step, correction)
    if thresholds and acts_at_some_sizes(cases, judged):
        acts = ", ".join(thresholds[:3])
        text = f"right for some numbers and wrong for others: a threshold, clip or rounding acts ({acts})"
        return Cause("threshold", text, step, correction)
    text = UNKNOWN.format(step=step)
    if step in ("dZ2", "dZ1") and f"dO{step[2]}" in found:
        text += f"; before it, the program computes a right dO{step[2]}"
    return Cause("unknown", text, step, correction)


def shows_its_forward_pass(locals_: Sequence[Local], sizes: Sizes) -> bool:
    """Whether a variable of the shape of Z1 stands before any of the shape of Z2: it must then be Z1 or O1."""
    shapes = [frozenset(local.value.shape) for local in locals_ if local.value.ndim == 2]
    hidden, output = frozenset((sizes.m, sizes.K)), frozenset((sizes.m, sizes.C))
    return next((shape for shape in shapes if shape in (hidden, output)), None) == hidden


def forward_error(
    cases: Sequence[Case], found: Collection[str], thresholds: Sequence[str] = (), shown: bool = False
) -> Cause | None:
    """If the program stops computing right arrays before O2, the error is in the forward pass.

    `shown`: it shows an array that must be Z1 or O1; else one of the right ones must have been seen.
    """
    order = ("Z1", "O1", "Z2", "O2")
    last = max((i for i, name in enumerate(order) if name in found), default=-1)
    if last == 3 or (last == -1 and not shown) or not any(case.sizes in PRIME_SIZES for case in cases):
        return None  # where sizes are equal, any array has the shape of Z1
    missing = order[last + 1]
    leaves = [leaf for leaf in LEAVES if any(leaf in case.mine for case in cases)]
    text = f"the error enters in the forward pass: the program computes no right {missing}"
    if thresholds and acts_at_some_sizes(cases, leaves):
        said = f"{text} at some sizes of the numbers ({', '.join(thresholds[:3])})"
        return Cause("threshold", said, "forward", FORWARD_TEXT[missing])
    return Cause("unknown", f"unknown, {text}", "forward", FORWARD_TEXT[missing])
