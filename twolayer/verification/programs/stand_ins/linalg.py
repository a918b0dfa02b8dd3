"""NumPy's linalg over balls, by elimination: small matrices, exact up to the radius of the balls."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins.arrays import Array, apply, ball, lift, plain


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A vector's norm of any order, or a matrix's Frobenius, 1- or infinity-norm."""
    x = lift(x)
    if axis is None and (ord is None or np.ndim(x) == 1):
        kept, x, axis = (1,) * np.ndim(x), np.ravel(x), 0
        value = _vector_norm(x, 2 if ord is None else ord, 0, False)
        return np.full(kept, value, object).view(Array) if keepdims else value
    axis = tuple(range(np.ndim(x))) if axis is None else axis
    if isinstance(axis, int) or len(axis) == 1:
        return _vector_norm(x, 2 if ord is None else ord, axis, keepdims)
    if ord in (None, "fro"):
        return _vector_norm(x, 2, tuple(axis), keepdims)
    if ord in (1, -1, np.inf, -np.inf) and not keepdims:
        rows = axis[0] if abs(ord) == 1 else axis[1]
        rest = axis[1] if abs(ord) == 1 else axis[0]
        sums = apply(np.add, "reduce", (abs(x),), axis=rows, keepdims=True)
        return np.squeeze(
            apply(np.maximum if ord > 0 else np.minimum, "reduce", (sums,), axis=rest, keepdims=True), axis
        )[()]
    raise NotJudged(f"np.linalg.norm with ord={ord!r} of a matrix")


def _vector_norm(x: np.ndarray, order: Any, axis: Any, keepdims: bool) -> Any:
    options = {"axis": axis, "keepdims": keepdims}
    if order in (np.inf, -np.inf):
        return apply(np.maximum if order > 0 else np.minimum, "reduce", (abs(x),), **options)
    if order == 0:
        return apply(np.add, "reduce", (x != ball(0),), **options)
    if order == 1:
        return apply(np.add, "reduce", (abs(x),), **options)
    total = apply(np.add, "reduce", (x * x if order == 2 else abs(x) ** ball(order),), **options)
    return apply(np.sqrt, "__call__", (total,)) if order == 2 else total ** (ball(1) / order)


def _of_each(of_matrix: Callable, *arrays: Any) -> Any:
    """For stacks of matrices, and of right sides."""
    arrays = [np.asarray(lift(a)) for a in arrays]
    if arrays[0].ndim == 2:
        result = of_matrix(*arrays)
    else:
        results = [of_matrix(*(a[i] for a in arrays)) for i in np.ndindex(arrays[0].shape[:-2])]
        shape = arrays[0].shape[:-2]
        result = np.empty(shape + np.shape(results[0]), object)
        for i, r in zip(np.ndindex(shape), results, strict=True):
            result[i] = r
    return result.view(Array) if isinstance(result, np.ndarray) else result


def _square(a: np.ndarray) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


def _eliminated(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Upper triangular form of (a, b), rows exchanged for the largest pivot, and the sign of the exchange."""
    _square(a)
    a, b, sign = a.copy(), b.copy(), 1
    for k in range(len(a)):
        pivot = k + max(range(len(a) - k), key=lambda i: abs(float(a[k + i, k].v.mid())))
        if pivot != k:
            a[[k, pivot]], b[[k, pivot]], sign = a[[pivot, k]], b[[pivot, k]], -sign
        for i in range(k + 1, len(a)):
            if a[k, k] != 0:
                factor = a[i, k] / a[k, k]
                a[i, k:] = a[i, k:] - factor * a[k, k:]
                b[i] = b[i] - factor * b[k]
    return a, b, sign


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b, _ = _eliminated(a, b)
    out = b.copy()
    for k in reversed(range(len(a))):
        if not a[k, k] != 0:
            raise np.linalg.LinAlgError("Singular matrix")
        rest = a[k, k + 1 :] @ out[k + 1 :] if k + 1 < len(a) else 0
        out[k] = (b[k] - rest) / a[k, k]
    return out


def solve(a: Any, b: Any) -> Any:
    if np.ndim(plain(a)) > 2 and np.ndim(plain(b)) == 1:
        b = np.broadcast_to(lift(b), np.shape(plain(a))[:-1])
    return _of_each(_solve, a, b)


def inv(a: Any) -> Any:
    return _of_each(lambda m: _solve(m, lift(np.eye(len(m), dtype=int))), a)


def det(a: Any) -> Any:
    def of_matrix(m: np.ndarray) -> Ball:
        upper, _, sign = _eliminated(m, m)
        return np.prod(np.diagonal(upper)) * ball(sign)

    return _of_each(of_matrix, a)


def slogdet(a: Any) -> Any:
    value = det(a)
    return apply(np.sign, "__call__", (value,)), apply(np.log, "__call__", (abs(value),))


def _cholesky(a: np.ndarray) -> np.ndarray:
    _square(a)
    lower = lift(np.zeros(a.shape, int))
    for i in range(len(a)):
        for j in range(i + 1):
            rest = a[i, j] - (lower[i, :j] @ lower[j, :j] if j else 0)
            if i == j and not rest > 0:
                raise np.linalg.LinAlgError("Matrix is not positive definite")
            lower[i, j] = rest.sqrt() if i == j else rest / lower[j, j]
    return lower


def cholesky(a: Any, upper: bool = False) -> Any:
    lower = _of_each(_cholesky, a)
    return np.swapaxes(lower, -1, -2) if upper else lower


def matrix_power(a: Any, n: int) -> Any:
    base = inv(a) if n < 0 else lift(a)
    out = lift(np.broadcast_to(np.eye(base.shape[-1], dtype=int), base.shape))
    for _ in range(abs(n)):
        out = apply(np.matmul, "__call__", (out, base))
    return out.view(Array)


def pinv(a: Any, rcond: Any = None, **options: Any) -> Any:
    """By the normal equations: of full rank, or they say that the matrix is singular."""
    if options or (rcond is not None and not ball(rcond) < 1e-6):
        raise NotJudged("np.linalg.pinv that leaves singular values out")
    a = lift(a)
    square = a.T @ a if a.shape[0] >= a.shape[1] else a @ a.T
    return apply(np.matmul, "__call__", (inv(square), a.T) if a.shape[0] >= a.shape[1] else (a.T, inv(square)))


FUNCTIONS: dict[str, Callable] = {f.__name__: f for f in (norm, solve, inv, det, slogdet, cholesky, matrix_power, pinv)}
