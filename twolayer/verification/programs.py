"""What can be read off a jaxpr without running it: its float literals, and its thresholds."""

import functools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from twolayer.verification.interpreter import where
from twolayer.verification.numbers.literals import is_plain, rationals, simplest_rational

THRESHOLDS = ("gt", "ge", "lt", "le", "max", "min", "clamp")
ROUNDINGS = ("round", "floor", "ceil")
EXPONENTIALS = ("exp", "exp2", "expm1", "logistic", "tanh")
MOST_LITERALS = 12
LONGEST = 25  # digits that a reader may compare


def operations(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Every operation, those of nested calls and loops included."""
    for eqn in (jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr).eqns:
        yield eqn
        for value in eqn.params.values():
            for nested in value if isinstance(value, tuple | list) else (value,):
                if isinstance(nested, ClosedJaxpr | Jaxpr):
                    yield from operations(nested)


def largest_array(closed: ClosedJaxpr) -> int:
    """The entries of the largest array that is computed on the way."""
    return max((math.prod(var.aval.shape) for eqn in operations(closed) for var in eqn.outvars), default=0)


@functools.lru_cache(maxsize=4096)
def uses_exp(closed: ClosedJaxpr) -> bool:
    """Whether anything is exponentiated."""
    return any(eqn.primitive.name in EXPONENTIALS for eqn in operations(closed))


def literals(closed: ClosedJaxpr) -> tuple[Fraction, ...]:
    """The float literals and small constant arrays of a program, except 0 and 1, as the rationals they stand for."""
    found: dict[Fraction, None] = {}
    written = (atom.val for eqn in operations(closed) for atom in eqn.invars if isinstance(atom, Literal))
    for constant in (*closed.consts, *written):
        array = np.asarray(constant)
        if jnp.issubdtype(array.dtype, jnp.floating) and array.size <= MOST_LITERALS:
            found.update(dict.fromkeys(number for number in rationals(array) if number is not None))
    return tuple(number for number in found if number not in (0, 1, -1))[:MOST_LITERALS]


def unclear(closed: ClosedJaxpr) -> frozenset[float]:
    """The float literals that are probably not the fractions they are read as, such as math.sqrt(7)."""
    written = [atom.val for eqn in operations(closed) for atom in eqn.invars if isinstance(atom, Literal)]
    arrays = [np.asarray(constant) for constant in (*closed.consts, *written)]
    floats = [a.astype(np.float64).ravel().tolist() for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
    return frozenset(number for one in floats for number in set(one) if not is_plain(number))


def readings(numbers: tuple[Fraction, ...]) -> dict[str, str]:
    """Literals whose meaning is not plain from their digits: {"0.14285714285714285": "1/7"}."""
    return {
        repr(float(number)): _written(number)
        for number in numbers
        if number.denominator != 1
        and Fraction(repr(float(number))) != number
        and simplest_rational(float(number)) == number
    }


def _written(number: Fraction) -> str:
    """A fraction, its parts as floats where they are long, as in 1/4.49423283715579e+307."""
    parts = (str(part) if len(str(part)) <= LONGEST else repr(float(part)) for part in number.as_integer_ratio())
    return "/".join(parts)


def thresholds(closed: ClosedJaxpr) -> list[str]:
    """The operations that may act at some sizes of numbers only: "gt at homework.py:12"."""
    found = []
    for eqn in operations(closed):
        literals = [a for a in eqn.invars if isinstance(a, Literal) and jnp.issubdtype(a.aval.dtype, jnp.floating)]
        constants = [float(a.val) for a in literals if np.ndim(a.val) == 0]
        constants = [c for c in constants if np.isfinite(c)]  # the maximum with -inf in a softmax is no threshold
        if eqn.primitive.name in ROUNDINGS or (eqn.primitive.name in THRESHOLDS and any(constants)):
            found.append(where(eqn))
        elif eqn.primitive.name == "clamp" or eqn.params.get("name") in ("clip", "round"):
            found.append(where(eqn))
    return list(dict.fromkeys(found))
