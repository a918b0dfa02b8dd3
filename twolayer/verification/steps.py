"""The right line of each step (eq. 2b), for both losses, both outputs and both reductions."""

import functools

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope


def softmax(O2: jax.Array) -> jax.Array:
    """Softmax of each row, shifted by its maximum."""
    exps = jnp.exp(O2 - O2.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def residual(s: Scope, loss: str) -> jax.Array:
    """The derivative of each example's loss by O2."""
    return softmax(s.O2) - s.y if loss == "cross_entropy" else s.O2 - s.y


@functools.cache
def right_lines(loss: str, output: str, reduction: str) -> dict[str, Line]:
    """Step -> its right line, in the order of back-propagation."""
    of_m = " / m" if reduction == "mean" else ""
    prediction = "softmax(O2)" if loss == "cross_entropy" else "O2"
    masked = output == "relu"
    return {
        line.step: line._replace(id="right")
        for line in (
            Line("", "dO2", f"dO2 = ({prediction} - y){of_m}", lambda s: s.w * residual(s, loss)),
            Line(
                "",
                "dZ2",
                "dZ2 = dO2 * (Z2 > 0)" if masked else "dZ2 = dO2",
                (lambda s: jnp.where(s.Z2 > 0, s.dO2, 0)) if masked else (lambda s: s.dO2),
            ),
            Line("", "dW2", "dW2 = dZ2.T @ O1", lambda s: s.dZ2.T @ s.O1),
            Line("", "db2", "db2 = dZ2.sum(axis=0)", lambda s: s.dZ2.sum(axis=0)),
            Line("", "dO1", "dO1 = dZ2 @ W2", lambda s: s.dZ2 @ s.W2),
            Line("", "dZ1", "dZ1 = dO1 * (Z1 > 0)", lambda s: jnp.where(s.Z1 > 0, s.dO1, 0)),
            Line("", "dW1", "dW1 = dZ1.T @ x", lambda s: s.dZ1.T @ s.x),
            Line("", "db1", "db1 = dZ1.sum(axis=0)", lambda s: s.dZ1.sum(axis=0)),
        )
    }
