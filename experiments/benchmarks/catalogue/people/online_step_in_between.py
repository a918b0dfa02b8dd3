import numpy as np


def gradients(params, x, y):
    eta = 0.3
    gw1, gb1 = np.zeros_like(params.W1), np.zeros_like(params.b1)
    gw2, gb2 = np.zeros_like(params.W2), np.zeros_like(params.b2)
    for sample, target in zip(x, y):
        w2 = params.W2.copy()
        h = 1 / (1 + np.exp(-(params.W1.dot(sample) + params.b1)))
        o = 1 / (1 + np.exp(-(w2.dot(h) + params.b2)))
        grad_o = (o - target) * o * (1 - o)
        step = np.outer(grad_o, h)
        gw2 += step
        gb2 += grad_o
        w2 -= eta * step
        error_h = w2.T.dot(grad_o)
        grad_h = error_h * h * (1 - h)
        gw1 += np.outer(grad_h, sample)
        gb1 += grad_h
    return {"dW1": gw1, "db1": gb1, "dW2": gw2, "db2": gb2}
