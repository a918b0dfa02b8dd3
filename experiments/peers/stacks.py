"""This project with many networks at once (twolayer/sweeps.py): other starts, the same batches, one program."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.peers import NETWORKS
from experiments.peers.problem import Problem
from twolayer import network, sweeps, training
from twolayer.network import Params


class Stack:
    """The first network starts where the problem says, so that the gate can judge it."""

    def __init__(self, problem: Problem) -> None:
        choices = training.Choices(
            loss="cross_entropy",
            output=problem.output,
            optimizer="sgd",
            schedule="constant",
            batch_size=problem.batch_size,
            scale=problem.scale,
        )
        (K, d), C = problem.W1.shape, len(problem.b2)
        draw = jax.vmap(lambda key: network.init(key, d, K, C, "alive"))
        others = draw(jax.random.split(jax.random.key(problem.seed + 1), NETWORKS))
        params = Params(*(leaf.at[0].set(start) for leaf, start in zip(others, problem.start, strict=True)))
        self.numbers = training.Numbers(*(jnp.full(NETWORKS, v) for v in (problem.learning_rate, 0.0, 0.9)))
        self.train = training.place(problem.x, problem.y, skip_idle=True)
        self.key = jax.random.key(problem.seed)
        state = sweeps.start(choices, params, self.numbers, len(problem.x))
        self.params, self.moments = state.params, state.moments
        self.run = jax.jit(sweeps.make_epoch(choices), donate_argnums=(0, 1))

    def epoch(self, index: int) -> None:
        """The order is drawn here, on the clock."""
        index = jnp.int32(index)
        self.params, self.moments, *metrics = self.run(
            self.params, self.moments, index, self.key, self.numbers, self.train
        )
        jax.block_until_ready((self.params, metrics))

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(leaf[0]) for leaf in self.params)
