import numpy as np


def softmax(z):
    shifted = z - z.max(axis=1)[:, None]
    exp = np.exp(shifted)
    return np.divide(exp, exp.sum(axis=1)[:, None])


def gradients(X, Y, parameters):
    n = X.shape[0]
    w1, w2 = parameters["W1"].T, parameters["W2"].T
    z1 = X @ w1 + parameters["b1"]
    a1 = np.maximum(z1, 0)
    yhat = softmax(a1 @ w2 + parameters["b2"])

    dz2 = (yhat - Y) / n
    dw2 = a1.T @ dz2
    db2 = dz2.sum(axis=0)
    dz1 = (dz2 @ w2.T) * (z1 > 0)
    dw1 = X.T @ dz1
    db1 = dz1.sum(axis=0)
    return {"dW1": dw1, "db1": db1, "dW2": dw2, "db2": db2}
