import numpy as np


def relu(z):
    return np.maximum(0.0, z)


def relu_prime(z):
    result = z.copy()
    result[z < 0] = 0
    return result


def gradients(params, x, y):
    z1 = np.matmul(x, params.W1.T) + params.b1
    a1 = relu(z1)
    z2 = np.matmul(a1, params.W2.T) + params.b2
    ez = np.exp(z2 - np.amax(z2, axis=1, keepdims=True))
    a2 = ez / np.sum(ez, axis=1, keepdims=True)

    dz2 = (a2 - y) / x.shape[0]
    dz1 = np.multiply(np.matmul(dz2, params.W2), relu_prime(z1))
    return {"dW1": dz1.T @ x, "db1": dz1.sum(axis=0), "dW2": dz2.T @ a1, "db2": dz2.sum(axis=0)}
