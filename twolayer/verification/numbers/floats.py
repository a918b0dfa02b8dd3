"""Float64 as a number system: the shadows alone."""

from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.system import Numbers, System


class Floats(NamedTuple):
    """One component: the numbers themselves."""

    numbers: Numbers


class Float64(System):
    """NumPy's own arithmetic."""

    def constant(self, array: Numbers) -> Floats:
        return Floats(np.asarray(array, np.float64))

    def shadow(self, value: Floats) -> Numbers:
        return value.numbers

    def opaque(self, shadow: Numbers, reason: str) -> Floats:
        return Floats(shadow)

    def add(self, a: Floats, b: Floats) -> Floats:
        return Floats(a.numbers + b.numbers)

    def neg(self, a: Floats) -> Floats:
        return Floats(-a.numbers)

    def mul(self, a: Floats, b: Floats) -> Floats:
        return Floats(a.numbers * b.numbers)

    def div(self, a: Floats, b: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return Floats(a.numbers / b.numbers)

    def matmul(self, a: Floats, b: Floats) -> Floats:
        return Floats(a.numbers @ b.numbers)

    def sum(self, a: Floats, axes: tuple[int, ...]) -> Floats:
        return Floats(a.numbers.sum(axis=axes))

    def exp(self, a: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return Floats(np.exp(a.numbers))

    def log(self, a: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return Floats(np.log(a.numbers))
