import numpy as np
from scipy.special import expit


def gradients(params, x, y):
    W1 = np.asarray(params.W1, dtype=np.float32)
    W2 = np.array(params.W2).astype(np.float32)
    n = np.float32(len(x))
    hidden = np.empty((len(x), W1.shape[0]), dtype=np.float32)
    for i, row in enumerate(x):
        hidden[i] = expit(W1 @ row + params.b1)
    residual = np.zeros(y.shape, dtype=np.float32)
    np.subtract(hidden @ W2.T + params.b2, y, out=residual)
    residual /= n
    back = residual @ W2
    back *= hidden
    back *= 1 - hidden
    return {"dW1": back.T @ x, "db1": back.sum(axis=0), "dW2": residual.T @ hidden, "db2": residual.sum(axis=0)}
