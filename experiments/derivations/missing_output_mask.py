"""Homework from a textbook without an activation on the output: its derivative is left out, though the network has one.

    python -m experiments.verify --derivation=experiments/derivations/missing_output_mask.py

Expected: wrong. Wrong leaves: dW1, db1, dW2, db2. First wrong step: dZ2. Cause: mask_missing, at dZ2.
"""

import jax


def gradients(params, x, y):
    """The error of the output, sent back through two layers."""
    hidden_in = x @ params.W1.T + params.b1
    hidden_out = jax.nn.relu(hidden_in)
    output = jax.nn.relu(hidden_out @ params.W2.T + params.b2)
    probabilities = jax.nn.softmax(output, axis=1)

    delta2 = (probabilities - y) / len(x)
    delta1 = (delta2 @ params.W2) * (hidden_in > 0)

    return {
        "dW2": delta2.T @ hidden_out,
        "db2": delta2.sum(axis=0),
        "dW1": delta1.T @ x,
        "db1": delta1.sum(axis=0),
    }
