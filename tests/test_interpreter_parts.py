"""The rules by which a jaxpr runs over balls, one by one, and what is read off a jaxpr; nothing here is compiled."""

import types

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special
from flint import acb, arb
from jax import lax

from twolayer.verification.numbers.balls import Ball, Undecided, balls, floats, precision, raw
from twolayer.verification.programs import decompositions, elementwise, positions, primitives
from twolayer.verification.programs.interpreter import interpret
from twolayer.verification.programs.reals import Reals

A = np.array([[0.5, -1.25, 2.0, 0.75], [1.5, 0.25, -0.75, 3.0], [-2.5, 1.0, 0.5, -0.5]])
Q = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, -0.75], [1.0, 0.5, 1.5]])
S = Q @ Q.T

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def run(f, *arrays):
    """A function's jaxpr over balls: object arrays for floats, data for integers; what comes out in floats."""
    closed = jax.make_jaxpr(f)(*arrays)
    given = [raw(a) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays]
    outputs = [np.asarray(a) for a in interpret(closed, Reals(), *given)]
    outputs = [floats(balls(a)) if a.dtype == object else a for a in outputs]
    return outputs[0] if len(outputs) == 1 else outputs


# Functions of single numbers.

CALL = types.SimpleNamespace(system=Reals())
ONE, TWO = (-2.5, -0.5, 0.0, 0.5, 1.5, 4.0), [(-2.5, 1.5), (2.5, -1.5), (0.5, 0.5), (3.0, 0.75)]
POSITIVE = [(a,) for a in (0.25, 1.5, 4.0)]
OF_NUMBERS = {
    "rem": (np.fmod, TWO), "atan2": (np.arctan2, TWO), "max": (np.maximum, TWO), "min": (np.minimum, TWO),
    "pow": (np.power, [(2.5, 1.5), (-2.0, 3.0), (4.0, 0.5), (2.0, -2.0)]),
    "sign": (np.sign, ONE), "floor": (np.floor, ONE), "ceil": (np.ceil, ONE), "abs": (np.abs, ONE),
    "logistic": (scipy.special.expit, ONE), "erf_inv": (scipy.special.erfinv, (-0.5, 0.25)),
    "bessel_i0e": (scipy.special.i0e, ONE), "bessel_i1e": (scipy.special.i1e, ONE), "is_finite": (np.isfinite, ONE),
    "asinh": (np.arcsinh, ONE), "acos": (np.arccos, (-0.5, 0.25)), "log": (np.log, (0.25, 4.0)),
    "polygamma": (scipy.special.polygamma, [(1, 0.5), (2, 3.0)]),
    "zeta": (scipy.special.zeta, [(2.0, 1.0), (3.5, 0.5)]),
    "igamma": (scipy.special.gammainc, [(0.5, 0.25), (2.0, 3.0)]),
    "igammac": (scipy.special.gammaincc, [(0.5, 0.25), (2.0, 3.0)]),
    "regularized_incomplete_beta": (scipy.special.betainc, [(1.5, 2.5, 0.25), (3.0, 0.5, 0.75)]),
    "gt": (np.greater, TWO), "le": (np.less_equal, TWO), "eq": (np.equal, TWO), "lt_to": (np.less, TWO),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_a_function_of_numbers_is_numpys(name):
    function, points = OF_NUMBERS[name]
    columns = list(zip(*(p if isinstance(p, tuple) else (p,) for p in points), strict=True))
    found = elementwise.RULES[name](CALL, *(raw(list(column)) for column in columns))
    right = function(*columns)
    assert found.dtype == (bool if right.dtype == bool else object)
    np.testing.assert_allclose(found if found.dtype == bool else floats(balls(found)), right, rtol=1e-13)


def test_numbers_of_complex_numbers():
    z = np.array([acb(3, -4), acb(-1, 0)], object)

    def of(name, *arrays):
        return [complex(v) for v in elementwise.RULES[name](CALL, *arrays)]

    assert of("real", z) == [3, -1] and of("imag", z) == [-4, 0] and of("abs", z) == [5, 1]
    assert of("conj", z) == [3 + 4j, -1] and of("complex", raw([1, 2]), raw([3, 4])) == [1 + 3j, 2 + 4j]
    np.testing.assert_allclose(of("sqrt", z), np.sqrt([3 - 4j, -1 + 0j]))
    np.testing.assert_allclose(of("sign", z), [0.6 - 0.8j, -1])
    np.testing.assert_allclose(of("pow", z, raw([2, 3])), [(3 - 4j) ** 2, -1], atol=1e-15)
    assert elementwise.RULES["eq"](CALL, z, raw([3, -1])).tolist() == [False, True]
    assert elementwise.RULES["ne"](CALL, z, raw([3, -1])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("number", "even", "away", "cut"), [(2.5, 2, 3, 2), (-2.5, -2, -3, -2), (1.5, 2, 2, 1), (-0.25, 0, 0, 0)]
)
def test_numbers_are_rounded_at_ties_and_cut_off(number, even, away, cut):
    number = arb(number)
    assert elementwise.rounded(number, True) == even and elementwise.rounded(number, False) == away
    assert elementwise.truncated(number) == cut


def test_edges_of_functions_of_numbers():
    nan, wide = arb("nan"), arb(1, 0.5)
    assert elementwise.LARGER(nan, arb(1)).is_nan() and elementwise.SMALLER(arb(1), nan).is_nan()
    assert elementwise.RULES["log"](CALL, raw([0]))[0] == arb("-inf")
    assert elementwise.exact(arb(3)) == 3
    for asked in (lambda: elementwise.exact(wide), lambda: elementwise.truncated(wide)):
        with pytest.raises(Undecided, match="too close to an integer"):
            asked()
    with pytest.raises(Undecided, match="whether NaN is finite"):
        elementwise.RULES["is_finite"](CALL, np.array([nan], object))
    assert elementwise.objects(arb(1)).shape == () and elementwise.lifted(abs)(raw([-2]))[0] == 2


# Movement, sums and loops.

MOVES = {
    "dot_general": (lambda a: lax.dot_general(a, a, (((1,), (1,)), ((), ()))), lambda a: a @ a.T),
    "dot_general in batches": (
        lambda a: lax.dot_general(a, a[:, ::-1], (((1,), (1,)), ((0,), (0,)))),
        lambda a: (a * a[:, ::-1]).sum(1),
    ),
    "a mask in a product": (lambda a: (a > 0) @ a.T, lambda a: (a > 0) @ a.T),
    "reduce_prod": (lambda a: a.prod(axis=0), lambda a: a.prod(axis=0)),
    "reduce_and": (lambda a: (a > -2).all(axis=1), lambda a: (a > -2).all(axis=1)),
    "iota": (lambda a: a + lax.broadcasted_iota(float, a.shape, 1), lambda a: a + np.arange(4)),
    "split": (lambda a: jnp.split(a, [1, 3], axis=1)[1], lambda a: a[:, 1:3]),
    "slice with strides": (lambda a: lax.slice(a, (0, 1), (3, 4), (2, 2)), lambda a: a[::2, 1::2]),
    "select of three": (
        lambda a: lax.select_n(jnp.clip(a.astype(int), 0, 2), a, 2 * a, 3 * a),
        lambda a: a * (1 + np.clip(np.trunc(a), 0, 2)),
    ),
    "scan from the end": (
        lambda a: lax.scan(lambda c, row: (c * row, c), jnp.ones(4), a, reverse=True)[1],
        lambda a: np.stack([a[1] * a[2], a[2], np.ones(4)]),
    ),
    "scan of nothing": (lambda a: lax.scan(lambda c, row: (c, row), a[0], a[:0])[1], lambda a: a[:0]),
    "while of each example": (
        lambda a: jax.vmap(lambda row: lax.while_loop(lambda r: r.sum() < 9, lambda r: r + 1, row))(a),
        lambda a: np.stack([row + max(0, np.ceil((9 - row.sum()) / 4)) for row in a]),
    ),
    "cond beyond its branches": (
        lambda a: lax.switch(7, [lambda a: a, lambda a: -a], a) + lax.switch(-7, [lambda a: a, lambda a: -a], a),
        lambda a: 0 * a,
    ),
    "cast to truth": (lambda a: a.astype(bool), lambda a: a != 0),
    "cast to integers": (lambda a: a.astype(int), lambda a: a.astype(int)),
    "rev and transpose": (lambda a: lax.rev(a, (0,)).T, lambda a: a[::-1].T),
}


@pytest.mark.parametrize("name", MOVES)
def test_movement_sums_and_loops(name):
    mine, right = MOVES[name]
    found = run(mine, A)
    assert found.shape == right(A).shape
    np.testing.assert_allclose(found, right(A), rtol=1e-14)


def test_what_is_chosen_and_multiplied():
    system, a = Reals(), raw(A)
    chosen = primitives.choose(system, np.array([[2], [0], [1]]), a, 2 * a, 3 * a)
    np.testing.assert_array_equal(floats(balls(chosen)), A * [[3], [1], [2]])
    np.testing.assert_allclose(floats(balls(primitives.product(system, a, 1))), A.prod(axis=1))
    assert primitives.move(system, np.transpose, np.arange(3)).tolist() == [0, 1, 2]
    assert primitives.as_value(system, np.array([True]))[0] == 1 and primitives.as_value(system, a) is a


# Positions.


def padded(a, config, fill):
    """lax.pad along each axis, entry by entry."""
    for axis, (low, high, between) in enumerate(config):
        a = np.moveaxis(a, axis, 0)
        empty, rows = [np.full(a.shape[1:], fill)], []
        for i, entry in enumerate(a):
            rows += [*empty * (between if i else 0), entry]
        rows = empty * max(low, 0) + rows[max(-low, 0) : len(rows) - max(-high, 0)] + empty * max(high, 0)
        a = np.moveaxis(np.stack(rows), 0, axis)
    return a


@pytest.mark.parametrize("config", [((1, 2, 0), (0, 0, 1)), ((-1, 1, 2), (2, -3, 0)), ((0, 0, 0), (-1, -1, 1))])
def test_padding_puts_in_and_cuts_off(config):
    np.testing.assert_array_equal(run(lambda a: lax.pad(a, 7.0, config), A), padded(A, config, 7.0))


@pytest.mark.parametrize("start", [(0, 0), (1, 2), (-5, 9)])
def test_a_region_is_moved_inside(start):
    row, column = min(max(start[0], 0), 1), min(max(start[1], 0), 2)
    np.testing.assert_array_equal(
        run(lambda a: lax.dynamic_slice(a, start, (2, 2)), A), A[row : row + 2, column : column + 2]
    )
    right = A.copy()
    right[row : row + 2, column : column + 2] = -9
    np.testing.assert_array_equal(run(lambda a: lax.dynamic_update_slice(a, -9 * jnp.ones((2, 2)), start), A), right)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "max", "min", "set"])
def test_updates_that_land_at_one_entry_are_combined(name):
    at, values = np.array([2, 0, 2, 9, 0, 1, 2]), A.ravel()[:7]  # 9 lies outside, and is dropped
    ufunc = {"max": np.maximum, "min": np.minimum}.get(name) or getattr(np, name, None)
    right = A[0].copy()
    for i, value in zip(at, values, strict=True):
        if i < 4:
            right[i] = value if name == "set" else ufunc(right[i], value)
    found = run(lambda a, v: getattr(a.at[at], name)(v, mode="drop"), A[0], values)
    np.testing.assert_allclose(found, right, rtol=1e-15)


def test_entries_outside_are_filled_clipped_or_no_number():
    at = np.array([-9, 1, 9])

    def got(mode, fill):
        return run(lambda a: a.at[at].get(mode=mode, fill_value=fill, wrap_negative_indices=False), A[0])

    given = [got("fill", 7), got("clip", None), got("fill", None)]
    np.testing.assert_array_equal(given, [[7, -1.25, 7], [0.5, -1.25, 0.75], [np.nan, -1.25, np.nan]])


def test_windows_are_reduced_and_a_cotangent_goes_to_the_largest():
    def windows(a, f, start):
        return [[f(a[i : i + 2, j : j + 2]) for j in range(0, 3, 2)] for i in range(2)]

    for op, f, start in ((lax.add, np.sum, 0.0), (lax.max, np.max, -np.inf), (lax.min, np.min, np.inf)):
        found = run(lambda a, op=op, start=start: lax.reduce_window(a, start, op, (2, 2), (1, 2), "VALID"), A)
        np.testing.assert_allclose(found, windows(A, f, start))

    def pooled(a):
        return (lax.reduce_window(a, -jnp.inf, lax.max, (2, 2), (1, 2), "VALID") * jnp.array([[1.0, 2], [4, 8]])).sum()

    right = np.zeros(A.shape)
    for i, j, g in ((0, 0, 1), (0, 2, 2), (1, 0, 4), (1, 2, 8)):
        k, n = np.unravel_index(A[i : i + 2, j : j + 2].argmax(), (2, 2))
        right[i + k, j + n] += g
    np.testing.assert_array_equal(run(jax.grad(pooled), A), right)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_its_sums(groups):
    image, kernel = np.arange(24.0).reshape(1, 2, 3, 4) / 4, (np.arange(16.0).reshape(2, 2, 2, 2) - 7)[:, : 2 // groups]
    right = np.zeros((1, 2, 2, 2))
    for out, i, j in np.ndindex(2, 2, 2):
        part = (
            image[0, :, i : i + 2, 2 * j : 2 * j + 2] if groups == 1 else image[0, [out], i : i + 2, 2 * j : 2 * j + 2]
        )
        right[0, out, i, j] = (part * kernel[out]).sum()
    found = run(lambda a, k: lax.conv_general_dilated(a, k, (1, 2), "VALID", feature_group_count=groups), image, kernel)
    np.testing.assert_allclose(found, right)
    assert positions.RULES is primitives.RULES
    follow = positions.follow(Reals(), np.array([3, 0]), raw([1, 2]), raw([5, 6]))
    assert list(map(float, follow)) == [6, 1]


# Decompositions.


def test_decompositions_are_numpys():
    np.testing.assert_allclose(run(lambda a: lax.linalg.cholesky(a, symmetrize_input=False), S), np.linalg.cholesky(S))
    nothing = run(lambda a: lax.linalg.cholesky(a, symmetrize_input=False), S - np.diag([0.0, 0, 9]))
    assert np.isnan(nothing[np.tril_indices(3)]).all()
    factors, pivots, permutation = run(lax.linalg.lu, Q)
    right, places = scipy.linalg.lu_factor(Q)
    np.testing.assert_allclose(factors, right, rtol=1e-14)
    assert pivots.tolist() == places.tolist() and sorted(permutation.tolist()) == [0, 1, 2]
    vectors, values = run(lax.linalg.eigh, S)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, S, rtol=1e-12)
    np.testing.assert_allclose(run(lambda a: jnp.linalg.svd(a, compute_uv=False), A), np.linalg.svd(A)[1], rtol=1e-13)
    q, r = run(lambda a: lax.linalg.qr(a, full_matrices=False), A.T)
    np.testing.assert_allclose(q @ r, A.T, atol=1e-14)
    np.testing.assert_allclose(run(jax.scipy.linalg.expm, Q), scipy.linalg.expm(Q), rtol=1e-12)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangles_are_solved_on_both_sides(left, lower, transposed, unit):
    triangle = np.tril(Q) if lower else np.triu(Q)
    triangle = triangle - unit * np.diag(np.diag(Q) - 1)
    triangle = triangle.T if transposed else triangle
    options = {"left_side": left, "lower": lower, "transpose_a": transposed, "unit_diagonal": unit}
    found = run(lambda a, b: lax.linalg.triangular_solve(a, b, **options), Q, S)
    np.testing.assert_allclose(triangle @ found if left else found @ triangle, S, rtol=1e-12)


def test_fourier_transforms_of_jax_are_numpys():
    found = run(lambda a: jnp.stack([jnp.fft.fft2(a).real, jnp.fft.fft2(a).imag]), A)
    np.testing.assert_allclose(found[0] + 1j * found[1], np.fft.fft2(A), atol=1e-14)
    np.testing.assert_allclose(run(lambda a: jnp.fft.irfft2(jnp.fft.rfft2(a), s=(3, 4)), A), A, atol=1e-14)
    np.testing.assert_allclose(run(lambda a: jnp.fft.rfft(a, n=5).imag, A), np.fft.rfft(A, 5).imag, atol=1e-14)


def test_flints_numbers_become_balls_and_back():
    whole = np.array([acb(1, 2), arb(3)], object)
    assert decompositions.any_complex(whole) and not decompositions.any_complex(raw([1]))
    there = decompositions.numbers_of(whole)
    assert [complex(v) for v in decompositions.flints(there)] == [1 + 2j, 3]
    assert decompositions.flints(balls([2]))[0] == 2 and type(decompositions.numbers_of(raw([2]))[0]) is Ball
    assert flint.ctx.prec == 256
