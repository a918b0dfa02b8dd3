"""Small random problems as NumPy arrays: the same in every precision, and nothing to compile for preparing a test.

All numbers lie on binary grids: x and weights are multiples of 1/4, biases too, but for 1/32 in b1 and 1/256 in b2.
So every pre-activation is computed without rounding even in float32, the same units are on in every precision, and
none is nearer to the kink than 1/256, out of reach of a finite difference. Four different sizes show a wrong transpose.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from twolayer.activations import ACTIVATIONS
from twolayer.gradients import GRADIENTS
from twolayer.losses import OF_LABELS
from twolayer.network import Params
from twolayer.training import Examples


class Problem(NamedTuple):
    """Everything a gradient engine takes, without weights."""

    params: Params
    x: np.ndarray
    y: np.ndarray


# Activations of the hidden layer and of the output: each stands in both, and not beside itself alone.
FIRST = ("relu", "sigmoid", "identity")
OTHERS = tuple(name for name in ACTIVATIONS if name not in FIRST)
PAIRED = tuple(zip(OTHERS, (*OTHERS[1:], "relu"), strict=True))
LAYERS = (*itertools.product(("relu", "sigmoid"), FIRST), ("identity", "tanh"), *PAIRED)

# With this seed each unit of both layers is on for some of the seven examples and off for others.
SEED = 124


def problem(loss, dtype="float32", *, m=7, d=5, K=6, C=3, seed=SEED):
    """A batch of m examples, with labels for the cross-entropies and real targets for the quadratic loss."""
    draw = np.random.default_rng(seed).integers

    def grid(*shape, shift=0.0):
        return (draw(-4, 5, shape) / 4 + shift).astype(jnp.dtype(dtype))

    params = Params(grid(K, d), grid(K, shift=1 / 32), grid(C, K), grid(C, shift=1 / 256))
    x = grid(m, d)
    return Problem(params, x, draw(0, C, m, np.int32) if loss in OF_LABELS else grid(m, C))


def unequal_weights(m=7, dtype="float32"):
    """Example weights, one of them zero."""
    return np.arange(m, dtype=dtype) / np.array(4, dtype)


def on_device(tree):
    """For calling the package without jit: it takes JAX arrays."""
    return jax.tree.map(jnp.asarray, tree)


@functools.cache
def compiled(engine, loss="cross_entropy", output="relu", reduction="mean", hidden="relu"):
    """The named gradient engine under jit, NumPy in, NumPy out; shared, so that it is compiled once for each shape."""
    f = jax.jit(GRADIENTS[engine](loss, output, reduction, hidden_activation=hidden))
    return lambda *arguments: jax.tree.map(np.asarray, f(*arguments))


def examples(n=23, d=6, C=3, seed=0, dtype="float32"):
    """A data set one can learn: the class is the largest of C fixed random projections."""
    x = np.random.default_rng(seed).uniform(size=(n, d))
    y = (x @ np.random.default_rng(99).normal(size=(d, C))).argmax(axis=1)
    return Examples(x.astype(dtype), y.astype(np.int32))


def start_of_training(dtype="float32", d=6, K=8, C=3):
    """A network for `examples`, every output positive at first."""
    draw = np.random.default_rng(7).normal
    W1, W2 = draw(size=(K, d)) / 2, draw(size=(C, K)) / 8
    return Params(*(p.astype(dtype) for p in (W1, np.zeros(K), W2, np.full(C, 1 / C))))
