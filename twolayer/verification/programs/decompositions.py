"""JAX's linear algebra on the last two axes, and its Fourier transforms, on object arrays of FLINT's numbers."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import array_of, balls, raw
from twolayer.verification.numbers.complexes import joined, parts
from twolayer.verification.programs import fourier, linear
from twolayer.verification.programs.interpreter import Call, Rules, Value

RULES = Rules()
rule = RULES.rule


def any_complex(a: np.ndarray) -> bool:
    """Whether one of the numbers is complex."""
    return any(isinstance(v, flint.acb) for v in a.ravel().tolist())


def numbers_of(array: np.ndarray) -> np.ndarray:
    """FLINT's numbers as balls, real or complex."""
    if not any_complex(array):
        return balls(array)
    flat = [flint.acb(v) for v in array.ravel().tolist()]
    re, im = (balls([getattr(v, part) for v in flat]).reshape(array.shape) for part in ("real", "imag"))
    return joined(re, im)


def flints(array: np.ndarray) -> np.ndarray:
    """The other way."""
    re, im = parts(array)
    if im is None:
        return raw(array)
    pairs = zip(re.ravel().tolist(), im.ravel().tolist(), strict=True)
    return array_of(array.shape, [flint.acb(a.v, b.v) for a, b in pairs])


def _of_matrices(f: Callable[..., Any], *arrays: Value) -> list[np.ndarray]:
    """The arrays that a function of matrices returns, along all leading axes."""
    found = linear.along(f, *map(numbers_of, arrays))
    return [flints(a) if a.dtype == object else a for a in (found if isinstance(found, tuple) else (found,))]


def _as_nan(f: Callable) -> Callable:
    """Where there is no answer JAX gives NaN."""

    def of_matrix(a: np.ndarray) -> Any:
        found = f(a)
        nan = not all(v.v.is_finite() for v in np.diagonal(found).tolist())
        return balls(np.full(a.shape, np.nan)) if nan else found

    return of_matrix


@rule("cholesky")
def _cholesky(call: Call, a: Value) -> Value:
    return _of_matrices(_as_nan(linear.cholesky), a)[0]


@rule("lu")
def _lu(call: Call, a: Value) -> list:
    factors, pivots, permutation = _of_matrices(linear.lu, a)
    return [factors, pivots.astype(np.int32), permutation.astype(np.int32)]


@rule("triangular_solve")
def _triangular_solve(call: Call, a: Value, b: Value) -> Value:
    p = call.params

    def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, lower = (a.T, not p["lower"]) if p["transpose_a"] else (a, p["lower"])
        a = np.conjugate(a) if p["conjugate_a"] else a
        if p["left_side"]:
            return linear.solve_triangular(a, b, lower, p["unit_diagonal"])
        return linear.solve_triangular(a.T, b.T, not lower, p["unit_diagonal"]).T

    return _of_matrices(solve, a, b)[0]


@rule("eigh")
def _eigh(call: Call, a: Value) -> list:
    values, vectors = _of_matrices(lambda m: linear.eigh(m, call.params["lower"]), a)
    return [vectors, values]


@rule("eig")
def _eig(call: Call, a: Value) -> list:
    values, vectors = _of_matrices(lambda m: linear.eigen(m, np.linalg.eig(linear.as_floats(m))[1]), a)
    if call.params["compute_left_eigenvectors"]:
        raise call.not_judged()
    return [values, vectors][: len(call.eqn.outvars)]


@rule("svd")
def _svd(call: Call, a: Value) -> list:
    u, s, vt = _of_matrices(lambda m: linear.svd(m, call.params["full_matrices"]), a)
    return [s, u, vt] if call.params["compute_uv"] else [s]


@rule("qr")
def _qr(call: Call, a: Value) -> list:
    return _of_matrices(lambda m: linear.qr(m, call.params["full_matrices"]), a)


@rule("geqrf", "householder_product", "ormqr")
def _reflections(call: Call, a: Value, *more: Value) -> Any:
    """A qr as LAPACK has it, in reflections; its q, or that times another matrix."""
    if any(map(any_complex, (a, *more))):
        raise call.not_judged()
    rows = [part[..., None, :] for part in more[:1]]  # the factors, as matrices of one row
    name, p = call.eqn.primitive.name, call.params
    if name == "geqrf":
        packed, taus = _of_matrices(linear.householder, a)
        return [packed, taus[..., 0, :]]
    if name == "householder_product":
        return _of_matrices(lambda a, t: linear.reflected(a, t, linear.unit(len(a))[:, : a.shape[1]]), a, *rows)[0]

    def product(a: np.ndarray, t: np.ndarray, c: np.ndarray) -> np.ndarray:
        if p["left"]:
            return linear.reflected(a, t, c, p["transpose"])
        return linear.reflected(a, t, c.T, not p["transpose"]).T

    return _of_matrices(product, a, *rows, more[1])[0]


@rule("tridiagonal_solve")
def _tridiagonal_solve(call: Call, below: Value, middle: Value, above: Value, b: Value) -> Value:
    def solve(diagonals: np.ndarray, b: np.ndarray) -> np.ndarray:
        below, middle, above = diagonals
        zeros = balls(np.zeros((len(b), len(b)), int))
        return linear.solve(zeros + np.diag(middle) + np.diag(below[1:], -1) + np.diag(above[:-1], 1), b)

    return _of_matrices(solve, np.stack([below, middle, above], axis=-2), b)[0]


@rule("jit:expm")
def _expm(call: Call, *inputs: Value) -> list:
    """What JAX approximates by a rational function. The derivative of that, once traced, is no longer known as such."""
    if len(inputs) != 1 or len(call.eqn.outvars) != 1:
        raise call.not_judged()
    return _of_matrices(linear.expm, inputs[0])


@rule("fft")
def _fft(call: Call, a: Value) -> Value:
    kind, lengths, values = int(call.params["fft_type"]), call.params["fft_lengths"], numbers_of(a)
    axes = list(range(values.ndim - len(lengths), values.ndim))
    real = {2: axes[-1], 3: axes[-1]}.get(kind)
    for axis, n in zip(axes if kind == 3 else axes[::-1], lengths if kind == 3 else lengths[::-1], strict=True):
        if axis == real:
            values = fourier.to_half(values, n, axis) if kind == 2 else fourier.from_half(values, n, axis)
        else:
            values = fourier.transform(values, n, axis, inverse=kind in (1, 3))
    return flints(values)
