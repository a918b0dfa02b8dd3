"""Which ReLU'(0) a derivation uses, read off at exact ties. A convention to be named: any number in [0, 1] will do."""

import functools
from fractions import Fraction

import numpy as np

from twolayer.verification import draws, scales
from twolayer.verification.evidence import Subject
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.field import Field, FieldValue, P
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Point, Setting, over_the_field, truth

DRAWS = 4


def relu_at_zero(subject: Subject, setting: Setting) -> dict[str, Fraction]:
    """ReLU'(0) in each layer that has a ReLU; left out if db fits no such number.

    In the first group of draws Z1 = 0 exactly for every unit of the first example, in the second Z2 = 0 for the first
    output of all examples. There db is what it is with ReLU'(0) = 0, plus ReLU'(0) times a known sum.
    """
    traced = subject.traced[0]
    found: dict[str, Fraction | None] = {}
    hidden, output = _points(setting, traced.sizes)
    if "db1" in traced.names and setting.hidden == "relu":
        mine, right = _at(subject, hidden[0]), hidden[1]
        found["hidden"] = _convention(mine["db1"], right["db1"].element, right["dO1"].element[:, 0])
    if "db2" in traced.names and setting.output == "relu":
        mine, right = _at(subject, output[0]), output[1]
        tied = right["dO2"].element[:, :, 0].sum(axis=1) % P
        found["output"] = _convention(mine["db2"][:, :1], right["db2"].element[:, :1], tied[:, None])
    return {layer: value for layer, value in found.items() if value is not None}


@functools.lru_cache(maxsize=64)
def _points(setting: Setting, sizes: draws.Sizes) -> tuple[tuple[Point, dict[str, FieldValue]], ...]:
    rng = np.random.default_rng(0)
    names = setting.loss, setting.output, setting.hidden
    points = [over_the_field(rng, sizes, s, *names) for s in draws.kinks(rng, sizes, DRAWS, *names)]
    return tuple((point, truth(setting, point)[0]) for point in points)


def _at(subject: Subject, point: Point) -> dict[str, np.ndarray]:
    traced = subject.traced[0]
    outputs = interpret(traced.jaxpr, Field(DRAWS), *point.arguments)
    return {
        name: np.broadcast_to(value.element, (DRAWS, *var.aval.shape))
        for name, value, var in zip(traced.names, outputs, traced.jaxpr.jaxpr.outvars, strict=True)
    }


def _convention(mine: np.ndarray, right: np.ndarray, tied: np.ndarray) -> Fraction | None:
    if opaque_mask(mine).any():
        return None
    with_one = scales.ratio((mine - right) % P, tied)
    if with_one is None:
        return None if ((mine - right) % P).any() else Fraction(0)
    return scales.rational(with_one)
