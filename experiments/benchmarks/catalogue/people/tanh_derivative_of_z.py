import numpy as np


def sigmoid(x):
    s = 1 / (1 + np.exp(-x))
    return s


def gradients(params, x, y):
    X, Y = x.T, y.reshape(1, -1)
    m = X.shape[1]
    Z1 = np.dot(params.W1, X) + params.b1.reshape(-1, 1)
    A1 = np.tanh(Z1)
    Z2 = np.dot(params.W2, A1) + params.b2.reshape(-1, 1)
    A2 = sigmoid(Z2)

    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1) / m
    dZ1 = np.dot(params.W2.T, dZ2) * (1 - np.power(Z1, 2))
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1) / m
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
