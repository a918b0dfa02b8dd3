"""Linear algebra and Fourier transforms over balls: the equations of the textbook to 60 digits, edges, slopes."""

import numpy as np
import pytest
import scipy.linalg

from twolayer.verification.numbers.balls import Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.complexes import Complex, joined, parts
from twolayer.verification.numbers.recorded import Recorded, gradient
from twolayer.verification.programs import fourier, linear

A = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, -0.75], [1.0, 0.5, 1.5]])
S = A @ A.T
TALL = np.array([[1.0, 2.0], [-0.5, 0.25], [3.0, -1.0], [0.0, 1.5]])
B = np.array([[1.0, -2.0], [0.5, 4.0], [-3.0, 0.25]])
TINY = 1e-60


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def away(a, b):
    """The largest difference of two arrays of balls, its radius included."""
    gaps = [abs(Ball(g).v).upper() for part in parts(a - b) if part is not None for g in np.ravel(part)]
    return max(map(float, gaps))


def test_systems_are_solved_and_singular_ones_are_said():
    a, b = balls(A), balls(B)
    assert away(a @ linear.solve(a, b), b) < TINY
    assert floats(linear.solve(balls([[4]]), balls([[2]]))) == 0.5
    flipped = balls([[0, 1], [1, 0]])  # the first pivot is 0
    np.testing.assert_array_equal(floats(linear.solve(flipped, balls([[1], [2]]))), [[2], [1]])
    for matrix in ([[1, 2], [2, 4]], [[0]]):
        with pytest.raises(linear.Singular):
            linear.solve(balls(matrix), balls(np.ones((len(matrix), 1), int)))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_of_a_triangle_the_other_half_is_not_read(lower, unit):
    mine = linear.solve_triangular(balls(A), balls(B), lower, unit)
    right = scipy.linalg.solve_triangular(A, B, lower=lower, unit_diagonal=unit)
    np.testing.assert_allclose(floats(mine), right, rtol=1e-13)


def test_the_form_of_gauss_is_upper_triangular_and_knows_its_sign():
    upper, _, sign = linear.eliminated(balls(A[[1, 0, 2]]), balls(B))
    assert floats(np.tril(upper, -1)).max() < 1e-15 and sign == -1
    np.testing.assert_allclose(float(np.prod(np.diagonal(upper)).v) * sign, -np.linalg.det(A), rtol=1e-13)


def test_cholesky_multiplies_to_its_matrix_and_gives_no_number_without_one():
    factor = linear.cholesky(balls(S + np.triu(np.full((3, 3), 9.0), 1)))  # the upper triangle is not read
    assert away(factor @ factor.T, balls(S)) < TINY and floats(factor)[0, 2] == 0
    assert not linear.cholesky(balls([[1, 2], [2, 1]]))[1, 1].v.is_finite()
    assert floats(linear.cholesky(balls([[9]]))) == 3
    hermitian = np.array([[Complex(2), Complex(0, -1)], [Complex(0, 1), Complex(2)]], object)
    root = linear.cholesky(hermitian)
    assert away(root @ np.conjugate(root.T), hermitian) < TINY


def test_lu_takes_the_largest_pivot_of_each_column():
    factors, pivots, permutation = linear.lu(balls(TALL))
    lower = np.tril(floats(factors), -1) + np.eye(4, 2)
    np.testing.assert_allclose(lower @ np.triu(floats(factors)[:2]), TALL[permutation], atol=1e-15)
    assert pivots.tolist() == [2, 2] and permutation.tolist() == [2, 0, 1, 3] and abs(lower).max() == 1


def test_eigenvalues_and_vectors():
    values, x = linear.eigh(balls(S))
    assert away(balls(S) @ x, x * values) < TINY and away(x.T @ x, linear.unit(3)) < TINY
    np.testing.assert_allclose(floats(values), np.linalg.eigvalsh(S), rtol=1e-13)
    for lower, triangle in ((True, np.tril(S)), (False, np.triu(S))):
        assert away(linear.eigh(balls(triangle), lower)[0], values) < TINY
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])  # i and -i
    values, x = linear.eigen(balls(turn), np.linalg.eig(turn)[1])
    assert away(balls(turn) @ x, x * values) < TINY
    assert sorted(float(v.im.v) for v in values) == pytest.approx([-2, 2])
    with pytest.raises(Undecided, match="not finite"):
        linear.eigen(balls(S), np.full((3, 3), np.nan))


def test_the_slope_of_an_eigenvalue_is_the_product_of_its_vector():
    a = balls(S, Recorded)
    values, x = linear.eigh(a)
    (slope,) = gradient(values[2], [a])
    v = floats(x[:, 2])
    np.testing.assert_allclose(np.tril(floats(slope)), np.tril(np.outer(v, v) * (2 - np.eye(3))), rtol=1e-12)


@pytest.mark.parametrize("matrix", [A, TALL, TALL.T], ids=["square", "tall", "wide"])
@pytest.mark.parametrize("full", [False, True])
def test_svd_and_qr_multiply_to_their_matrix_with_orthonormal_columns(matrix, full):
    a, k = balls(matrix), min(matrix.shape)
    u, s, vt = linear.svd(a, full)
    assert away(u[:, :k] * s @ vt[:k], a) < TINY and u.shape[1] == (len(matrix) if full else k)
    assert away(u.T @ u, linear.unit(u.shape[1])) < TINY and away(vt @ vt.T, linear.unit(len(vt))) < TINY
    q, r = linear.qr(a, full)
    assert away(q @ r, a) < TINY and away(q.T @ q, linear.unit(q.shape[1])) < TINY
    np.testing.assert_allclose(floats(r), np.linalg.qr(matrix, "complete" if full else "reduced")[1], atol=1e-13)


def test_the_exponential_and_the_square_root():
    for matrix in (A, 20 * A, 0 * A):
        np.testing.assert_allclose(floats(linear.expm(balls(matrix))), scipy.linalg.expm(matrix), rtol=1e-10)
    assert away(linear.expm(balls(A)) @ linear.expm(balls(-A)), linear.unit(3)) < 1e-55
    root = linear.sqrtm(balls(S))
    assert away(root @ root, balls(S)) < TINY and (np.linalg.eigvals(floats(root)) > 0).all()


def test_a_function_of_matrices_runs_along_the_leading_axes():
    stack = balls(np.stack([A, S, A.T]).reshape(3, 1, 3, 3))
    found = linear.along(linear.solve, stack, balls(np.stack([B, 2 * B])))
    assert found.shape == (3, 2, 3, 2)
    np.testing.assert_allclose(floats(found[1, 1]), np.linalg.solve(S, 2 * B), rtol=1e-12)
    values, vectors = linear.along(linear.eigh, balls(np.stack([S, 2 * S])))
    assert values.shape == (2, 3) and vectors.shape == (2, 3, 3)
    assert away(2 * values[0], values[1]) < TINY


def test_middles_and_floats():
    whole = np.array([Complex(1, 2), Ball(3)], object)
    assert linear.as_floats(whole).tolist() == [1 + 2j, 3] and linear.as_floats(balls(B)).dtype == np.float64
    assert type(linear.middles(balls(B, Recorded))[0, 0]) is Ball


# The Fourier transform.


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_fourier_transforms_are_numpys(n, axis):
    z = TALL + 0.5j * TALL[::-1]
    mine = joined(balls(TALL), balls(TALL[::-1] / 2))
    for inverse, right in ((False, np.fft.fft), (True, np.fft.ifft)):
        for given, array in ((mine, z), (balls(TALL), TALL)):
            found = fourier.transform(given, n, axis, inverse)
            np.testing.assert_allclose(linear.as_floats(found), right(array, n, axis), atol=1e-14)
    first = fourier.transform(mine, n, axis, count=1)
    np.testing.assert_allclose(linear.as_floats(first), np.fft.fft(z, n, axis).take([0], axis), atol=1e-14)
    np.testing.assert_allclose(linear.as_floats(fourier.to_half(balls(TALL), n, axis)), np.fft.rfft(TALL, n, axis))
    np.testing.assert_allclose(floats(fourier.from_half(mine, n, axis)), np.fft.irfft(z, n, axis), atol=1e-14)


def test_a_transform_and_its_inverse_give_back_what_was_there():
    there = fourier.transform(balls(TALL), 4, 0)
    assert away(fourier.transform(there, 4, 0, inverse=True), balls(TALL)) < TINY
    for n in (4, 5):
        x = balls(np.arange(n) ** 2)
        assert away(fourier.from_half(fourier.to_half(x, n, 0), n, 0), x) < TINY


def test_the_slopes_of_a_transform_are_the_cosines():
    x = balls(TALL[:, 0], Recorded)
    (slope,) = gradient(fourier.transform(x, 4, 0)[1].re, [x])
    np.testing.assert_allclose(floats(slope), np.cos(2 * np.pi * np.arange(4) / 4), atol=1e-15)
