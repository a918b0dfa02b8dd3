"""Constant factors: read off as the ratio of two arrays, written as a product of sizes, blamed on few lines.

Where a derivation multiplies by 1/m is its own affair: only the product along the path to each leaf counts.
A constant is a Fraction: the one that it is, or a long one near it where it is no short fraction, such as log 2.
"""

import functools
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from twolayer.verification.numbers.agreement import EQUAL, compare
from twolayer.verification.numbers.balls import Ball, arb, array_of

# Which factors act on which leaf: those at dO2 or dZ2 on all, those at dO1 or dZ1 on the first layer.
PATHS = {"dW2": ("dO2", "dW2"), "db2": ("dO2", "db2"), "dW1": ("dO2", "dO1", "dW1"), "db1": ("dO2", "dO1", "db1")}
SHORT = 10**9  # numerator and denominator of a constant that somebody wrote
_NOTHING = flint.arb(2) ** -150  # what is left of terms that cancel
CLOSE = 1e-9  # of float64 numbers that are computed in two ways

# Constants that are no fractions, and where they come from.
NAMED = {
    "1/log(2)": (1 / math.log(2), "a factor 1/log(2) too many: the loss has a logarithm to the base 2"),
    "log(2)": (math.log(2), "a factor log(2) too many: the loss has a logarithm to the base 2"),
    "1/log(10)": (1 / math.log(10), "a factor 1/log(10) too many: the loss has a logarithm to the base 10"),
    "log(10)": (math.log(10), "a factor log(10) too many: the loss has a logarithm to the base 10"),
    "sqrt(2)": (math.sqrt(2), "a factor sqrt(2) too many"),
    "1/sqrt(2)": (1 / math.sqrt(2), "a factor 1/sqrt(2) too many"),
}


class Factor(NamedTuple):
    """A wrong constant: an id of the catalogue, the factor as text, and what to say about it."""

    id: str
    text: str
    sentence: str


def ratio(mine: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> Fraction | None:
    """The one constant c with mine = c * right, entry by entry, over several points; None if there is none.

    Arrays of float64 are compared to 1e-9, arrays of balls by their balls. 0 / 0 says nothing: all zeros have ratio 1.
    """
    if any(a.shape != b.shape for a, b in zip(mine, right, strict=True)):
        return None
    a, b = (np.concatenate([part.ravel() for part in parts]) for parts in (mine, right))
    return _ratio_of_balls(a, b) if object in (a.dtype, b.dtype) else _ratio_of_floats(a, b)


def _ratio_of_floats(a: np.ndarray, b: np.ndarray) -> Fraction | None:
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    largest = np.abs(b).max(initial=0)
    if not largest:
        return None if a.any() else Fraction(1)
    at = int(np.abs(b).argmax())
    c = a[at] / b[at]
    if not c or np.abs(a - c * b).max() > CLOSE * abs(c) * largest:
        return None
    near = Fraction(c).limit_denominator(10**6)
    return near if abs(float(near) - c) <= CLOSE * abs(c) else Fraction(c)


def _ratio_of_balls(a: np.ndarray, b: np.ndarray) -> Fraction | None:
    right = [arb(v) for v in b.tolist()]
    if not all(v.is_finite() for v in right):
        return None
    at = max(range(len(right)), key=lambda i: float(abs(right[i])), default=None)
    if at is None or right[at].contains(0):
        return Fraction(1) if all(arb(v).contains(0) and arb(v).rad() < _NOTHING for v in a.tolist()) else None
    c = arb(a.tolist()[at]) / right[at]
    if not c.is_finite() or c.contains(0) or not 0 < abs(float(c)) < math.inf:  # as a fraction that would not end
        return None
    scaled = array_of(b.shape, [Ball(c * v) for v in right])
    return constant(c) if (compare(a, scaled) == EQUAL).all() else None


def constant(c: flint.arb) -> Fraction:
    """The short fraction that lies in a ball, else its midpoint to a hundred bits."""
    for near in convergents(c):
        if (flint.arb(near.numerator) / near.denominator - c).contains(0):
            return near
        if near.denominator > SHORT or abs(near.numerator) > SHORT:
            break
    mantissa, exponent = c.mid().man_exp()
    exact = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    scale = 100 - math.floor(math.log2(abs(exact)))
    return Fraction(round(exact * Fraction(2) ** scale)) / Fraction(2) ** scale


def convergents(c: flint.arb) -> Iterator[Fraction]:
    """The continued fraction of a ball's midpoint."""
    mantissa, exponent = c.mid().man_exp()
    rest = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    (p0, q0), (p1, q1) = (0, 1), (1, 0)
    for _ in range(40):
        whole = rest.numerator // rest.denominator
        (p0, q0), (p1, q1) = (p1, q1), (whole * p1 + p0, whole * q1 + q0)
        yield Fraction(p1, q1)
        if rest == whole:
            return
        rest = 1 / (rest - whole)


def product(found: Sequence[Factor]) -> str:
    """Factors as one expression, such as 0.1/m; empty where there are none."""
    above = "*".join(one.text for one in found if not one.text.startswith("1/"))
    below = [one.text[2:] for one in found if one.text.startswith("1/")]
    if not below:
        return above
    return f"{above or 1}/{below[0]}" if len(below) == 1 else f"{above or 1}/({'*'.join(below)})"


def short(c: Fraction) -> bool:
    """Whether a constant is a fraction that somebody may have written."""
    return abs(c.numerator) <= SHORT and c.denominator <= SHORT


def factors(constants: list[tuple[Fraction, Any]]) -> list[Factor]:
    """What a wrong constant is made of, from its value at one or more sizes: a number times powers of m, C, K and d.

    The simplest product that agrees at all sizes is taken. A constant that is no such product is given as it is.
    """
    divisor = _rounded_reciprocal(constants) or _other_divisor(constants)
    if divisor:
        return [divisor]
    for exponents in _exponents():
        numbers = {value / _size(sizes, exponents) for value, sizes in constants}
        if len(numbers) == 1 and short(next(iter(numbers))) and (len(constants) > 1 or _simple(next(iter(numbers)))):
            return _split(numbers.pop(), exponents)
    value, sizes = constants[0]
    for text, (number, sentence) in NAMED.items():
        if all(abs(float(each) - number) <= 1e-14 * number for each, _ in constants):
            return [Factor("scale", text, sentence)]
    if len({value for value, _ in constants}) == 1:
        return [Factor("scale", f"{float(value):.16g}", f"a constant factor of about {_short(float(value))} is wrong")]
    said = str(value) if short(value) else f"about {_short(float(value))}"
    return [Factor("scale", said, f"a factor of {said} is wrong ({_at(sizes)})")]


def _short(number: float) -> str:
    """Four digits, or as many as tell it from 1."""
    return next((text for text in (f"{number:.{n}g}" for n in (4, 7, 10, 13)) if float(text) != 1), f"{number:.17g}")


def _at(sizes: Any) -> str:
    return ", ".join(f"{letter}={size}" for letter, size in sizes._asdict().items())


@functools.cache
def _exponents() -> list[tuple[int, ...]]:
    every = itertools.product(range(-2, 3), repeat=4)
    return sorted(every, key=lambda e: (sum(map(abs, e)), [abs(e[i]) for i in (2, 1, 3, 0)], [-i for i in e]))


@functools.cache
def _size(sizes: Any, exponents: tuple[int, ...]) -> Fraction:
    d, C, m, K = exponents
    return Fraction(sizes.d) ** d * Fraction(sizes.C) ** C * Fraction(sizes.m) ** m * Fraction(sizes.K) ** K


def _simple(number: Fraction) -> bool:
    return abs(number) in (1, 2, Fraction(1, 2), 4, Fraction(1, 4))


def _split(number: Fraction, exponents: tuple[int, ...]) -> list[Factor]:
    d, C, m, K = exponents
    found = []
    if number < 0:
        found.append(Factor("sign", "-1", "the sign is wrong"))
    number = abs(number)
    if number in (2, Fraction(1, 2)):
        word = "a factor 2 is left over: the 1/2 of the loss cancels it" if number == 2 else "a factor 1/2 too many"
        found.append(Factor("half", str(number), word))
    elif number != 1:
        found.append(Factor("scale", decimal(number), f"a constant factor {decimal(number)} too many"))
    sizes = (
        ("m", m, "reduction", "examples"),
        ("C", C, "classes", "classes"),
        ("K", K, "scale", "hidden units"),
        ("d", d, "scale", "inputs"),
    )
    for letter, power, id, what in sizes:
        if power:
            text = (letter if power > 0 else f"1/{letter}") + (f"^{abs(power)}" if abs(power) > 1 else "")
            sentence = f"a factor {text} too many ({letter}: number of {what})"
            if letter == "m":
                sentence += ": the mean over the examples is not taken" if power > 0 else ": 1/m is applied once more"
            found.append(Factor(id, text, sentence))
    return found


def _rounded_reciprocal(values: list[tuple[Fraction, Any]]) -> Factor | None:
    """1/m rounded to a few digits, seen as the ratio to the exact 1/m."""
    for letter in ("m", "C"):
        for digits in range(1, 12):
            wanted = [Fraction(str(round(1 / getattr(s, letter), digits))) * getattr(s, letter) for _, s in values]
            if [v for v, _ in values] == wanted and any(w != 1 for w in wanted):
                return Factor("reduction", f"round(1/{letter}, {digits})", f"1/{letter} is rounded to {digits} digits")
    return None


def _other_divisor(values: list[tuple[Fraction, Any]]) -> Factor | None:
    """A mean over another number than m: d, K or C, m - 1, or one that stands in the code; as the ratio to 1/m."""
    if len({sizes for _, sizes in values}) < 2:
        return None
    divisors = [(sizes.m / value, sizes) for value, sizes in values]
    found = None
    for letter in ("d", "K", "C"):
        if all(n == getattr(sizes, letter) for n, sizes in divisors):
            found = letter
    n, beyond = divisors[0][0], {n - sizes.m for n, sizes in divisors}
    if {n for n, _ in divisors} == {n} and n.denominator == 1 and n > 2:
        found = str(n)
    if len(beyond) == 1 and beyond != {0} and short(next(iter(beyond))):
        (more,) = beyond
        found = f"m {'+' if more > 0 else '-'} {decimal(abs(more))}"
    text = f"the sum over the examples is divided by {found}, not by their number m"
    return Factor("reduction", f"m / ({found})" if " " in found else f"m / {found}", text) if found else None


def decimal(number: Fraction) -> str:
    """A decimal where that is exact, or the same float, as 1.000000001 for 999999808/999999807; else the fraction."""
    text = f"{float(number):.12g}"
    return text if Fraction(text) == number or float(text) == float(number) else str(number)


def placements(totals: dict[str, Fraction]) -> list[dict[str, Fraction]]:
    """The smallest sets of wrong factors (step -> c) that explain the total factor of each leaf.

    A factor at dO2 reaches every leaf, one at dO1 those of the first layer.
    """
    if all(same(c, Fraction(1)) for c in totals.values()):
        return [{}]
    best: list[dict[str, Fraction]] = []
    for root in {Fraction(1), *totals.values()}:
        past = {leaf: c / root for leaf, c in totals.items()}
        for sub in {Fraction(1), *(c for leaf, c in past.items() if "dO1" in PATHS[leaf])}:
            wrong = {"dO2": root, "dO1": sub}
            for leaf, c in past.items():
                wrong[leaf] = c / sub if "dO1" in PATHS[leaf] else c
            wrong = {step: c for step, c in wrong.items() if not same(c, Fraction(1))}
            if not best or len(wrong) < len(best[0]):
                best = [wrong]
            elif len(wrong) == len(best[0]) and wrong not in best:
                best.append(wrong)
    return best


def after(placement: dict[str, Fraction], step: str, totals: Collection[str]) -> dict[str, Fraction]:
    """The totals that a placement explains, with its factor at a step, dO2 or dO1, blamed on what makes use of that."""
    users = {leaf for leaf in totals if step in PATHS[leaf]}
    if step == "dO2":
        users = {"dO1" if "dO1" in PATHS[leaf] else leaf for leaf in users}
    moved = {user: placement.get(user, Fraction(1)) * placement[step] for user in users}
    return {at: c for at, c in (placement | moved).items() if at != step and not same(c, Fraction(1))}


def same(a: Fraction, b: Fraction) -> bool:
    """Whether two constants are one: exactly, or to ninety bits where they are no short fractions."""
    return a == b or (not (short(a) and short(b)) and abs(a - b) * 2**90 <= abs(a))
