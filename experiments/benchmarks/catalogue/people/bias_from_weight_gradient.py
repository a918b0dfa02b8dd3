import numpy as np


def back_prop(x, yhat, y, h, W1, W2, b1, b2, batch_size):
    l1 = np.dot(W2.T, yhat - y)
    l1[h <= 0] = 0
    grad_W1 = (1 / batch_size) * np.dot(l1, x.T)
    grad_W2 = (1 / batch_size) * np.dot(yhat - y, h.T)
    grad_b1 = np.sum((1 / batch_size) * np.dot(l1, x.T), axis=1, keepdims=True)
    grad_b2 = np.sum((1 / batch_size) * np.dot(yhat - y, h.T), axis=1, keepdims=True)
    return grad_W1, grad_W2, grad_b1, grad_b2


def gradients(params, x, y):
    X, Y = x.T, y.T
    b1, b2 = params.b1[:, None], params.b2[:, None]
    h = np.maximum(0, np.dot(params.W1, X) + b1)
    z = np.dot(params.W2, h) + b2
    yhat = np.exp(z) / np.sum(np.exp(z), axis=0)
    grad_W1, grad_W2, grad_b1, grad_b2 = back_prop(X, yhat, Y, h, params.W1, params.W2, b1, b2, X.shape[1])
    return {"dW1": grad_W1, "db1": grad_b1, "dW2": grad_W2, "db2": grad_b2}
