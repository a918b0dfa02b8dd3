import numpy as np


def one_hot(labels, num_classes):
    out = np.zeros((labels.size, num_classes))
    out[np.arange(labels.size), labels] = 1
    return out


def gradients(params, X, Y):
    m = Y.size
    Z1 = params.W1.dot(X.T) + params.b1[:, np.newaxis]
    A1 = np.maximum(Z1, 0)
    Z2 = params.W2.dot(A1) + params.b2[:, np.newaxis]
    A2 = np.exp(Z2) / sum(np.exp(Z2))
    dZ2 = A2 - one_hot(Y, params.b2.size).T
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2, axis=1)
    dZ1 = params.W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X)
    db1 = 1 / m * np.sum(dZ1, axis=1)
    return dW1, db1, dW2, db2
