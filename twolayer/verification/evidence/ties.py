"""What a derivation does at exact ties, Z = 0: any ReLU'(0) in [0, 1] will do, if it is one number in all gradients.

Ties have probability zero, so random points never meet one, and programs do: a blank image, a network of zeros. There
a leaf is what it is with ReLU'(0) = 0, plus ReLU'(0) times a known array.
"""

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.cases import Subject, finite
from twolayer.verification.numbers.agreement import EQUAL, compare
from twolayer.verification.numbers.balls import BITS, Undecided, floats, precision
from twolayer.verification.numbers.factors import ratio, short
from twolayer.verification.problem import LEAVES, Setting, slope
from twolayer.verification.programs import NotJudged, Refused

LAYERS = {"hidden": "1", "output": "2"}


class Fault(NamedTuple):
    """What is wrong, or undecided, at Z = 0 of a layer: the step, one sentence, and the leaves that show it."""

    layer: str
    verdict: str
    step: str
    text: str
    leaves: tuple[str, ...] = ()


class AtTies(NamedTuple):
    """ReLU'(0) of each layer that has a kink, where it is one number; `named`: where db shows it; and the faults."""

    slopes: dict[str, Fraction]
    named: dict[str, Fraction]
    faults: tuple[Fault, ...]


class _Seen(NamedTuple):
    """Gradients grouped by the slope found at a tie: a slope, or none that fits, or none that is finite."""

    slopes: dict[str, Fraction]
    odd: tuple[str, ...]
    endless: tuple[str, ...]
    unknown: str | None = None


def at_ties(subject: Subject, leaves: Collection[str], kinked: Collection[str], seed: int = 0) -> AtTies:
    """Judge these leaves, which are right elsewhere, at exact ties of each layer whose activation has a kink there."""
    slopes: dict[str, Fraction] = {}
    named: dict[str, Fraction] = {}
    faults: dict[str, Fault] = {}
    rng = np.random.default_rng(seed)
    for layer, s in where.ties(rng, subject.sizes[0], subject.setting):
        if layer not in kinked:
            continue
        seen = _look(subject, layer, where.point("tie", subject.sizes[0], s, subject.setting), leaves)
        fault = _fault(layer, seen)
        found = next(iter(seen.slopes.values()), None)
        if fault is None and found is not None and slopes.setdefault(layer, found) != found:
            text = f"at Z{LAYERS[layer]} = 0 the mask is {slopes[layer]} at some numbers and {found} at others"
            fault = Fault(layer, "undecided", f"dZ{LAYERS[layer]}", text)
        if fault is not None:
            faults.setdefault(layer, fault)
        elif found is not None and f"db{LAYERS[layer]}" in seen.slopes:
            named[layer] = found
    good = {layer: found for layer, found in slopes.items() if layer not in faults}
    return AtTies(good, {layer: named[layer] for layer in named if layer in good}, tuple(faults.values()))


def _look(subject: Subject, layer: str, point: where.Point, leaves: Collection[str]) -> _Seen:
    try:
        mine = subject.at(point).mine
    except (Undecided, NotJudged, Refused) as error:
        return _Seen({}, (), (), str(error))
    slopes: dict[str, Fraction] = {}
    odd, endless = [], []
    with precision(BITS):
        gain = _gain(subject.setting, layer, point.right)
        for leaf in (leaf for leaf in LEAVES if leaf in leaves and leaf in mine):
            if not finite(mine[leaf]):
                endless.append(leaf)
                continue
            over = mine[leaf] - point.right[leaf]
            gains = (floats(gain[leaf]) != 0).any()
            if (compare(mine[leaf], point.right[leaf]) == EQUAL).all():
                slopes |= {leaf: Fraction(0)} if gains else {}
                continue
            c = ratio((over,), (gain[leaf],)) if gains else None
            if c is None:
                odd.append(leaf)
            else:
                slopes[leaf] = c
    return _Seen(slopes, tuple(odd), tuple(endless))


def _gain(setting: Setting, layer: str, r: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What each leaf gains if the slope of a layer at Z = 0 is 1, not 0."""
    gain = {leaf: 0 * r[leaf] for leaf in LEAVES}
    if layer == "output":
        dZ2 = r["dO2"] * np.asarray(r["Z2"] == 0, int)
        dZ1 = (dZ2 @ r["W2"]) * slope(setting.hidden, r["Z1"], r["O1"])
        gain |= {"dW2": dZ2.T @ r["O1"], "db2": dZ2.sum(axis=0)}
    else:
        dZ1 = r["dO1"] * np.asarray(r["Z1"] == 0, int)
    return gain | {"dW1": dZ1.T @ r["x"], "db1": dZ1.sum(axis=0)}


def _fault(layer: str, seen: _Seen) -> Fault | None:
    number = LAYERS[layer]
    at, step, own = f"at Z{number} = 0", f"dZ{number}", [f"dW{number}", f"db{number}"]
    if seen.unknown:
        return Fault(layer, "undecided", step, f"{at} it cannot be followed: {seen.unknown}")
    if seen.endless:
        text = f"{at} {', '.join(seen.endless)} {_are(seen.endless)} NaN or infinite"
        return Fault(layer, "wrong", step, text, seen.endless)
    if len(set(seen.slopes.values())) > 1:
        groups = {c: [leaf for leaf, other in seen.slopes.items() if other == c] for c in seen.slopes.values()}
        said = " and ".join(f"{_number(c)} in {', '.join(group)}" for c, group in groups.items())
        return Fault(layer, "wrong", step, f"{at} the mask is {said}: it must be one number", tuple(seen.slopes))
    elsewhere = [leaf for leaf in seen.odd if layer == "hidden" and leaf not in own]  # no slope can enter there
    if seen.odd and (seen.slopes or elsewhere):
        text = f"{at} {', '.join(seen.odd)} {_are(seen.odd)} wrong, whatever number the mask is there"
        return Fault(layer, "wrong", elsewhere[0] if elsewhere else step, text, seen.odd)
    if seen.odd:
        return Fault(layer, "undecided", step, f"{at} the mask is not one number", seen.odd)
    if any(not short(c) for c in seen.slopes.values()):
        return Fault(layer, "undecided", step, f"{at} the mask is no simple number", tuple(seen.slopes))
    return None


def _are(leaves: Collection[str]) -> str:
    return "is" if len(leaves) == 1 else "are"


def _number(c: Fraction) -> str:
    return str(c) if short(c) else "no simple number"
