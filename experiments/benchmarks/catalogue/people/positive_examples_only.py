import numpy as np


def logistic(t):
    return 1.0 / (1.0 + np.exp(-t))


def gradients(params, x, y):
    h = logistic(x.dot(params.W1.T) + params.b1)
    a = logistic(h.dot(params.W2.T) + params.b2)
    dL = -y / a
    dz2 = dL * a * (1 - a)
    dz1 = dz2.dot(params.W2) * h * (1 - h)
    return {"dW1": dz1.T.dot(x), "db1": dz1.sum(axis=0), "dW2": dz2.T.dot(h), "db2": dz2.sum(axis=0)}
