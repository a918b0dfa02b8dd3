import numpy as np


def gradients(params, x, y):
    h = np.maximum(params.W1.dot(x) + params.b1, 0)
    z = params.W2.dot(h) + params.b2
    p = np.exp(z) / np.exp(z).sum()
    J = np.diag(p) - p * p
    dz = J.dot(-y / p)
    dh = params.W2.T.dot(dz)
    dh[h == 0] = 0
    return {"dW1": np.outer(dh, x), "db1": dh, "dW2": np.outer(dz, h), "db2": dz}
