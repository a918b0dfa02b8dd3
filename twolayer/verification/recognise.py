"""Which arrays inside a program are the Z1, O1, Z2, O2 and the cotangents of the right derivation?

Decided in the prime field: an array counts as a step if its elements are those of the step times one constant, at
every entry of every draw. A constant may come with any convention, such as 1/m at the leaves; sizes alone decide it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.interpreter import Path, interpret
from twolayer.verification.numbers.field import Field, FieldValue, P
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Point
from twolayer.verification.rules import nested_call
from twolayer.verification.tracing import Traced

INSIDE = ("Z1", "O1", "Z2", "O2", "dO2", "dZ2", "dO1", "dZ1")
_MOVES = ("name", "copy", "transpose", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "stop_gradient")


class Found(NamedTuple):
    """One array of a program: output number `output` of the operation at `path` is scale * step, an element of F_p."""

    name: str
    path: Path
    output: int
    scale: int
    transposed: bool


def recognise(traced: Traced, point: Point, truth: Mapping[str, FieldValue]) -> dict[str, Found]:
    """The first array that is each step: name -> where. Arguments are those of `matches`."""
    found: dict[str, Found] = {}
    for match in matches(traced, point, truth):
        found.setdefault(match.name, match)
    return found


def matches(traced: Traced, point: Point, truth: Mapping[str, FieldValue]) -> list[Found]:
    """Every array outside of loops that is a step, in the order in which they are computed.

    An array may be several steps (dO2 and dZ2, where the output is the identity). Operations that only move entries are
    left out: they repeat what was found.

    Args:
      traced: the program.
      point: draws at the program's own sizes.
      truth: the right arrays there, from reference.truth.
    """
    found: list[Found] = []
    names = [name for name in INSIDE if name in truth]

    def look(path: Path, eqn: Any, outputs: list) -> list:
        if nested_call(eqn) is None and not _repeats(eqn):
            for i, value in enumerate(outputs):
                if isinstance(value, FieldValue):
                    found.extend(_steps(value.element, path, i, names, truth))
        return outputs

    interpret(traced.jaxpr, Field(len(point.shadows.x)), *point.arguments, visit=look)
    return found


def _repeats(eqn: Any) -> bool:
    """Whether an operation leaves the numbers as they are."""
    if eqn.primitive.name == "convert_element_type":
        return eqn.outvars[0].aval.dtype.itemsize >= eqn.invars[0].aval.dtype.itemsize
    return eqn.primitive.name in _MOVES


def _steps(mine: np.ndarray, path: Path, output: int, names: list[str], truth: Mapping[str, FieldValue]) -> list[Found]:
    found = []
    for name in names:
        right = truth[name].element
        if mine.ndim != right.ndim:
            continue
        for transposed, turned in ((False, mine), (True, mine.swapaxes(-1, -2))):
            scale = _ratio(turned, right) if turned.shape == right.shape else None
            if scale is not None and not any(match.name == name for match in found):
                found.append(Found(name, path, output, scale, transposed))
    return found


def _ratio(mine: np.ndarray, right: np.ndarray) -> int | None:
    """The constant c with mine = c right in F_p, other than 0; None if there is none."""
    at = right.ravel().nonzero()[0]
    if not len(at) or opaque_mask(right.ravel()[at[:1]])[0]:
        return None
    numerator, denominator = mine.ravel()[at[0]], right.ravel()[at[0]]
    if not isinstance(numerator, int) or numerator == 0:
        return None
    scale = numerator * pow(denominator, -1, P) % P
    return scale if (mine == right * scale % P).all() else None
