"""In JAX: this project, and the loop of JAX's own MNIST example.

Ours is the epoch that the training script runs, compiled once. Drawing the order and scaling pixels count. Like the
script it leaves out inputs that are zero on every training example (twolayer/idle.py), which changes nothing but the
time. `Dense` leaves out none, so that a reader can tell how much of the lead is that.

The example (examples/mnist_classifier_fromscratch.py) calls a jitted update for each batch. Images are float32 and
labels one-hot in NumPy; the host slices a batch for each step. Weights are (in, out) there.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.peers.problem import Problem
from experiments.runtime.jobs import configure
from twolayer import network, segments, sweeps, training


class ClosedForm:
    """Our epoch with the hand-derived gradient."""

    gradient = "closed_form"
    skip_idle = True

    def __init__(self, problem: Problem) -> None:
        _, compute, _ = configure(problem.precision)
        self.choices = training.Choices(
            loss="cross_entropy",
            output=problem.output,
            gradient=self.gradient,
            optimizer="sgd",
            schedule="constant",
            warmup_epochs=0.0,
            batch_size=problem.batch_size,
            scale=problem.scale,
            compute=compute,
        )
        self.train = training.place(problem.x, problem.y, skip_idle=self.skip_idle)
        self.key = jax.random.key(problem.seed)
        epoch, self.numbers, state = self.begin(problem, self.choices)
        self.params, self.moments = state.params, state.moments
        self.run = jax.jit(epoch, donate_argnums=(0, 1))

    def begin(self, problem: Problem, choices: training.Choices) -> tuple[Callable, training.Numbers, segments.State]:
        """The epoch, the numbers and the first state."""
        numbers, params = training.Numbers(problem.learning_rate), network.Params(*map(jnp.asarray, problem.start))
        return training.make_epoch(choices), numbers, segments.start(choices, params, numbers, len(problem.x))

    def epoch(self, index: int) -> None:
        """The order is not taken from the problem: it is drawn here, on the clock. The gate would notice another."""
        self.params, self.moments, *metrics = self.run(
            self.params, self.moments, index, self.key, self.numbers, self.train
        )
        jax.block_until_ready((self.params, metrics))

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(map(np.asarray, self.params))


class Autodiff(ClosedForm):
    """Our epoch with jax.grad."""

    gradient = "autodiff"


class Dense(ClosedForm):
    """Our epoch with the hand-derived gradient and every input."""

    skip_idle = False


class Stack(ClosedForm):
    """The first network starts where the problem says, so that the gate can judge it."""

    def begin(self, problem: Problem, choices: training.Choices) -> tuple[Callable, training.Numbers, segments.State]:
        """The epoch, the numbers and the first state, of all networks."""
        (K, d), C, N = problem.W1.shape, len(problem.b2), problem.networks
        draw = jax.vmap(lambda key: network.init(key, d, K, C, "alive"))
        others = draw(jax.random.split(jax.random.key(problem.seed + 1), N))
        params = network.Params(*(leaf.at[0].set(start) for leaf, start in zip(others, problem.start, strict=True)))
        numbers = training.Numbers(*(jnp.full(N, v) for v in (problem.learning_rate, 0.0, 0.9)))
        return sweeps.make_epoch(choices), numbers, sweeps.start(choices, params, numbers, len(problem.x))

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(leaf[0]) for leaf in self.params)


class Loop:
    """Float32 images on the host, one call a step."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.images = problem.features()
        self.labels = np.eye(len(problem.b2), dtype=np.float32)[problem.y]
        layers = (problem.W1, problem.b1), (problem.W2, problem.b2)
        self.params = [(jnp.asarray(W.T), jnp.asarray(b)) for W, b in layers]
        self.update = jax.jit(_make_update(problem.output, problem.learning_rate))

    def epoch(self, index: int) -> None:
        order, size = self.problem.orders[index], self.problem.batch_size
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            self.params, _ = self.update(self.params, (self.images[rows], self.labels[rows]))
        jax.block_until_ready(self.params)

    def parameters(self) -> tuple[np.ndarray, ...]:
        (W1, b1), (W2, b2) = self.params
        return np.asarray(W1.T), np.asarray(b1), np.asarray(W2.T), np.asarray(b2)


def _make_update(output: str, learning_rate: float):
    def loss(params, batch):
        (W1, b1), (W2, b2) = params
        images, labels = batch
        hidden = jax.nn.relu(jnp.dot(images, W1) + b1)
        outputs = jnp.dot(hidden, W2) + b2
        outputs = jax.nn.relu(outputs) if output == "relu" else outputs
        log_probabilities = outputs - jax.nn.logsumexp(outputs, axis=1, keepdims=True)
        return -jnp.mean(jnp.sum(log_probabilities * labels, axis=1))

    def update(params, batch):
        value, gradients = jax.value_and_grad(loss)(params, batch)
        return jax.tree.map(lambda p, g: p - learning_rate * g, params, gradients), value

    return update
