"""Wrong forward passes. A derivation that starts from one can be consistent in itself, so each brings its own lines."""

import functools
from collections.abc import Callable, Iterator
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


def _bias_outside(s: Scope, output: Callable, hidden: Callable) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    Z1 = s.x @ s.W1.T
    O1 = hidden(Z1) + s.b1[None, :]
    Z2 = O1 @ s.W2.T + s.b2[None, :]
    return Z1, O1, Z2, output(Z2)


# Each activation that could be declared: its name in a formula, what it is, and dZ from dO, Z and O.
DECLARED: dict[str, tuple[str, Callable, Callable]] = {
    "relu": ("ReLU({})", _relu, lambda dO, Z, A: jnp.where(Z > 0, dO, 0)),
    "identity": ("{}", _same, lambda dO, Z, A: dO),
    "sigmoid": ("sigmoid({})", jax.nn.sigmoid, lambda dO, Z, A: dO * A * (1 - A)),
}


def _wrong_outputs(output: str, hidden: Callable) -> Iterator[Forward]:
    """Another activation on the output than the declared one, in the forward pass alone or in dZ2 too."""
    correction = "O2 = " + DECLARED[output][0].format("Z2")
    texts = {
        ("relu", "identity"): "the output's ReLU is left out",
        ("identity", "relu"): "a ReLU is put on the output",
        ("sigmoid", "identity"): "the output's sigmoid is left out",
        ("sigmoid", "relu"): "the output has a ReLU where the declared one is a sigmoid",
        ("relu", "sigmoid"): "the output has a sigmoid where the declared one is ReLU",
        ("identity", "sigmoid"): "a sigmoid is put on the output",
    }
    for other in DECLARED:
        if other == output:
            continue
        _, act, back = DECLARED[other]
        compute = functools.partial(forward, output=act, hidden=hidden)
        text = texts[output, other]
        if output != "relu":  # under a ReLU it is softmax_of_preactivation, or right
            yield Forward("other_output", "", compute, f"{text} in the forward pass", correction, {})
        lines = {"dZ2": lambda s, back=back: back(s.dO2, s.Z2, s.O2)}
        yield Forward("other_output", "", compute, f"{text}, in the forward pass and in dZ2", correction, lines)


def _wrong_hidden(hidden: str, output: Callable) -> Iterator[Forward]:
    """Another activation of the hidden layer, in the forward pass and in dZ1."""
    name = DECLARED[hidden][0].format("").removesuffix("()")
    known = {
        "sigmoid": ("a sigmoid", *DECLARED["sigmoid"][1:]),
        "tanh": ("tanh", jnp.tanh, lambda dO, Z, A: dO * (1 - A**2)),
        "abs": ("an absolute value", jnp.abs, lambda dO, Z, A: dO * jnp.sign(Z)),
        "relu": ("a ReLU", *DECLARED["relu"][1:]),
    }
    for other, (said, act, back) in known.items():
        if other != hidden:
            text = f"the hidden activation is {said}; the declared one is {name}"
            yield Forward(
                "other_activation", f"O1 = {other}(Z1)", functools.partial(forward, output=output, hidden=act),
                text, f"O1 = {name}(Z1)", {"dZ1": lambda s, back=back: back(s.dO1, s.Z1, s.O1)},
            )  # fmt: skip


@functools.cache
def wrong_forwards(output: str, hidden: str = "relu") -> tuple[Forward, ...]:
    """The forward passes that people confuse with the declared one."""
    act, hid = DECLARED[output][1], DECLARED[hidden][1]
    O2 = "O2 = " + DECLARED[output][0].format("Z2")
    name = DECLARED[hidden][0].format("").removesuffix("()")
    Z1, O1 = "Z1 = x @ W1.T + b1", f"O1 = {name}(Z1)"
    return (
        *_wrong_outputs(output, hid),
        Forward("bias_missing", "Z1 = x @ W1.T", lambda s: forward(s, act, hid, b1=0), "b1 is missing in Z1", Z1, {}),
        Forward("bias_missing", "Z2 = O1 @ W2.T", lambda s: forward(s, act, hid, b2=0), "b2 is missing in Z2",
                "Z2 = O1 @ W2.T + b2", {}),
        Forward("bias_missing", "Z1 = x @ W1.T, Z2 = O1 @ W2.T", lambda s: forward(s, act, hid, b1=0, b2=0),
                "b1 and b2 are missing in the forward pass", f"{Z1}, Z2 = O1 @ W2.T + b2", {}),
        Forward("bias_outside", f"O1 = {name}(x @ W1.T) + b1", lambda s: _bias_outside(s, act, hid),
                f"b1 is added after the hidden {name}; it belongs inside", f"O1 = {name}(x @ W1.T + b1)", {}),
        Forward("bias_outside", f"O1 = {name}(x @ W1.T) + b1", lambda s: _bias_outside(s, act, hid),
                f"b1 is added after the hidden {name}; it belongs inside", f"O1 = {name}(x @ W1.T + b1)",
                {"db1": lambda s: s.dO1.sum(axis=0)}),
        Forward(f"hidden_{hidden}_missing", "O1 = Z1", lambda s: forward(s, act, _same),
                f"the hidden layer has no {name}, in the forward pass and in dZ1", O1,
                {"dZ1": lambda s: s.dO1}),
        Forward(f"hidden_{hidden}_missing", "O1 = Z1", lambda s: forward(s, act, _same),
                f"the hidden layer has no {name} in the forward pass", O1, {}),
        *_wrong_hidden(hidden, act),
        Forward("transpose", "Z1 = x @ W1 + b1", lambda s: forward(s, act, hid, Z1=s.x @ s.W1 + s.b1[None, :]),
                "W1 is not transposed in Z1; it runs only where d = K", Z1, {}),
        Forward("transpose", "Z2 = O1 @ W2 + b2", lambda s: forward(s, act, hid, W2=s.W2.T),
                "W2 is not transposed in Z2; it runs only where K = C", "Z2 = O1 @ W2.T + b2", {}),
        Forward("w2_for_w1", "Z1 = W2 + b1", lambda s: forward(s, act, hid, Z1=s.W2 + s.b1[None, :]),
                "W2 stands where W1 x belongs in the hidden layer", Z1, {}),
        Forward("w2_for_w1", "Z1 = x @ W2.T + b1", lambda s: forward(s, act, hid, Z1=s.x @ s.W2.T + s.b1[None, :]),
                "W2 stands where W1 belongs in the hidden layer", Z1, {}),
        Forward("w2_for_w1", "O2 = ReLU(W2 ReLU(W2 + b1))", lambda s: _as_scanned(s, act),
                "W2 stands where W1 x belongs in the hidden layer, and b2 is missing", O2, {}),
        Forward("leaky_relu", "O1 = leaky_relu(Z1, t)",
                lambda s: forward(s, act, lambda Z: jnp.where(Z > 0, Z, s.t * Z)),
                "the hidden activation is a leaky ReLU with slope {t}; the declared one is " + name, O1,
                {"dZ1": lambda s: jnp.where(s.Z1 > 0, s.dO1, s.t * s.dO1)}, literal=True),
    )  # fmt: skip
