"""The discrete Fourier transform over balls: the sums that define it, without scaling but for the inverse's 1 / n."""

import itertools

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, array_of
from twolayer.verification.numbers.complexes import joined, parts
from twolayer.verification.numbers.recorded import Recorded


def _angles(rows: int, columns: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi j k / n, as matrices."""
    known = [flint.arb.sin_cos_pi_fmpq(flint.fmpq(2 * i, n)) for i in range(n)]
    at = np.outer(np.arange(rows), np.arange(columns)) % n
    sines, cosines = (array_of((n,), [Ball(v[part]) for v in known])[at] for part in (0, 1))
    return cosines, sines


def _fitted(a: np.ndarray, n: int, axis: int) -> np.ndarray:
    """The axis last, cut off or filled with zeros to n entries."""
    a = np.moveaxis(a, axis, -1)[..., :n]
    missing = np.full((*a.shape[:-1], n - a.shape[-1]), Ball(0), object)
    return np.concatenate([a, missing], axis=-1) if missing.size else a


def _times(a: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """a @ matrix, of constants: each number of the result is made in one step of a whole row."""
    rows, columns = a.reshape(-1, a.shape[-1]), matrix.T
    kinds = {type(v) for v in rows.ravel().tolist()}
    if not rows.size or not columns.size or not kinds <= {Ball, Recorded}:
        return a @ matrix
    slopes = [tuple(v.v for v in column) for column in columns.tolist()]
    left, right = (flint.arb_mat(len(a), a.shape[1], [v.v for v in a.ravel().tolist()]) for a in (rows, matrix))
    products = (left * right).entries()
    cls = Recorded if Recorded in kinds else Ball
    pairs = itertools.product(map(tuple, rows.tolist()), slopes)
    made = [cls.made(v, row, lambda s=s: s) for v, (row, s) in zip(products, pairs, strict=True)]
    return array_of((*a.shape[:-1], len(slopes)), made)


def transform(a: np.ndarray, n: int, axis: int, inverse: bool = False, count: int | None = None) -> np.ndarray:
    """The sum of a[j] exp(-2 pi i j k / n), for all k or the first `count`; the inverse has + and 1 / n."""
    re, im = parts(_fitted(a, n, axis))
    cosines, sines = _angles(n, n if count is None else count, n)
    sines = sines if inverse else -sines
    real, imaginary = _times(re, cosines), _times(re, sines)
    if im is not None:
        real, imaginary = real - _times(im, sines), imaginary + _times(im, cosines)
    if inverse:
        real, imaginary = real / n, imaginary / n
    return np.moveaxis(joined(real, imaginary), -1, axis)


def to_half(a: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Of real numbers the frequencies up to n / 2."""
    return transform(a, n, axis, count=n // 2 + 1)


def from_half(a: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Back to n real numbers: each frequency but 0, and the last of an even number, stands for two."""
    half = n // 2 + 1
    re, im = parts(_fitted(a, half, axis))
    cosines, sines = _angles(half, n, n)
    weights = np.array([1 if k == 0 or 2 * k == n else 2 for k in range(half)], object)[:, None]
    found = _times(re, cosines * weights)
    if im is not None:
        found = found - _times(im, sines * weights)
    return np.moveaxis(found / n, -1, axis)
