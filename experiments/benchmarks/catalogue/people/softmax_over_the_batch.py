import numpy as np


def softmax(z):
    exps = np.exp(z - np.max(z, axis=0))
    return exps / np.sum(exps, axis=0)


def gradients(params, x, y):
    a1 = np.maximum(0, x @ params.W1.T + params.b1)
    probs = softmax(a1 @ params.W2.T + params.b2)
    d2 = (probs - y) / x.shape[0]
    d1 = (d2 @ params.W2) * (a1 > 0)
    return {"dW1": d1.T @ x, "db1": d1.sum(axis=0), "dW2": d2.T @ a1, "db2": d2.sum(axis=0)}
