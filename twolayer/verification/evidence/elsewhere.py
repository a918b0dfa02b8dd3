"""Where else it may be wrong: at exact ties, at sizes of one and large ones, and on a batch that is given.

Ties, Z = 0, have probability zero, so random points never meet one, and programs do: a blank image, a network of zeros.
There any ReLU'(0) in [0, 1] will do, if it is one number in all gradients: a leaf is what it is with ReLU'(0) = 0, plus
ReLU'(0) times a known array. Code may treat one input, hidden unit, output or example by itself, and large arrays in
blocks: with one output, Z2.squeeze() - y is (m,) minus (m, 1), which is (m, m) and raises nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.cases import Subject, finite, first_wrong
from twolayer.verification.numbers.agreement import DIFFERENT, EQUAL, UNKNOWN, compare
from twolayer.verification.numbers.balls import BITS, Undecided, floats, precision
from twolayer.verification.numbers.factors import ratio, short
from twolayer.verification.problem import LEAVES, STEPS, Setting, Sizes, activation, slope, targets
from twolayer.verification.programs import NotJudged, Refused

LAYERS = {"hidden": "1", "output": "2"}
MOST = 20_000_000  # products of a batch; a second takes about a million


class Finding(NamedTuple):
    """What a check of something further has found: a step that is wrong or undecided, or a note alone.

    verdict: "wrong", "undecided", or "right" where there is only a note.
    """

    verdict: str
    step: str | None
    id: str
    text: str
    leaves: tuple[str, ...] = ()


def kinked(setting: Setting) -> list[str]:
    """The layers whose activation has a kink."""
    return [layer for layer, f in (("hidden", setting.hidden), ("output", setting.output)) if activation(f).kink]


class _Seen(NamedTuple):
    """Gradients grouped by the slope found at a tie: a slope, or none that fits, or none that is finite."""

    slopes: dict[str, Fraction]
    odd: tuple[str, ...]
    endless: tuple[str, ...]
    unknown: str | None = None


def at_ties(
    subject: Subject, leaves: Collection[str], layers: Collection[str], wanted: Fraction | None, seed: int = 0
) -> Iterator[Finding]:
    """Judge these leaves, which are right elsewhere, at exact ties of each layer: ReLU'(0) is named.

    It is wrong if it is no subgradient, not one in all gradients, or not the `wanted` one.
    """
    slopes: dict[str, Fraction] = {}
    named: dict[str, Fraction] = {}
    faults: dict[str, Finding] = {}
    rng = np.random.default_rng(seed)
    for layer, s in where.ties(rng, subject.sizes[0], subject.setting):
        if layer not in layers:
            continue
        seen = _look(subject, layer, where.point("tie", subject.sizes[0], s, subject.setting), leaves)
        fault = _fault(layer, seen)
        found = next(iter(seen.slopes.values()), None)
        if fault is None and found is not None and slopes.setdefault(layer, found) != found:
            text = f"at Z{LAYERS[layer]} = 0 the mask is {slopes[layer]} at some numbers and {found} at others"
            fault = Finding("undecided", f"dZ{LAYERS[layer]}", "relu_at_zero", text)
        if fault is not None:
            faults.setdefault(layer, fault)
        elif found is not None and f"db{LAYERS[layer]}" in seen.slopes:
            named[layer] = found
    yield from faults.values()
    for layer, value in slopes.items():
        why = "a subgradient of ReLU lies in [0, 1]" if not 0 <= value <= 1 else f"you asked for {wanted}"
        if layer not in faults and (not 0 <= value <= 1 or wanted not in (None, value)):
            said = f"at Z{LAYERS[layer]} = 0 the mask is {value}"
            sign = ":" if not 0 <= value <= 1 else ";"
            yield Finding("wrong", f"dZ{LAYERS[layer]}", "relu_at_zero", f"{said}{sign} {why}")
    for layer, value in named.items():
        if layer in slopes and layer not in faults:
            yield Finding("right", None, "convention", f"{layer} {value}")


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


def _fault(layer: str, seen: _Seen) -> Finding | None:
    number = LAYERS[layer]
    at, step, own = f"at Z{number} = 0", f"dZ{number}", [f"dW{number}", f"db{number}"]
    if seen.unknown:
        return Finding("undecided", step, "relu_at_zero", f"{at} it cannot be followed: {seen.unknown}")
    if seen.endless:
        text = f"{at} {', '.join(seen.endless)} {_are(seen.endless)} NaN or infinite"
        return Finding("wrong", step, "relu_at_zero", text, tuple(seen.endless))
    if len(set(seen.slopes.values())) > 1:
        groups = {c: [leaf for leaf, other in seen.slopes.items() if other == c] for c in seen.slopes.values()}
        said = " and ".join(f"{_number(c)} in {', '.join(group)}" for c, group in groups.items())
        return Finding(
            "wrong", step, "relu_at_zero", f"{at} the mask is {said}: it must be one number", tuple(seen.slopes)
        )
    elsewhere = [leaf for leaf in seen.odd if layer == "hidden" and leaf not in own]  # no slope can enter there
    if seen.odd and (seen.slopes or elsewhere):
        text = f"{at} {', '.join(seen.odd)} {_are(seen.odd)} wrong, whatever number the mask is there"
        return Finding("wrong", elsewhere[0] if elsewhere else step, "relu_at_zero", text, tuple(seen.odd))
    if seen.odd:
        return Finding("undecided", step, "relu_at_zero", f"{at} the mask is not one number", tuple(seen.odd))
    if any(not short(c) for c in seen.slopes.values()):
        return Finding("undecided", step, "relu_at_zero", f"{at} the mask is no simple number", tuple(seen.slopes))
    return None


def _are(leaves: Collection[str]) -> str:
    return "is" if len(leaves) == 1 else "are"


def _number(c: Fraction) -> str:
    return str(c) if short(c) else "no simple number"


def at_sizes(subject: Subject, right: Collection[str], returned: Collection[str], seed: int = 0) -> Iterator[Finding]:
    """Judge the leaves that are right elsewhere, where one of the sizes is large, and where one is one."""
    undecided: dict[str, str] = {}
    leaves = [leaf for leaf in right if leaf in returned]
    for at, sizes in _sizes(subject):
        point = where.points(subject.setting, sizes, "ordinary", 1, seed)[0]
        try:
            wrong, open_ = _judged(subject.at(point).mine, point.right, leaves)
        except (Undecided, NotJudged) as error:
            undecided |= {leaf: f"at {at} it cannot be followed: {error}" for leaf in leaves}
            continue
        except Refused as error:
            yield Finding("right", None, "note", f"not judged at {at}, where it does not run: {error}")
            continue
        if wrong:
            step = "dO2" if len({leaf[2] for leaf in wrong}) == 2 else first_wrong(wrong, right, ())
            text = f"right at other sizes, wrong at {at}: the code depends on its sizes"
            yield Finding("wrong", step, "sizes", text, tuple(wrong))
            return
        undecided |= {leaf: f"at {at} it is not known well enough" for leaf in open_}
    for leaf, reason in undecided.items():
        yield Finding("undecided", leaf, "sizes", reason, (leaf,))


def _sizes(subject: Subject) -> Iterator[tuple[str, Sizes]]:
    for sizes in where.LARGE:
        yield ", ".join(f"{letter} = {size}" for letter, size in sizes._asdict().items()), sizes
    for letter, sizes in where.OF_SIZE_ONE.items():
        if letter != "C" or targets(subject.setting) != "onehot":  # a softmax of one number
            yield f"{letter} = 1", sizes


def on_batch(subject: Subject, batch: tuple) -> Iterator[Finding]:
    """Judge a batch exactly, (params, x (m, d), y (m, C)): its floats are the numbers that they are."""
    params, x, y = batch
    arrays = [np.asarray(array, np.float64) for array in (*params, x, y)]
    (K, d), C = arrays[0].shape, arrays[2].shape[0]
    kept = max(1, min(len(x), MOST // (6 * K * (d + C))))
    numbers: where.Floats = dict(zip(where.INPUTS, [*arrays[:4], arrays[4][:kept], arrays[5][:kept]], strict=True))
    at = where.point("batch", Sizes(d, K, C, kept), numbers, subject.setting)
    said = f"exact on the {kept} examples" + (f", the first of {len(x)}" if kept < len(x) else "")
    try:
        wrong, open_ = _judged(subject.at(at).mine, at.right, LEAVES)
    except (Undecided, NotJudged) as error:
        for leaf in LEAVES:
            yield Finding("undecided", leaf, "batch", f"on the given batch: {error}", (leaf,))
        wrong, open_, said = [], [], "the batch could not be followed"
    if wrong:
        said = f"{', '.join(wrong)} differ"
        text = f"wrong on the given batch: {said}"
        yield Finding("wrong", min(wrong, key=STEPS.index), "batch", text, tuple(wrong))
    for leaf in open_:
        yield Finding("undecided", leaf, "batch", "it is not known well enough on the given batch", (leaf,))
    yield Finding("right", None, "batch", said)


def _judged(
    mine: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray], leaves: Collection[str]
) -> tuple[list[str], list[str]]:
    """The leaves that are wrong or not finite, and those that are not known well enough."""
    states = {leaf: compare(mine[leaf], right[leaf]) for leaf in leaves if leaf in mine}
    wrong = [leaf for leaf, state in states.items() if (state == DIFFERENT).any() or not finite(mine[leaf])]
    return wrong, [leaf for leaf, state in states.items() if leaf not in wrong and (state == UNKNOWN).any()]
