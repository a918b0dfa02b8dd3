"""Linear algebra on object arrays of balls, real or complex, as the textbook has it; one matrix at a time.

Eigenvalues start from those of floats and are improved by an iteration that doubles the digits. Its last step runs on
the numbers themselves, so they know how they depend on the matrix: the derivative of one step at the solution is that
of the solution. Where eigenvalues are equal their vectors are no function of the matrix, and have no derivative.
"""

import itertools
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, Undecided, arb, array_of, balls, each, floats
from twolayer.verification.numbers.complexes import Complex, joined, parts

STEPS = 12  # from the 50 bits of floats, doubled each time: enough for any precision here
EQUAL = 2.0**-40  # eigenvalues so near to each other, relative, are taken as equal


class Singular(ArithmeticError):
    """A pivot is zero, as far as is known."""


def along(f: Callable[..., Any], *stacks: np.ndarray) -> Any:
    """A function of matrices, which returns one or several arrays, along the leading axes of stacks."""
    lead = np.broadcast_shapes(*(a.shape[:-2] for a in stacks))
    stacks = tuple(np.broadcast_to(a, lead + a.shape[-2:]) for a in stacks)
    found = [f(*(a[at] for a in stacks)) for at in np.ndindex(lead)]
    if not lead:
        return found[0]
    if isinstance(found[0], tuple):
        return tuple(np.stack(part).reshape(lead + np.shape(part[0])) for part in zip(*found, strict=True))
    return np.stack(found).reshape(lead + np.shape(found[0]))


def unit(n: int) -> np.ndarray:
    """The unit matrix."""
    return balls(np.eye(n, dtype=int))


def _size(value: Ball) -> float:
    """The larger of the absolute values of the real and the imaginary part, in a float."""
    parts = (value.re, value.im) if isinstance(value, Complex) else (value,)
    return max(abs(float(part.v.mid())) for part in parts)


def eliminated(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Upper triangular form of (a, b), rows exchanged for the largest pivot, and the sign of the exchange."""
    a, b, sign = a.copy(), b.copy(), 1
    for k in range(len(a)):
        pivot = k + max(range(len(a) - k), key=lambda i: _size(a[k + i, k]))
        if pivot != k:
            a[[k, pivot]], b[[k, pivot]], sign = a[[pivot, k]], b[[pivot, k]], -sign
        for i in range(k + 1, len(a)):
            if a[k, k] != 0:
                factor = a[i, k] / a[k, k]
                a[i, k:] = a[i, k:] - factor * a[k, k:]
                b[i] = b[i] - factor * b[k]
    return a, b, sign


def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x with a x = b.

    Raises:
      Singular: there is none, or many.
    """
    a, b, _ = eliminated(a, b)
    if not all(pivot != 0 for pivot in np.diagonal(a)):
        raise Singular
    return solve_triangular(a, b, lower=False)


def solve_triangular(a: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool = False) -> np.ndarray:
    """x with a x = b, of a only the lower (or upper) triangle."""
    n, x = len(a), np.array(b)
    for i in range(n) if lower else reversed(range(n)):
        for j in range(i) if lower else range(i + 1, n):
            x[i] = x[i] - a[i, j] * x[j]
        if not unit_diagonal:
            x[i] = x[i] / a[i, i]
    return x


def cholesky(a: np.ndarray) -> np.ndarray:
    """The lower L with L L' = a, of which the lower triangle is read; NaN where a is not positive definite."""
    n, factor = len(a), balls(np.zeros(a.shape, int))
    for j in range(n):
        for i in range(j, n):
            rest = a[i, j] - (factor[i, :j] @ np.conjugate(factor[j, :j]) if j else 0)
            factor[i, j] = rest.real.sqrt() if i == j else rest / factor[j, j]
    return factor


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L and U in one (m, n) matrix, the row taken in each step, and the permutation of rows; largest pivots first."""
    a = np.array(a)
    m, n = a.shape
    pivots, permutation = np.arange(min(m, n)), np.arange(m)
    for k in range(min(m, n)):
        best = k
        for i in range(k + 1, m):
            best = i if abs(a[i, k]) > abs(a[best, k]) else best
        pivots[k] = best
        a[[k, best]], permutation[[k, best]] = a[[best, k]], permutation[[best, k]]
        for i in range(k + 1, m):
            a[i, k] = a[i, k] / a[k, k]
            a[i, k + 1 :] = a[i, k + 1 :] - a[i, k] * a[k, k + 1 :]
    return a, pivots, permutation


def middles(a: np.ndarray) -> np.ndarray:
    """The midpoints, as numbers of their own that no one asks how they were made."""
    found = [each(lambda v: Ball(v.v.mid()), part) for part in parts(a) if part is not None]
    return joined(*found) if len(found) > 1 else found[0]


def as_floats(a: np.ndarray) -> np.ndarray:
    """The nearest floats, or complex ones."""
    re, im = parts(a)
    return floats(re) if im is None else floats(re) + 1j * floats(im)


def _exactly(a: np.ndarray) -> np.ndarray:
    """Floats that were computed, and are no literals."""
    if a.dtype.kind == "c":
        return joined(_exactly(np.real(a)), _exactly(np.imag(a)))
    return each(lambda v: Ball(flint.arb(v)), a)


def _improved(a: np.ndarray, x: np.ndarray, known: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """One Newton step for the eigenvectors x (columns) of a: eigenvalues, vectors, and how far it went."""
    n, moved = len(a), 0.0
    s: list[list[Ball]] = solve(x, a @ x).tolist()
    step = [[Ball(0)] * n for _ in range(n)]
    for i, j in itertools.permutations(range(n), 2):
        gap, size = s[j][j] - s[i][i], max(_size(s[i][i]), _size(s[j][j]), 2.0**-900)
        if _size(gap) > EQUAL * size:
            step[i][j] = s[i][j] / gap
            moved = max(moved, _size(step[i][j]))
        elif not known:
            step[i][j] = _without_slope(s[i][j])
    values = array_of((n,), [s[i][i] for i in range(n)])
    return values, x + x @ array_of((n, n), list(itertools.chain(*step))), moved


def _without_slope(cause: Ball, value: Any = 0) -> Ball:
    """A value, zero unless given, that depends on a number in an unknown way."""
    if isinstance(cause, Complex):
        return _without_slope(cause.re, value) + _without_slope(cause.im)
    return type(cause).made(arb(value), (cause,), lambda: (flint.arb("nan"),))


def eigen(a: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, and vectors of length one as columns, from approximate vectors.

    Raises:
      Undecided: the iteration does not come to rest.
    """
    if not np.isfinite(start).all():
        raise Undecided("eigenvalues of a matrix that is not finite")
    point, x = middles(a), _exactly(start)
    for _ in range(STEPS):
        _, x, moved = _improved(point, x, True)
        x = middles(x)
        if moved <= 2.0 ** -(0.6 * flint.ctx.prec):
            break
    else:
        raise Undecided("eigenvalues that are nearly equal")
    values, x, _ = _improved(a, x, False)
    return values, x / np.sqrt((x * np.conjugate(x)).sum(axis=0))


def eigh(a: np.ndarray, lower: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues in ascending order and orthonormal vectors of a symmetric matrix, of which one triangle is read."""
    half = np.tril(a, -1) if lower else np.triu(a, 1)
    a = half + np.conjugate(half.T) + np.diag([v.real for v in np.diagonal(a).tolist()])
    values, x = eigen(a, np.linalg.eigh(as_floats(a))[1])
    return array_of(values.shape, [v.real for v in values.tolist()]), x


def _norm(v: np.ndarray) -> Ball:
    return (v * v).sum().sqrt()


def _completed(q: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Orthonormal columns, and those after them in `start`: which ones is not said by the matrix."""
    columns = list(each(lambda v: Ball(v.v), q.T))
    for column in start.T[len(columns) :]:
        rest = _exactly(column)
        for _ in range(2):
            for other in columns:
                rest = rest - (rest @ other) * other
        columns.append(rest / _norm(rest))
    more = each(lambda v: _without_slope(q[0, 0], v), np.array(columns[q.shape[1] :], object).T)
    return np.concatenate([q, more], axis=1) if more.size else q


def svd(a: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, s, v' from the eigenvalues of a' a, or of a a' where that is smaller; the signs are those of floats."""
    k = min(a.shape)
    u, _, vt = np.linalg.svd(as_floats(a))
    wide = a.shape[0] < a.shape[1]
    tall, start, other = (a.T, u, vt.T) if wide else (a, vt.T, u)
    values, v = eigen(tall.T @ tall, start)
    s = array_of(values.shape, [w.sqrt() for w in values.tolist()])
    w = (tall @ v) / s
    w = _completed(w, other) if full else w[:, :k]
    return (v, s, w.T) if wide else (w, s, v.T)


def qr(a: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray]:
    """q, r by Gram and Schmidt, with the signs that floats get."""
    start, upper = np.linalg.qr(as_floats(a), mode="complete")
    columns: list = []
    for sign, column in zip(np.sign(np.diagonal(upper)), a.T, strict=False):
        for other in columns:
            column = column - (column @ other) * other
        columns.append(column / (_norm(column) * Ball(int(sign or 1))))
    q = np.array(columns, object).T
    q = _completed(q, start) if full else q
    return q, q.T @ a * np.triu(np.ones((q.shape[1], a.shape[1]), int))


def householder(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LAPACK's qr: r, below its diagonal the vectors of reflections 1 - tau v v', first entry 1; a row of tau."""
    a, taus = np.array(a), []
    for k in range(min(a.shape)):
        x = a[k:, k]
        if all(v.v.is_zero() for v in x[1:].tolist()):
            taus.append(Ball(0))
            continue
        beta = _norm(x) * (-1 if x[0] >= 0 else 1)
        taus.append((beta - x[0]) / beta)
        v = np.concatenate([unit(1)[0], x[1:] / (x[0] - beta)])
        a[k:, k + 1 :] = a[k:, k + 1 :] - taus[-1] * np.outer(v, v @ a[k:, k + 1 :])
        a[k, k], a[k + 1 :, k] = beta, v[1:]
    return a, np.array([taus], object)


def reflected(a: np.ndarray, taus: np.ndarray, c: np.ndarray, transposed: bool = False) -> np.ndarray:
    """q c, or q' c, of the q that `householder` gives as vectors and factors."""
    c, n = np.array(c), taus.shape[1]
    for k in range(n) if transposed else reversed(range(n)):
        v = np.concatenate([unit(1)[0], a[k + 1 :, k]])
        c[k:] = c[k:] - taus[0, k] * np.outer(v, v @ c[k:])
    return c


def expm(a: np.ndarray) -> np.ndarray:
    """The exponential: the Taylor series of a / 2^k, squared k times."""
    halvings = max(0, int(np.frexp(np.abs(as_floats(a)).sum())[1])) + 16
    small, term, total = a / Ball(2**halvings), unit(len(a)), unit(len(a))
    for k in range(1, flint.ctx.prec // 16 + 4):
        term = term @ small / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def sqrtm(a: np.ndarray) -> np.ndarray:
    """The principal root r: by Denman's and Beavers' iteration, and a last step of Newton's, d r + r d = a - r r."""
    y, z, n = middles(a), unit(len(a)), len(a)
    for _ in range(STEPS * STEPS):
        before = y
        y, z = middles((y + solve(z, unit(n))) / 2), middles((z + solve(y, unit(n))) / 2)
        if max(map(_size, (y - before).ravel())) <= 2.0 ** -(0.9 * flint.ctx.prec) * max(map(_size, y.ravel())):
            break
    else:
        raise Undecided("the square root of a matrix")
    both = np.kron(y, unit(n)) + np.kron(unit(n), y.T)
    return y + solve(both, (a - y @ y).reshape(-1, 1)).reshape(n, n)
