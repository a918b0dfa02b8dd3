"""The author's page, completed for problem 2: half the squared error, mean over the examples, all eight steps.

    python -m experiments.verify --derivation=experiments/derivations/author_completed_quadratic.py --loss=quadratic

Expected: right.
"""

import jax


def forward(params, x):
    """The prediction of the page, one example a row."""
    Z1 = x @ params.W1.T + params.b1  # Z1 = W1 x + b1
    O1 = jax.nn.relu(Z1)  # O1 = ReLU(Z1)
    Z2 = O1 @ params.W2.T + params.b2  # Z2 = W2 O1 + b2
    O2 = jax.nn.relu(Z2)  # O2 = ReLU(Z2)
    return Z1, O1, Z2, O2


def loss(params, x, y):
    """L = 1/(2m) sum_i ||O2_i - y_i||^2. The page leaves open the 1/2 and the 1/m."""
    return ((forward(params, x)[3] - y) ** 2).sum() / (2 * len(x))


def gradients(params, x, y):
    """Back-propagation, from the output to the input."""
    Z1, O1, Z2, O2 = forward(params, x)

    dO2 = (O2 - y) / len(x)  # dL/dO2 = (O2 - y) / m: the 1/2 cancels the 2 of the square
    dZ2 = dO2 * (Z2 > 0)  # dL/dZ2 = dL/dO2 . dO2/dZ2, the derivative of the output ReLU
    dW2 = dZ2.T @ O1  # dL/dW2 = dL/dZ2 . dZ2/dW2 = sum_i dZ2_i O1_i^T
    db2 = dZ2.sum(axis=0)  # dL/db2 = dL/dZ2 . dZ2/db2 = sum_i dZ2_i
    dO1 = dZ2 @ params.W2  # dL/dO1 = dL/dZ2 . dZ2/dO1 = W2^T dZ2_i in each example
    dZ1 = dO1 * (Z1 > 0)  # dL/dZ1 = dL/dO1 . dO1/dZ1, the derivative of the hidden ReLU
    dW1 = dZ1.T @ x  # dL/dW1 = dL/dZ1 . dZ1/dW1 = sum_i dZ1_i x_i^T
    db1 = dZ1.sum(axis=0)  # dL/db1 = dL/dZ1 . dZ1/db1 = sum_i dZ1_i
    return {"dO2": dO2, "dZ2": dZ2, "dW2": dW2, "db2": db2, "dO1": dO1, "dZ1": dZ1, "dW1": dW1, "db1": db1}
