"""JAX as its own MNIST example writes it (examples/mnist_classifier_fromscratch.py): a jitted update per batch.

Images are float32 and labels one-hot in NumPy; the host slices a batch for each step. Weights are (in, out) there.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.peers.problem import Problem


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
