"""chex.assert_numerical_grads: JAX's check with a tolerance of its own."""

import chex
import jax
import numpy as np

from experiments.benchmarks.checkers import Answer
from experiments.benchmarks.checkers.jax_grads import judged
from experiments.benchmarks.checkers.points import Point


def check(derivation, point: Point) -> Answer:
    """In JAX's default precision."""
    with jax.enable_x64(False):
        return judged(chex.assert_numerical_grads, derivation, point.cast(np.float32))
