"""Which derivations are tried, at which points, one check after another under a time limit, and what came of each.

A point is a function of setting and seed. Biases are random and labels are uniform, and in the small settings each unit
of both layers is on for one example and off for another: a point at which nothing hides from a checker that looks at
its numbers only.
"""

import importlib
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.benchmarks import TimedOut, time_limit
from experiments.benchmarks.checkers import Answer, Checker
from experiments.benchmarks.peers import BENCH
from experiments.benchmarks.peers.worker import named
from twolayer.network import Params

TIMED_OUT, NOT_TRIED, RAISED = "timed out", "not tried", "raised"
# A checker that was too slow twice in a row is not waited for again in that setting: all derivations have its sizes.
PATIENCE = 2
# jax.jacfwd carries an identity matrix of K d rows, which is 80 GB for 784-128-10.
TOO_LARGE = {"real": ("jacfwd",)}


def one_of_each(derivations: Iterable) -> list:
    """Each mistake, or right style, in one loss, output and reduction, in which they take turns."""
    groups: dict[str, list] = {}
    for derivation in derivations:
        groups.setdefault(_name(derivation), []).append(derivation)
    return [group[number % len(group)] for number, group in enumerate(groups.values())]


def spread(derivations: Sequence, limit: int | None) -> list:
    """At most `limit` of them, evenly spread, in their order."""
    count = min(limit or len(derivations), len(derivations))
    return [derivations[index * len(derivations) // count] for index in range(count)]


def fitting(derivations: Iterable, setting: str) -> list:
    """Leave out the derivations that need more memory than a machine has."""
    return [derivation for derivation in derivations if _name(derivation) not in TOO_LARGE.get(setting, ())]


def _name(derivation: Any) -> str:
    return derivation.id.partition(f" {derivation.loss} ")[0]


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
        params = Params._make(leaf.astype(dtype) for leaf in self.params)
        return self._replace(params=params, x=self.x.astype(dtype), y=self.y.astype(dtype))


def draw(setting: str, seed: int, loss: str) -> Point:
    """The point of this setting and seed; both losses have the same parameters and examples."""
    _, m, d, K, C, deviation, images = SETTINGS[setting]
    leaves = ((2 / d) ** 0.5, (K, d)), (0.1, (K,)), ((2 / K) ** 0.5, (C, K)), (0.1, (C,))
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        params = Params._make((deviation or own) * rng.normal(size=shape) for own, shape in leaves)
        x = rng.uniform(size=(m, d)) * (rng.uniform(size=(m, d)) < 0.2) if images else rng.normal(size=(m, d))
        onehot = np.eye(C)[rng.integers(0, C, m)]
        targets = rng.normal(size=onehot.shape)
        if images or _tells(params, x):
            return Point(setting, seed, params, x, onehot if images or loss == "cross_entropy" else targets)
    raise AssertionError("unreachable")


def _tells(params: Params, x: Float[np.ndarray, "m d"]) -> bool:
    """Whether each unit is on for one example and off for another."""
    Z1 = x @ params.W1.T + params.b1
    Z2 = np.maximum(Z1, 0) @ params.W2.T + params.b2
    return all((Z > 0).any(axis=0).all() and (Z <= 0).any(axis=0).all() for Z in (Z1, Z2))


class Trial(NamedTuple):
    """One derivation at one point. `verdict` is an Answer's or one of the three above; `note` is what was raised."""

    derivation: Any  # what a check takes: an entry of the catalogue, or a form of a function
    verdict: str
    seconds: float | None = None
    answer: Answer | None = None
    note: str = ""


class Missing(Exception):
    """A library that is not installed; the message is what the row says."""


def load(checker: Checker) -> Callable:
    """The checker's function, with its libraries imported before the clock of a check runs. Raises Missing."""
    for package in checker.packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise Missing(f"missing: {package} is not installed; {BENCH}") from error
    return named(checker.target)


def run(check: Callable, derivations: Iterable, setting: str | None, seeds: Iterable[int], limit: float) -> list[Trial]:
    """Each derivation at each seed's point; setting None is for a checker that draws its own."""
    trials, slow = [], 0
    for seed in seeds:
        drawn = {}
        for derivation in derivations:
            if slow >= PATIENCE:
                trials.append(Trial(derivation, NOT_TRIED))
                continue
            loss = derivation.loss
            if setting and loss not in drawn:
                drawn[loss] = draw(setting, seed, loss)
            trials.append(once(check, derivation, drawn.get(loss), limit))
            slow = slow + 1 if trials[-1].verdict == TIMED_OUT else 0
    return trials


def once(check: Callable, derivation: Any, point: Point | None, limit: float) -> Trial:
    """One check. What it raises is an outcome; wrong derivations raise for a living, and warn."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(action="ignore"), time_limit(limit):
            answer = check(derivation, point)
    except TimedOut:
        return Trial(derivation, TIMED_OUT, time.perf_counter() - start)
    except Exception as error:
        note = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return Trial(derivation, RAISED, time.perf_counter() - start, note=note)
    return Trial(derivation, answer.verdict, time.perf_counter() - start, answer)
