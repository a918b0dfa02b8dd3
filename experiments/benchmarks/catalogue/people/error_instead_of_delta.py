import numpy as np


def sigmoid(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))


def gradients(params, x, y):
    dw_0, dw_1 = np.zeros(params.W1.shape), np.zeros(params.W2.shape)
    db_0, db_1 = np.zeros((len(params.b1), 1)), np.zeros((len(params.b2), 1))
    for i in range(x.shape[0]):
        inputs = np.array(x[i], ndmin=2).T
        label = np.array(y[i], ndmin=2).T
        hidden = sigmoid(np.dot(params.W1, inputs) + params.b1[:, None])
        output = sigmoid(np.dot(params.W2, hidden) + params.b2[:, None])

        error = output - label
        delta = error * sigmoid(output, True)
        hidden_error = np.dot(params.W2.T, error)
        delta_hidden = hidden_error * sigmoid(hidden, True)

        dw_1 += np.dot(delta, hidden.T)
        db_1 += delta
        dw_0 += np.dot(delta_hidden, inputs.T)
        db_0 += delta_hidden
    n = len(x)
    return {"dW1": dw_0 / n, "db1": db_0[:, 0] / n, "dW2": dw_1 / n, "db2": db_1[:, 0] / n}
