import numpy as np


def sigmoid_backward(dA, Z):
    s = 1 / (1 + np.exp(-Z))
    dZ = dA * s * (1 - s)
    return dZ


def relu_backward(dA, Z):
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    assert dZ.shape == Z.shape
    return dZ


def linear_backward(dZ, A_prev, W):
    m = A_prev.shape[1]
    dW = 1.0 / m * np.dot(dZ, A_prev.T)
    db = 1.0 / m * np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def gradients(params, x, y):
    X, Y = x.T, y.T
    Z1 = np.dot(params.W1, X) + params.b1.reshape(-1, 1)
    A1 = np.maximum(0, Z1)
    Z2 = np.dot(params.W2, A1) + params.b2.reshape(-1, 1)
    A2 = 1 / (1 + np.exp(-Z2))

    dA2 = -np.divide(Y, A2) - np.divide(1 - Y, 1 - A2)
    dZ2 = sigmoid_backward(dA2, Z2)
    dA1, dW2, db2 = linear_backward(dZ2, A1, params.W2)
    dZ1 = relu_backward(dA1, Z1)
    _, dW1, db1 = linear_backward(dZ1, X, params.W1)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
