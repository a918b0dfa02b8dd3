import numpy as np


def gradients(params, x, y):
    m = x.shape[0]
    Z1 = np.dot(x, params.W1.T) + params.b1
    A1 = np.maximum(0, Z1)
    Z2 = np.dot(A1, params.W2.T) + params.b2
    dZ2 = 1 / (2 * m) * (Z2 - y)
    dW2 = np.dot(dZ2.T, A1)
    db2 = np.squeeze(np.sum(dZ2, axis=0, keepdims=True))
    dZ1 = np.dot(dZ2, params.W2) * (A1 > 0)
    dW1 = np.dot(dZ1.T, x)
    db1 = np.squeeze(np.sum(dZ1, axis=0, keepdims=True))
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
