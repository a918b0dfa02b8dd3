"""The one problem that every competitor solves, as arrays in a file, and the float64 answer they are held against."""

import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from experiments.benchmarks.peers import NETWORKS

if TYPE_CHECKING:  # every competitor reads this file, and PyTorch's start must not wait for JAX
    from twolayer.datasets import Dataset

# How far a parameter may be from the reference after ten float32 steps, as a share of how far training has moved it:
# ||W - W_ref|| <= TOLERANCE ||W_ref - W_0|| + ROUNDING ||W_ref||. Gradients are sums of d = 784 terms, good to about
# sqrt(784) 2^-24 = 2e-6, and in a million hidden values one or two are so close to zero that rounding decides the ReLU:
# together below 1e-4. Each step also rounds W itself, by 2^-24 of its size, and ten such errors add up like sqrt(10).
# An error of algebra is far above: weighting the ragged last batch like a whole one moves a parameter by 5e-2.
TOLERANCE = 1e-4
ROUNDING = 10**0.5 * 2**-24
GATE_STEPS = 10


class Problem(NamedTuple):
    """Arrays and numbers, the same for all. W1, b1, W2, b2 are where training starts."""

    x: Shaped[np.ndarray, "n d"]  # as stored, uint8 for images
    y: Int[np.ndarray, " n"]
    live: Int[np.ndarray, " p"]  # the inputs that our step works on; the others are always zero
    orders: Int[np.ndarray, "E n"]  # one permutation per epoch
    W1: Float[np.ndarray, "K d"]
    b1: Float[np.ndarray, " K"]
    W2: Float[np.ndarray, "C K"]
    b2: Float[np.ndarray, " C"]
    scale: float
    learning_rate: float
    batch_size: int
    seed: int
    output: str
    precision: str = "float32"  # as --precision of the training script
    networks: int = NETWORKS  # of a competitor that trains many at once; the first starts as above

    def features(self, dtype: type = np.float32) -> Float[np.ndarray, "n d"]:
        """What the network sees: x * scale."""
        return self.x.astype(dtype) * dtype(self.scale)

    @property
    def steps(self) -> int:
        """Steps in an epoch; the last batch may be ragged."""
        return math.ceil(len(self.x) / self.batch_size)

    @property
    def start(self) -> tuple[Float[np.ndarray, "..."], ...]:
        """W1, b1, W2, b2."""
        return self.W1, self.b1, self.W2, self.b2


def make(
    dataset: "Dataset", hidden: int, *, batch_size: int, learning_rate: float, output: str, epochs: int, seed: int
) -> Problem:
    """The problem for a network of `hidden` units on the training part of a data set, with orders for `epochs`."""
    import jax

    from twolayer import network
    from twolayer.idle import live_inputs

    params = network.init(jax.random.key(seed), dataset.inputs, hidden, dataset.outputs, scheme="alive")
    x, y = dataset.train
    return Problem(
        x, y, live_inputs(x), draw_orders(seed, len(x), batch_size, epochs), *map(np.asarray, params),
        scale=dataset.scale, learning_rate=learning_rate, batch_size=batch_size, seed=seed, output=output,
    )  # fmt: skip


def shortened(problem: Problem) -> Problem:
    """The problem of the gate: about ten steps, the last of an epoch with a batch of half the size."""
    n = min(len(problem.x), GATE_STEPS * problem.batch_size - problem.batch_size // 2)
    small = problem._replace(x=problem.x[:n], y=problem.y[:n])
    epochs = math.ceil(GATE_STEPS / small.steps)
    return small._replace(orders=draw_orders(problem.seed, n, problem.batch_size, epochs))


def load(path: pathlib.Path) -> Problem:
    """The problem whose fields are in an .npz."""
    with np.load(path, allow_pickle=False) as file:
        fields = {name: file[name] for name in Problem._fields}
    return Problem(**{name: value if value.ndim else value.item() for name, value in fields.items()})


def reference(problem: Problem) -> tuple[Float[np.ndarray, "..."], ...]:
    """W1, b1, W2, b2 after all epochs of the problem, by plain SGD in float64. Nothing of the package is used."""
    x, y = problem.features(np.float64), problem.y
    params = [np.array(start, np.float64) for start in problem.start]
    for order in problem.orders:
        for start in range(0, len(order), problem.batch_size):
            rows = order[start : start + problem.batch_size]
            gradients = backward(problem.output, params, x[rows], y[rows]).gradients
            for parameter, gradient in zip(params, gradients, strict=True):
                parameter -= problem.learning_rate * gradient
    return tuple(params)


class Backward(NamedTuple):
    """What one batch's matrix products take besides x, W1 and W2, and the gradients of W1, b1, W2, b2."""

    O1: Float[np.ndarray, "m K"]
    dZ2: Float[np.ndarray, "m C"]  # noqa: N815
    dZ1: Float[np.ndarray, "m K"]  # noqa: N815
    gradients: tuple[Float[np.ndarray, "..."], ...]


def backward(
    output: str,
    params: Sequence[Float[np.ndarray, "..."]],
    x: Float[np.ndarray, "m d"],
    y: Int[np.ndarray, " m"],
    loss: str = "cross_entropy",
) -> Backward:
    """Back-propagation of the mean loss of one batch with labels y, in the dtype of its arguments."""
    W1, b1, W2, b2 = params
    Z1 = x @ W1.T + b1
    O1 = np.maximum(Z1, 0)
    Z2 = O1 @ W2.T + b2
    O2 = np.maximum(Z2, 0) if output == "relu" else Z2
    exps = np.exp(O2 - O2.max(axis=1, keepdims=True))
    dZ2 = exps / exps.sum(axis=1, keepdims=True) if loss == "cross_entropy" else O2.copy()
    dZ2[np.arange(len(y)), y] -= 1
    dZ2 /= len(y)
    if output == "relu":
        dZ2 *= Z2 > 0
    dZ1 = dZ2 @ W2 * (Z1 > 0)
    return Backward(O1, dZ2, dZ1, (dZ1.T @ x, dZ1.sum(axis=0), dZ2.T @ O1, dZ2.sum(axis=0)))


Gate = dict[str, dict[str, float]]  # for each parameter its error and the error allowed


def gate(peer: Any, small: Problem) -> Gate:
    """Train a peer through all epochs of a small problem, and compare it with float64.

    Raises:
      ValueError: a parameter has the wrong shape.
    """
    for index in range(len(small.orders)):
        peer.epoch(index)
    return compare(small, peer.parameters())


def missed(found: Gate, small: Problem, more: float = 0.0) -> str:
    """Why a peer is wrong; empty where it is right, with so much `more` error than allowed."""
    wrong = [f"{name} by {e['error']:.1e}" for name, e in found.items() if not e["error"] <= e["allowed"] + more]
    steps = len(small.orders) * small.steps
    return f"wrong, so not timed: after {steps} steps it misses {', '.join(wrong)} of the distance moved" * bool(wrong)


def compare(problem: Problem, answer: tuple[np.ndarray, ...]) -> Gate:
    """The errors of an answer and those allowed, both as shares of how far training moved a parameter."""
    found = {}
    names = "W1", "b1", "W2", "b2"
    for name, start, right, given in zip(names, problem.start, reference(problem), answer, strict=True):
        if given.shape != right.shape:
            raise ValueError(f"{name} has shape {given.shape}, expected {right.shape}")
        moved = np.linalg.norm(right - start)
        allowed = TOLERANCE + ROUNDING * np.linalg.norm(right) / moved
        found[name] = {"error": float(np.linalg.norm(given - right) / moved), "allowed": float(allowed)}
    return found


def draw_orders(seed: int, n: int, batch_size: int, epochs: int) -> Int[np.ndarray, "E n"]:
    """The orders that our epochs 0, 1, ... draw for themselves from the same seed."""
    import jax

    from twolayer.shuffling import batches

    key = jax.random.key(seed)
    return np.stack([np.asarray(batches(key, epoch, n, batch_size)[0]).reshape(-1)[:n] for epoch in range(epochs)])
