"""Formulas as text, computed in float64 or in balls: "dO1 * (Z1 > 0)" over the arrays of a scope.

One text serves for reading, for search in float64 and for exact judging. It is compiled once. Which functions its names
stand for depends on the scope: NumPy's own if its arrays are floats; if they are balls, functions that keep every
number a ball, so that sqrt(2) and pi are as exact as the rest.

A text may use the arrays of the scope, their sizes d, K, C, m, the column i of example numbers, the constant t, and
the functions below, with or without "np." before them.
"""

import functools
import math
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import Ball, arb, balls
from twolayer.verification.numbers.functions import UNARY


class Names(dict):
    """What names stand for in one number system; also `np`, with the functions as attributes."""

    __getattr__ = dict.__getitem__


def _elementwise(name: str) -> Callable:
    def function(a: Any) -> Any:
        values = balls(a)
        return (
            np.vectorize(lambda v: getattr(v, name)(), otypes=[object])(values)
            if values.ndim
            else getattr(values.item(), name)()
        )

    return function


def _both(functions: Mapping[str, Callable]) -> Names:
    """The functions that all number systems share, and those that are made of them."""
    n = Names(functions)
    same = "where maximum minimum outer roll tril triu arange concatenate zeros_like ones_like eye argmax sum mean dot"
    n |= {name: getattr(np, name) for name in same.split()} | {"abs": abs}
    n["relu"] = lambda a: np.maximum(a, 0)
    n["clip"] = lambda a, low, high: np.minimum(np.maximum(a, low), high)
    n["sigmoid"] = lambda a: 1 / (1 + n["exp"](-a))
    n["softmax"] = lambda a, axis=1: _normalised(n["exp"](n["shifted"](a, axis)), axis)
    n["jacobian"] = lambda P, g: P * (g - (P * g).sum(axis=1, keepdims=True))  # the softmax's, applied to g
    n["np"] = n
    return n


def _normalised(E: np.ndarray, axis: int | None) -> np.ndarray:
    return E / E.sum(axis=axis, keepdims=True)


def _float_names() -> Names:
    plain = "exp expm1 log log1p log2 log10 sqrt tanh sinh cosh sin cos tan arctan sign round square".split()
    n = _both({name: getattr(np, name) for name in plain})
    n["erf"] = np.vectorize(math.erf, otypes=[np.float64])
    n["pi"] = np.pi
    n["shifted"] = lambda a, axis: a - a.max(axis=axis, keepdims=True)
    n["logsumexp"] = lambda a: n["log"](n["exp"](n["shifted"](a, 1)).sum(axis=1)) + a.max(axis=1)
    return n


def _ball_names() -> Names:
    n = _both({name: _elementwise(name) for name in (*UNARY, "sign")})
    n["round"] = np.vectorize(round, otypes=[object])
    n["shifted"] = lambda a, axis: a  # no ball overflows, and no maximum need be decided
    n["logsumexp"] = lambda a: n["log"](n["exp"](a).sum(axis=1))
    return n


_FLOATS, _BALLS = _float_names(), _ball_names()


@functools.cache
def compiled(text: str) -> CodeType:
    """A formula, ready to be computed; `co_names` holds the names that it reads.

    Raises:
      SyntaxError: the text is no expression.
    """
    return compile(text, "formula", "eval")


@functools.cache
def reads(text: str) -> frozenset[str]:
    """The names in a formula: arrays, sizes and functions."""
    return frozenset(compiled(text).co_names)


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """The value of a formula at the arrays of a scope: float64, or an object array of balls if one of them is.

    Raises:
      NameError: it reads an array that the scope lacks.
      ValueError, TypeError, IndexError: the arrays' shapes do not fit.
    """
    read = reads(text)
    names = {name: scope[name] for name in read if name in scope}  # a few of many
    t = names.pop("t", None)
    exact = any(isinstance(v, Ball) or (isinstance(v, np.ndarray) and v.dtype == object) for v in names.values())
    if t is not None:
        names["t"] = Ball(t) if exact else float(t)
    if not exact:
        with np.errstate(all="ignore"):
            return np.asarray(eval(compiled(text), _FLOATS, names), np.float64)
    if "pi" in read:
        _BALLS["pi"] = Ball.made(arb(0).pi())  # at today's precision
    return balls(eval(compiled(text), _BALLS, names))
