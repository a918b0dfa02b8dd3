import numpy as np


def mse_loss(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2)


def mse_loss_grad(y_true, y_pred):
    grad_loss = 2 * (y_pred - y_true) / y_true.size
    return grad_loss


def predict(params, x):
    hidden = np.maximum(x @ params.W1.T + params.b1, 0)
    return hidden, hidden @ params.W2.T + params.b2


def loss(params, x, y):
    return mse_loss(y, predict(params, x)[1])


def gradients(params, x, y):
    hidden, y_pred = predict(params, x)
    grad = mse_loss_grad(y, y_pred)
    d_hidden = grad @ params.W2
    d_hidden *= hidden > 0
    return {"dW1": d_hidden.T @ x, "db1": d_hidden.sum(0), "dW2": grad.T @ hidden, "db2": grad.sum(0)}
