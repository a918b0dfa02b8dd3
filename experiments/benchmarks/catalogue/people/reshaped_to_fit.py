import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def back_prop(m, w1, w2, a1, a2, y, total_input):
    dz2 = a2 - y
    dw2 = np.dot(dz2, a1.T) / m
    dz1 = np.dot(w2.T, dz2) * a1 * (1 - a1)
    dw1 = np.dot(total_input, dz1.T) / m
    dw1 = np.reshape(dw1, w1.shape)
    dw2 = np.reshape(dw2, w2.shape)
    return dz2, dw2, dz1, dw1


def gradients(params, x, y):
    total_input = x.T
    m = total_input.shape[1]
    a1 = sigmoid(np.dot(params.W1, total_input) + params.b1[:, None])
    a2 = sigmoid(np.dot(params.W2, a1) + params.b2[:, None])
    dz2, dw2, dz1, dw1 = back_prop(m, params.W1, params.W2, a1, a2, y.T, total_input)
    return {"dW1": dw1, "db1": np.mean(dz1, axis=1), "dW2": dw2, "db2": np.mean(dz2, axis=1)}
