"""A derivation beside the right one, on many small cases at once in float64, and where the two clearly differ."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.network import Params
from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.floats import Float64, Floats
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.tracing import NotTraceable, Parameters, Refused, trace
from twolayer.verification.verdict import LEAVES

CASES_ONE_BY_ONE = 64  # of a program that JAX cannot trace
CLEAR = 1e-12  # of the terms of an entry, all made positive: far more than rounding can do at these sizes
TIE = 1e-9  # of the terms of a pre-activation: nearer to zero its sign may be a matter of rounding

Evaluate = Callable[[Shadows], dict[str, np.ndarray]]


class Trial(NamedTuple):
    """The arrays of all cases, what both programs make of them, and how far apart they are, in units of CLEAR.

    The error is zero where no error can be told: at a pre-activation of zero, where the derivative is a convention, and
    where a number is not finite.
    """

    arrays: Shadows
    yours: dict[str, np.ndarray]
    right: dict[str, np.ndarray]
    error: dict[str, np.ndarray]

    def wrong(self) -> np.ndarray:
        """The cases with a clear error in any of the quantities."""
        flat = [(error > 1).reshape(len(error), -1).any(axis=1) for error in self.error.values()]
        return np.any(flat, axis=0) if flat else np.zeros(len(self.arrays.x), bool)


def trial(run: Evaluate, setting: Setting, wanted: Sequence[str], arrays: Shadows) -> Trial:
    """Run both programs on all cases and compare the wanted quantities that the derivation returns."""
    K, d = arrays.W1.shape[1:]
    m, C = arrays.y.shape[1:]
    closed, names = backward_jaxpr(setting, Sizes(d, K, C, m))
    yours, right = run(arrays), _run(closed, names, arrays)
    terms = _terms(setting, arrays)
    firm = np.ones(len(arrays.x), bool)
    if setting.hidden == "relu":
        firm &= (np.abs(right["Z1"]) > TIE * terms["Z1"]).all(axis=(1, 2))
    if setting.output == "relu":
        firm &= (np.abs(right["Z2"]) > TIE * terms["Z2"]).all(axis=(1, 2))
    error = {}
    for name in wanted:
        if name in yours:
            if name not in LEAVES:
                yours[name] = _oriented(yours[name], right[name])
            gap = np.abs(yours[name] - right[name]) / (CLEAR * terms[name])
            error[name] = np.where(np.isfinite(gap) & firm.reshape(-1, *[1] * (gap.ndim - 1)), gap, 0)
    return Trial(arrays, yours, right, error)


def _oriented(yours: np.ndarray, right: np.ndarray) -> np.ndarray:
    """An intermediate may have its examples as columns; where both ways fit, the better one counts."""
    turned = yours.swapaxes(1, 2)
    if turned.shape != yours.shape:
        return yours if yours.shape == right.shape else turned
    better = np.abs(turned - right).sum(axis=(1, 2)) < np.abs(yours - right).sum(axis=(1, 2))
    return np.where(better[:, None, None], turned, yours)


def program(gradients: Callable, sizes: Sizes) -> Evaluate | None:
    """The derivation as a function of many cases."""
    try:
        traced = trace(gradients, sizes)
    except NotTraceable:
        return lambda arrays: _one_by_one(gradients, arrays)
    except Refused:
        return None
    return lambda arrays: _run(traced.jaxpr, traced.names, arrays)


def _run(closed: Any, names: Sequence[str], arrays: Shadows) -> dict[str, np.ndarray]:
    outputs = interpret(closed, Float64(), *map(Floats, arrays))
    numbers = [np.asarray(getattr(value, "numbers", value), np.float64) for value in outputs]
    shapes = [(len(arrays.x), *var.aval.shape) for var in closed.jaxpr.outvars]
    return {name: np.broadcast_to(a, shape) for name, a, shape in zip(names, numbers, shapes, strict=True)}


def _one_by_one(gradients: Callable, arrays: Shadows) -> dict[str, np.ndarray]:
    """The derivation called with NumPy arrays on the first few cases; NaN where it raises, and for the rest."""
    found: dict[str, np.ndarray] = {}
    for i, case in enumerate(zip(*(a[:CASES_ONE_BY_ONE] for a in arrays), strict=True)):
        try:
            result = gradients(Parameters(*case[:4]), *case[4:])
        except Exception:  # whatever the user's code raises, at these numbers
            continue
        leaves = {f"d{name}": a for name, a in result._asdict().items()} if isinstance(result, Params) else result
        for name, a in leaves.items():
            if a is not None:
                found.setdefault(name, np.full((len(arrays.x), *np.shape(a)), np.nan))[i] = a
    return found


def _terms(setting: Setting, arrays: Shadows) -> dict[str, np.ndarray]:
    """The sum of the absolute values of the terms of each entry: what its rounding is measured by."""
    W1, b1, W2, b2, x, y = map(np.abs, arrays)
    Z1 = x @ W1.swapaxes(1, 2) + b1[:, None]
    O1 = Z1 if setting.hidden == "relu" else np.ones_like(Z1)
    Z2 = O1 @ W2.swapaxes(1, 2) + b2[:, None]
    dO2 = Z2 + y if setting.loss == "quadratic" and setting.output != "sigmoid" else 1 + Z2 + y
    dO1 = dO2 @ W2
    terms = {"Z1": Z1, "Z2": Z2, "dO2": dO2, "dZ2": dO2, "dO1": dO1, "dZ1": dO1}
    terms |= {"dW2": dO2.swapaxes(1, 2) @ O1, "db2": dO2.sum(axis=1)}
    return terms | {"dW1": dO1.swapaxes(1, 2) @ x, "db1": dO1.sum(axis=1)}
