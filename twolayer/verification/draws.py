"""Where a formula is tested: sizes, activation patterns, and the scales of the shadows.

Sizes are distinct odd primes, so that no transpose fits by accident and a wrong factor m, C or K can be read off; one
shape is square, for transposes that survive there; and all activation patterns of a small shape are enumerated.
Shadows come at ordinary size, and at sizes from 1e-12 to 1e12: a hidden threshold, clip or rounding is then crossed
and convicts itself.
"""

import itertools
from typing import NamedTuple

import numpy as np

from twolayer.losses import OF_LABELS


class Sizes(NamedTuple):
    """d inputs, K hidden units, C outputs, m examples."""

    d: int
    K: int
    C: int
    m: int


class Shadows(NamedTuple):
    """Float64 arrays with a leading axis of draws; y one-hot or real, (draws, m, C)."""

    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray
    x: np.ndarray
    y: np.ndarray


# m <= K + 1, so that the exponents of live outputs are independent; see docs/derivation.md. No product of powers of
# d, K, C and m is the same number at both, so a factor m / C is not read as a constant times K / d.
PRIME_SIZES = (Sizes(3, 11, 5, 7), Sizes(5, 7, 13, 3))
SQUARE = Sizes(5, 5, 5, 5)
SMALL = Sizes(3, 2, 2, 2)
ONE_OUTPUT = Sizes(3, 7, 1, 5)
MNIST = Sizes(784, 5, 10, 7)

LARGEST_LOGIT = 200  # exp(200)^3 is still a float64; so large is what goes into a softmax or a sigmoid, at most
MARGIN = 1e-9  # of the terms that cancel in a pre-activation: rounding decides no sign


def ordinary(
    rng: np.random.Generator, sizes: Sizes, draws: int, loss: str, output: str = "relu", hidden: str = "relu"
) -> Shadows:
    """Shadows of order one, every step of back-propagation carrying something."""
    return _keep(draws, lambda: _fit(_normal(rng, sizes, 2 * draws, loss), loss, output, hidden), hidden)


def extreme(
    rng: np.random.Generator, sizes: Sizes, draws: int, loss: str, output: str = "relu", hidden: str = "relu"
) -> Shadows:
    """Shadows whose scales are drawn, for each draw, from 1e-12 to 1e12: those of x, Z1, Z2 and y independently.

    What enters a softmax or a sigmoid is LARGEST_LOGIT at most, since exp must stay within float64; but under a softmax
    a third of the draws have a common offset of up to 1e12 in b2.
    """
    softmax = loss == "cross_entropy" and output != "sigmoid"

    def propose() -> Shadows:
        n = 3 * draws
        s = _normal(rng, sizes, n, loss)
        at_x, at_Z1, at_Z2, at_y = (10 ** rng.uniform(-12, 12, (4, n)))[..., None, None]
        W2, b2 = s.W2 * at_Z2 / at_Z1, s.b2 * at_Z2[..., 0]
        y = s.y if loss in OF_LABELS else s.y * np.where(rng.random((n, 1, 1)) < 0.5, at_Z2, at_y)
        s = Shadows(s.W1 * at_Z1 / at_x, s.b1 * at_Z1[..., 0], W2, b2, s.x * at_x, y)
        s = _fit(s, loss, output, hidden)
        offset = np.where(rng.random(n) < 1 / 3, 10 ** rng.uniform(0, 12, n), 0)
        return s._replace(b2=s.b2 + offset[:, None]) if softmax else s

    return _keep(draws, propose, hidden)


def every_pattern(rng: np.random.Generator, sizes: Sizes, loss: str, hidden: str = "relu") -> Shadows:
    """One draw for each activation pattern of both layers that the sizes allow; needs d >= m.

    For a pattern of Z1 the weights are solved for: x has independent rows. Then for each output, in turn, weights are
    sought that give the wanted signs of Z2; examples with equal O1 (all units off) cannot differ there.
    """
    _, K, C, m = sizes
    rows = []
    for signs in itertools.product((-1, 1), repeat=m * K):
        s = _normal(rng, sizes, 1, loss)
        Z1 = np.reshape(signs, (m, K)) * rng.uniform(0.5, 1.5, (m, K))
        W1 = np.linalg.lstsq(s.x[0], Z1 - s.b1[0], rcond=None)[0].T
        features = np.c_[_activation(Z1, hidden), np.ones(m)]
        for wanted in itertools.product((-1, 1), repeat=m * C):
            Z2 = np.reshape(wanted, (m, C)) * rng.uniform(0.5, 1.5, (m, C))
            solution = np.linalg.lstsq(features, Z2, rcond=None)[0].T
            rows.append(s._replace(W1=W1[None], W2=solution[None, :, :K], b2=solution[None, :, K]))
    together = Shadows(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))
    _, first = np.unique(patterns(together, hidden), axis=0, return_index=True)
    return Shadows(*(part[np.sort(first)] for part in together))


def kinks(
    rng: np.random.Generator, sizes: Sizes, draws: int, loss: str, output: str = "relu", hidden: str = "relu"
) -> tuple[Shadows, Shadows, Shadows]:
    """Draws with exact ties: Z1 = 0 on the first example, Z2 = 0 on the first example, and a network of zeros.

    On the first example one input is on at most, and at Z2 = 0 one hidden unit alone speaks. So each tie is a
    difference of two equal numbers, exact in whatever order and in whatever units a program computes it. In the later
    half of the first draws that input is off too: a blank image.
    """
    s = ordinary(rng, sizes, draws, loss, output, hidden)
    x = s.x.copy()
    x[:, 0], x[:, 0, 0] = 0, 1
    blank = x.copy()
    blank[draws // 2 :, 0, 0] = 0
    at_Z1 = s._replace(x=blank, b1=0 - s.W1[:, :, 0] * blank[:, 0, :1], b2=abs(s.b2))
    W1, b1, W2 = s.W1.copy(), s.b1.copy(), s.W2.copy()
    W1[:, 0, 0], b1[:, 0] = 1, (1 if hidden == "relu" else -1)
    W2[:, :, 1:] = 0
    first = 2 if hidden == "relu" else 0.5  # O1 of the first example and unit
    at_Z2 = s._replace(x=x, W1=W1, b1=b1, W2=W2, b2=-first * W2[:, :, 0])
    return at_Z1, at_Z2, s._replace(W1=0 * W1, b1=0 * b1, W2=0 * W2, b2=0 * s.b2)


def forward(s: Shadows, hidden: str = "relu") -> tuple[np.ndarray, np.ndarray]:
    """Z1 (draws, m, K) and Z2 (draws, m, C) in float64."""
    Z1 = s.x @ s.W1.swapaxes(1, 2) + s.b1[:, None]
    return Z1, _activation(Z1, hidden) @ s.W2.swapaxes(1, 2) + s.b2[:, None]


def _activation(Z: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.maximum(Z, 0) if name == "relu" else 1 / (1 + np.exp(-Z))


def patterns(s: Shadows, hidden: str = "relu") -> np.ndarray:
    """Which pre-activations of both layers are positive, one row of booleans a draw."""
    return np.concatenate([(Z > 0).reshape(len(Z), Z.shape[1] * Z.shape[2]) for Z in forward(s, hidden)], axis=1)


def _normal(rng: np.random.Generator, sizes: Sizes, draws: int, loss: str) -> Shadows:
    d, K, C, m = sizes
    W1, b1, x = rng.normal(size=(draws, K, d)) / d**0.5, rng.normal(size=(draws, K)), rng.normal(size=(draws, m, d))
    W2, b2 = rng.normal(size=(draws, C, K)) / K**0.5, rng.normal(size=(draws, C))
    if loss in OF_LABELS:
        y = np.eye(C)[rng.integers(C, size=(draws, m))]
    else:
        y = rng.normal(size=(draws, m, C))
    return Shadows(W1, b1, W2, b2, x, y)


def _fit(s: Shadows, loss: str, output: str, hidden: str) -> Shadows:
    """Each layer made small enough for what exp it goes into."""
    if hidden == "sigmoid":
        factor = _factor(forward(s, hidden)[0])
        s = s._replace(W1=s.W1 * factor[:, None, None], b1=s.b1 * factor[:, None])
    if loss in OF_LABELS or output == "sigmoid":
        factor = _factor(forward(s, hidden)[1])
        s = s._replace(W2=s.W2 * factor[:, None, None], b2=s.b2 * factor[:, None])
    return s


def _factor(Z: np.ndarray) -> np.ndarray:
    return np.minimum(1, LARGEST_LOGIT / np.maximum(np.abs(Z).max(axis=(1, 2)), 1))


def _keep(draws: int, propose: object, hidden: str) -> Shadows:
    """The first `draws` proposals with no pre-activation in doubt and no step that carries nothing."""
    kept: list[Shadows] = []
    while sum(len(s.x) for s in kept) < draws:
        s = propose()
        Z1, Z2 = forward(s, hidden)
        size1 = abs(s.x) @ abs(s.W1).swapaxes(1, 2) + abs(s.b1)[:, None]
        size2 = _activation(Z1, hidden) @ abs(s.W2).swapaxes(1, 2) + abs(s.b2)[:, None]
        clear = (abs(Z1) > MARGIN * size1).all(axis=(1, 2)) & (abs(Z2) > MARGIN * size2).all(axis=(1, 2))
        carries = (Z1 > 0).any(axis=(1, 2)) & (Z2 > 0).any(axis=(1, 2))
        both = ((Z1 > 0).any(axis=2) & (Z2 > 0).any(axis=2)).any(axis=1)
        good = clear & carries & both
        kept.append(Shadows(*(part[good] for part in s)))
    return Shadows(*(np.concatenate(parts)[:draws] for parts in zip(*kept, strict=True)))
