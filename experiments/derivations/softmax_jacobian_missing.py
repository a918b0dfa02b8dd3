"""Homework that differentiates -log P by P and stops there: the softmax between P and O2 is not differentiated.

    python -m experiments.verify --derivation=experiments/derivations/softmax_jacobian_missing.py --loss=cross_entropy

Expected: wrong. Wrong leaves: dW1, db1, dW2, db2. First wrong step: dO2. Cause: softmax_jacobian_missing, at dO2.
"""

import jax
import jax.numpy as jnp


def gradients(params, x, y):
    """From the loss -sum_k y_k log P_k down to the weights."""
    m = len(x)
    Z1 = x @ params.W1.T + params.b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2
    O2 = jax.nn.relu(Z2)
    E = jnp.exp(O2 - O2.max(axis=1, keepdims=True))
    P = E / E.sum(axis=1, keepdims=True)

    dO2 = -y / P / m  # d(-y log P) = -y / P
    dZ2 = jnp.where(Z2 > 0, dO2, 0)
    dO1 = dZ2 @ params.W2
    dZ1 = jnp.where(Z1 > 0, dO1, 0)

    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0), "dO2": dO2}
