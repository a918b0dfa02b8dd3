"""The author's page with its slips mended and nothing added: both weight gradients, and no bias gradient.

    python -m experiments.verify --derivation=experiments/derivations/author_without_biases.py --reduction=sum

Expected: not_derived. Right leaves: dW1, dW2. Not derived: db1, db2.
"""

import jax
import jax.numpy as jnp


def gradients(params, x, y):
    """The two weight gradients of the page."""
    Z1 = x @ params.W1.T + params.b1  # Z1 = W1 x + b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2  # Z2 = W2 O1 + b2
    O2 = jax.nn.relu(Z2)

    P = jnp.exp(O2) / jnp.exp(O2).sum(axis=1, keepdims=True)
    dZ2 = (P - y) * (Z2 > 0)  # dL/dO2 . dO2/dZ2
    dW2 = dZ2.T @ O1  # dL/dW2 = dL/dO2 . dO2/dZ2 . dZ2/dW2
    dZ1 = (dZ2 @ params.W2) * (Z1 > 0)
    dW1 = dZ1.T @ x  # dL/dW1 = dL/dO2 . dO2/dZ2 . dZ2/dO1 . dO1/dZ1 . dZ1/dW1
    return {"dW1": dW1, "dW2": dW2}
