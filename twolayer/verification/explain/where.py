"""Where in the user's file: his local variables, matched with the right intermediates and cotangents.

A local counts as a step if it is a constant times the step's array, as it is or transposed. In a loop over the
examples, the values that one line gives to one name are matched with the rows.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.balls import BITS, floats, precision
from twolayer.verification.numbers.factors import ratio, short
from twolayer.verification.problem import CHAIN, LEAVES, STEPS, TRACE, Setting, slope, targets
from twolayer.verification.programs import Local

NAMED = (*TRACE, *STEPS)


class Seen(NamedTuple):
    """A local that is `factor` times an array; `order` counts the settings of all locals."""

    line: int
    name: str
    text: str
    step: str
    factor: Fraction
    order: int


class Place(NamedTuple):
    """A line of the user's file. `since`: a line before it that is right, where the error lies between the two.

    `name`: the variable that is wrong there; empty where the error lies before it.
    """

    line: int
    name: str
    text: str
    since: int | None = None


def seen(locals_: Sequence[Local], arrays: Mapping[str, np.ndarray]) -> list[Seen]:
    """The locals that are one of these arrays, in the order in which they are set."""
    numbers = {name: floats(array) for name, array in arrays.items() if np.ndim(array)}
    found = []
    for order, local, value, in_loop in _whole(locals_):
        own = _floats(value)
        if own is None:
            continue
        for name, right in numbers.items():
            rows = _rows(len(value), len(right)) if in_loop and right.ndim == 2 else slice(None)
            if rows is None:
                continue
            wanted, exact = right[rows], np.asarray(arrays[name], object)[rows]
            if in_loop and own.shape == (len(wanted), 1) and wanted.ndim == 2 and np.ptp(wanted, axis=1).max() == 0:
                wanted, exact = wanted[:, :1], exact[:, :1]  # one number for all units
            if own.size == 1 and name[:2] == "db" and np.ptp(wanted) == 0:
                own, value = own.reshape(1), value.reshape(1)  # one number for all biases
                wanted, exact = wanted[:1], exact[:1]
            for turned in _turned(own, value, wanted.shape):
                if ratio((turned[0],), (wanted,)) is not None:
                    factor = _exact(turned[1], exact)
                    if factor is not None and (turned[0].size > 1 or short(factor)):  # any two numbers have a ratio
                        found.append(Seen(local.line, local.name, local.text, name, factor, order))
                        break
    return found


def _shares(locals_: Sequence[Local], step: str, array: np.ndarray) -> list[Seen]:
    """What a loop sets for one example after the other, and what is an array when it is summed."""
    groups: dict[tuple[int, str], list[tuple[int, Local]]] = {}
    for order, local in enumerate(locals_):
        if local.value.ndim == 2 and local.value.shape == np.shape(array):
            groups.setdefault((local.line, local.name), []).append((order, local))
    found = []
    for (line, name), some in groups.items():
        with precision(BITS):
            total = np.sum([local.value for _, local in some], axis=0)
        values = _floats(total) if len(some) > 1 else None
        if values is not None and ratio((values,), (floats(array),)) is not None:
            found.append(Seen(line, name, some[-1][1].text, step, Fraction(1), some[-1][0]))
    return found


def _rows(n: int, m: int) -> slice | list[int] | None:
    """Which examples a loop's values belong to: all, or the first and the last where only those are kept."""
    if n == m:
        return slice(None)
    return [*range(n - 1), m - 1] if 2 < n < m else None


def _exact(mine: np.ndarray, right: np.ndarray) -> Fraction | None:
    with precision(BITS):
        return ratio((mine,), (np.asarray(right, object),))


def _whole(locals_: Sequence[Local]) -> Iterator[tuple[int, Local, np.ndarray, bool]]:
    """Each setting with its order, and after the last of a loop the rows that it gave, stacked."""
    rows: dict[tuple, list[np.ndarray]] = {}
    last: dict[tuple, int] = {}
    for i, local in enumerate(locals_):
        key = local.line, local.name, local.value.shape
        rows.setdefault(key, []).append(local.value)
        last[key] = i
    for i, local in enumerate(locals_):
        yield i, local, local.value, False
        key = local.line, local.name, local.value.shape
        if last[key] == i and len(rows[key]) > 1 and local.value.size == max(local.value.shape, default=1) > 0:
            yield i, local, np.stack([part.ravel() for part in rows[key]]), True


def _floats(value: np.ndarray) -> np.ndarray | None:
    try:
        return floats(value) if value.size else None
    except TypeError:
        return None


def _turned(own: np.ndarray, value: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An array and its balls in the shapes in which it may be meant: as it is, transposed, without axes of one."""
    if own.shape == shape:
        yield own, value
    elif own.shape == shape[::-1]:
        yield own.T, value.T
    elif own.size == 1 or own.size == 0:
        return
    elif own.size == int(np.prod(shape)) and max(own.shape) == max(shape) and len(shape) == 1:
        yield own.reshape(shape), value.reshape(shape)


def variables(found: Sequence[Seen]) -> dict[str, Seen]:
    """For each step the first local that is it, without a factor where there is one."""
    first: dict[str, Seen] = {}
    for one in found:
        if one.step not in first or (one.factor == 1 != first[one.step].factor):
            first[one.step] = one
    return first


def place(
    step: str,
    wrong: Mapping[str, np.ndarray],
    locals_: Sequence[Local],
    right: Mapping[str, np.ndarray],
    scale: Fraction = Fraction(1),
    examples: int = 1,
    caller: bool = False,
) -> Place | None:
    """The line that gives a step its wrong value.

    Args:
      step: the step to be blamed.
      wrong: the arrays of the explanation, from which the derivation goes on after its error.
      locals_: what the user's variables were.
      right: the right arrays, to see what is right before it.
      scale: with which factor the steps among these are right.
      examples: their number, by which a mean may be divided later.
      caller: whether what a helper returns is not to be blamed.

    Where the wrong value is what a right line before it gave, such as dZ1 = dO1 with the mask missing, the last
    variable that has it before it is used is the one that should have been another. A line of a helper that gives a
    right array as well is right: its caller is blamed. Where the line reads a variable that is none of the known
    arrays, or no variable has the value, the place is between the last right line and it.
    """
    own = seen(locals_, {step: wrong[step]})
    after = [one for later in _after(step) if later in wrong for one in seen(locals_, {later: wrong[later]})]
    bound = min((one.order for one in after), default=len(locals_))
    own = [one for one in own if one.order < bound] or own
    if step not in STEPS:  # only derivatives are carried along with a factor
        own = [one for one in own if one.factor == 1] or own
    own = [one for one in own if not (caller and one.name == "return")] or own
    good = seen(locals_, right)
    natural = {scale, scale * examples}
    if carried := {one.factor for one in good if one.step in _before(step)}:
        natural &= carried
    still_right = {one.order for one in good if one.step == step and one.factor in natural}
    if own and step in right and equal(wrong[step], right[step]) and all(one.order in still_right for one in own):
        own = [one for one in good if one.step in LEAVES and one.factor not in natural][
            :1
        ] or own  # a factor comes later
    own = [one for one in own if one.order not in still_right] or own
    if step[:2] == "dW" and not equal(wrong[step], right[step]):
        own = _shares(locals_, step, wrong[step])[:1] or own
    elsewhere = [one for one in good if one.factor == 1 and one.step not in (step, *_after(step))]
    helpers = {one for one in own for g in elsewhere if g[:2] == one[:2] and g.order != one.order}
    own = [one for one in own if one not in helpers] or own
    if any(one.factor == 1 for one in own):
        own = _used_outside_of_its_loop(own, locals_)
    if own:
        if any(equal(wrong[step], array) for name, array in right.items() if name not in (step, *_after(step))):
            return Place(own[-1].line, own[-1].name, own[-1].text)
        known = {(one.line, one.name) for one in (*good, *own, *seen(locals_, wrong))}
        ranges = ((one, _since(one, locals_, known, good)) for one in own)
        one, since = next(((one, since) for one, since in ranges if since is not None), (own[0], None))
        return Place(one.line, one.name, one.text, since)
    first = min(after, key=lambda one: one.order, default=None)
    return None if first is None else Place(first.line, "", first.text, _last_before(first.order, first.line, good))


def _used_outside_of_its_loop(own: Sequence[Seen], locals_: Sequence[Local]) -> list[Seen]:
    """Without what a loop sets each time, unless its last value is what a line after the loop makes the array of."""
    anew = {one for one in own if _is_set_anew(locals_[one.order], locals_)}
    after = [one.text.split("=", 1)[-1] for one in own if one.factor == 1 and one not in anew]
    read = {word for text in after for word in re.findall(r"\w+", text)}
    last = {local.name: order for order, local in enumerate(locals_)}
    return [
        one for one in own if one.factor == 1 or one not in anew or (one.name in read and last[one.name] == one.order)
    ]


def _is_set_anew(local: Local, locals_: Sequence[Local]) -> bool:
    """Whether a loop sets it each time: it is an array by chance then, as the last example's share of a sum."""
    alike = [one for one in locals_ if one[:2] == local[:2] and one.value.shape == local.value.shape]
    return len(alike) > 1


def _since(one: Seen, locals_: Sequence[Local], known: Collection[tuple[int, str]], good: Sequence[Seen]) -> int | None:
    """The last right line before what a line reads and is not known; None where all of it is known."""
    words = set(re.findall(r"\w+", one.text.split("=", 1)[-1]))
    read = {local.name: (order, local) for order, local in enumerate(locals_[: one.order]) if local.name in words}
    unknown = [(o, v.line) for o, v in read.values() if v.value.size > 1 and (v.line, v.name) not in known]
    order, line = min(unknown, default=(0, 0))
    return _last_before(order, min(line, one.line), good)  # before its line: a call's argument is set there as well


def _last_before(order: int, line: int, good: Sequence[Seen]) -> int | None:
    """The last of the right lines that ran before a setting and stand before this line."""
    return max(((one.order, one.line) for one in good if one.order < order and one.line < line), default=(0, None))[1]


def _before(step: str) -> tuple[str, ...]:
    """The steps from which the error is carried to one."""
    return CHAIN[: CHAIN.index(step)] if step in CHAIN else ()


def _after(step: str) -> tuple[str, ...]:
    """The steps that use one directly."""
    return {
        "dO2": ("dZ2", "dW2", "db2", "dO1"), "dZ2": ("dW2", "db2", "dO1"), "dO1": ("dZ1", "dW1", "db1"),
        "dZ1": ("dW1", "db1"), "Z1": ("O1", "Z2"), "O1": ("Z2", "O2"), "Z2": ("O2", "dO2"), "O2": ("dO2", "dZ2"),
        "P": ("dO2", "dZ2"),
    }.get(step, ())  # fmt: skip


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same up to a constant factor."""
    return np.shape(a) == np.shape(b) and ratio((floats(a),), (floats(b),)) is not None


def between(locals_: Sequence[Local], right: Mapping[str, np.ndarray], wrong: Mapping[str, np.ndarray]) -> Place | None:
    """Where no explanation is known: the first variable that is a wrong leaf, and the last right line before it."""
    bad = seen(locals_, wrong)
    first = min(bad, key=lambda one: one.order, default=None)
    if first is None:
        return None
    return Place(first.line, first.name, first.text, _last_before(first.order, first.line, seen(locals_, right)))


def probabilities(dO2: np.ndarray, right: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the targets are subtracted from in dO2, which is by a loss of labels or bits."""
    return dO2 / right["w"] + right["y"]


def known(setting: Setting, right: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The right arrays that a derivation may show: the network's, probabilities with their cotangents, and slopes."""
    arrays = {name: right[name] for name in NAMED}
    with precision(BITS):
        if targets(setting) != "real":
            P = arrays["P"] = probabilities(right["dO2"], right)
            onehot = targets(setting) == "onehot"
            arrays["dP"] = -right["y"] * right["w"] / P if onehot else right["dO2"] / (P * (1 - P))
        for layer, name in (("1", setting.hidden), ("2", setting.output)):
            arrays[f"slope{layer}"] = slope(name, right[f"Z{layer}"], right[f"O{layer}"])
    return arrays
