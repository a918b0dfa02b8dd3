import numpy as np

lambd = 0.1


def loss(params, x, y):
    A1 = np.maximum(0, x @ params.W1.T + params.b1)
    Z2 = A1 @ params.W2.T + params.b2
    Z2 = Z2 - np.max(Z2, axis=1, keepdims=True)
    cross_entropy = -np.sum(y * (Z2 - np.log(np.sum(np.exp(Z2), axis=1, keepdims=True)))) / len(x)
    L2 = lambd / 2 * (np.sum(np.square(params.W1)) + np.sum(np.square(params.W2)))
    return cross_entropy + L2


def gradients(params, x, y):
    m = x.shape[0]
    A1 = np.maximum(0, x @ params.W1.T + params.b1)
    Z2 = A1 @ params.W2.T + params.b2
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=1, keepdims=True)
    dZ2 = A2 - y
    dW2 = np.dot(dZ2.T, A1) / m + lambd * params.W2
    db2 = np.sum(dZ2, axis=0) / m + lambd * params.b2
    dZ1 = np.dot(dZ2, params.W2) * np.int64(A1 > 0)
    dW1 = np.dot(dZ1.T, x) / m + lambd * params.W1
    db1 = np.sum(dZ1, axis=0) / m + lambd * params.b1
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
