"""The right line of each step (eq. 2b), for every loss, output, hidden activation and reduction."""

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope


def softmax(O2: jax.Array) -> jax.Array:
    """Softmax of each row, shifted by its maximum."""
    exps = jnp.exp(O2 - O2.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def residual(s: Scope, loss: str) -> jax.Array:
    """The derivative of each example's loss by O2."""
    return PREDICTIONS[loss][1](s.O2) - s.y


# Of each loss, what its residual subtracts the target from.
PREDICTIONS: dict[str, tuple[str, Callable[[jax.Array], jax.Array]]] = {
    "cross_entropy": ("softmax(O2)", softmax),
    "quadratic": ("O2", lambda O2: O2),
    "binary_cross_entropy": ("sigmoid(O2)", jax.nn.sigmoid),
}


def _activation(layer: int, name: str) -> Line:
    """DZ of a layer with this activation."""
    dZ, dO, out, Z = (f"{letter}{layer}" for letter in ("dZ", "dO", "O", "Z"))
    a, o, z = (operator.attrgetter(field) for field in (dO, out, Z))
    code, compute = {
        "relu": (f"{dO} * ({Z} > 0)", lambda s: jnp.where(z(s) > 0, a(s), 0)),
        "identity": (dO, a),
        "sigmoid": (f"{dO} * {out} * (1 - {out})", lambda s: a(s) * (o(s) * (1 - o(s)))),
    }[name]
    return Line("", dZ, f"{dZ} = {code}", compute)


@functools.cache
def right_lines(loss: str, output: str, reduction: str, hidden: str = "relu") -> dict[str, Line]:
    """Step -> its right line, in the order of back-propagation."""
    residuals = f"{PREDICTIONS[loss][0]} - y"
    return {
        line.step: line._replace(id="right")
        for line in (
            Line(
                "",
                "dO2",
                f"dO2 = ({residuals}) / m" if reduction == "mean" else f"dO2 = {residuals}",
                lambda s: s.w * residual(s, loss),
            ),
            _activation(2, output),
            Line("", "dW2", "dW2 = dZ2.T @ O1", lambda s: s.dZ2.T @ s.O1),
            Line("", "db2", "db2 = dZ2.sum(axis=0)", lambda s: s.dZ2.sum(axis=0)),
            Line("", "dO1", "dO1 = dZ2 @ W2", lambda s: s.dZ2 @ s.W2),
            _activation(1, hidden),
            Line("", "dW1", "dW1 = dZ1.T @ x", lambda s: s.dZ1.T @ s.x),
            Line("", "db1", "db1 = dZ1.sum(axis=0)", lambda s: s.dZ1.sum(axis=0)),
        )
    }
