import numpy as np


def gradients(params, x, y):
    n = len(x)
    y = y.ravel()
    w2 = params.W2[0]

    h = np.maximum(x @ params.W1.T + params.b1, 0)
    p = 1 / (1 + np.exp(-(h @ w2 + params.b2[0])))

    err = (p - y) / n
    grad_w2 = h.T @ err
    grad_b2 = err.sum()
    back = np.outer(err, w2)
    back[h == 0] = 0
    return {"dW1": back.T @ x, "db1": back.sum(0), "dW2": grad_w2.reshape(1, -1), "db2": np.array([grad_b2])}
