"""Constant factors are read off exactly, written as products of sizes, and blamed on as few lines as possible."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from handmade import derivation
from hypothesis import assume, given
from hypothesis import strategies as st

from twolayer.verification import scales, verify
from twolayer.verification.draws import PRIME_SIZES, SMALL, SQUARE
from twolayer.verification.numbers.field import P
from twolayer.verification.numbers.literals import simplest_rational
from twolayer.verification.numbers.opaque import Opaque

pytestmark = pytest.mark.usefixtures("as_users_call_it")

LEAVES = ("dW1", "db1", "dW2", "db2")
elements = st.integers(1, P - 1)


def element(number):
    number = Fraction(number)
    return number.numerator * pow(number.denominator, -1, P) % P


def array(numbers):
    return np.array(numbers, object)


@given(elements, st.lists(st.integers(0, P - 1), min_size=2, max_size=30).filter(lambda a: a[0] and a[-1]))
def test_a_ratio_is_the_one_constant_between_two_arrays(c, numbers):
    right = array(numbers)
    mine = right * c % P
    assert scales.ratio(mine, right) == c
    for i in range(len(mine)):
        other = mine.copy()
        other[i] = (other[i] + 1) % P
        assert scales.ratio(other, right) is None


def test_zeros_and_unknown_numbers_have_no_ratio():
    zeros, some = array([0, 0, 0]), array([0, 5, 7])
    assert scales.ratio(zeros, zeros) == 1
    assert scales.ratio(zeros, some) is None and scales.ratio(some, zeros) is None
    assert scales.ratio(array([3, 5, 7]), some) is None, "where the right entry is zero, mine must be"
    assert scales.ratio(array([0, Opaque("sqrt"), 7]), some) is None


@given(st.fractions(max_denominator=10**4, min_value=-(10**4), max_value=10**4))
def test_small_fractions_are_found_again_in_the_field(fraction):
    assert scales.rational(element(fraction)) == fraction


# --- what a constant is made of ---

READINGS = {
    "m": (lambda s: s.m, "reduction m"),
    "1/m": (lambda s: Fraction(1, s.m), "reduction 1/m"),
    "1/m^2": (lambda s: Fraction(1, s.m**2), "reduction 1/m^2"),
    "C": (lambda s: s.C, "classes C"),
    "1/C": (lambda s: Fraction(1, s.C), "classes 1/C"),
    "K": (lambda s: s.K, "scale K"),
    "1/d": (lambda s: Fraction(1, s.d), "scale 1/d"),
    "-1": (lambda s: -1, "sign -1"),
    "2": (lambda s: 2, "half 2"),
    "0.5": (lambda s: 0.5, "half 1/2"),
    "0.3": (lambda s: Fraction(3, 10), "scale 0.3"),
    "7": (lambda s: 7, "scale 7"),
    "1/3": (lambda s: Fraction(1, 3), "scale 1/3"),
    "1 + 1e-9": (lambda s: 1 + Fraction(1, 10**9), "scale 1.000000001"),
    "the float 1 + 1e-9": (lambda s: simplest_rational(1 + 1e-9), "scale 1.000000001"),
    "m / C": (lambda s: Fraction(s.m, s.C), "reduction m / C"),
    "m C": (lambda s: s.m * s.C, "reduction m, classes C"),
    "-m / 2": (lambda s: Fraction(-s.m, 2), "sign -1, half 1/2, reduction m"),
    "3 m": (lambda s: 3 * s.m, "scale 3, reduction m"),
    "K / d": (lambda s: Fraction(s.K, s.d), "scale K, scale 1/d"),
    "round(1/m, 4)": (lambda s: Fraction(str(round(1 / s.m, 4))) * s.m, "reduction round(1/m, 4)"),
    "round(1/m, 2)": (lambda s: Fraction(str(round(1 / s.m, 2))) * s.m, "reduction round(1/m, 2)"),
    "0": (lambda s: 0, "scale 0"),
    "m / (m - 1)": (lambda s: Fraction(s.m, s.m - 1), "reduction m / (m - 1)"),
    "m / (m + 1e-8)": (lambda s: s.m / (s.m + Fraction(1, 10**8)), "reduction m / (m + 1e-08)"),
    "m / d": (lambda s: Fraction(s.m, s.d), "reduction m / d"),
    "m / 32": (lambda s: Fraction(s.m, 32), "reduction m / 32"),
}


@pytest.mark.parametrize("sizes", [PRIME_SIZES, (*PRIME_SIZES, SQUARE, SMALL)], ids=["two sizes", "all sizes"])
@pytest.mark.parametrize("name", READINGS)
def test_a_constant_is_read_as_the_product_that_it_is(name, sizes):
    f, wanted = READINGS[name]
    found = scales.factors([(element(f(s)), s) for s in sizes])
    assert ", ".join(f"{factor.id} {factor.text}" for factor in found) == wanted
    assert all(factor.sentence for factor in found)


def test_no_two_products_of_sizes_agree_at_both_prime_sizes():
    """Else a factor m would also be a number times 1/d."""
    seen = {}
    for powers in itertools.product(range(-2, 3), repeat=4):
        first, second = (
            functools.reduce(lambda a, b: a * b, (Fraction(n) ** e for n, e in zip(s, powers, strict=True)))
            for s in PRIME_SIZES
        )
        assert seen.setdefault(first / second, powers) == powers


def test_at_one_size_a_constant_is_read_as_a_simple_product_or_as_the_number():
    (size,) = PRIME_SIZES[:1]
    for name in ("m", "1/m", "C", "-1", "2", "m C", "-m / 2"):
        f, wanted = READINGS[name]
        found = scales.factors([(element(f(size)), size)])
        assert ", ".join(f"{factor.id} {factor.text}" for factor in found) == wanted
    (number,) = scales.factors([(element(Fraction(1234567, 89)), size)])
    assert number.id == "scale" and number.text == "1234567/89"


# --- where to put the blame ---

POSITIONS = ("dO2", "dO1", *LEAVES)
REACHES = {"dO2": LEAVES, "dO1": ("dW1", "db1")} | {leaf: (leaf,) for leaf in LEAVES}


def spread(factors):
    """The total factor of each leaf."""
    totals = dict.fromkeys(LEAVES, 1)
    for position, c in factors.items():
        for leaf in REACHES[position]:
            totals[leaf] = totals[leaf] * c % P
    return totals


def explains(positions, totals):
    """Whether wrong factors at these places alone can give the totals."""
    left = {leaf: c for leaf, c in totals.items() if leaf not in positions}
    second = {c for leaf, c in left.items() if leaf in ("dW2", "db2")}
    first = {c for leaf, c in left.items() if leaf in ("dW1", "db1")}
    if ("dO2" not in positions and second - {1}) or len(second) > 1 or len(first) > 1:
        return False
    at_O2 = second or ({1} if "dO2" not in positions else first)
    return "dO1" in positions or not first or not at_O2 or first == at_O2


constants = st.sampled_from([element(c) for c in (2, 3, -1, Fraction(1, 7), 6, 14)])


@given(st.dictionaries(st.sampled_from(POSITIONS), constants))
def test_placements_are_the_smallest_sets_of_wrong_factors_that_explain_the_totals(factors):
    totals = spread(factors)
    found = scales.placements(totals)
    assert all(spread(placement) == totals and 1 not in placement.values() for placement in found)
    sets = [frozenset(c) for n in range(7) for c in itertools.combinations(POSITIONS, n) if explains(c, totals)]
    fewest = min(map(len, sets))
    assert {frozenset(placement) for placement in found} == {s for s in sets if len(s) == fewest}


@given(constants, constants)
def test_a_factor_is_blamed_where_it_enters_if_it_reaches_more_than_one_leaf(c, other):
    assert scales.placements(spread({"dO2": c})) == [{"dO2": c}]
    assert scales.placements(spread({"dO1": c})) == [{"dO1": c}]
    assert scales.placements(spread({"db1": c})) == [{"db1": c}]
    assume(c * other % P != 1)
    assert scales.placements(spread({"dO2": c, "dW2": other})) == [{"dO2": c, "dW2": other}]


# --- in a derivation ---

LATE = {
    "at dZ2": {"dZ2": lambda s: s.dO2 * (s.Z2 > 0) / s.m},
    "at the first products": {
        "dW2": lambda s: s.dZ2.T @ s.O1 / s.m,
        "db2": lambda s: s.dZ2.mean(axis=0),
        "dO1": lambda s: s.dZ2 @ s.W2 / s.m,
    },
    "at the leaves": {
        "dW2": lambda s: s.dZ2.T @ s.O1 / s.m,
        "db2": lambda s: s.dZ2.mean(axis=0),
        "dW1": lambda s: s.dZ1.T @ s.x / s.m,
        "db1": lambda s: s.dZ1.mean(axis=0),
    },
    "too early twice and paid back": {
        "dO2": lambda s: s.residual / (2 * s.m),
        "dO1": lambda s: s.dZ2 @ s.W2 * 6,
        "dZ1": lambda s: s.dO1 * (s.Z1 > 0) / 3,
        "dW2": lambda s: 2 * s.dZ2.T @ s.O1,
        "db2": lambda s: s.dZ2.sum(axis=0) * 2,
    },
}


@pytest.mark.parametrize("name", LATE)
def test_one_over_m_anywhere_is_right_if_the_product_is(name):
    changes = {"dO2": lambda s: s.residual} | LATE[name]
    verdict = verify(derivation("quadratic", **changes), loss="quadratic", precisions=())
    assert verdict.verdict == "right" and verdict.causes == () and verdict.first_wrong_step is None


def test_steps_that_carry_a_constant_are_right_and_the_constant_is_reported():
    steps = ("dO2", "dZ2", "dO1", "dZ1")
    changes = {"dO2": lambda s: s.residual} | LATE["at the leaves"]
    verdict = verify(derivation("quadratic", steps=steps, **changes), loss="quadratic", precisions=())
    assert verdict.verdict == "right"
    assert {step: verdict.steps[step].scale for step in steps} == dict.fromkeys(steps, "m")
    assert all(step.verdict == "right" for step in verdict.steps.values())
    assert all(verdict.steps[leaf].scale is None for leaf in LEAVES)


def test_a_constant_paid_back_on_one_path_only_is_blamed_on_the_other():
    changes = {"dO2": lambda s: s.residual} | LATE["at the leaves"] | {"db1": lambda s: s.dZ1.sum(axis=0)}
    verdict = verify(derivation("quadratic", **changes), loss="quadratic", precisions=())
    assert verdict.verdict == "wrong" and verdict.first_wrong_step == "db1"
    assert [(cause.id, cause.leaf) for cause in verdict.causes] == [("reduction", "db1")]
    assert {leaf: v.verdict for leaf, v in verdict.leaves.items()} == dict.fromkeys(LEAVES, "right") | {"db1": "wrong"}


FACTORS = {
    "mean over the classes": (lambda s: s.residual / s.y.shape[1], "reduction"),
    "sum for mean, with a sign": (lambda s: -s.residual, "sign reduction"),
    "0.5": (lambda s: 0.5 * s.residual / s.m, "half"),
    "m twice": (lambda s: s.residual / s.m / s.m, "reduction"),
    "1/m rounded": (lambda s: s.residual * round(1 / s.m, 4), "reduction"),
    "a number": (lambda s: s.residual / s.m * 0.37, "scale"),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORS)
def test_wrong_factors_of_a_derivation_are_named(name):
    line, ids = FACTORS[name]
    verdict = verify(derivation("quadratic", steps=("dO2",), dO2=line), loss="quadratic", precisions=())
    assert verdict.verdict == "wrong" and verdict.first_wrong_step == "dO2"
    assert [cause.id for cause in verdict.causes] == ids.split()
    assert {cause.leaf for cause in verdict.causes} == {"dO2"} and {c.explanation for c in verdict.causes} == {0}
