"""scipy.optimize.check_grad on flat parameters. It returns a number; whether that is small is for its user to say."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import check_grad

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, Answer, objective
from experiments.benchmarks.checkers.points import Point
from twolayer.network import Params

# What scikit-learn's tests ask of it (manifold/tests/test_t_sne.py): an error of 1.5e-5 at most.
DECIMAL = 5


def every(derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return _judged(derivation, point, direction="all")


def along_one(derivation, point: Point) -> Answer:
    """One random direction."""
    return _judged(derivation, point, direction="random", rng=np.random.default_rng(point.seed))


def _judged(derivation, point: Point, **options) -> Answer:
    gradients = derivation.function()
    shapes = [leaf.shape for leaf in point.params]
    ends = np.cumsum([leaf.size for leaf in point.params])[:-1]

    def leaves(flat: Float[np.ndarray, " n"]) -> Params:
        return Params(*(part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)))

    def value(flat: Float[np.ndarray, " n"]) -> float:
        return objective.loss(np, derivation, leaves(flat), point.x, point.y)

    def gradient(flat: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        with jax.enable_x64(True):
            params = Params(*map(jnp.array, leaves(flat)))
            found = gradients(params, jnp.asarray(point.x), jnp.asarray(point.y))
            return np.concatenate([np.asarray(found[f"d{name}"], np.float64).ravel() for name in Params._fields])

    error = check_grad(value, gradient, np.concatenate([leaf.ravel() for leaf in point.params]), **options)
    try:
        np.testing.assert_almost_equal(error, 0, decimal=DECIMAL)
    except AssertionError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)
