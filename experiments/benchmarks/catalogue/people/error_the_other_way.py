import numpy as np


def nonlin(x, deriv=False):
    if deriv == True:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))


def gradients(params, x, y):
    syn0, syn1 = params.W1.T, params.W2.T
    l0 = x
    l1 = nonlin(np.dot(l0, syn0) + params.b1)
    l2 = nonlin(np.dot(l1, syn1) + params.b2)

    l2_error = y - l2
    l2_delta = l2_error * nonlin(l2, deriv=True)
    l1_error = l2_delta.dot(syn1.T)
    l1_delta = l1_error * nonlin(l1, deriv=True)
    return {"dW1": l0.T.dot(l1_delta).T, "db1": l1_delta.sum(0), "dW2": l1.T.dot(l2_delta).T, "db2": l2_delta.sum(0)}
