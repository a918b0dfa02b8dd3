"""The limit: the five matrix products of one of our training steps, each alone and in its fastest layout.

        Z1 = x W1^T    Z2 = O1 W2^T    dW2 = dZ2^T O1    dO1 = dZ2 W2    dW1 = dZ1^T x

Every step needs all five, and nothing else of it is counted: no bias, ReLU, softmax, update, gather or scaling.
Where our step skips inputs that are always zero, x and W1 are as narrow here: the limit gains by it as we do.
Operands are those of the first batch and stay in cache. Any of them but x, whose rows are gathered, may be stored by
rows or by columns, and so may the result; each library keeps the choice that is fastest for it.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from experiments.benchmarks import timed
from experiments.benchmarks.peers.problem import Problem, backward

Matrix = Float[np.ndarray, "rows columns"]
Repeat = Callable[[int], Any]  # computes one product so many times, and returns it

CHOICE_SECONDS, BLOCK_SECONDS, BLOCKS = 0.004, 0.02, 5  # a product is timed by the best of a few blocks


class Products:
    """Time the products in the fastest layout of a library; subclasses say how a library multiplies."""

    def __init__(self, problem: Problem) -> None:
        self.fastest: dict[str, tuple[Repeat, int]] = {}
        for name, (A, B) in products(problem).items():
            timed = [(self._seconds(p, q), p, q) for p, q in layouts(name, A, B)]
            seconds, p, q = min(timed, key=lambda candidate: candidate[0])
            self.fastest[name] = self.repeat(p, q), math.ceil(BLOCK_SECONDS / seconds)
        self.epoch(0)

    def epoch(self, index: int) -> dict[str, float]:
        """Seconds of each product, computed once."""
        return {name: best_seconds(*chosen) for name, chosen in self.fastest.items()}

    def repeat(self, p: Matrix, q: Matrix) -> Repeat:
        """A function that computes p q, with p and q stored as they are given, by rows or by columns."""
        raise NotImplementedError

    def _seconds(self, p: Matrix, q: Matrix) -> float:
        """Seconds of one product in one layout; raises ArithmeticError where it is not p q."""
        run, expected = self.repeat(p, q), p.astype(np.float64) @ q
        if np.linalg.norm(run(1) - expected) > 1e-5 * np.linalg.norm(expected):
            raise ArithmeticError(f"a product of {p.shape} by {q.shape} is wrong")
        return seconds_of(run, CHOICE_SECONDS)


class NumPy(Products):
    """NumPy's BLAS, with the result's memory at hand."""

    def repeat(self, p: Matrix, q: Matrix) -> Repeat:
        out = np.empty((p.shape[0], q.shape[1]), p.dtype)

        def run(count: int) -> Matrix:
            for _ in range(count):
                np.matmul(p, q, out=out)
            return out

        return run


class Torch(Products):
    """PyTorch's BLAS, with the result's memory at hand."""

    def repeat(self, p: Matrix, q: Matrix) -> Repeat:
        import torch

        left, right = torch.from_numpy(p), torch.from_numpy(q)
        out = torch.empty(p.shape[0], q.shape[1])

        def run(count: int) -> Matrix:
            for _ in range(count):
                torch.mm(left, right, out=out)
            return out.numpy()

        return run


class XLA(Products):
    """XLA's choice of kernel, looped inside one program, so that calling it costs nothing."""

    def repeat(self, p: Matrix, q: Matrix) -> Repeat:
        import jax
        import jax.numpy as jnp

        by_columns = not p.flags.c_contiguous, not q.flags.c_contiguous
        left, right = jnp.asarray(p.T if by_columns[0] else p), jnp.asarray(q.T if by_columns[1] else q)

        def loop(count, left, right):
            def body(_, carry):
                # The barrier makes this product depend on the one before, or the compiler would compute it once.
                left, right, _ = jax.lax.optimization_barrier(carry)
                out = (left.T if by_columns[0] else left) @ (right.T if by_columns[1] else right)
                return left, right, out

            return jax.lax.fori_loop(0, count, body, (left, right, jnp.zeros((p.shape[0], q.shape[1]), p.dtype)))[2]

        compiled = jax.jit(loop)
        return lambda count: compiled(count, left, right).block_until_ready()


def products(problem: Problem) -> dict[str, tuple[Matrix, Matrix]]:
    """The operands of the five products in the first step."""
    rows = problem.orders[0][: problem.batch_size]
    x, W1, W2 = problem.features()[rows], problem.W1, problem.W2
    O1, dZ2, dZ1, _ = backward(problem.output, problem.start, x, problem.y[rows])
    x, W1 = np.ascontiguousarray(x[:, problem.live]), np.ascontiguousarray(W1[:, problem.live])
    return {"Z1": (x, W1.T), "Z2": (O1, W2.T), "dW2": (dZ2.T, O1), "dO1": (dZ2, W2), "dW1": (dZ1.T, x)}


def layouts(name: str, A: Matrix, B: Matrix) -> Iterator[tuple[Matrix, Matrix]]:
    """A B and its transpose B^T A^T, with A and B stored by rows or by columns; x only by rows."""
    every: tuple[Literal["C", "F"], ...] = ("C", "F")
    for a in every[:1] if name == "Z1" else every:
        for b in every[:1] if name == "dW1" else every:
            left, right = np.require(A, requirements=a), np.require(B, requirements=b)
            yield left, right
            yield right.T, left.T


def seconds_of(run: Repeat, block: float) -> float:
    """Seconds of one repetition, in the best of a few blocks of so many seconds."""
    run(1)  # which may compile
    return best_seconds(run, math.ceil(block / best_seconds(run, 1)))


def best_seconds(run: Repeat, count: int) -> float:
    """Seconds of one of `count` repetitions, in the best of a few blocks."""
    return min(timed(run, count) for _ in range(BLOCKS)) / count
