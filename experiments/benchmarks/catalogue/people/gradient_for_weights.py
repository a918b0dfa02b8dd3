import numpy as np


def gradients(params, x, y):
    X, Y = x.T, y.T
    m = X.shape[1]
    Z1 = params.W1 @ X + params.b1[:, None]
    A1 = np.maximum(Z1, 0)
    A2 = params.W2 @ A1 + params.b2[:, None]

    dZ2 = (A2 - Y) / m
    dW2 = dZ2 @ A1.T
    db2 = np.sum(dZ2, axis=1)
    dA1 = dW2.T @ dZ2
    dZ1 = dA1 * (Z1 > 0)
    dW1 = dZ1 @ X.T
    db1 = np.sum(dZ1, axis=1)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
