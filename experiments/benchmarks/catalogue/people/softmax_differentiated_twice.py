import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def gradients(params, x, y):
    hidden = sigmoid(x @ params.W1.T + params.b1)
    output = softmax(hidden @ params.W2.T + params.b2)

    error = output - y
    delta_out = error * output * (1 - output)
    delta_hidden = delta_out.dot(params.W2) * hidden * (1 - hidden)
    return {
        "dW1": delta_hidden.T.dot(x),
        "db1": delta_hidden.sum(axis=0),
        "dW2": delta_out.T.dot(hidden),
        "db2": delta_out.sum(axis=0),
    }
