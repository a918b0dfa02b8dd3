"""Where a derivation is tested: sizes, activation patterns, and numbers of all scales.

Sizes are distinct odd primes, so that no transpose fits by accident and a wrong factor m, C or K can be read off; one
shape is square, for transposes that survive there; and all activation patterns of a small shape are enumerated.
Numbers come at ordinary size, and at sizes from 1e-12 to 1e12: a hidden threshold, clip or rounding is then crossed
and convicts itself. All are floats, taken as the exact numbers that they are.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import flint
import numpy as np

from twolayer.verification.numbers.balls import BITS, Ball, precision
from twolayer.verification.problem import Setting, Sizes, activation, right, targets

# m <= K + 1. No product of powers of d, K, C and m is the same number at both, so a factor m / C is not read as K / d.
PRIME_SIZES = (Sizes(3, 11, 5, 7), Sizes(5, 7, 13, 3))
SQUARE, SMALL = Sizes(5, 5, 5, 5), Sizes(3, 2, 2, 2)
OF_SIZE_ONE = {"d": Sizes(1, 4, 3, 5), "K": Sizes(4, 1, 3, 2), "C": Sizes(4, 5, 1, 3), "m": Sizes(3, 4, 5, 1)}
MNIST, ONE_OUTPUT = Sizes(784, 5, 10, 7), Sizes(3, 7, 1, 5)
MOST_EXAMPLES = Sizes(3, 5, 7, 11)  # for code that takes units for examples somewhere
LARGE = (Sizes(784, 5, 3, 4), Sizes(3, 128, 5, 4), Sizes(3, 5, 26, 4), Sizes(2, 5, 3, 128))  # each beyond common blocks
LARGEST_LOGIT = 200  # exp(200)^3 is still a float64
MARGIN = 1e-9  # of the terms that cancel in a pre-activation: rounding decides no sign
INPUTS = ("W1", "b1", "W2", "b2", "x", "y")

Floats = dict[str, np.ndarray]  # W1, b1, W2, b2, x, y


class Point(NamedTuple):
    """A point: its kind ("ordinary", "extreme", "pattern"), its sizes, its floats, and all right arrays as balls."""

    kind: str
    sizes: Sizes
    floats: Floats
    right: dict[str, np.ndarray]


def point(kind: str, sizes: Sizes, floats: Floats, setting: Setting, bits: int = BITS) -> Point:
    """A point with the right arrays there: inputs, Z1, O1, Z2, O2 and the eight steps."""
    with precision(bits):
        scope = {name: exactly(array) for name, array in floats.items()}
        return Point(kind, sizes, floats, right(setting, scope))


def exactly(array: np.ndarray) -> np.ndarray:
    """Floats as the exact numbers that they are, not as the literals that they may stand for."""
    out = np.empty(array.shape, object)
    out.ravel()[:] = [Ball(flint.arb(float(number))) for number in array.ravel().tolist()]
    return out


@functools.lru_cache(maxsize=64)
def points(setting: Setting, sizes: Sizes, kind: str, count: int, seed: int = 0) -> tuple[Point, ...]:
    """Points of one kind, the same for every derivation."""
    rng = np.random.default_rng([seed, *sizes])
    if kind == "pattern":
        found = list(every_pattern(rng, sizes, setting))
        pick = rng.permutation(len(found))[:count] if count < len(found) else range(len(found))
        return tuple(point(kind, sizes, found[i], setting) for i in pick)
    draw = ordinary if kind == "ordinary" else extreme
    return tuple(point(kind, sizes, draw(rng, sizes, setting), setting) for _ in range(count))


def ordinary(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Floats:
    """Numbers of order one, every step of back-propagation carrying something."""
    return _accepted(lambda: _fit(_normal(rng, sizes, setting), setting), setting)


def extreme(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Floats:
    """Numbers whose scales are drawn from 1e-12 to 1e12: those of x, Z1, Z2 and y independently.

    What enters an exponential is LARGEST_LOGIT at most; but under a softmax a third of the points have a common offset
    of up to 1e12 in b2.
    """

    def propose() -> Floats:
        s = _normal(rng, sizes, setting)
        at_x, at_Z1, at_Z2, at_y = 10 ** rng.uniform(-12, 12, 4)
        y = s["y"] * (at_Z2 if rng.random() < 0.5 else at_y) if targets(setting) == "real" else s["y"]
        s = {"W1": s["W1"] * at_Z1 / at_x, "b1": s["b1"] * at_Z1, "W2": s["W2"] * at_Z2 / at_Z1,
             "b2": s["b2"] * at_Z2, "x": s["x"] * at_x, "y": y}  # fmt: skip
        s = _fit(s, setting)
        if setting.loss == "cross_entropy" and setting.output in ("relu", "identity") and rng.random() < 1 / 3:
            s["b2"] = s["b2"] + 10 ** rng.uniform(0, 12)
        return s

    return _accepted(propose, setting)


def every_pattern(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Iterator[Floats]:
    """One point for each pattern of signs of Z1 and Z2 that the sizes allow; needs d >= m.

    For a pattern of Z1 the weights are solved for: x has independent rows. Then for each output weights are sought that
    give the wanted signs of Z2; examples with equal O1 (all units off) cannot differ there.
    """
    _, K, C, m = sizes
    seen = set()
    for signs in itertools.product((-1, 1), repeat=m * K):
        s = _normal(rng, sizes, setting)
        Z1 = np.reshape(signs, (m, K)) * rng.uniform(0.5, 1.5, (m, K))
        s["W1"] = np.linalg.lstsq(s["x"], Z1 - s["b1"], rcond=None)[0].T
        features = np.c_[activation(setting.hidden).apply(Z1), np.ones(m)]
        for wanted in itertools.product((-1, 1), repeat=m * C):
            Z2 = np.reshape(wanted, (m, C)) * rng.uniform(0.5, 1.5, (m, C))
            solution = np.linalg.lstsq(features, Z2, rcond=None)[0].T
            found = s | {"W2": solution[:, :K], "b2": solution[:, K]}
            pattern = tuple(np.concatenate([(Z > 0).ravel() for Z in forward(found, setting)]))
            if pattern not in seen:
                seen.add(pattern)
                yield found


def ties(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Iterator[tuple[str, Floats]]:
    """Points with exact ties, and the layer that has them: Z1 = 0 or Z2 = 0 on the first example, and zeros all over.

    On the first example one input is on at most, and at Z2 = 0 one hidden unit alone speaks. So each tie is a
    difference of two equal short numbers, exact in whatever order a program computes it. Once that input is off too: a
    blank image.
    """
    for blank in (False, True):
        s = {name: np.round(array * 64) / 64 for name, array in ordinary(rng, sizes, setting).items()}
        x = s["x"].copy()
        x[0], x[0, 0] = 0, 0 if blank else 1
        yield "hidden", s | {"x": x, "b1": 0 - s["W1"][:, 0] * x[0, 0], "b2": abs(s["b2"])}
    if setting.hidden != "relu":
        return  # Z2 = 0 is exact only where O1 is a short number
    W1, b1, W2 = s["W1"].copy(), s["b1"].copy(), s["W2"].copy()
    x = x.copy()
    x[0, 0], W1[0, 0], b1[0] = 1, 1, 1
    W2[:, 1:] = 0
    yield "output", s | {"x": x, "W1": W1, "b1": b1, "W2": W2, "b2": -2 * W2[:, 0]}
    yield "output", s | {name: 0 * s[name] for name in ("W1", "b1", "W2", "b2")}


def forward(s: Floats, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Z1 (m, K) and Z2 (m, C) in float64."""
    Z1 = s["x"] @ s["W1"].T + s["b1"]
    with np.errstate(over="ignore", invalid="ignore"):
        return Z1, activation(setting.hidden).apply(Z1) @ s["W2"].T + s["b2"]


def _normal(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Floats:
    d, K, C, m = sizes
    y = {"onehot": lambda: np.eye(C)[rng.integers(C, size=m)], "real": lambda: rng.normal(size=(m, C)),
         "bits": lambda: rng.integers(2, size=(m, C)).astype(float)}[targets(setting)]()  # fmt: skip
    biases = 1.0 if setting.biases else 0.0
    return {
        "W1": rng.normal(size=(K, d)) / d**0.5, "b1": biases * rng.normal(size=K),
        "W2": rng.normal(size=(C, K)) / K**0.5, "b2": biases * rng.normal(size=C),
        "x": rng.normal(size=(m, d)), "y": y,
    }  # fmt: skip


def _fit(s: Floats, setting: Setting) -> Floats:
    """Each layer made small enough for what exponential it goes into."""
    for layer, name in enumerate((setting.hidden, setting.output)):
        into_a_loss = layer == 1 and targets(setting) != "real"
        if into_a_loss or not (activation(name).kink or name == "identity"):
            largest = min(activation(name).largest or LARGEST_LOGIT, LARGEST_LOGIT)
            factor = min(1.0, largest / max(np.abs(forward(s, setting)[layer]).max(), 1.0))
            W, b = ("W1", "b1") if layer == 0 else ("W2", "b2")
            s = s | {W: s[W] * factor, b: s[b] * factor}
    return s


def _accepted(propose: Callable[[], Floats], setting: Setting) -> Floats:
    """The first proposal with no pre-activation in doubt and no step that carries nothing."""
    while True:
        s = propose()
        Z1, Z2 = forward(s, setting)
        size1 = abs(s["x"]) @ abs(s["W1"]).T + abs(s["b1"])
        size2 = abs(activation(setting.hidden).apply(Z1)) @ abs(s["W2"]).T + abs(s["b2"])
        clear = (abs(Z1) > MARGIN * size1).all() and (abs(Z2) > MARGIN * size2).all()
        if clear and ((Z1 > 0).any(axis=1) & (Z2 > 0).any(axis=1)).any():
            return s
