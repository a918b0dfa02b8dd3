import numpy as np


def gradients(params, x, y):
    X, Y, m = x.T, y.T, len(x)
    Z1 = params.W1.dot(X) + params.b1.reshape(-1, 1)
    A1 = 1 / (1 + np.exp(-Z1))
    Z2 = params.W2.dot(A1) + params.b2.reshape(-1, 1)
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=0)
    dZ2 = A2 - Y
    dW2 = (1.0 / m) * dZ2.dot(Z1.T)
    db2 = (1.0 / m) * np.sum(dZ2, axis=1)
    dZ1 = params.W2.T.dot(dZ2) * A1 * (1 - A1)
    dW1 = (1.0 / m) * dZ1.dot(X.T)
    db1 = (1.0 / m) * np.sum(dZ1, axis=1)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
