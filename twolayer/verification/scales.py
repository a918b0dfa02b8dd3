"""Constant factors: read off exactly, written as a product of sizes, and blamed on as few lines as possible.

Where a derivation multiplies by 1/m is its own affair: only the product along the path to each leaf counts.
"""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.draws import Sizes
from twolayer.verification.numbers.field import P
from twolayer.verification.numbers.opaque import Opaque

# Which factors act on which leaf: those at dO2 or dZ2 on all, those at dO1 or dZ1 on the first layer.
PATHS = {"dW2": ("dO2", "dW2"), "db2": ("dO2", "db2"), "dW1": ("dO2", "dO1", "dW1"), "db1": ("dO2", "dO1", "db1")}


class Factor(NamedTuple):
    """A wrong constant: an id of the catalogue, the factor as text, and what to say about it."""

    id: str
    text: str
    sentence: str


def ratio(mine: np.ndarray, right: np.ndarray) -> int | None:
    """The one constant c of F_p with mine = c * right, entry by entry; None if there is none. 0 / 0 says nothing."""
    mine, right = mine.ravel(), right.ravel()
    some = np.flatnonzero(right)
    if not len(some):
        return 1 if not mine.any() else None
    first = mine[some[0]], right[some[0]]
    if any(isinstance(a, Opaque) for a in first):
        return None
    c = first[0] * pow(first[1], -1, P) % P
    few = some[:: max(1, len(some) // 8)]  # most candidates fail here already
    if not c or ((mine[few] - c * right[few]) % P).any():
        return None
    return None if ((mine - c * right) % P).any() else c


def rational(c: int) -> Fraction | None:
    """The fraction n/d of small n and d that is c in F_p (Wang's reconstruction), if there is one."""
    bound = int((P // 2) ** 0.5)
    (r0, t0), (r1, t1) = (P, 0), (c % P, 1)
    while r1 > bound:
        q = r0 // r1
        (r0, t0), (r1, t1) = (r1, t1), (r0 - q * r1, t0 - q * t1)
    return Fraction(r1, t1) if t1 and abs(t1) <= bound else None


def factors(constants: list[tuple[int, Sizes]], named: dict[str, str] | None = None) -> list[Factor]:
    """What a wrong constant is made of, from its value at one or more sizes: a number times powers of m, C, K and d.

    The simplest product that agrees at all sizes is taken. A constant that is no such product is given as it is.
    """
    values = [(rational(c), sizes) for c, sizes in constants]
    if any(value is None for value, _ in values):
        return [Factor("scale", "?", "a constant factor is wrong")]
    divisor = _rounded_reciprocal(values) or _other_divisor(values)
    if divisor:
        return [divisor]
    for exponents in _exponents():
        numbers = {value / _size(sizes, exponents) for value, sizes in values}
        if len(numbers) == 1 and (len(values) > 1 or _simple(next(iter(numbers)))):
            return _split(numbers.pop(), exponents)
    return [Factor("scale", str(values[0][0]), f"a factor of {values[0][0]} is wrong ({_at(values[0][1])})")]


def _at(sizes: Sizes) -> str:
    return ", ".join(f"{letter}={size}" for letter, size in sizes._asdict().items())


def _exponents() -> Iterator[tuple[int, int, int, int]]:
    every = itertools.product(range(-2, 3), repeat=4)
    yield from sorted(every, key=lambda e: (sum(map(abs, e)), [abs(e[i]) for i in (2, 1, 3, 0)], [-i for i in e]))


def _size(sizes: Sizes, exponents: tuple[int, ...]) -> Fraction:
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
        found.append(Factor("scale", _decimal(number), f"a constant factor {_decimal(number)} too many"))
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


def _rounded_reciprocal(values: list[tuple[Fraction | None, Sizes]]) -> Factor | None:
    """1/m rounded to a few digits, seen as the ratio to the exact 1/m."""
    for letter in ("m", "C"):
        for digits in range(1, 12):
            wanted = [Fraction(str(round(1 / getattr(s, letter), digits))) * getattr(s, letter) for _, s in values]
            if [v for v, _ in values] == wanted and any(w != 1 for w in wanted):
                return Factor("reduction", f"round(1/{letter}, {digits})", f"1/{letter} is rounded to {digits} digits")
    return None


def _other_divisor(values: list[tuple[Fraction | None, Sizes]]) -> Factor | None:
    """A mean over another number than m: d, K or C, m - 1, or one that stands in the code; as the ratio to 1/m."""
    if len({sizes for _, sizes in values}) < 2 or not all(value for value, _ in values):
        return None
    divisors = [(sizes.m / value, sizes) for value, sizes in values]
    found = None
    for letter in ("d", "K", "C"):
        if all(n == getattr(sizes, letter) for n, sizes in divisors):
            found = letter
    n, beyond = divisors[0][0], {n - sizes.m for n, sizes in divisors}
    if {n for n, _ in divisors} == {n} and n.denominator == 1 and n > 2:
        found = str(n)
    if len(beyond) == 1 and beyond != {0}:
        (more,) = beyond
        found = f"m {'+' if more > 0 else '-'} {_decimal(abs(more))}"
    text = f"the sum over the examples is divided by {found}, not by their number m"
    return Factor("reduction", f"m / ({found})" if " " in found else f"m / {found}", text) if found else None


def _decimal(number: Fraction) -> str:
    """A decimal where that is exact, or the same float, as 1.000000001 for 999999808/999999807; else the fraction."""
    short = f"{float(number):.12g}"
    return short if Fraction(short) == number or float(short) == float(number) else str(number)


def placements(totals: dict[str, int]) -> list[dict[str, int]]:
    """The smallest sets of wrong factors (step -> c in F_p) that explain the total factor of each leaf.

    A factor at dO2 reaches every leaf, one at dO1 those of the first layer.
    """
    if all(c == 1 for c in totals.values()):
        return [{}]
    best: list[dict[str, int]] = []
    for root in {1, *totals.values()}:
        past = {leaf: c * pow(root, -1, P) % P for leaf, c in totals.items()}
        for sub in {1, *(c for leaf, c in past.items() if "dO1" in PATHS[leaf])}:
            wrong = {"dO2": root, "dO1": sub}
            for leaf, c in past.items():
                wrong[leaf] = c * pow(sub, -1, P) % P if "dO1" in PATHS[leaf] else c
            wrong = {step: c for step, c in wrong.items() if c != 1}
            if not best or len(wrong) < len(best[0]):
                best = [wrong]
            elif len(wrong) == len(best[0]) and wrong not in best:
                best.append(wrong)
    return best
