"""A prime field under a float64 shadow: the shadow decides every predicate, the algebra runs on the field.

A number is a shadow, an element of F_p, and an element of Z_q for the case that it becomes an exponent. The three are
independent: an activation pattern is data, chosen by the shadow, and an identity that holds at uniformly random field
elements holds as an identity of rational functions, but for a probability of its degree / q (Schwartz, Zippel).

p = 2q + 1 with q prime. exp maps an exponent a in Z_q to G^a in the subgroup of order q of F_p, so that
exp(a + b) = exp(a) exp(b) exactly; the idea is Mirage's (Wu et al. 2024). A logarithm has no value in F_p, but it has
an exponential: exp(log v) = v. So `image` carries exp of the number where that is known without an exponent.

A softmax over sigmoids is an exp of an exp. So the step is taken again: q = 2r + 1 and r = 2s + 1, all four prime (a
Cunningham chain), and a number that may come into two or three exponentials has an element of Z_r and Z_s as well. exp
moves each down by one: the element of F_p is G to that of Z_q, the one of Z_q is G to that of Z_r.
"""

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers import modular
from twolayer.verification.numbers.literals import rationals
from twolayer.verification.numbers.opaque import Opaque
from twolayer.verification.numbers.system import Numbers, System

S = 288230376151414799  # the largest prime such that three more follow, the last of them below 2^61:
R = 2 * S + 1
Q = 2 * R + 1
P = 2 * Q + 1  # of 61 bits
MODULI = (P, Q, R, S)
G = 4  # a square, so it generates the subgroup of order Q of F_p, R of F_q and S of F_r

NO_VALUE_OF_LOG = "the value of a logarithm"


class FieldValue(NamedTuple):
    """Arrays of one shape: float64 shadows, elements of F_p, exponents in Z_q, exp of the value; elements of Z_r, Z_s.

    The exponent and what comes after the image are None where they are unknown, the image where it follows from the
    exponent.
    """

    shadow: Numbers
    element: Numbers
    exponent: Numbers | None = None
    image: Numbers | None = None
    deeper: Numbers | None = None  # the exponent of the exponent
    deepest: Numbers | None = None  # and of that

    @property
    def levels(self) -> tuple[Numbers | None, ...]:
        """The element by each of the moduli."""
        return self.element, self.exponent, self.deeper, self.deepest


class Field(System):
    """Arithmetic in F_p. `lost` marks the draws at which an exp left float64, so that its shadow is no guide."""

    def __init__(self, draws: int, unclear: frozenset[float] = frozenset()):
        """`unclear` are literals that are not to be read as fractions."""
        self.lost = np.zeros(draws, bool)
        self._unclear = unclear

    def random(self, rng: np.random.Generator, shadow: Numbers, depth: int = 2) -> FieldValue:
        """Independent uniform elements under these shadows, by the first `depth` moduli; zero where the shadow is."""
        nonzero = shadow != 0

        def uniform(modulus: int) -> Numbers:
            return np.where(nonzero, rng.integers(modulus, size=shadow.shape), 0).astype(object)

        return _leveled(shadow, [uniform(modulus) for modulus in MODULI[:depth]])

    def constant(self, array: Numbers) -> FieldValue:
        return _leveled(np.asarray(array, np.float64), _residues(array, self._unclear))

    def rational(self, number: Fraction) -> FieldValue:
        """An exact number."""
        return _leveled(np.asarray(float(number)), [_residue(number, modulus) for modulus in MODULI])

    def shadow(self, value: FieldValue) -> Numbers:
        return value.shadow

    def opaque(self, shadow: Numbers, reason: str) -> FieldValue:
        return _leveled(shadow, [np.full(np.shape(shadow), Opaque(reason), object)] * len(MODULI))

    def move(self, f: Callable[..., Numbers], *values: FieldValue) -> FieldValue:
        images = None
        if any(value.image is not None for value in values):
            images = f(*(exponential(value) for value in values))
        levels = [
            None if any(part is None for part in parts) else f(*parts)
            for parts in zip(*(value.levels for value in values), strict=True)
        ]
        return _leveled(f(*(value.shadow for value in values)), levels, images)

    def add(self, a: FieldValue, b: FieldValue) -> FieldValue:
        image = exponential(a) * exponential(b) % P if a.image is not None or b.image is not None else None
        return self._both(operator.add, a, b, image)

    def neg(self, a: FieldValue) -> FieldValue:
        image = None if a.image is None else inverse(a.image)
        return _leveled(-a.shadow, _each(operator.neg, a), image)

    def mul(self, a: FieldValue, b: FieldValue) -> FieldValue:
        image = None
        if a.image is not None or b.image is not None:
            log, factor = (a, b) if a.image is not None else (b, a)
            image = _integer_power(exponential(log), factor)
        return self._both(operator.mul, a, b, image)

    def div(self, a: FieldValue, b: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = a.shadow / b.shadow
        levels = [
            None if c is None or d is None else c * inverse(d, modulus) % modulus
            for c, d, modulus in zip(a.levels, b.levels, MODULI, strict=True)
        ]
        image = None if a.image is None else np.full(shadow.shape, Opaque("a logarithm, divided"), object)
        return _leveled(shadow, levels, image)

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
        with np.errstate(all="ignore"):
            shadow = np.sum(a.shadow, axis=axes)
        return _leveled(shadow, _each(lambda level: np.sum(level, axis=axes), a), image)

    def exp(self, a: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = np.exp(a.shadow)
        endless = a.shadow == -np.inf  # a literal, as in a masked softmax
        outside = ~((shadow > 1e-290) & (shadow < 1e290) | endless)
        if outside.ndim and outside.shape[0] == len(self.lost):
            self.lost |= outside.reshape(len(self.lost), -1).any(axis=1)
        below = [
            None if level is None else np.where(endless, 0, _array(modular.power(G, level, modulus)))
            for level, modulus in zip(a.levels[2:], MODULI[1:], strict=False)
        ]
        return _leveled(shadow, [np.where(endless, 0, exponential(a)), *below])

    def log(self, a: FieldValue) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = np.log(a.shadow)
        unknown = np.full(shadow.shape, Opaque(NO_VALUE_OF_LOG), object)
        return _leveled(shadow, [unknown], a.element)

    def _both(self, op: Callable, a: FieldValue, b: FieldValue, image: Numbers | None) -> FieldValue:
        with np.errstate(all="ignore"):
            shadow = op(a.shadow, b.shadow)
        levels = [
            None if c is None or d is None else op(c, d) % modulus
            for c, d, modulus in zip(a.levels, b.levels, MODULI, strict=True)
        ]
        return _leveled(shadow, levels, image)


def _leveled(shadow: object, levels: Sequence[object], image: object = None) -> FieldValue:
    element, exponent, deeper, deepest = (*map(_array, levels), *[None] * (len(MODULI) - len(levels)))
    return FieldValue(np.asarray(shadow), element, exponent, _array(image), deeper, deepest)


def _each(op: Callable, a: FieldValue) -> list[object]:
    """An operation on the element by each modulus."""
    return [None if level is None else op(level) % modulus for level, modulus in zip(a.levels, MODULI, strict=True)]


def _array(a: object) -> Numbers | None:
    return None if a is None else np.asarray(a, object)  # NumPy turns a single object into itself


def inverse(element: Numbers, modulus: int = P) -> Numbers:
    """1 / element in F_p, or by another modulus, entry by entry."""
    return _array(modular.inverse(element, modulus))


def exponential(value: FieldValue) -> Numbers:
    """exp(value) in F_p: known from the start, or G to the exponent."""
    if value.image is not None:
        return value.image
    if value.exponent is None:
        return np.full(value.shadow.shape, Opaque("exp of a number that is an exp or a logarithm"), object)
    return _array(modular.power(G, value.exponent, P))


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


def _residues(array: Numbers, unclear: frozenset[float]) -> list[Numbers]:
    """Each entry's simplest rational, by each of the moduli."""
    array, found = np.asarray(array), []
    numbers: list = rationals(array)
    if unclear:
        floats = array.astype(np.float64).ravel().tolist()
        numbers = [_no_fraction(a) if a in unclear else f for a, f in zip(floats, numbers, strict=True)]
    for modulus in MODULI:
        residues = np.empty(array.size, object)
        residues[:] = [
            Opaque("an infinite literal") if f is None else f if isinstance(f, Opaque) else _residue(f, modulus)
            for f in numbers
        ]
        found.append(residues.reshape(array.shape))
    return found


def _no_fraction(number: float) -> Opaque:
    return Opaque(f"the literal {number!r}, which is no plain fraction,")


def _residue(number: Fraction, modulus: int) -> int:
    if number.denominator == 1:
        return number.numerator % modulus
    return number.numerator * pow(number.denominator, -1, modulus) % modulus
