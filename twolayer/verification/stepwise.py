"""Holds each step of a compiled program against its exact value given the program's own arrays before it."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from twolayer.verification.cuts import Place, evaluate
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.rounding import DecidedByRounding, Rounded, Rounding, exactly
from twolayer.verification.tracing import Traced
from twolayer.verification.verdict import Rounding as Report

ORDER = ("Z1", "O1", "Z2", "O2", "dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1")
PRECISIONS = ("float32", "float64", "bfloat16", "tensorfloat32")


class Compared(NamedTuple):
    """One array of the program beside its value from the arrays before it."""

    step: str
    mine: np.ndarray
    right: Rounded

    @property
    def error(self) -> np.ndarray:
        """In float64; infinite where the program's number is not finite."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(abs(self.mine.astype(np.float64) - self.right.numbers), nan=np.inf, posinf=np.inf)

    @property
    def beyond(self) -> np.ndarray:
        """Where the error is larger than its bound."""
        return ~(self.error <= self.right.bound)


class Steps(NamedTuple):
    """All arrays compared, in the order of computing, and the number system that was used."""

    compared: list[Compared]
    system: Rounding


@contextlib.contextmanager
def running(precision: str) -> Iterator[str]:
    """The state of JAX in which a program of this precision is traced and run; yields the type of its arrays."""
    dtype = "float32" if precision == "tensorfloat32" else precision
    products = jax.default_matmul_precision("tensorfloat32" if precision == "tensorfloat32" else None)
    with jax.enable_x64(dtype == "float64"), products if precision == "tensorfloat32" else contextlib.nullcontext():
        yield dtype


class Instrumented:
    """A program compiled so that it hands out the arrays at some places, and uses what it hands out."""

    def __init__(self, traced: Traced, places: dict[Place, str], precision: str):
        """`places`: where the steps stand inside of it."""
        self.traced, self.closed, self.places, self.precision = traced, traced.jaxpr, places, precision
        self._order = list(places)
        self._run = jax.jit(self._evaluate)

    def _evaluate(self, *arguments: Any) -> tuple[list, list]:
        outputs, handed_out = evaluate(self.closed, arguments, self.places)
        return outputs, [handed_out[place] for place in self._order]

    def run(self, arguments: Sequence[np.ndarray]) -> tuple[list[np.ndarray], dict[Place, np.ndarray]]:
        """The outputs, and the arrays at the places."""
        with running(self.precision):
            outputs, handed_out = jax.tree.map(np.asarray, self._run(*arguments))
        return outputs, dict(zip(self._order, handed_out, strict=True))

    def compare(self, arguments: Sequence[np.ndarray]) -> Steps:
        """Run it, and hold each step against its value from the program's own arrays before it."""
        outputs, handed_out = self.run(arguments)
        system, compared = Rounding(self.precision), []

        def cut(path: Any, eqn: Any, values: list) -> list:
            for i, value in enumerate(values):
                if (path, i) in handed_out:
                    compared.append(Compared(self.places[path, i], handed_out[path, i], value))
                    values = [*values[:i], exactly(handed_out[path, i]), *values[i + 1 :]]
            return values

        right = follow(self.closed, system, arguments, cut)
        compared += map(Compared, self.traced.names, outputs, right)
        return Steps(compared, system)


def follow(closed: ClosedJaxpr, system: Rounding, arguments: Sequence[np.ndarray], visit: Any = None) -> list[Rounded]:
    """The outputs with their bounds.

    Raises:
      DecidedByRounding: where an operation cannot be followed for that reason; the line is named.
    """
    try:
        with jax.enable_x64(True):
            return interpret(closed, system, *map(exactly, arguments), visit=visit)
    except DecidedByRounding as error:
        raise DecidedByRounding(f"{system.here()}: rounding has a say in {error}") from None


def disagreement(one: Compared, by: str, allowing: str = "") -> str:
    """The worst entry beyond its bound: both numbers, and how far rounding reaches."""
    at = np.unravel_index(np.where(one.beyond, one.error, -1).argmax(), one.error.shape)
    entry = f"{one.step}[{', '.join(map(str, at))}]" if at else one.step
    mine, right, room = (float(a[at]) for a in (one.mine, one.right.numbers, one.right.bound))
    allowed = f", {allowing}," if allowing else ""
    return f"{entry} is {mine:.9g}, and {right:.9g} {by}; rounding{allowed} explains a difference of {room:.2g}"


def report(compared: Sequence[Compared], u: float) -> tuple[Report, ...]:
    """The rounding of each step, of one that occurs more than once the worst.

    Args:
      u: the unit roundoff of the run; an array of a coarser type has its own.
    """
    found: dict[str, Report] = {}
    for one in compared:
        new, old = _rounding(one, max(u, float(jnp.finfo(one.mine.dtype).eps) / 2)), found.get(one.step)
        if old is not None:
            pairs = [
                (getattr(old, name), getattr(new, name)) for name in ("eta", "error_over_bound", "bound_over_entry")
            ]
            new = Report(one.step, *(max(pair) for pair in pairs))
        found[one.step] = new
    return tuple(found[name] for name in ORDER if name in found)


def _rounding(one: Compared, u: float) -> Report:
    error, entry = one.error, abs(one.right.numbers)
    with np.errstate(all="ignore"):
        eta = np.where(error > 0, error / (u * one.right.size), 0.0)
        share = np.where(error > 0, error / one.right.bound, 0.0)
        relative = (one.right.bound / entry)[entry > 0]
    median = float(np.median(relative)) if relative.size else 0.0
    return Report(one.step, float(eta.max(initial=0)), float(share.max(initial=0)), median)
