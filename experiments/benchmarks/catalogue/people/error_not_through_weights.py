import numpy as np


def gradients(params, x, y):
    out_h = 1 / (1 + np.exp(-(x @ params.W1.T + params.b1)))
    out_o = 1 / (1 + np.exp(-(out_h @ params.W2.T + params.b2)))

    delta_o = (out_o - y) * out_o * (1 - out_o)
    total_error = np.sum(delta_o, axis=1).reshape(-1, 1)
    delta_h = total_error * out_h * (1 - out_h)
    return {
        "dW1": np.dot(delta_h.T, x),
        "db1": np.sum(delta_h, axis=0),
        "dW2": np.dot(delta_o.T, out_h),
        "db2": np.sum(delta_o, axis=0),
    }
