"""The core of np.linalg over balls, by their NumPy signatures (programs/linear.py has the mathematics).

The rest, as norm, pinv, cond or matrix_power, is NumPy's own Python on top of these.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.linalg import _linalg as results

from twolayer.verification.programs import linear
from twolayer.verification.programs.stand_ins.arrays import Array, apply, lift, plain
from twolayer.verification.programs.stand_ins.one_number import ball


def _each(core: Callable, *arrays: Any, square: bool = True) -> Any:
    """A function of matrices along the leading axes of stacks; it may return several arrays."""
    stacks = [np.asarray(lift(a)) for a in arrays]
    if stacks[0].ndim < 2:
        raise LinAlgError(f"{stacks[0].ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and stacks[0].shape[-1] != stacks[0].shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    try:
        return _seen(linear.along(core, *stacks))
    except linear.Singular:
        raise LinAlgError("Singular matrix") from None


def _seen(value: Any) -> Any:
    """Results as people's code shall see them."""
    if isinstance(value, tuple):
        return tuple(map(_seen, value))
    return value.view(Array) if isinstance(value, np.ndarray) else value


def solve(a: Any, b: Any) -> Any:
    """x with a x = b."""
    if np.ndim(plain(b)) == 1:
        return _each(linear.solve, a, np.asarray(lift(b))[:, None])[..., 0]
    return _each(linear.solve, a, b)


def inv(a: Any) -> Any:
    """The inverse matrix."""
    return _each(lambda m: linear.solve(m, linear.unit(len(m))), a)


def det(a: Any) -> Any:
    """The determinant: the product of the pivots."""

    def of_matrix(m: np.ndarray) -> Any:
        upper, _, sign = linear.eliminated(m, m)
        return np.prod(np.diagonal(upper)) * ball(sign)

    return _each(of_matrix, a)


def slogdet(a: Any) -> Any:
    """Sign and logarithm of the determinant."""
    value = det(a)
    size = apply(np.log, "__call__", (abs(value),))
    return results.SlogdetResult(apply(np.sign, "__call__", (value,)), size)


def _cholesky(a: np.ndarray) -> np.ndarray:
    lower = linear.cholesky(a)
    if not all(pivot.v.is_finite() and pivot > 0 for pivot in np.diagonal(lower)):
        raise LinAlgError("Matrix is not positive definite")
    return lower


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """The lower triangular L with L L' = a; or U = L', of the upper triangle of a."""
    if upper:
        return np.swapaxes(_each(_cholesky, np.swapaxes(lift(a), -1, -2)), -1, -2)
    return _each(_cholesky, a)


def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues in ascending order and orthonormal vectors of a symmetric matrix, of which one triangle is read."""
    return results.EighResult(*_each(lambda m: linear.eigh(m, UPLO.upper() == "L"), a))


def eig(a: Any) -> Any:
    """Eigenvalues and vectors of length one, complex where one of the eigenvalues is."""
    return results.EigResult(*_each(lambda m: linear.eigen(m, np.linalg.eig(linear.as_floats(m))[1]), a))


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """u, s, vt with a = u s vt."""
    found = _each(lambda m: linear.svd(m, full_matrices and compute_uv), a, square=False)
    return results.SVDResult(*found) if compute_uv else found[1]


def qr(a: Any, mode: str = "reduced") -> Any:
    """q, r with a = q r."""
    q, r = _each(lambda m: linear.qr(m, mode == "complete"), a, square=False)
    return r if mode == "r" else results.QRResult(q, r)


def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple:
    """The least squares solution by the normal equations; of a matrix of full rank."""
    a, right = np.asarray(lift(a)), np.asarray(lift(b))
    m, n = a.shape
    x = solve(a.T @ a, a.T @ right) if m >= n else a.T @ solve(a @ a.T, right)
    away = right - a @ x
    squares = np.atleast_1d((away * away).sum(axis=0)) if m > n else np.zeros(0)
    return np.asarray(x).view(Array), squares.view(Array), min(m, n), svd(a, compute_uv=False)


def expm(a: Any) -> Any:
    """The exponential of a matrix."""
    return _each(linear.expm, a)


def sqrtm(a: Any, **options: Any) -> Any:
    """The principal square root of a matrix."""
    return _each(linear.sqrtm, a)


_CORE = (solve, inv, det, slogdet, cholesky, eigh, eig, svd, qr, lstsq)
FUNCTIONS: dict[str, Callable] = {f.__name__: f for f in _CORE}
FUNCTIONS |= {"eigvalsh": lambda a, UPLO="L": eigh(a, UPLO)[0], "eigvals": lambda a: eig(a)[0]}
