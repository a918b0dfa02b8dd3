import numpy as np


def ReLU(Z):
    return np.maximum(Z, 0)


def ReLU_deriv(Z):
    return Z > 0


def softmax(Z):
    A = np.exp(Z) / sum(np.exp(Z))
    return A


def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2


def backward_prop(Z1, A1, Z2, A2, W1, W2, X, one_hot_Y):
    m = X.shape[1]
    dZ2 = A2 - one_hot_Y
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2)
    dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1)
    return dW1, db1, dW2, db2


def gradients(params, x, y):
    b1, b2 = params.b1.reshape((-1, 1)), params.b2.reshape((-1, 1))
    Z1, A1, Z2, A2 = forward_prop(params.W1, b1, params.W2, b2, x.T)
    dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, params.W1, params.W2, x.T, y.T)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
