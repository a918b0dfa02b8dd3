"""A loop over the examples that adds up outer products, in NumPy; one example is a pair of columns.

    python -m experiments.verify --derivation=experiments/derivations/numpy_examples.py --loss=quadratic --reduction=sum

Expected: right.
"""

import numpy as np


def backprop(params, x, y):
    """The gradients of one example: half the squared error of outputs behind a ReLU."""
    z1 = params.W1.dot(x) + params.b1
    a1 = z1 * (z1 > 0)
    z2 = params.W2.dot(a1) + params.b2
    a2 = z2 * (z2 > 0)

    delta2 = (a2 - y) * (z2 > 0)
    delta1 = params.W2.T.dot(delta2)
    delta1[z1 < 0] = 0
    return np.outer(delta1, x), delta1, np.outer(delta2, a1), delta2


def gradients(params, x, y):
    """The sum over the examples."""
    dW1, db1 = np.zeros(params.W1.shape), np.zeros(params.b1.shape)
    dW2, db2 = np.zeros(params.W2.shape), np.zeros(params.b2.shape)
    for xi, yi in zip(x, y, strict=True):
        of_one = backprop(params, xi, yi)
        dW1 += of_one[0]
        db1 += of_one[1]
        dW2 += of_one[2]
        db2 += of_one[3]
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
