import numpy as np


def s(z):
    return 1 / (1 + np.exp(-z))


def gradients(params, x, y):
    N = len(x)
    a1 = np.maximum(0, x @ params.W1.T + params.b1)
    z2 = a1 @ params.W2.T + params.b2
    d2 = (s(z2) - y) * s(z2) * s(1 - s(z2))
    d1 = (d2 @ params.W2) * (a1 > 0)
    return {"dW1": d1.T @ x / N, "db1": d1.sum(0) / N, "dW2": d2.T @ a1 / N, "db2": d2.sum(0) / N}
