import numpy as np


def gradients(params, x, y):
    cache = {}
    X, Y = x.T, y.T
    m = X.shape[1]
    cache["Z1"] = np.dot(params.W1, X) + params.b1[:, np.newaxis]
    cache["A1"] = np.tanh(cache["Z1"])
    cache["Z2"] = np.dot(params.W2, cache["A1"]) + params.b2[:, np.newaxis]
    cache["A2"] = 1 / (1 + np.exp(-cache["Z2"]))

    grads = {}
    grads["dZ2"] = cache["A2"] - Y
    grads["dW2"] = 1 / m * np.dot(grads["dZ2"], cache["A1"].T)
    grads["db2"] = 1 / m * np.sum(grads["dZ2"], axis=1)
    dA1 = np.dot(params.W2.T, grads["dZ2"])
    dZ1 = 1 / m * dA1 * (1 - np.power(cache["A1"], 2))
    grads["dW1"] = 1 / m * np.dot(dZ1, X.T)
    grads["db1"] = 1 / m * np.sum(dZ1, axis=1)
    del grads["dZ2"]
    return grads
