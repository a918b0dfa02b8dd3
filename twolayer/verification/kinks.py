"""What a derivation does at exact ties, Z = 0: any ReLU'(0) in [0, 1] will do, if it is one number in all gradients.

Ties have probability zero, so the draws of evidence.py never meet one, and programs do: a blank image, a network of
zeros. There a leaf is what it is with ReLU'(0) = 0, plus ReLU'(0) times a known array.
"""

import functools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification import draws, scales
from twolayer.verification.evidence import Subject
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.field import Field, FieldValue, P
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Point, Setting, over_the_field, truth
from twolayer.verification.verdict import LEAVES

DRAWS = 4
LAYERS = {"hidden": "1", "output": "2"}


class Fault(NamedTuple):
    """What is wrong, or undecided, at Z = 0 of a layer: the step, one sentence, and the leaves that show it."""

    layer: str
    verdict: str
    step: str
    text: str
    leaves: tuple[str, ...] = ()


class AtTies(NamedTuple):
    """ReLU'(0) of each layer that has a ReLU, where it is one number; `named`: where db shows it; and the faults."""

    slopes: dict[str, Fraction]
    named: dict[str, Fraction]
    faults: tuple[Fault, ...]


class _Tie(NamedTuple):
    """A group of draws with ties in a layer: the right leaves with ReLU'(0) = 0, and what they gain with 1."""

    layer: str
    point: Point
    right: dict[str, np.ndarray]
    gain: dict[str, np.ndarray]


class _Seen(NamedTuple):
    """The leaves at a tie by what they show: a slope, or none that fits, or an unknown number, or no finite one."""

    slopes: dict[str, int]
    odd: tuple[str, ...]
    opaque: tuple[str, ...]
    endless: tuple[str, ...]


def at_ties(subject: Subject, setting: Setting, leaves: frozenset[str]) -> AtTies:
    """Judge these leaves, which are right elsewhere, at exact ties of each layer that has a ReLU."""
    slopes: dict[str, Fraction] = {}
    named: dict[str, Fraction] = {}
    faults: dict[str, Fault] = {}
    for tie in _ties(setting, subject.traced[0].sizes):
        seen = _look(subject, tie, leaves)
        fault = _fault(tie.layer, seen)
        slope = next((scales.rational(c) for c in seen.slopes.values()), None)
        if fault is None and slope is not None and slopes.setdefault(tie.layer, slope) != slope:
            text = f"{_at(tie.layer)} the mask is {slopes[tie.layer]} at some numbers and {slope} at others"
            fault = Fault(tie.layer, "undecided", f"dZ{LAYERS[tie.layer]}", text)
        if fault is not None:
            faults.setdefault(tie.layer, fault)
        elif slope is not None and f"db{LAYERS[tie.layer]}" in seen.slopes:
            named[tie.layer] = slope
    good = {layer: slope for layer, slope in slopes.items() if layer not in faults}
    return AtTies(good, {layer: named[layer] for layer in named if layer in good}, tuple(faults.values()))


@functools.lru_cache(maxsize=64)
def _ties(setting: Setting, sizes: draws.Sizes) -> tuple[_Tie, ...]:
    rng = np.random.default_rng(0)
    names = setting.loss, setting.output, setting.hidden
    hidden, output, zeros = (over_the_field(rng, sizes, s, *names) for s in draws.kinks(rng, sizes, DRAWS, *names))
    found = [("hidden", _tied_hidden(hidden))] if setting.hidden == "relu" else []
    found += [("output", _tied_output(setting, output))] if setting.output == "relu" else []
    found += [(found[-1][0], zeros)] if found else []
    return tuple(_tie(setting, layer, point) for layer, point in found)


def _tied_hidden(point: Point) -> Point:
    """The same with elements of b1 that make Z1 zero on the first example."""
    field, (W1, _, *rest) = Field(DRAWS), point.arguments
    x = rest[2]
    product = field.mul(field.move(lambda a: a[:, :, 0], W1), field.move(lambda a: a[:, 0, :1], x))
    return point._replace(arguments=(W1, _with_shadow(field.neg(product), point.shadows.b1), *rest))


def _tied_output(setting: Setting, point: Point) -> Point:
    """The same with elements of b1 and b2 that make Z2 zero on the first example."""
    field, (W1, b1, W2, _, x, y) = Field(DRAWS), point.arguments
    own = field.mul(field.move(lambda a: a[:, 0, 0], W1), field.move(lambda a: a[:, 0, 0], x))
    own, first = (
        (own, field.add(own, own)) if setting.hidden == "relu" else (field.neg(own), field.rational(Fraction(1, 2)))
    )
    b1 = field.move(lambda a, b: np.concatenate([b[:, None], a[:, 1:]], axis=1), b1, own)
    first = field.move(lambda a: np.broadcast_to(a, (DRAWS,))[:, None], first)
    b2 = field.neg(field.mul(field.move(lambda a: a[:, :, 0], W2), first))
    return point._replace(arguments=(W1, b1, W2, _with_shadow(b2, point.shadows.b2), x, y))


def _with_shadow(value: FieldValue, shadow: np.ndarray) -> FieldValue:
    return value._replace(shadow=shadow)  # the same numbers, but for the sign of a zero


def _tie(setting: Setting, layer: str, point: Point) -> _Tie:
    right, _ = truth(setting, point)
    r = {name: value.element for name, value in right.items()}
    W2, x = point.arguments[2].element, point.arguments[4].element
    gain = {leaf: np.zeros(r[leaf].shape, object) for leaf in LEAVES}
    if layer == "output":
        dZ2 = r["dO2"] * (right["Z2"].shadow == 0)
        slope = right["Z1"].shadow > 0 if setting.hidden == "relu" else r["O1"] * (1 - r["O1"])
        dZ1 = (dZ2 @ W2) * slope
        gain |= {"dW2": dZ2.swapaxes(1, 2) @ r["O1"] % P, "db2": dZ2.sum(axis=1) % P}
    else:
        dZ1 = r["dO1"] * (right["Z1"].shadow == 0)
    gain |= {"dW1": dZ1.swapaxes(1, 2) @ x % P, "db1": dZ1.sum(axis=1) % P}
    return _Tie(layer, point, {leaf: r[leaf] for leaf in LEAVES}, gain)


def _look(subject: Subject, tie: _Tie, leaves: frozenset[str]) -> _Seen:
    traced, slopes = subject.traced[0], {}
    odd, opaque, endless = [], [], []
    outputs = interpret(traced.jaxpr, Field(DRAWS), *tie.point.arguments)
    values = dict(zip(traced.names, outputs, strict=True))
    for leaf in (leaf for leaf in LEAVES if leaf in leaves and leaf in values):
        mine, gain = np.broadcast_to(values[leaf].element, tie.right[leaf].shape), tie.gain[leaf]
        over = (mine - tie.right[leaf]) % P
        if not np.isfinite(values[leaf].shadow).all():
            endless.append(leaf)
        elif opaque_mask(mine).any():
            opaque.append(leaf)
        elif not over.any():
            slopes |= {leaf: 0} if gain.any() else {}
        elif not gain.any() or scales.ratio(over, gain) is None:
            odd.append(leaf)
        else:
            slopes[leaf] = scales.ratio(over, gain)
    return _Seen(slopes, tuple(odd), tuple(opaque), tuple(endless))


def _fault(layer: str, seen: _Seen) -> Fault | None:
    at, number = _at(layer), LAYERS[layer]
    step, own = f"dZ{number}", [f"dW{number}", f"db{number}"]
    if seen.endless:
        text = f"{at} {_listed(seen.endless)} {_are(seen.endless)} NaN or infinite"
        return Fault(layer, "wrong", step, text, seen.endless)
    if len(set(seen.slopes.values())) > 1:
        groups = {c: [leaf for leaf, other in seen.slopes.items() if other == c] for c in seen.slopes.values()}
        said = " and ".join(f"{_number(c)} in {_listed(group)}" for c, group in groups.items())
        return Fault(layer, "wrong", step, f"{at} the mask is {said}: it must be one number", tuple(seen.slopes))
    elsewhere = [leaf for leaf in seen.odd if layer == "hidden" and leaf not in own]  # no slope can enter there
    if seen.odd and (seen.slopes or elsewhere):
        text = f"{at} {_listed(seen.odd)} {_are(seen.odd)} wrong, whatever number the mask is there"
        return Fault(layer, "wrong", elsewhere[0] if elsewhere else step, text, seen.odd)
    if seen.odd:
        return Fault(layer, "undecided", step, f"{at} the mask is not one number", seen.odd)
    if seen.opaque:
        return Fault(layer, "undecided", step, f"{at} {seen.opaque[0]} has no algebraic meaning", seen.opaque)
    if any(scales.rational(c) is None for c in seen.slopes.values()):
        return Fault(layer, "undecided", step, f"{at} the mask is no simple number", tuple(seen.slopes))
    return None


def _at(layer: str) -> str:
    return f"at Z{LAYERS[layer]} = 0"


def _are(leaves: tuple[str, ...]) -> str:
    return "is" if len(leaves) == 1 else "are"


def _listed(leaves: object) -> str:
    return ", ".join(leaves)


def _number(c: int) -> str:
    number = scales.rational(c)
    return "no simple number" if number is None else str(number)
