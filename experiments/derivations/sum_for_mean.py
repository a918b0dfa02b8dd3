"""Homework that is right for another loss: it sums over the examples, and the assignment declares the mean.

    python -m experiments.verify --derivation=experiments/derivations/sum_for_mean.py --loss=quadratic --reduction=mean

Expected: wrong. Wrong leaves: dW1, db1, dW2, db2. First wrong step: dO2. Cause: loss, at loss: it is
right for its own loss, the sum, and with --reduction=sum.
"""

import jax


def predict(params, x):
    """The network."""
    Z1 = x @ params.W1.T + params.b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2
    return Z1, O1, Z2, jax.nn.relu(Z2)


def loss(params, x, y):
    """Half the squared error."""
    O2 = predict(params, x)[-1]
    return 0.5 * ((O2 - y) ** 2).sum()


def gradients(params, x, y):
    """The derivative of `loss`."""
    Z1, O1, Z2, O2 = predict(params, x)
    dO2 = O2 - y
    dZ2 = dO2 * (Z2 > 0)
    dO1 = dZ2 @ params.W2
    dZ1 = dO1 * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}
