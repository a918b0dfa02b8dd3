"""Homework that updates as it goes: by the time the error reaches the hidden layer, W2 has taken its step already.

    python -m experiments.verify --derivation=experiments/derivations/updated_w2.py --loss=quadratic

Expected: wrong. Wrong leaves: dW1, db1. First wrong step: dO1. Cause: updated_w2, at dO1.
"""

import jax.numpy as jnp

LEARNING_RATE = 0.1


def gradients(params, x, y):
    """One round of the delta rule, output layer first."""
    W1, b1, W2, b2 = params.W1, params.b1, params.W2, params.b2
    O1 = jnp.maximum(x @ W1.T + b1, 0)
    O2 = jnp.maximum(O1 @ W2.T + b2, 0)

    # output layer
    dZ2 = (O2 - y) / x.shape[0] * (O2 > 0)
    dW2 = dZ2.T @ O1
    db2 = dZ2.sum(axis=0)
    W2 = W2 - LEARNING_RATE * dW2
    b2 = b2 - LEARNING_RATE * db2

    # hidden layer
    dZ1 = dZ2 @ W2 * (O1 > 0)
    dW1 = dZ1.T @ x
    db1 = dZ1.sum(axis=0)
    W1 = W1 - LEARNING_RATE * dW1
    b1 = b1 - LEARNING_RATE * db1

    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
