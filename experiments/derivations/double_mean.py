"""Homework with the mean taken twice: the loss brings a factor 1/m, and the weight gradients bring it again.

    python -m experiments.verify --derivation=experiments/derivations/double_mean.py

Expected: wrong. Wrong leaves: dW1, dW2. First wrong step: dW2. Cause: reduction, at dW2 and at dW1.
"""

import jax
import jax.numpy as jnp


def gradients(params, x, y):
    """Softmax regression on a hidden layer, vectorised over the batch."""
    m = x.shape[0]

    # forward
    Z1 = x @ params.W1.T + params.b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2
    O2 = jax.nn.relu(Z2)
    P = jax.nn.softmax(O2, axis=1)

    # output layer
    dO2 = (P - y) / m
    dZ2 = dO2 * (Z2 > 0)
    dW2 = dZ2.T @ O1 / m
    db2 = jnp.sum(dZ2, axis=0)

    # hidden layer
    dO1 = dZ2 @ params.W2
    dZ1 = dO1 * (Z1 > 0)
    dW1 = dZ1.T @ x / m
    db1 = jnp.sum(dZ1, axis=0)

    return {"dO2": dO2, "dZ2": dZ2, "dW2": dW2, "db2": db2, "dO1": dO1, "dZ1": dZ1, "dW1": dW1, "db1": db1}
