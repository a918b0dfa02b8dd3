import numpy as np


def gradients(params, x, y):
    pre_hidden = x @ params.W1.T + params.b1
    hidden = np.maximum(0, pre_hidden)
    pre_output = hidden @ params.W2.T + params.b2
    d_output = pre_output - y
    d_hidden = (d_output @ params.W2) * (pre_output > 0)
    return {
        "dW1": d_hidden.T @ x,
        "db1": d_hidden.sum(axis=0),
        "dW2": d_output.T @ hidden,
        "db2": d_output.sum(axis=0),
    }
