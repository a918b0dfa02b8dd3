"""What people's code gets for NumPy and SciPy, function by function: their numbers, to more digits than they have."""

import types
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.spatial.distance
import scipy.special
import scipy.stats
from flint import arb
from numpy.linalg import LinAlgError

from twolayer.verification.numbers.balls import Ball, balls, floats, precision
from twolayer.verification.numbers.complexes import Complex, parts
from twolayer.verification.numbers.recorded import Recorded, gradient
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import numpy_fft, numpy_functions, numpy_linalg, scipy_module
from twolayer.verification.programs.stand_ins.arrays import wrap
from twolayer.verification.programs.stand_ins.one_number import COMPILED, NUMBER, OURS, ball, pi
from twolayer.verification.programs.stand_ins.scipy_special import SPECIAL

A = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, -0.75], [1.0, 0.5, 1.5]])
S = A @ A.T + np.eye(3)  # symmetric and positive definite
V = np.array([0.5, -1.25, 2.0])
TALL = np.array([[1.0, 2.0], [-0.5, 0.25], [3.0, -1.0], [0.0, 1.5]])
TINY = 1e-60


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def over_balls(value):
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return wrap(balls(value))
    return type(value)(map(over_balls, value)) if isinstance(value, (list, tuple)) else value


def as_floats(value):
    array = np.asarray(value, object)
    if any(isinstance(v, Complex) for v in array.ravel()):
        re, im = parts(array)
        return floats(re) + 1j * floats(im)
    return floats(array) if np.asarray(value).dtype == object else np.asarray(value)


DATA = types.SimpleNamespace(A=A, S=S, V=V, TALL=TALL)
BALLS = types.SimpleNamespace(**{name: over_balls(value) for name, value in vars(DATA).items()})


def same(mine, right, rtol=1e-11):
    if isinstance(right, tuple):
        assert len(mine) == len(right)
        for a, b in zip(mine, right, strict=True):
            same(a, b, rtol)
        return
    assert np.shape(mine) == np.shape(right)
    np.testing.assert_allclose(as_floats(mine), right, rtol=rtol, atol=1e-13)


# NumPy's functions of one or two numbers.

NUMBERS = (-2.5, -2.0, -0.75, 0.0, 0.5, 1.5, 3.0)
LOGICAL = {"isnan", "isinf", "isfinite", "signbit"}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore")
def test_a_function_of_numbers_is_numpys(name):
    ufunc, mine = getattr(np, name), OURS[name]
    seconds = [()] if ufunc.nin == 1 else [(b,) for b in NUMBERS]
    for arguments in [(a, *more) for a in NUMBERS for more in seconds]:
        right = ufunc(*arguments)
        if not np.isfinite(right):  # a remainder by 0; a root of a negative number
            continue
        found = mine(*map(Ball, arguments))
        value = float(found.v) if isinstance(found, Ball) else found
        assert value == pytest.approx(right, rel=1e-14) and isinstance(found, Ball) != (name in LOGICAL), arguments


def test_numbers_without_end_and_no_numbers():
    nan, inf = Ball(arb("nan")), Ball(arb("inf"))
    assert OURS["sign"](nan).v.is_nan() and OURS["isnan"](nan) and not OURS["isnan"](inf)
    assert OURS["isinf"](inf) and not OURS["isinf"](nan) and not OURS["isfinite"](inf) and not OURS["isfinite"](nan)


def test_an_integer_stays_the_object_that_it_is():
    for name in ("floor", "ceil", "trunc", "rint"):
        whole = Ball(3)
        assert OURS[name](whole) is whole
    assert COMPILED["hypot"](np.array([Ball(3)], object), Ball(4)).item() == 5


def test_a_constant_becomes_the_kind_of_number_that_is_computed_with():
    token = NUMBER.set(Recorded)
    try:
        assert type(ball(0.5)) is type(pi()) is Recorded
    finally:
        NUMBER.reset(token)
    third = Ball(Fraction(1, 3))
    assert ball(third) is third and type(ball(1)) is Ball and type(ball(1j)) is Complex
    assert abs(pi().v - arb.pi()).upper() < TINY


# NumPy's functions of arrays, of NumPy or of ours: `f` has them by their names, `d` the arrays.

OF_ARRAYS = {
    "array": lambda f, d: f.array([[1, 2.5], [3, 4]]),
    "arange": lambda f, d: (f.arange(0.5, 2.0, 0.25), f.arange(2, -1, -0.5), f.arange(3.0), f.arange(1, 1, 0.1)),
    "full": lambda f, d: (f.full((2, 2), 0.5), f.full_like(d.A, 2), f.eye(2, 3), f.zeros(2), f.ones_like(d.A)),
    "mean": lambda f, d: (f.mean(d.A), f.mean(d.A, axis=0), f.mean(d.A, axis=1, where=A > 0)),
    "var": lambda f, d: (f.var(d.A), f.var(d.A, axis=1, ddof=1), f.std(d.A, axis=0, keepdims=True)),
    "where": lambda f, d: f.where(d.A > 0.5, d.A, 0),
    "clip": lambda f, d: (f.clip(d.A, -0.5, 1), f.clip(d.A, None, 1), f.clip(d.A, min=0), f.clip(d.A, 2, 1)),
    "around": lambda f, d: (f.around(d.A), f.around(d.A, 1), f.around(d.A * 20, -1)),
    "vectorize": lambda f, d: f.vectorize(lambda x, y: x * y if x > y else y)(d.A, d.V),
    "bincount": lambda f, d: (f.bincount([2, 0, 2]), f.bincount([2, 0, 2], d.V, minlength=5)),
    "interp": lambda f, d: f.interp(d.V, [-1.0, 0.0, 1.5], [2.0, 0.5, 4.0]),
    "interp beyond": lambda f, d: f.interp(d.V, [-1.0, 0.0, 2.0], [2.0, 0.5, 4.0], left=-9.0, right=9.0),
    "digitize": lambda f, d: (f.digitize(d.V, [-1.25, 0.5, 1]), f.digitize(d.V, [2.0, 0.5, -1.25], right=True)),
    "corrcoef": lambda f, d: f.corrcoef(d.A),
    "isclose": lambda f, d: (f.isclose(d.V, [0.5, -1.2500001, 2.1]), f.isclose(d.V * 0, [1e-9, -1e-8, 1e-7])),
    "fromiter": lambda f, d: f.fromiter((x / 4 for x in range(5)), float, 3),
    "i0": lambda f, d: f.i0(d.V),
}
OF_MATRICES = {
    "solve": lambda f, d: (f.solve(d.A, d.V), f.solve(d.A, d.A.T), f.solve(np.stack([d.A, d.S]), d.S)),
    "inv": lambda f, d: f.inv(d.A),
    "det": lambda f, d: (f.det(d.A), f.det(d.A[[1, 0, 2]]), f.det(d.A[:1, 1:2]), f.det(d.S[None])),
    "slogdet": lambda f, d: tuple(f.slogdet(d.A[[1, 0, 2]])),
    "cholesky": lambda f, d: (f.cholesky(d.S), f.cholesky(d.S, upper=True)),
    "eigh": lambda f, d: (f.eigh(d.S)[0], abs(f.eigh(d.S)[1]), f.eigvalsh(np.triu(d.S), "U")),
    "eig": lambda f, d: (f.eig(d.A)[0], abs(f.eig(d.A)[1]), f.eigvals(d.S)),
    "svd": lambda f, d: (f.svd(d.TALL, compute_uv=False), *map(abs, f.svd(d.TALL.T, full_matrices=False))),
    "qr": lambda f, d: (*f.qr(d.TALL), *f.qr(d.TALL.T), f.qr(d.A, mode="r"), *f.qr(d.TALL, mode="complete")),
    "lstsq": lambda f, d: f.lstsq(d.TALL, d.TALL[:, 0] ** 2, rcond=None),
    "lstsq of a wide matrix": lambda f, d: f.lstsq(d.TALL.T, d.V[:2], rcond=None)[0],
}


@pytest.mark.parametrize("name", OF_ARRAYS)
def test_a_function_of_arrays_is_numpys(name):
    same(OF_ARRAYS[name](types.SimpleNamespace(**numpy_functions.OURS), BALLS), OF_ARRAYS[name](np, DATA))


@pytest.mark.parametrize("name", OF_MATRICES)
def test_a_function_of_matrices_is_numpys(name):
    ours = types.SimpleNamespace(**numpy_linalg.FUNCTIONS)
    same(OF_MATRICES[name](ours, BALLS), OF_MATRICES[name](np.linalg, DATA))


def test_fractions_are_exact_where_floats_are_not():
    steps = numpy_functions.arange(0, 1, 0.1)
    assert len(steps) == 10 and abs(steps[3].v - arb(3) / 10).upper() < TINY
    mean = numpy_functions.mean([0.1, 0.2])
    assert abs(mean.v - arb(3) / 20).upper() < TINY
    assert numpy_functions.array([1, 2]).dtype.kind == "i" and numpy_functions.array([1, 2.0]).dtype == np.float64
    assert numpy_functions.result_type(BALLS.V, 1) == np.float64
    assert numpy_functions.result_type(np.arange(2)).kind == "i"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: numpy_functions.var(BALLS.V, where=V > 0), "np.var with where"),
        (lambda: numpy_functions.interp(0.5, [0.0, 1.0], [1.0, 2.0], period=1), "np.interp with a period"),
        (lambda: numpy_functions.vectorize(abs, signature="(n)->()"), "np.vectorize with a signature"),
        (lambda: LINALG.eigh(BALLS.S, BALLS.S), "eigh of two matrices"),
        (lambda: LINALG.eigh(BALLS.S, subset_by_value=(0, 5)), "or of a subset"),
        (lambda: SIGNAL.convolve2d(BALLS.A, BALLS.S, "same", "wrap"), "with boundary 'wrap'"),
        (lambda: SIGNAL.convolve2d(BALLS.A, BALLS.S, fillvalue=1), "with a fill value"),
        (lambda: SIGNAL.lfilter([1.0], [1.0], BALLS.V, zi=[0.0]), "lfilter with a start"),
        (lambda: DISTANCE.cdist(BALLS.A, BALLS.S, "jaccard"), "metric 'jaccard'"),
        (lambda: SPECIAL["comb"](2.5, 1), "comb of numbers that are no integers"),
        (lambda: SPECIAL["polygamma"](0.5, 1.0), "an order that is no integer"),
        (lambda: SIGNAL.butter(3, 0.5), "^scipy.signal.butter$"),
    ],
)
def test_what_is_not_known_is_not_judged(call, said):
    with pytest.raises(NotJudged, match=said):
        call()


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize(("n", "axis"), [(None, -1), (2, 0), (4, 1), (5, 0), (1, -1)])
def test_fourier_transforms_are_numpys(n, axis, norm):
    for name, function in numpy_fft.FUNCTIONS.items():
        half = 0.5j if name != "rfft" else 0
        same(function(BALLS.A + BALLS.S * half, n, axis, norm), getattr(np.fft, name)(A + S * half, n, axis, norm))


def test_the_solution_of_a_system_is_good_to_60_digits_and_a_matrix_without_one_is_singular():
    away = floats(BALLS.A @ numpy_linalg.solve(BALLS.A, BALLS.V) - BALLS.V)
    assert abs(away).max() < TINY
    with pytest.raises(LinAlgError, match=r"^Singular matrix$"):
        numpy_linalg.inv(over_balls(np.array([[1.0, 2.0], [2.0, 4.0]])))
    with pytest.raises(LinAlgError, match="must be square"):
        numpy_linalg.det(BALLS.TALL)
    with pytest.raises(LinAlgError, match="1-dimensional array given"):
        numpy_linalg.inv(BALLS.V)
    with pytest.raises(LinAlgError, match="not positive definite"):
        numpy_linalg.cholesky(BALLS.A - 10 * np.eye(3, dtype=int))


def test_decompositions_multiply_to_their_matrix():
    u, sizes, vt = numpy_linalg.svd(BALLS.TALL)
    q, r = numpy_linalg.qr(BALLS.TALL, "complete")
    values, vectors = numpy_linalg.eigh(BALLS.S)
    for product, right in ((u[:, :2] * sizes @ vt, TALL), (q @ r, TALL), (vectors * values @ vectors.T, S)):
        assert abs(floats(product - over_balls(right))).max() < TINY
    for orthogonal in (u, vt, q, vectors):
        assert abs(floats(orthogonal @ orthogonal.T - np.eye(len(orthogonal), dtype=int))).max() < TINY


# SciPy.

LINALG, SIGNAL = scipy_module.MODULES["scipy.linalg"], scipy_module.MODULES["scipy.signal"]
DISTANCE, NORMAL = scipy_module.MODULES["scipy.spatial.distance"], scipy_module.MODULES["scipy.stats"].norm

OF_SCIPY = {
    "linalg.solve_triangular": lambda f, d: tuple(
        f.solve_triangular(d.A, d.V, lower=lower, trans=trans, unit_diagonal=unit)
        for lower in (False, True) for trans in (0, "T") for unit in (False, True)
    ),
    "linalg.cho_solve": lambda f, d: tuple(
        f.cho_solve((f.cholesky(d.S, lower=lower), lower), d.V) for lower in (False, True)
    ),
    "linalg.cho_factor": lambda f, d: f.cho_solve(f.cho_factor(d.S), d.A),
    "linalg.lu_solve": lambda f, d: (f.lu_solve(f.lu_factor(d.A), d.V), f.lu_solve(f.lu_factor(d.A), d.V, trans=1)),
    "linalg.eigh": lambda f, d: (f.eigh(d.S, eigvals_only=True), f.eigh(np.triu(d.S), lower=False)[0]),
    "linalg.qr": lambda f, d: (*f.qr(d.TALL), *f.qr(d.TALL, mode="economic"), *f.qr(d.A, mode="r")),
    "linalg.block_diag": lambda f, d: f.block_diag(d.A, d.V, 2.0),
    "linalg.toeplitz": lambda f, d: (f.toeplitz(d.V), f.toeplitz(d.V, d.TALL[:, 0])),
    "linalg.expm": lambda f, d: (f.expm(d.A), f.expm(d.A * 8), f.expm(d.A * 0)),
    "linalg.sqrtm": lambda f, d: f.sqrtm(d.S),
    "linalg.norm": lambda f, d: (f.norm(d.A), f.norm(d.V, 1), f.norm(d.A, "fro"), f.norm(d.A, 2, axis=0)),
    "linalg.svdvals": lambda f, d: (f.svdvals(d.A), f.pinv(d.TALL), f.inv(d.A), f.det(d.A), f.eigvalsh(d.S)),
    "signal.convolve": lambda f, d: tuple(
        f.convolve(x, y, mode) for x, y in ((d.V, d.A[0, :2]), (d.A[0, :2], d.V)) for mode in ("full", "same", "valid")
    ),
    "signal.convolve2d": lambda f, d: tuple(f.convolve2d(d.A, d.A[:2, :2], mode) for mode in ("full", "same", "valid")),
    "signal.correlate": lambda f, d: tuple(
        f.correlate(x, y, mode) for x, y in ((d.V, d.A[0, :2]), (d.A[0, :2], d.V)) for mode in ("full", "same", "valid")
    ),
    "signal.correlate2d": lambda f, d: tuple(
        f.correlate2d(x, y, mode) for x, y in ((d.A, d.A[:2, :2]), (d.A[:2, :2], d.A)) for mode in ("full", "same")
    ),
    "signal.lfilter": lambda f, d: (f.lfilter([0.5, 1.0], [2.0, -1.0, 0.25], d.V), f.lfilter([1], [2], d.A, axis=0)),
    "spatial.distance": lambda f, d: (
        *(f.cdist(d.A, d.S, metric) for metric in ("euclidean", "sqeuclidean", "cityblock", "cosine")),
        f.pdist(d.A), f.squareform(f.pdist(d.A)), f.squareform(f.squareform(f.pdist(d.TALL))),
        f.euclidean(d.V, d.A[0]), f.cosine(d.V, d.A[0]), f.cityblock(d.V, d.A[0]),
    ),
    "stats.norm": lambda f, d: (
        *(getattr(f, name)(d.V, 0.25, 2.0) for name in ("pdf", "logpdf", "cdf", "logcdf", "sf")),
        f.ppf([0.25, 0.975], 1.0, 3.0), f.pdf(d.V), f.logpdf(d.V, scale=2),
    ),
}  # fmt: skip
MODULES = {"linalg": (LINALG, scipy.linalg), "signal": (SIGNAL, scipy.signal), "stats": (NORMAL, scipy.stats.norm)}
MODULES |= {"spatial": (DISTANCE, scipy.spatial.distance)}


@pytest.mark.parametrize("name", OF_SCIPY)
def test_a_function_of_scipy_is_scipys(name):
    mine, right = MODULES[name.split(".")[0]]
    same(OF_SCIPY[name](mine, BALLS), OF_SCIPY[name](right, DATA), rtol=1e-9)


P, Q = np.array([0.125, 0.5, 0.75]), np.array([0.5, 0.25, 0.875])
TWO = {"xlogy", "xlog1py", "rel_entr", "kl_div", "huber", "pseudo_huber", "beta", "betaln", "boxcox", "gammainc"}
TWO |= {"gammaincc", "iv", "jv", "kv", "zeta", "polygamma", "comb", "binom", "factorial"}
ARGUMENTS = dict.fromkeys(TWO, (P, Q)) | {
    "iv": (2, P), "jv": (3, P), "kv": (1, P), "zeta": (P + 1, Q), "polygamma": (2, P), "boxcox": (P, 0.5),
    "comb": (5, np.array([0, 2, 7])), "binom": (5, np.array([0, 2, 7])), "factorial": (np.array([0, 1, 5]),),
    "logsumexp": (A, 1), "softmax": (A, 0), "log_softmax": (A, 1),
}  # fmt: skip
NO_FUNCTION_OF_SCIPY = {"softplus": lambda x: np.logaddexp(x, 0)}


@pytest.mark.parametrize("name", SPECIAL)
def test_a_special_function_is_scipys(name):
    arguments = ARGUMENTS.get(name, (P,))
    right = getattr(scipy.special, name, None) or NO_FUNCTION_OF_SCIPY[name]
    same(SPECIAL[name](*map(over_balls, arguments)), right(*arguments), rtol=1e-12)


def test_special_functions_at_0_and_at_the_change_of_a_piece():
    zero = over_balls(np.zeros(2))
    assert (SPECIAL["xlogy"](zero, zero) == 0).all() and (SPECIAL["entr"](zero) == 0).all()
    assert (SPECIAL["rel_entr"](zero, zero) == 0).all()
    assert SPECIAL["logsumexp"](zero, b=over_balls(P[:2])).v.overlaps(arb(0.625).log())
    same(SPECIAL["huber"](0.5, over_balls(np.array([-0.5, 0.5, -2.0]))), np.array([0.125, 0.125, 0.875]))


@pytest.mark.parametrize("name", ["polygamma", "zeta", "iv", "jv", "kv", "gammainc", "gammaincc"])
def test_the_slope_of_a_special_function_is_that_of_scipys_values(name):
    first = 3 if name in ("polygamma", "zeta") else 2
    x, h = Recorded(1.25), 1e-5
    (slope,) = gradient(SPECIAL[name](first, x), [x])
    by_scipy = (getattr(scipy.special, name)(first, 1.25 + h) - getattr(scipy.special, name)(first, 1.25 - h)) / (2 * h)
    assert float(slope.item().v) == pytest.approx(by_scipy, rel=1e-8)
