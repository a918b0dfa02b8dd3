import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gradients(params, x, y):
    hidden = sigmoid(np.dot(x, params.W1.T)) + params.b1
    output = np.dot(hidden, params.W2.T) + params.b2

    d_output = (output - y) / x.shape[0]
    d_hidden = np.dot(d_output, params.W2) * hidden * (1.0 - hidden)
    return {
        "dW1": np.dot(d_hidden.T, x),
        "db1": np.sum(d_hidden, axis=0),
        "dW2": np.dot(d_output.T, hidden),
        "db2": np.sum(d_output, axis=0),
    }
