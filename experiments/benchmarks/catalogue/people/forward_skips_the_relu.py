import numpy as np


def gradients(params, x, y):
    w1, w2 = params.W1.T, params.W2.T
    h = x.dot(w1) + params.b1
    h_relu = np.maximum(h, 0)
    y_pred = h.dot(w2) + params.b2

    grad_y_pred = y_pred - y
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)
    return {"dW1": grad_w1.T, "db1": grad_h.sum(0), "dW2": grad_w2.T, "db2": grad_y_pred.sum(0)}
