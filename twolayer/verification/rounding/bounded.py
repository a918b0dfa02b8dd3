"""Numbers with a bound on how far a program's own may be from them, and the functions whose slopes are known."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

U64 = 2.0**-53  # the unit roundoff of float64, in which bounds are computed

if TYPE_CHECKING:
    Numbers = np.ndarray
else:
    Numbers = np.ndarray | np.generic  # NumPy turns arrays without axes into scalars, which do all that arrays do


class Bounded(NamedTuple):
    """Float64 arrays of one shape: numbers, a bound on the program's distance from them, and their size."""

    numbers: Numbers
    bound: Numbers
    size: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.numbers)

    @property
    def ndim(self) -> int:
        return np.ndim(self.numbers)


def _erf(a: Numbers) -> Numbers:
    from scipy.special import erf  # a third of the seconds that JAX's import takes, for one function

    return erf(a)


# Functions, and the most that their derivative on [low, high] can be in size (mean value theorem).
SMOOTH: dict[str, tuple[Callable, Callable]] = {
    "log": (np.log, lambda low, high: 1 / np.maximum(low, 0.0)),
    "log1p": (np.log1p, lambda low, high: 1 / np.maximum(1 + low, 0.0)),
    "expm1": (np.expm1, lambda low, high: np.exp(high)),
    "tanh": (np.tanh, lambda low, high: 1.0),
    "logistic": (lambda a: 1 / (1 + np.exp(-a)), lambda low, high: 0.25),
    "sqrt": (np.sqrt, lambda low, high: 0.5 / np.sqrt(np.maximum(low, 0.0))),
    "rsqrt": (lambda a: 1 / np.sqrt(a), lambda low, high: 0.5 * np.maximum(low, 0.0) ** -1.5),
    "sin": (np.sin, lambda low, high: 1.0),
    "cos": (np.cos, lambda low, high: 1.0),
    "erf": (_erf, lambda low, high: 2 / np.pi**0.5),
}


class DecidedByRounding(Exception):
    """A decision on which a rounding has a say, where only one outcome can be followed."""


def opaque(numbers: Any) -> Bounded:
    """Numbers of which nothing is known: the bound is infinite."""
    numbers = np.asarray(numbers, np.float64)
    return Bounded(numbers, np.full(numbers.shape, np.inf), abs(numbers))


def raised(bound: Numbers, n: int = 0) -> Numbers:
    """A bound, raised by more than its own computation in float64 (n terms, and some operations) may have lost."""
    return bound * (1 + (2 * n + 32) * U64)
