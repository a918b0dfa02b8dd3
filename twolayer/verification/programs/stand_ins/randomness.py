"""What `random` and `np.random` are: real generators of their own, whose floats are balls that mean themselves.

A program starts from a fixed seed, so that one command gives one verdict, and goes on from call to call: a function
that draws numbers without seeding gives something else each time it runs. So whoever runs it twice finds that out; one
that seeds inside is a function like any other.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.programs.stand_ins.arrays import exactly, is_real, plain

_KEEPS_ENTRIES = {"shuffle", "permutation", "permuted", "choice", "sample", "choices"}


def _as_float(value: Any) -> Any:
    """An argument of a distribution as real generators want it."""
    if isinstance(value, Ball):
        return float(value.v)
    if is_real(value) and not isinstance(value, float):
        array = np.asarray(plain(value), object)
        return np.array([float(Ball(v).v) for v in array.ravel().tolist()]).reshape(array.shape)
    return np.asarray(value) if isinstance(value, np.ndarray) else value


def _drawing(method: Callable, name: str) -> Callable:
    def draw(*args: Any, **options: Any) -> Any:
        if name in _KEEPS_ENTRIES and args:
            first = np.asarray(args[0]) if isinstance(args[0], np.ndarray) else args[0]
            args = (first, *map(_as_float, args[1:]))
        else:
            args = tuple(map(_as_float, args))
        options = {
            k: np.float64 if k == "dtype" and not isinstance(v, type) else _as_float(v) for k, v in options.items()
        }
        if isinstance(options.get("dtype"), type) and options["dtype"] is not int:
            options["dtype"] = np.dtype(options["dtype"]).type
        return exactly(method(*args, **options))

    return draw


class _Generator:
    """A generator of NumPy's, whose floats are balls."""

    def __init__(self, real: Any):
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return _drawing(getattr(self._real, name), name)


class NumpyRandom(_Generator):
    """np.random. `restart()` is called once a program is loaded."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._real, self._seeds = np.random.RandomState(0), iter(range(10**9))

    def default_rng(self, seed: Any = None) -> _Generator:
        return (
            seed
            if isinstance(seed, _Generator)
            else _Generator(np.random.default_rng(next(self._seeds) if seed is None else seed))
        )

    def RandomState(self, seed: Any = None) -> _Generator:
        return _Generator(np.random.RandomState(next(self._seeds) if seed is None else seed))

    Generator = _Generator


class PythonRandom(_Generator):
    """The module `random`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._real = random.Random(0)
