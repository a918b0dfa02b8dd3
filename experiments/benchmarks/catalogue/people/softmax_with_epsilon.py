import numpy as np


def softmax(Z, eps=1e-8):
    exp_Z = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return exp_Z / (np.sum(exp_Z, axis=0, keepdims=True) + eps)


def gradients(params, x, y):
    X, Y = x.T, y.T
    m = X.shape[1]
    A1 = np.tanh(params.W1 @ X + params.b1[:, None])
    A2 = softmax(params.W2 @ A1 + params.b2[:, None])
    dZ2 = (A2 - Y) / m
    dZ1 = (params.W2.T @ dZ2) * (1 - A1 * A1)
    return {"dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1), "dW2": dZ2 @ A1.T, "db2": dZ2.sum(axis=1)}
