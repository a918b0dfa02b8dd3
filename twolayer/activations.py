"""The activations of both layers, each with its derivative beside it: a third one is one more entry of the table.

What back-propagation needs of an activation f is the product dZ = dO f'(Z) (eq. 2b), entry by entry; `back` is that.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Activation(NamedTuple):
    """`apply`: Z -> O = f(Z). `back`: (Z, O, dO) -> dZ = dO f'(Z). All arrays of one shape."""

    apply: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    back: Callable[[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]


def _identity(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return z


ACTIVATIONS: dict[str, Activation] = {
    # ReLU' = 1[Z > 0]. jax.nn.relu, not jnp.maximum: its derivative at the kink is 0, as here; jnp.maximum has 1/2.
    "relu": Activation(jax.nn.relu, lambda Z, _, dO: jnp.where(Z > 0, dO, 0)),
    "identity": Activation(_identity, lambda Z, _, dO: dO),
    # s(Z) = 1 / (1 + exp(-Z)), s' = s (1 - s).
    "sigmoid": Activation(jax.nn.sigmoid, lambda Z, s, dO: dO * (s * (1 - s))),
}
OUTPUTS = ("relu", "identity", "sigmoid")
HIDDEN = ("relu", "sigmoid")  # two layers without anything between them would be one
