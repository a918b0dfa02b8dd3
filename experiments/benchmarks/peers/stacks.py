"""This project with many networks at once (twolayer/sweeps.py): other starts, the same batches, one program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.peers.ours import ClosedForm
from experiments.benchmarks.peers.problem import Problem
from twolayer import network, segments, sweeps, training
from twolayer.network import Params


class Stack(ClosedForm):
    """The first network starts where the problem says, so that the gate can judge it."""

    def begin(self, problem: Problem, choices: training.Choices) -> tuple[Callable, training.Numbers, segments.State]:
        """The epoch, the numbers and the first state, of all networks."""
        (K, d), C, N = problem.W1.shape, len(problem.b2), problem.networks
        draw = jax.vmap(lambda key: network.init(key, d, K, C, "alive"))
        others = draw(jax.random.split(jax.random.key(problem.seed + 1), N))
        params = Params(*(leaf.at[0].set(start) for leaf, start in zip(others, problem.start, strict=True)))
        numbers = training.Numbers(*(jnp.full(N, v) for v in (problem.learning_rate, 0.0, 0.9)))
        return sweeps.make_epoch(choices), numbers, sweeps.start(choices, params, numbers, len(problem.x))

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(leaf[0]) for leaf in self.params)
