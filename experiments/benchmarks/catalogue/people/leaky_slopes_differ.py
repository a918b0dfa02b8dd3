import numpy as np


def leaky_relu(z, alpha=0.01):
    return np.maximum(alpha * z, z)


def leaky_relu_prime(z, alpha=0.1):
    out = np.ones_like(z)
    out[z < 0] = alpha
    return out


def gradients(params, x, y):
    z_1 = x @ params.W1.T + params.b1
    a_1 = leaky_relu(z_1)
    z_2 = a_1 @ params.W2.T + params.b2
    delta_2 = z_2 - y
    delta_1 = (delta_2 @ params.W2) * leaky_relu_prime(z_1)
    return {"dW1": delta_1.T @ x, "db1": delta_1.sum(axis=0), "dW2": delta_2.T @ a_1, "db2": delta_2.sum(axis=0)}
