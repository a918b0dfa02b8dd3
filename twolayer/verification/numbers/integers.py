"""Exact rationals: Python integers over one common denominator for each array. Nothing is rounded, nothing is chosen.

Every float is a dyadic rational, so a derivation under the quadratic loss can be followed on the user's own numbers,
and every comparison is decided by the numbers themselves. exp and log leave the rationals: their values are opaque.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.literals import rationals
from twolayer.verification.numbers.opaque import BY_ZERO, Opaque, absorbing, opaque_mask
from twolayer.verification.numbers.system import Numbers, System

try:
    import flint
except ImportError:  # an optional extra: without it large matrix products take ten times as long
    flint = None

MOST_BITS = 4096  # of the common denominator of a division: beyond this a batch would take minutes
WORTH_CONVERTING = 10_000  # multiplications in a matrix product
TINY = 5e-324


class Undecided(ArithmeticError):
    """A comparison, or anything else that needs a number, met one that is not known well enough."""


class Rational(NamedTuple):
    """numerator / denominator: an object array of Python integers (or Opaque), and one positive integer for all."""

    numerator: np.ndarray
    denominator: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.numerator.shape


class Integers(System):
    """Exact arithmetic."""

    def exact(self, array: Numbers) -> Rational:
        """The numbers that these floats are, to the last bit; all must be finite."""
        mantissa, exponent = np.frexp(np.asarray(array, np.float64))
        whole = (mantissa * 2.0**53).astype(np.int64)
        odd = np.where(whole == 0, 1, whole & -whole)  # the lowest bit that is set
        zeros = np.round(np.log2(odd)).astype(np.int64)
        whole, exponent = whole >> zeros, exponent - 53 + zeros
        lowest = min(0, int(np.min(exponent, where=whole != 0, initial=0)))
        shift = np.where(whole == 0, 0, exponent - lowest)
        return Rational(objects(whole.astype(object) << shift.astype(object)), 2**-lowest)

    def constant(self, array: Numbers) -> Rational:
        fractions = rationals(np.asarray(array))
        common = math.lcm(*(f.denominator for f in fractions if f is not None))
        numerators = np.empty(len(fractions), object)
        numerators[:] = [
            Opaque("an infinite literal") if f is None else f.numerator * (common // f.denominator) for f in fractions
        ]
        return Rational(numerators.reshape(np.shape(array)), common)

    def shadow(self, value: Rational) -> np.ndarray:
        """Correctly rounded, but for this: a number that is not zero stays so, and none becomes infinite."""
        refuse_opaque(value.numerator)
        nearest = np.frompyfunc(lambda n: _nearest(n, value.denominator), 1, 1)
        return np.asarray(nearest(value.numerator), np.float64)

    def opaque(self, shadow: Numbers, reason: str) -> Rational:
        return Rational(np.full(np.shape(shadow), Opaque(reason), object), 1)

    def move(self, f: Callable[..., Numbers], *values: Rational) -> Rational:
        numerators, common = over_one_denominator(*values)
        return Rational(objects(f(*numerators)), common)

    def compare(self, op: Callable, a: Rational, b: Rational) -> np.ndarray:
        numerators, _ = over_one_denominator(a, b)
        for part in numerators:
            refuse_opaque(part)
        return np.asarray(op(*numerators), bool)

    def rank(self, value: Rational) -> np.ndarray:
        refuse_opaque(value.numerator)
        return value.numerator

    def add(self, a: Rational, b: Rational) -> Rational:
        (left, right), common = over_one_denominator(a, b)
        return Rational(objects(left + right), common)

    def neg(self, a: Rational) -> Rational:
        return Rational(objects(-a.numerator), a.denominator)

    def mul(self, a: Rational, b: Rational) -> Rational:
        return Rational(objects(a.numerator * b.numerator), a.denominator * b.denominator)

    def div(self, a: Rational, b: Rational) -> Rational:
        divisors = [n for n in set(b.numerator.flat) if not isinstance(n, Opaque) and n]
        common = math.lcm(*divisors)
        if common.bit_length() > MOST_BITS:
            shape = np.broadcast_shapes(a.shape, b.shape)
            return self.opaque(np.zeros(shape), "a division by numbers without a small common multiple")
        inverse = objects(_inverse_over(common, b.numerator)) * b.denominator
        return Rational(objects(a.numerator * inverse), a.denominator * common)

    def matmul(self, a: Rational, b: Rational) -> Rational:
        return Rational(_product(a.numerator, b.numerator), a.denominator * b.denominator)

    def sum(self, a: Rational, axes: tuple[int, ...]) -> Rational:
        return Rational(objects(np.sum(a.numerator, axis=axes)), a.denominator)

    def exp(self, a: Rational) -> Rational:
        one = a.denominator
        return Rational(objects(_exp(a.numerator) * one), one)

    def log(self, a: Rational) -> Rational:
        return Rational(objects(np.frompyfunc(lambda n: _log(n, a.denominator), 1, 1)(a.numerator)), 1)


_inverse_over = absorbing(lambda common, n: common // n if n else BY_ZERO, 2)
_exp = absorbing(lambda n: Opaque("exp of a number other than 0, which is not rational") if n else 1)


def _log(n: object, one: int) -> object:
    if isinstance(n, Opaque):
        return n
    return 0 if n == one else Opaque("log of a number other than 1, which is not rational")


def objects(a: object) -> np.ndarray:
    """An object array: NumPy turns an array without axes into its single entry."""
    return np.asarray(a, object)


def over_one_denominator(*values: Rational) -> tuple[list[np.ndarray], int]:
    """The numerators of several values over their common denominator."""
    common = math.lcm(*(value.denominator for value in values))
    factors = [common // value.denominator for value in values]
    return [objects(v.numerator * f) if f > 1 else v.numerator for v, f in zip(values, factors, strict=True)], common


def refuse_opaque(array: Numbers) -> None:
    """Raise Undecided if an entry is opaque."""
    unknown = opaque_mask(array)
    if unknown.any():
        raise Undecided(f"something depends on {array[unknown][0].reason}")


def _nearest(n: int, denominator: int) -> float:
    try:
        size = abs(n) / denominator
    except OverflowError:
        size = float(np.finfo(np.float64).max)
    size = max(size, TINY) if n else 0.0
    return -size if n < 0 else size


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A @ b for (..., rows, inner) and (..., inner, columns), by FLINT where it is there and worth the conversion."""
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    small = rows * inner * columns < WORTH_CONVERTING
    if flint is None or small or opaque_mask(a).any() or opaque_mask(b).any():
        return objects(a @ b)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    product = np.empty((*lead, rows * columns), object)
    a, b = np.broadcast_to(a, (*lead, rows, inner)), np.broadcast_to(b, (*lead, inner, columns))
    for at in np.ndindex(lead):
        left, right = (flint.fmpz_mat(*part.shape, part.ravel().tolist()) for part in (a[at], b[at]))
        product[at] = [int(entry) for entry in (left * right).entries()]
    return product.reshape(*lead, rows, columns)
