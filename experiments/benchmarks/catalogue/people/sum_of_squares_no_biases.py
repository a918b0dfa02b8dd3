import numpy as np


def loss(params, x, y):
    h_relu = np.maximum(x.dot(params.W1.T), 0)
    y_pred = h_relu.dot(params.W2.T)
    return np.square(y_pred - y).sum()


def gradients(params, x, y):
    w1, w2 = params.W1.T, params.W2.T
    # Forward pass: compute predicted y
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)

    # Backprop to compute gradients of w1 and w2 with respect to loss
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)
    return {"dW1": grad_w1.T, "dW2": grad_w2.T}
