import numpy as np


def s(z):
    return 1 / (1 + np.exp(-z))


def gradients(params, x, y):
    hid = s(np.matmul(x, params.W1.transpose()) + params.b1)
    out = s(np.matmul(hid, params.W2.transpose()) + params.b2)
    cost_derivative = 2 * (out - y)
    delta_out = cost_derivative * out * (1 - out)
    delta_hid = np.matmul(delta_out, params.W2)
    return {
        "dW1": np.matmul(delta_hid.transpose(), x),
        "db1": np.sum(delta_hid, 0),
        "dW2": np.matmul(delta_out.transpose(), hid),
        "db2": np.sum(delta_out, 0),
    }
