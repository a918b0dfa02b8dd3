import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def dsigmoid(v):
    return v * (1 - v)


def gradients(params, x, y):
    w1_update, w2_update, b1_update, b2_update = 0, 0, 0, 0
    for p in range(len(x)):
        hidden = sigmoid(params.W1 @ x[p] + params.b1)
        output = sigmoid(params.W2 @ hidden + params.b2)
        output_error = output - y[p]
        output_delta = dsigmoid(output_error)
        hidden_error = params.W2.T @ output_delta
        hidden_delta = hidden_error * dsigmoid(hidden)
        w2_update = w2_update + np.outer(output_delta, hidden)
        b2_update = b2_update + output_delta
        w1_update = w1_update + np.outer(hidden_delta, x[p])
        b1_update = b1_update + hidden_delta
    return {"dW1": w1_update, "db1": b1_update, "dW2": w2_update, "db2": b2_update}
