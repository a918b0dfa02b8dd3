import numpy as np


def gradients(params, x, y):
    keep_prob = 0.8
    A1 = np.maximum(0, x @ params.W1.T + params.b1)
    D1 = (np.random.rand(*A1.shape) < keep_prob).astype(int)
    A1 = A1 * D1 / keep_prob
    dZ2 = A1 @ params.W2.T + params.b2 - y
    dA1 = dZ2 @ params.W2 * D1 / keep_prob
    dZ1 = dA1 * (A1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ A1, "db2": dZ2.sum(axis=0)}
