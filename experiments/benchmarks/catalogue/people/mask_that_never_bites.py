import numpy as np


def gradients(params, x, y):
    N = x.shape[0]
    h_relu = np.clip(x.dot(params.W1.T) + params.b1, 0, None)
    y_pred = h_relu.dot(params.W2.T) + params.b2

    grad_y_pred = y_pred - y
    grad_h = grad_y_pred.dot(params.W2)
    grad_h[h_relu < 0] = 0
    return {
        "dW1": grad_h.T.dot(x),
        "db1": np.ones(N).dot(grad_h),
        "dW2": grad_y_pred.T.dot(h_relu),
        "db2": np.ones(N).dot(grad_y_pred),
    }
