"""A prime field under a float64 shadow: the shadow decides every predicate, the algebra runs on the field.

A number is a shadow, an element of F_p, and an element of Z_q for the case that it becomes an exponent. The three are
independent: an activation pattern is data, chosen by the shadow, and an identity that holds at uniformly random field
elements holds as an identity of rational functions, but for a probability of its degree / q (Schwartz, Zippel).

p = 2q + 1 with q prime. exp maps an exponent a in Z_q to G^a in the subgroup of order q of F_p, so that
exp(a + b) = exp(a) exp(b) exactly; the idea is Mirage's (Wu et al. 2024). A logarithm has no value in F_p, but it has
an exponential: exp(log v) = v. So `image` carries exp of the number where that is known without an exponent.
"""

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.literals import rationals
from twolayer.verification.numbers.opaque import Opaque, absorbing
from twolayer.verification.numbers.system import Numbers, System

Q = 1152921504606845789  # the largest prime below 2^60 such that
P = 2 * Q + 1  # is prime too: a safe prime of 61 bits
G = 4  # a square, so it generates the subgroup of order Q

NO_VALUE_OF_LOG = "the value of a logarithm"


class FieldValue(NamedTuple):
    """Arrays of one shape: float64 shadows, elements of F_p, exponents in Z_q, and exp of the value.

    The last two are None where they are unknown, respectively follow from the exponent.
    .
    """

    shadow: Numbers
    element: Numbers
    exponent: Numbers | None = None
    image: Numbers | None = None


class Field(System):
    """Arithmetic in F_p. `lost` marks the draws at which an exp left float64, so that its shadow is no guide."""

    def __init__(self, draws: int):
        self.lost = np.zeros(draws, bool)

    def random(self, rng: np.random.Generator, shadow: Numbers) -> FieldValue:
        """Independent uniform elements under these shadows; zero where the shadow is exactly zero."""
        nonzero = shadow != 0

        def uniform(modulus: int) -> Numbers:
            return np.where(nonzero, rng.integers(modulus, size=shadow.shape), 0).astype(object)

        return _value(shadow, uniform(P), uniform(Q))

    def constant(self, array: Numbers) -> FieldValue:
        shadow = np.asarray(array, np.float64)
        return _value(shadow, _residues(array, P), _residues(array, Q))

    def rational(self, number: Fraction) -> FieldValue:
        """An exact number."""
        element, exponent = (number.numerator * pow(number.denominator, -1, n) % n for n in (P, Q))
        return _value(np.asarray(float(number)), element, exponent)

    def shadow(self, value: FieldValue) -> Numbers:
        return value.shadow

    def opaque(self, shadow: Numbers, reason: str) -> FieldValue:
        unknown = np.full(np.shape(shadow), Opaque(reason), object)
        return _value(shadow, unknown)

    def move(self, f: Callable[..., Numbers], *values: FieldValue) -> FieldValue:
        images = None
        if any(value.image is not None for value in values):
            images = f(*(exponential(value) for value in values))
        return _value(
            f(*(value.shadow for value in values)),
            f(*(value.element for value in values)),
            None if any(value.exponent is None for value in values) else f(*(value.exponent for value in values)),
            images,
        )

    def add(self, a: FieldValue, b: FieldValue) -> FieldValue:
        image = exponential(a) * exponential(b) % P if a.image is not None or b.image is not None else None
        return self._both(operator.add, a, b, image)

    def neg(self, a: FieldValue) -> FieldValue:
        image = None if a.image is None else inverse(a.image)
        return _value(-a.shadow, -a.element % P, None if a.exponent is None else -a.exponent % Q, image)

    def mul(self, a: FieldValue, b: FieldValue) -> FieldValue:
        image = None
        if a.image is not None or b.image is not None:
            log, factor = (a, b) if a.image is not None else (b, a)
            image = _integer_power(exponential(log), factor)
        return self._both(operator.mul, a, b, image)

    def div(self, a: FieldValue, b: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = a.shadow / b.shadow
        known = a.exponent is not None and b.exponent is not None
        exponent = a.exponent * _inverse_q(b.exponent) % Q if known else None
        element = a.element * inverse(b.element) % P
        image = None if a.image is None else np.full(shadow.shape, Opaque("a logarithm, divided"), object)
        return _value(shadow, element, exponent, image)

    def matmul(self, a: FieldValue, b: FieldValue) -> FieldValue:
        image = None
        if a.image is not None or b.image is not None:
            opaque = Opaque("a logarithm in a matrix product")
            image = np.full((*a.shadow.shape[:-1], b.shadow.shape[-1]), opaque, object)
        return self._both(operator.matmul, a, b, image)

    def sum(self, a: FieldValue, axes: tuple[int, ...]) -> FieldValue:
        image = None
        if a.image is not None:
            image = np.multiply.reduce(a.image, axis=axes)
            image = image % P
        element = np.sum(a.element, axis=axes) % P
        exponent = None if a.exponent is None else np.sum(a.exponent, axis=axes) % Q
        with np.errstate(all="ignore"):
            shadow = np.sum(a.shadow, axis=axes)
        return _value(shadow, element, exponent, image)

    def exp(self, a: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = np.exp(a.shadow)
        endless = a.shadow == -np.inf  # a literal, as in a masked softmax
        outside = ~((shadow > 1e-290) & (shadow < 1e290) | endless)
        if outside.ndim and outside.shape[0] == len(self.lost):
            self.lost |= outside.reshape(len(self.lost), -1).any(axis=1)
        return _value(shadow, np.where(endless, 0, exponential(a)))

    def log(self, a: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = np.log(a.shadow)
        unknown = np.full(shadow.shape, Opaque(NO_VALUE_OF_LOG), object)
        return _value(shadow, unknown, None, a.element)

    def _both(self, op: Callable, a: FieldValue, b: FieldValue, image: Numbers | None) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = op(a.shadow, b.shadow)
        known = a.exponent is not None and b.exponent is not None
        return _value(shadow, op(a.element, b.element) % P, op(a.exponent, b.exponent) % Q if known else None, image)


_power = absorbing(lambda base, exponent: pow(base, exponent, P), 2)
_inverse_p = absorbing(lambda a: pow(a, -1, P) if a else Opaque("a division by zero"))
_inverse_q = absorbing(lambda a: pow(a, -1, Q) if a else Opaque("a division by zero"))


def _value(shadow: object, element: object, exponent: object = None, image: object = None) -> FieldValue:
    return FieldValue(np.asarray(shadow), _array(element), _array(exponent), _array(image))


def _array(a: object) -> Numbers | None:
    return None if a is None else np.asarray(a, object)  # NumPy turns a single object into itself


def inverse(element: Numbers) -> Numbers:
    """1 / element in F_p, entry by entry."""
    return _array(_inverse_p(element))


def exponential(value: FieldValue) -> Numbers:
    """exp(value) in F_p: known from the start, or G to the exponent."""
    if value.image is not None:
        return value.image
    if value.exponent is None:
        return np.full(value.shadow.shape, Opaque("exp of a number that is an exp or a logarithm"), object)
    return _array(_power(np.asarray(G, object), value.exponent))


def _integer_power(image: Numbers, factor: FieldValue) -> Numbers:
    """exp(n log v) = v^n, for those entries of the factor that are small integers."""

    def power(v: object, n: object, shadow: float) -> object:
        n = n - Q if isinstance(n, int) and n > Q // 2 else n
        if isinstance(n, int) and abs(n) <= 64 and n == shadow:
            return v if isinstance(v, Opaque) and n else pow(v, n, P) if n else 1
        return Opaque("a logarithm times a number that is not an integer")

    if factor.exponent is None:
        return np.full(
            np.broadcast_shapes(image.shape, factor.shadow.shape), Opaque("a logarithm times an exp"), object
        )
    return _array(np.frompyfunc(power, 3, 1)(image, factor.exponent, factor.shadow))


def _residues(array: Numbers, modulus: int) -> Numbers:
    """Each entry's simplest rational, in the field."""
    array = np.asarray(array)
    residues = np.empty(array.size, object)
    residues[:] = [
        Opaque("an infinite literal") if f is None else f.numerator * pow(f.denominator, -1, modulus) % modulus
        for f in rationals(array)
    ]
    return residues.reshape(array.shape)
