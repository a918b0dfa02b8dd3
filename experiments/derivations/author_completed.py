"""The author's page, completed: both layers, both biases, all eight steps; cross-entropy, summed as the page sums it.

    python -m experiments.verify --derivation=experiments/derivations/author_completed.py --reduction=sum

Expected: right.
"""

import jax
import jax.numpy as jnp


def forward(params, x):
    """The prediction of the page, one example a row."""
    Z1 = x @ params.W1.T + params.b1  # Z1 = W1 x + b1
    O1 = jax.nn.relu(Z1)  # O1 = ReLU(Z1)
    Z2 = O1 @ params.W2.T + params.b2  # Z2 = W2 O1 + b2
    O2 = jax.nn.relu(Z2)  # O2 = ReLU(Z2)
    return Z1, O1, Z2, O2


def softmax(O2):
    """P_k = exp(O2_k) / sum_j exp(O2_j)."""
    exps = jnp.exp(O2)
    return exps / exps.sum(axis=1, keepdims=True)


def loss(params, x, y):
    """L = - sum_i sum_k 1{y_i = k} log P_k(x_i); the one-hot y is the indicator."""
    return -(y * jnp.log(softmax(forward(params, x)[3]))).sum()


def gradients(params, x, y):
    """Back-propagation, from the output to the input."""
    Z1, O1, Z2, O2 = forward(params, x)

    dO2 = softmax(O2) - y  # dL/dO2 = P - y: the Jacobian of the softmax times -y/P
    dZ2 = dO2 * (Z2 > 0)  # dL/dZ2 = dL/dO2 . dO2/dZ2, the derivative of the output ReLU
    dW2 = dZ2.T @ O1  # dL/dW2 = dL/dZ2 . dZ2/dW2 = sum_i dZ2_i O1_i^T
    db2 = dZ2.sum(axis=0)  # dL/db2 = dL/dZ2 . dZ2/db2 = sum_i dZ2_i
    dO1 = dZ2 @ params.W2  # dL/dO1 = dL/dZ2 . dZ2/dO1 = W2^T dZ2_i in each example
    dZ1 = dO1 * (Z1 > 0)  # dL/dZ1 = dL/dO1 . dO1/dZ1, the derivative of the hidden ReLU
    dW1 = dZ1.T @ x  # dL/dW1 = dL/dZ1 . dZ1/dW1 = sum_i dZ1_i x_i^T
    db1 = dZ1.sum(axis=0)  # dL/db1 = dL/dZ1 . dZ1/db1 = sum_i dZ1_i
    return {"dO2": dO2, "dZ2": dZ2, "dW2": dW2, "db2": db2, "dO1": dO1, "dZ1": dZ1, "dW1": dW1, "db1": db1}
