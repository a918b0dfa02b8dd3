"""Degrees of numerators and denominators: how many zeros a rational function can have, for the odds of a verdict.

An upper bound is enough, so nothing cancels here. exp counts as one new independent symbol, as docs/derivation.md
explains.
"""

from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.system import Numbers, System


class Degree(NamedTuple):
    """Shadow, degree of the numerator and of the denominator (float64: they may be large)."""

    numbers: Numbers
    above: Numbers
    below: Numbers


class Degrees(System):
    """Arithmetic on degrees; the shadows go along to decide predicates."""

    def variable(self, shadow: Numbers) -> Degree:
        """An independent number, of degree one."""
        return Degree(shadow, np.ones(shadow.shape), np.zeros(shadow.shape))

    def constant(self, array: Numbers) -> Degree:
        return Degree(np.asarray(array, np.float64), np.zeros(np.shape(array)), np.zeros(np.shape(array)))

    def shadow(self, value: Degree) -> Numbers:
        return value.numbers

    def opaque(self, shadow: Numbers, reason: str) -> Degree:
        return Degree(shadow, np.zeros(np.shape(shadow)), np.zeros(np.shape(shadow)))

    def add(self, a: Degree, b: Degree) -> Degree:
        above = np.maximum(a.above + b.below, b.above + a.below)
        return Degree(a.numbers + b.numbers, above, a.below + b.below)

    def neg(self, a: Degree) -> Degree:
        return a._replace(numbers=-a.numbers)

    def mul(self, a: Degree, b: Degree) -> Degree:
        return Degree(a.numbers * b.numbers, a.above + b.above, a.below + b.below)

    def div(self, a: Degree, b: Degree) -> Degree:
        with np.errstate(all="ignore"):
            return Degree(a.numbers / b.numbers, a.above + b.below, a.below + b.above)

    def sum(self, a: Degree, axes: tuple[int, ...]) -> Degree:
        below = a.below.sum(axis=axes)
        return Degree(a.numbers.sum(axis=axes), below + (a.above - a.below).max(axis=axes, initial=0), below)

    def matmul(self, a: Degree, b: Degree) -> Degree:
        products = self.mul(
            Degree(*(part[..., :, :, None] for part in a)), Degree(*(part[..., None, :, :] for part in b))
        )
        return self.sum(products, (-2,))

    def exp(self, a: Degree) -> Degree:
        with np.errstate(all="ignore"):
            one = np.ones(a.numbers.shape)
            return Degree(np.exp(a.numbers), one, one)

    def log(self, a: Degree) -> Degree:
        with np.errstate(all="ignore"):
            return self.opaque(np.log(a.numbers), "log")
