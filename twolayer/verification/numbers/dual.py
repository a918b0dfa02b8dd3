"""Dual numbers a + a' e with e^2 = 0 over the prime field: the exact directional derivative of a forward pass.

This is the oracle that shares no code with back-propagation: it differentiates forward, one operation at a time, and
never transposes anything. d log v = dv / v is rational although log v is not, so losses have derivatives here.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.field import Field, FieldValue, P, exponential, inverse
from twolayer.verification.numbers.system import Numbers, System


class DualValue(NamedTuple):
    """A value of the field and its derivative along the chosen direction, an array of elements of F_p."""

    value: FieldValue
    slope: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        return self.slope.shape


class Dual(System):
    """Forward-mode differentiation over a field."""

    def __init__(self, field: Field):
        self.field = field

    def constant(self, array: Numbers) -> DualValue:
        return DualValue(self.field.constant(array), np.zeros(np.shape(array), object))

    def shadow(self, value: DualValue) -> Numbers:
        return value.value.shadow

    def opaque(self, shadow: Numbers, reason: str) -> DualValue:
        unknown = self.field.opaque(shadow, reason)
        return DualValue(unknown, unknown.element)

    def move(self, f: Callable[..., Numbers], *values: DualValue) -> DualValue:
        return DualValue(self.field.move(f, *(v.value for v in values)), f(*(v.slope for v in values)))

    def add(self, a: DualValue, b: DualValue) -> DualValue:
        return DualValue(self.field.add(a.value, b.value), (a.slope + b.slope) % P)

    def neg(self, a: DualValue) -> DualValue:
        return DualValue(self.field.neg(a.value), -a.slope % P)

    def mul(self, a: DualValue, b: DualValue) -> DualValue:
        slope = (a.slope * b.value.element + a.value.element * b.slope) % P
        return DualValue(self.field.mul(a.value, b.value), slope)

    def matmul(self, a: DualValue, b: DualValue) -> DualValue:
        slope = (a.slope @ b.value.element + a.value.element @ b.slope) % P
        return DualValue(self.field.matmul(a.value, b.value), slope)

    def div(self, a: DualValue, b: DualValue) -> DualValue:
        one_over_b = inverse(b.value.element)
        slope = (a.slope - a.value.element * one_over_b % P * b.slope) * one_over_b % P
        return DualValue(self.field.div(a.value, b.value), slope)

    def sum(self, a: DualValue, axes: tuple[int, ...]) -> DualValue:
        return DualValue(self.field.sum(a.value, axes), np.asarray(np.sum(a.slope, axis=axes) % P, object))

    def exp(self, a: DualValue) -> DualValue:
        return DualValue(self.field.exp(a.value), exponential(a.value) * a.slope % P)

    def log(self, a: DualValue) -> DualValue:
        return DualValue(self.field.log(a.value), inverse(a.value.element) * a.slope % P)
