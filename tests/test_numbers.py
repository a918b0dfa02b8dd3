"""What the verifier computes in: functions, comparisons and complex numbers against those of Python and SciPy."""

import cmath
import math
import operator
from fractions import Fraction

import flint
import numpy as np
import pytest
import scipy.integrate
from flint import arb
from scipy import special as scipy_special

from twolayer.verification.numbers import comparisons, literals
from twolayer.verification.numbers.agreement import DIFFERENT, EQUAL, UNKNOWN, compare
from twolayer.verification.numbers.balls import Ball, balls, floats, precision
from twolayer.verification.numbers.comparisons import DECISIONS, Undecided, at_place, decision, place_of, same_ball
from twolayer.verification.numbers.complexes import CMATH, Complex, angle, holds_complex, joined, parts
from twolayer.verification.numbers.functions import UNARY, integer, power, power_slopes, whole_power
from twolayer.verification.numbers.recorded import Recorded, gradient
from twolayer.verification.numbers.special import by_first, incomplete_gamma
from twolayer.verification.numbers.texts import evaluate, reads

NAN, WIDE = arb("nan"), arb(0, 1)  # the second: anything between -1 and 1


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def close(mine, right, relative=1e-12):
    return abs(complex(mine) - complex(right)) <= relative * max(1, abs(complex(right)))


# Functions of one number. The points lie inside of their domains, on both sides of 0 where they can.

NEAR, POSITIVE, INSIDE, BEYOND = (-1.75, 0.25, 2.5), (0.25, 1.0, 3.5), (-0.75, 0.25, 0.5), (1.25, 3.5)
REFERENCES = {
    "exp": (math.exp, NEAR), "exp2": (lambda a: 2.0**a, NEAR), "expm1": (math.expm1, (*NEAR, 1e-9)),
    "log": (math.log, POSITIVE), "log2": (math.log2, POSITIVE), "log10": (math.log10, POSITIVE),
    "log1p": (math.log1p, (-0.75, 1e-9, 2.5)), "sqrt": (math.sqrt, POSITIVE), "rsqrt": (lambda a: a**-0.5, POSITIVE),
    "cbrt": (np.cbrt, NEAR), "square": (lambda a: a * a, NEAR), "reciprocal": (lambda a: 1 / a, NEAR),
    "sin": (math.sin, NEAR), "cos": (math.cos, NEAR), "tan": (math.tan, NEAR), "arcsin": (math.asin, INSIDE),
    "arccos": (math.acos, INSIDE), "arctan": (math.atan, NEAR), "sinh": (math.sinh, NEAR), "cosh": (math.cosh, NEAR),
    "tanh": (math.tanh, NEAR), "arcsinh": (math.asinh, NEAR), "arccosh": (math.acosh, BEYOND),
    "arctanh": (math.atanh, INSIDE), "erf": (math.erf, NEAR), "erfc": (math.erfc, NEAR),
    "expit": (scipy_special.expit, NEAR), "lgamma": (math.lgamma, POSITIVE), "gamma": (math.gamma, POSITIVE),
    "digamma": (scipy_special.digamma, POSITIVE), "erfinv": (scipy_special.erfinv, INSIDE),
    "i0": (scipy_special.i0, NEAR), "ei": (scipy_special.expi, POSITIVE),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_a_function_has_the_value_of_floats_and_the_slope_of_its_difference(name):
    (function, slope), (reference, points) = UNARY[name], REFERENCES[name]
    for at in map(arb, points):
        assert close(float(function(at)), reference(float(at)))
        h = arb(2) ** -60
        difference = (function(at + h) - function(at - h)) / (2 * h)  # wrong by a third derivative times 2^-120
        assert close(float(slope(at, function(at))), float(difference))


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_a_ball_encloses_those_of_its_numbers(name):
    function, at = UNARY[name][0], REFERENCES[name][1][-1]
    whole = function(arb(at, 2.0**-10))
    for way in (-1, 0, 0.5, 1):
        assert whole.overlaps(function(arb(at + way * 2.0**-10)))
    assert 0 < float(whole.rad()) < 0.1


def test_functions_at_the_edge_of_their_domains():
    value = {name: function for name, (function, _) in UNARY.items()}
    assert value["sqrt"](arb(0)) == 0 and value["sqrt"](arb(0, 1e-6)).contains(0)
    assert value["sqrt"](arb(0, 1e-6)).is_finite() and value["sqrt"](arb(-1)).is_nan()
    assert value["rsqrt"](arb(0)) == arb("inf")
    assert value["cbrt"](arb(-8)).overlaps(arb(-2)) and value["log"](arb(-1)).is_nan()


def test_whole_powers_are_products_also_around_0():
    for a, n in ((3, 5), (-2, 3), (Fraction(3, 4), 6), (7, 0), (2, -3)):
        right = Fraction(a) ** n
        assert whole_power(arb(Fraction(a).numerator) / Fraction(a).denominator, n).overlaps(
            arb(right.numerator) / right.denominator
        )
    assert whole_power(arb(0), 0) == 1
    around = whole_power(WIDE, 7)
    assert around.is_finite() and around.contains(1) and around.contains(-1)
    assert whole_power(arb(0, 2), 4).contains(16)


def test_powers_and_their_slopes():
    assert power(arb(-2), arb(3)) == -8 and power(arb(9), arb(0.5)) == 3
    assert power(arb(-2), arb(0.5)).is_nan() and close(float(power(arb(2), arb(-1.5))), 2**-1.5)
    by_base, by_exponent = power_slopes(arb(2), arb(3))
    assert by_base == 12 and close(float(by_exponent), 8 * math.log(2))
    by_base, by_exponent = power_slopes(arb(0), arb(2))
    assert by_base == 0 and by_exponent.is_nan()
    assert power_slopes(arb(5), arb(0))[0] == 0


def test_which_balls_are_integers():
    found = [integer(arb(v)) for v in (3, -7, 0, 2**80, 2.5)]
    assert found == [3, -7, 0, 2**80, None]
    assert integer(arb(3, 1e-30)) is None and integer(NAN) is None


# Comparisons.

PAIRS = [(1, 2), (2, 1), (2, 2), (-0.5, 0.25)]


@pytest.mark.parametrize("name", DECISIONS)
def test_a_comparison_of_numbers_is_pythons(name):
    decide = decision(name, "too close")
    assert [decide(arb(a), arb(b)) for a, b in PAIRS] == [getattr(operator, name)(a, b) for a, b in PAIRS]


@pytest.mark.parametrize("name", DECISIONS)
def test_a_comparison_that_is_open_is_said_and_one_number_equals_itself(name):
    decide, before = decision(name, "too close"), Undecided.raised
    with pytest.raises(Undecided, match=r"^too close$"):
        decide(WIDE, arb(0.5))
    with pytest.raises(Undecided, match=r"^a comparison with NaN$"):
        decide(NAN, arb(1))
    assert Undecided.raised == before + 2
    assert decide(WIDE, WIDE) == decide(WIDE, arb(0, 1)) == getattr(operator, name)(1, 1)
    with pytest.raises(Undecided):
        decide(NAN, NAN)


def test_balls_are_the_same_by_midpoint_and_radius():
    assert same_ball(arb(1, 0.5), arb(1, 0.5)) and not same_ball(arb(1, 0.5), arb(1, 0.25))
    assert not same_ball(arb(1, 0.5), arb(1.5, 0.5)) and not same_ball(NAN, NAN)


def test_whoever_watches_is_told_of_each_comparison_but_that_of_a_number_with_itself(monkeypatch):
    seen = []
    monkeypatch.setattr(comparisons, "observer", lambda *told: seen.append(told))
    a, b = arb(1), arb(2)
    decision("lt", "")(a, b), decision("ne", "")(a, a), decision("ge", "")(a, b)
    assert seen == [(True, a, b), (False, a, b)]


def test_the_place_is_the_innermost_line_of_the_file_or_what_is_set():
    def inner():
        return place_of({__file__})

    line, (file, _) = inner()
    assert file == __file__ and line == inner.__code__.co_firstlineno + 1
    assert place_of({"another.py"}) is None
    with at_place(lambda: (7, "outer")):
        with at_place(lambda: None):
            assert inner() is None
        assert inner() == (7, "outer")
    assert inner()[0] == line


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [(2.5, None, 2), (3.5, None, 4), (-2.5, None, -2), (0.75, 1, 0.8), (25, -1, 20), (35, -1, 40), (-15, -1, -20),
     (1234, -2, 1200)],
)  # fmt: skip
def test_a_ball_is_rounded_to_even_before_and_behind_the_point(value, digits, rounded):
    assert round(Ball(value), digits) == rounded == float(round(value, digits))


# Agreement to 60 digits.

SMALL = Fraction(1, 2**199)


@pytest.mark.parametrize(
    ("mine", "right", "said"),
    [
        ([1, 2], [1, 2], [EQUAL, EQUAL]),
        ([1, -2], [1, 2], [EQUAL, DIFFERENT]),
        ([3 + SMALL * 6], [3], [DIFFERENT]),
        ([3 + SMALL / 4], [3], [EQUAL]),
        ([arb(3, 1e-9)], [3], [UNKNOWN]),
        ([arb(0, 1e-70)], [0], [UNKNOWN]),  # zeros alone: no number says how wide is narrow
        ([arb(0, 1e-70), 1e6], [0, 1e6], [EQUAL, EQUAL]),
        ([NAN], [1], [UNKNOWN]),
        ([arb("inf")], [1], [UNKNOWN]),
        ([arb("inf")], [arb("inf")], [EQUAL]),
        ([Fraction(1, 2**20000)], [0], [EQUAL]),  # what exp(-1e9) leaves of a masked entry
        ([Fraction(1, 2**16000)], [0], [DIFFERENT]),
        ([], [], []),
        ([1, 2], [[1, 2]], [[DIFFERENT, DIFFERENT]]),
        ([1, 2], 1, [DIFFERENT]),
    ],
)
def test_arrays_agree_entry_by_entry(mine, right, said):
    found = compare(np.array(mine, object), np.array(right, object))
    assert found.tolist() == said


def test_a_difference_that_may_be_below_60_digits_is_unknown():
    beside = 3 + arb(3) * 2**-200 * 2  # and as far from 3 as one half of that, or three
    assert compare(np.array([beside + arb(0, 1) * 2**-200 * 4], object), np.array([3], object)).tolist() == [UNKNOWN]
    assert compare(np.array([beside + arb(0, 1) * 2**-200 * 2], object), np.array([3], object)).tolist() == [DIFFERENT]


def test_a_rounded_literal_widens_what_counts_as_equal():
    mine, right = np.array([arb(5, 4e-6)], object), np.array([5], object)
    assert compare(mine, right).tolist() == [UNKNOWN]
    literals.rounded.add(0.3989422804)
    try:
        assert compare(mine, right).tolist() == [EQUAL]
        assert compare(np.array([arb(5, 6e-6)], object), right).tolist() == [UNKNOWN]
        assert compare(np.array([arb(5.1, 1e-7)], object), right).tolist() == [DIFFERENT]
    finally:
        literals.rounded.discard(0.3989422804)


# Complex numbers.

POINTS = [1 + 2j, -1.5 + 0.5j, -0.25 - 2j, 2 - 0.75j, 0.5 + 0j, 1j]


def as_complex(z):
    return complex(float(z.re.v), float(z.im.v))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"])
def test_functions_of_complex_numbers_are_pythons_also_on_the_cut(name):
    for z in [*POINTS, -2 + 0j]:
        assert close(as_complex(CMATH[name](z)), getattr(cmath, name)(z)), z


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_arithmetic_of_complex_numbers_is_pythons(op):
    for z in POINTS:
        for w in (*POINTS, 3, -2, 0.5):
            mine = op(Complex(z), Complex(w) if isinstance(w, complex) else w)
            assert close(as_complex(mine), op(z, w))
            assert close(as_complex(op(w, Complex(z))), op(w, z))


def test_powers_of_0_are_0_or_no_number():
    assert as_complex(Complex(0) ** 0) == 1 and as_complex(Complex(0) ** 0.5) == as_complex(Complex(0) ** 1.5) == 0
    found = Complex(0) ** -0.5
    assert found.re.v.is_nan() and found.im.v.is_nan()


def test_a_root_of_0_has_no_derivative():
    x = Recorded(0)
    (slope,) = gradient(Complex(x).sqrt().re, [x])
    assert not slope.item().v.is_finite()


def test_other_functions_of_complex_numbers():
    for z in POINTS:
        assert close(as_complex(Complex(z).log1p()), cmath.log(1 + z)) and close(abs(Complex(z)).v, abs(z))
        assert close(as_complex(Complex(z).expm1()), cmath.exp(z) - 1)
        assert close(as_complex(Complex(z).expit()), 1 / (1 + cmath.exp(-z)))
        assert close(as_complex(Complex(z).sign()), z / abs(z))
        assert as_complex(Complex(z).conj()) == z.conjugate()
        size, way = CMATH["polar"](z)
        assert close(float(way.v), cmath.phase(z)) and close(as_complex(CMATH["rect"](size, way)), z)


@pytest.mark.parametrize("y", [-1, 0, 2])
@pytest.mark.parametrize("x", [-3, 0, 0.5])
def test_angles_of_all_quadrants_and_axes(y, x):
    assert close(float(angle(Ball(y), Ball(x)).v), math.atan2(y, x))


def test_complex_numbers_are_equal_different_or_open():
    assert Complex(1, 2) == 1 + 2j and Complex(3) == 3 and Complex(1, 2) != Complex(1, 3) and Complex(1) != "one"
    with pytest.raises(Undecided, match="too close to be told apart"):
        Complex(Ball(WIDE), 1) == Complex(Ball(arb(0.5, 1)), 1)  # noqa: B015
    assert len({Complex(1, 2), Complex(1, 2)}) == 1
    with pytest.raises(TypeError, match="must be real number"):
        Ball(Complex(1, 2))


def test_arrays_of_complex_numbers_come_apart_and_together():
    array = np.array([[Complex(1, 2), Ball(3)], [4, Complex(0, -1)]], object)
    re, im = parts(array)
    np.testing.assert_array_equal(floats(re), [[1, 3], [4, 0]])
    np.testing.assert_array_equal(floats(im), [[2, 0], [0, -1]])
    assert as_complex(joined(re, im)[1, 1]) == -1j
    assert parts(re) == (re, None)
    assert holds_complex(array) and holds_complex(np.array([1j])) and holds_complex(1j)
    assert not holds_complex(re) and not holds_complex(np.ones(2)) and not holds_complex(1.0)


# The incomplete gamma function.

LOWER, UPPER = incomplete_gamma(arb.gamma_lower), incomplete_gamma(arb.gamma_upper)


@pytest.mark.parametrize(("a", "x"), [(0.5, 0.25), (2.0, 1.0), (7.5, 12.0)])
def test_the_incomplete_gamma_function_and_its_slope_by_the_first_argument(a, x):
    assert close(float(LOWER(arb(a), arb(x))), scipy_special.gammainc(a, x))
    assert close(float(UPPER(arb(a), arb(x))), scipy_special.gammaincc(a, x))
    inside, _ = scipy.integrate.quad(lambda s: integrand(s, a), 0, x**a)
    slope = inside / math.gamma(a) - scipy_special.digamma(a) * scipy_special.gammainc(a, x)
    assert close(float(by_first(LOWER)(arb(a), arb(x))), slope, 1e-7)
    assert close(float(by_first(UPPER)(arb(a), arb(x))), -slope, 1e-7)


def integrand(s, a):
    """t^(a - 1) exp(-t) log t dt, by s = t^a: the pole at 0 is gone."""
    t = s ** (1 / a)
    return np.exp(-t) * np.log(t) / a if t else 0.0


def test_the_slope_holds_for_all_numbers_of_a_ball():
    wide = by_first(LOWER)(arb(2, 2.0**-30), arb(1))
    assert wide.contains(by_first(LOWER)(arb(2), arb(1)).mid()) and float(wide.rad()) >= 2.0**-30
    assert float(by_first(LOWER)(arb(2), arb(1)).rad()) < 2.0**-200


@pytest.mark.parametrize(("a", "x"), [(100, 1), (1, 1e3), (NAN, 1)])
def test_far_away_the_incomplete_gamma_function_is_not_followed(a, x):
    with pytest.raises(Undecided, match="not followed beyond 100"):
        LOWER(arb(a), arb(x))


# Formulas as text.

A = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]])
TEXTS = {
    "A * (A > 0) + relu(A)": 2 * np.maximum(A, 0),
    "np.tanh(A) - sigmoid(A)": np.tanh(A) - 1 / (1 + np.exp(-A)),
    "softmax(A)": np.exp(A) / np.exp(A).sum(axis=1, keepdims=True),
    "softmax(A, axis=0)": np.exp(A) / np.exp(A).sum(axis=0),
    "logsumexp(A)": np.log(np.exp(A).sum(axis=1)),
    "clip(A, -1, 1) / m": np.clip(A, -1, 1) / 7,
    "sqrt(abs(A)) + pi + erf(A)": np.sqrt(abs(A)) + np.pi + scipy_special.erf(A),
    "jacobian(A, A)": A * (A - (A * A).sum(axis=1, keepdims=True)),
    "A ** t": A**3,
    "round(A) + sign(A)": np.round(A) + np.sign(A),
    "where(A > 1, A, 0).sum(axis=0)": np.where(A > 1, A, 0).sum(axis=0),
    "log(A[0, 0])": math.log(0.5),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_one_formula_of_floats_and_of_balls(text):
    for array in (A, balls(A)):
        found = evaluate(text, {"A": array, "m": 7, "t": Fraction(3)})
        assert found.dtype == array.dtype
        np.testing.assert_allclose(floats(found), TEXTS[text], rtol=1e-14)


def test_constants_of_a_text_are_exact_over_balls():
    near = evaluate("(A * t - 1) * 3", {"A": balls([3]), "t": Fraction(10**30 + 1, 3 * 10**30)})[0]
    assert abs(near.v * arb(10) ** 30 - 3).upper() < arb(2) ** -100
    with precision(1000):
        assert abs(evaluate("pi * A", {"A": balls([1])})[0].v - arb.pi()).upper() < arb(2) ** -900


def test_what_a_text_reads_and_what_it_lacks():
    assert reads("np.exp(A) + m * A") == {"np", "exp", "A", "m"}
    with pytest.raises(NameError, match="B"):
        evaluate("A + B", {"A": A})
    with pytest.raises(ValueError):
        evaluate("A @ A", {"A": A})
    with pytest.raises(SyntaxError):
        evaluate("A +", {"A": A})
    assert flint.ctx.prec == 256
