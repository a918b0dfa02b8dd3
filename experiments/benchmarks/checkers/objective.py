"""The declared loss of a derivation, forwards only, once for NumPy and JAX: what finite differences are taken of."""

from types import ModuleType

import jax
import numpy as np
from jaxtyping import Float

Either = np.ndarray | jax.Array


def loss(
    xp: ModuleType, derivation, leaves: tuple[Either, ...], x: Float[Either, "m d"], y: Float[Either, "m C"]
) -> Float[Either, ""]:
    """The loss as a scalar. `xp` is numpy or jax.numpy; leaves are W1 (K, d), b1 (K,), W2 (C, K), b2 (C,)."""
    W1, b1, W2, b2 = leaves
    O1 = xp.maximum(x @ W1.T + b1[None, :], 0)
    O2 = O1 @ W2.T + b2[None, :]
    if derivation.output == "relu":
        O2 = xp.maximum(O2, 0)
    if derivation.loss == "cross_entropy":
        shifted = O2 - O2.max(axis=1, keepdims=True)
        values = xp.log(xp.exp(shifted).sum(axis=1)) - (y * shifted).sum(axis=1)
    else:
        values = ((O2 - y) ** 2).sum(axis=1) / 2
    return values.mean() if derivation.reduction == "mean" else values.sum()
