"""The input points at which checkers compare a derivation with differences of the loss: a function of setting and seed.

Biases are random and labels are uniform, and in the small settings each unit of both layers is on for one example and
off for another: a point at which nothing hides from a checker that looks at its numbers only.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from twolayer.network import Params


class Setting(NamedTuple):
    """Sizes, and the deviation of the parameters: None is He's for the weights, with 0.1 for the biases."""

    text: str
    m: int
    d: int
    K: int
    C: int
    deviation: float | None = None
    images: bool = False  # x like MNIST, four pixels in five blank; otherwise Gaussian


SETTINGS = {
    "he": Setting("5-6-3, m = 7, He initialisation", 7, 5, 6, 3),
    "small": Setting("5-6-3, m = 7, parameters of deviation 0.1", 7, 5, 6, 3, deviation=0.1),
    "real": Setting("784-128-10, m = 32, He initialisation, images", 32, 784, 128, 10, images=True),
}


class Point(NamedTuple):
    """float64 arrays; y is one-hot for cross-entropy and on images, and Gaussian otherwise."""

    setting: str
    seed: int
    params: Params
    x: Float[np.ndarray, "m d"]
    y: Float[np.ndarray, "m C"]

    def cast(self, dtype: type) -> "Point":
        """The same point in another precision."""
        params = Params(*(leaf.astype(dtype) for leaf in self.params))
        return self._replace(params=params, x=self.x.astype(dtype), y=self.y.astype(dtype))


def draw(setting: str, seed: int, loss: str) -> Point:
    """The point of this setting and seed; both losses have the same parameters and examples."""
    sizes = SETTINGS[setting]
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        params, x = _params(rng, sizes), _examples(rng, sizes)
        onehot = np.eye(sizes.C)[rng.integers(0, sizes.C, sizes.m)]
        targets = rng.normal(size=onehot.shape)
        if sizes.images or _tells(params, x):
            return Point(setting, seed, params, x, onehot if sizes.images or loss == "cross_entropy" else targets)


def _params(rng: np.random.Generator, sizes: Setting) -> Params:
    def normal(deviation: float, *shape: int) -> Float[np.ndarray, "..."]:
        return (sizes.deviation or deviation) * rng.normal(size=shape)

    d, K, C = sizes.d, sizes.K, sizes.C
    return Params(normal((2 / d) ** 0.5, K, d), normal(0.1, K), normal((2 / K) ** 0.5, C, K), normal(0.1, C))


def _examples(rng: np.random.Generator, sizes: Setting) -> Float[np.ndarray, "m d"]:
    shape = sizes.m, sizes.d
    return rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.2) if sizes.images else rng.normal(size=shape)


def _tells(params: Params, x: Float[np.ndarray, "m d"]) -> bool:
    """Whether each unit is on for one example and off for another."""
    Z1 = x @ params.W1.T + params.b1
    Z2 = np.maximum(Z1, 0) @ params.W2.T + params.b2
    return all((Z > 0).any(axis=0).all() and (Z <= 0).any(axis=0).all() for Z in (Z1, Z2))
