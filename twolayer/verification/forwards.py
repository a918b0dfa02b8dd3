"""Wrong forward passes. A derivation that starts from one can be consistent in itself, so each brings its own lines."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Scope


class Forward(NamedTuple):
    """A forward pass: (Scope) -> (Z1, O1, Z2, O2), and the lines of back-propagation that follow from it."""

    id: str
    code: str
    compute: Callable[[Scope], tuple[jax.Array, jax.Array, jax.Array, jax.Array]]
    text: str
    correction: str
    lines: dict[str, Callable[[Scope], jax.Array]]
    literal: bool = False


def _relu(Z: jax.Array) -> jax.Array:
    return jnp.where(Z > 0, Z, 0)


def _same(Z: jax.Array) -> jax.Array:
    return Z


def forward(
    s: Scope,
    output: Callable = _relu,
    hidden: Callable = _relu,
    b1: float = 1,
    b2: float = 1,
    Z1: jax.Array | None = None,
    W2: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Both layers, with one part exchanged."""
    Z1 = s.x @ s.W1.T + b1 * s.b1[None, :] if Z1 is None else Z1
    O1 = hidden(Z1)
    Z2 = O1 @ (s.W2 if W2 is None else W2).T + b2 * s.b2[None, :]
    return Z1, O1, Z2, output(Z2)


def _as_scanned(s: Scope, output: Callable) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The author's page: O2 from W2 alone, in columns; O1 and Z1 are stated again below it, rightly."""
    Z1 = s.x @ s.W1.T + s.b1[None, :]
    Z2 = (s.W2 @ _relu(s.W2 + s.b1[:, None])).T
    return Z1, _relu(Z1), Z2, output(Z2)


def _bias_outside(s: Scope, output: Callable) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    Z1 = s.x @ s.W1.T
    O1 = _relu(Z1) + s.b1[None, :]
    Z2 = O1 @ s.W2.T + s.b2[None, :]
    return Z1, O1, Z2, output(Z2)


@functools.cache
def wrong_forwards(output: str) -> tuple[Forward, ...]:
    """The forward passes that people confuse with the declared one."""
    act, other = (_relu, _same) if output == "relu" else (_same, _relu)
    O2 = "O2 = ReLU(Z2)" if output == "relu" else "O2 = Z2"
    mixed = (
        ("the output's ReLU is left out, in the forward pass and in dZ2", lambda s: s.dO2)
        if output == "relu"
        else ("a ReLU is put on the output, in the forward pass and in dZ2", lambda s: jnp.where(s.Z2 > 0, s.dO2, 0))
    )
    Z1 = "Z1 = x @ W1.T + b1"
    unmasked = Forward(
        "other_output", "", lambda s: forward(s, other), "a ReLU is put on the output in the forward pass", O2, {}
    )
    return (
        *((unmasked,) if output == "identity" else ()),  # under a ReLU it is softmax_of_preactivation, or right
        Forward("bias_missing", "Z1 = x @ W1.T", lambda s: forward(s, act, b1=0), "b1 is missing in Z1", Z1, {}),
        Forward("bias_missing", "Z2 = O1 @ W2.T", lambda s: forward(s, act, b2=0), "b2 is missing in Z2",
                "Z2 = O1 @ W2.T + b2", {}),
        Forward("bias_missing", "Z1 = x @ W1.T, Z2 = O1 @ W2.T", lambda s: forward(s, act, b1=0, b2=0),
                "b1 and b2 are missing in the forward pass", f"{Z1}, Z2 = O1 @ W2.T + b2", {}),
        Forward("bias_outside", "O1 = ReLU(x @ W1.T) + b1", lambda s: _bias_outside(s, act),
                "b1 is added after the hidden ReLU; it belongs inside", "O1 = ReLU(x @ W1.T + b1)", {}),
        Forward("bias_outside", "O1 = ReLU(x @ W1.T) + b1", lambda s: _bias_outside(s, act),
                "b1 is added after the hidden ReLU; it belongs inside", "O1 = ReLU(x @ W1.T + b1)",
                {"db1": lambda s: s.dO1.sum(axis=0)}),
        Forward("other_output", "", lambda s: forward(s, other), mixed[0], O2, {"dZ2": mixed[1]}),
        Forward("hidden_relu_missing", "O1 = Z1", lambda s: forward(s, act, _same),
                "the hidden layer has no ReLU, in the forward pass and in dZ1", "O1 = ReLU(Z1)",
                {"dZ1": lambda s: s.dO1}),
        Forward("hidden_relu_missing", "O1 = Z1", lambda s: forward(s, act, _same),
                "the hidden layer has no ReLU in the forward pass", "O1 = ReLU(Z1)", {}),
        Forward("other_activation", "O1 = sigmoid(Z1)", lambda s: forward(s, act, jax.nn.sigmoid),
                "the hidden activation is a sigmoid; the declared one is ReLU", "O1 = ReLU(Z1)",
                {"dZ1": lambda s: s.dO1 * s.O1 * (1 - s.O1)}),
        Forward("other_activation", "O1 = tanh(Z1)", lambda s: forward(s, act, jnp.tanh),
                "the hidden activation is tanh; the declared one is ReLU", "O1 = ReLU(Z1)",
                {"dZ1": lambda s: s.dO1 * (1 - s.O1**2)}),
        Forward("other_activation", "O1 = abs(Z1)", lambda s: forward(s, act, jnp.abs),
                "the hidden activation is an absolute value; the declared one is ReLU", "O1 = ReLU(Z1)",
                {"dZ1": lambda s: s.dO1 * jnp.sign(s.Z1)}),
        Forward("transpose", "Z1 = x @ W1 + b1", lambda s: forward(s, act, Z1=s.x @ s.W1 + s.b1[None, :]),
                "W1 is not transposed in Z1; it runs only where d = K", Z1, {}),
        Forward("transpose", "Z2 = O1 @ W2 + b2", lambda s: forward(s, act, W2=s.W2.T),
                "W2 is not transposed in Z2; it runs only where K = C", "Z2 = O1 @ W2.T + b2", {}),
        Forward("w2_for_w1", "Z1 = W2 + b1", lambda s: forward(s, act, Z1=s.W2 + s.b1[None, :]),
                "W2 stands where W1 x belongs in the hidden layer", Z1, {}),
        Forward("w2_for_w1", "Z1 = x @ W2.T + b1", lambda s: forward(s, act, Z1=s.x @ s.W2.T + s.b1[None, :]),
                "W2 stands where W1 belongs in the hidden layer", Z1, {}),
        Forward("w2_for_w1", "O2 = ReLU(W2 ReLU(W2 + b1))", lambda s: _as_scanned(s, act),
                "W2 stands where W1 x belongs in the hidden layer, and b2 is missing", O2, {}),
        Forward("leaky_relu", "O1 = leaky_relu(Z1, t)",
                lambda s: forward(s, act, lambda Z: jnp.where(Z > 0, Z, s.t * Z)),
                "the hidden activation is a leaky ReLU with slope {t}; the declared one is ReLU", "O1 = ReLU(Z1)",
                {"dZ1": lambda s: jnp.where(s.Z1 > 0, s.dO1, s.t * s.dO1)}, literal=True),
    )  # fmt: skip
