"""Linear algebra on object arrays of numbers, as the textbook has it: triangular systems, Cholesky, LU."""

from collections.abc import Callable

import numpy as np


def each(f: Callable[..., tuple], *arrays: np.ndarray) -> list[np.ndarray]:
    """Apply a function of matrices, which returns a tuple, along all leading axes."""
    lead = arrays[0].shape[:-2]
    if not lead:
        return list(f(*arrays))
    found = [f(*(array[at] for array in arrays)) for at in np.ndindex(lead)]
    return [np.stack(parts).reshape(*lead, *parts[0].shape) for parts in zip(*found, strict=True)]


def solve_triangular(a: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool) -> np.ndarray:
    """X with a X = b, of a only the lower (or upper) triangle."""
    n, x = len(a), np.array(b)
    for i in range(n) if lower else reversed(range(n)):
        for j in range(i) if lower else range(i + 1, n):
            x[i] = x[i] - a[i, j] * x[j]
        if not unit_diagonal:
            x[i] = x[i] / a[i, i]
    return x


def cholesky(a: np.ndarray) -> tuple[np.ndarray]:
    """The lower L with L L^T = a, of which the lower triangle is read; the rest of L is zero."""
    n, factor = len(a), np.array(a) * 0
    for j in range(n):
        rest = a[j, j] - sum(factor[j, k] * factor[j, k] for k in range(j))
        factor[j, j] = rest.sqrt()
        for i in range(j + 1, n):
            rest = a[i, j] - sum(factor[i, k] * factor[j, k] for k in range(j))
            factor[i, j] = rest / factor[j, j]
    return (factor,)


def lu(a: np.ndarray, above: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L and U in one matrix, the row taken in each step, and the permutation of rows; largest pivots first.

    Args:
      a: (m, n).
      above: whether one number is larger than another.
    """
    a = np.array(a)
    m, n = a.shape
    pivots, permutation = np.arange(min(m, n)), np.arange(m)
    for k in range(min(m, n)):
        best = k
        for i in range(k + 1, m):
            best = i if above(abs(a[i, k]), abs(a[best, k])) else best
        pivots[k] = best
        a[[k, best]], permutation[[k, best]] = a[[best, k]], permutation[[best, k]]
        for i in range(k + 1, m):
            a[i, k] = a[i, k] / a[k, k]
            a[i, k + 1 :] = a[i, k + 1 :] - a[i, k] * a[k, k + 1 :]
    return a, pivots, permutation
