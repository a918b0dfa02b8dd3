import numpy as np


def gradients(params, x, y):
    Z1 = x @ params.W1.T + params.b1
    O1 = np.maximum(Z1, 0)
    Z2 = O1 @ params.W2.T + params.b2
    O2 = np.maximum(Z2, 0)
    dO2 = (O2 - y) / len(x)
    dZ2 = dO2
    dW2 = dZ2.T @ O1
    db2 = dZ2.sum(axis=0)
    dO1 = dZ2 @ params.W2
    dZ1 = np.where(Z1 > 0, dO1, 0)
    dW1 = dZ1.T @ x
    db1 = dZ1.sum(axis=0)
    return {"dO2": dO2, "dZ2": dZ2, "dW2": dW2, "db2": db2, "dO1": dO1, "dZ1": dZ1, "dW1": dW1, "db1": db1}
