"""The style of a course notebook: NumPy, one example a column, dictionaries for parameters, cache and gradients.

    python -m experiments.verify --derivation=experiments/derivations/numpy_columns.py --output=identity

Expected: right. The biases are columns, (K, 1) and (C, 1), and so are their gradients.
"""

import numpy as np


def forward_propagation(X, parameters):
    """Softmax outputs of a hidden layer of ReLUs, and what the way back needs."""
    Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
    A1 = np.maximum(0, Z1)
    Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
    exps = np.exp(Z2 - np.max(Z2, axis=0, keepdims=True))
    A2 = exps / np.sum(exps, axis=0, keepdims=True)
    return A2, {"Z1": Z1, "A1": A1, "A2": A2}


def backward_propagation(parameters, cache, X, Y):
    """Gradients of the cross-entropy, mean over the m columns."""
    m = X.shape[1]
    dZ2 = cache["A2"] - Y
    dW2 = 1 / m * np.dot(dZ2, cache["A1"].T)
    db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dA1 = np.dot(parameters["W2"].T, dZ2)
    dZ1 = np.multiply(dA1, np.int64(cache["A1"] > 0))
    dW1 = 1 / m * np.dot(dZ1, X.T)
    db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


def gradients(params, x, y):
    """Into columns and dictionaries, there and back."""
    parameters = {"W1": params.W1, "b1": params.b1[:, np.newaxis], "W2": params.W2, "b2": params.b2[:, np.newaxis]}
    A2, cache = forward_propagation(x.T, parameters)
    assert A2.shape == y.T.shape
    return backward_propagation(parameters, cache, x.T, y.T)
