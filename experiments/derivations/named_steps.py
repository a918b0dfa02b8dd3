"""A right derivation that returns the four leaves only and names its steps on the way, for a verdict on each of them.

    python -m experiments.verify --derivation=experiments/derivations/named_steps.py --loss=quadratic

Expected: right. The four steps that are not returned are judged too.
"""

import jax
from jax.ad_checkpoint import checkpoint_name


def gradients(params, x, y):
    """Half the squared error, mean over the examples."""
    Z1 = x @ params.W1.T + params.b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2
    O2 = jax.nn.relu(Z2)

    dO2 = checkpoint_name((O2 - y) / len(x), "dO2")
    dZ2 = checkpoint_name(dO2 * (Z2 > 0), "dZ2")
    dO1 = checkpoint_name(dZ2 @ params.W2, "dO1")
    dZ1 = checkpoint_name(dO1 * (Z1 > 0), "dZ1")
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}
