import numpy as np

sigmoid = lambda z: 1 / (1 + np.exp(-z))
sigmoid_prime = lambda z: sigmoid(z) * (1 - sigmoid(z))


def gradients(params, x, y):
    dW1, db1 = np.zeros_like(params.W1), np.zeros_like(params.b1)
    dW2, db2 = np.zeros_like(params.W2), np.zeros_like(params.b2)
    for xi, yi in zip(x, y):
        z1 = np.dot(params.W1, xi) + params.b1
        a1 = sigmoid(z1)
        z2 = np.dot(params.W2, a1) + params.b2
        delta2 = z2 - yi
        delta1 = np.dot(np.dot(params.W2.T, delta2), sigmoid_prime(z1))
        dW2 += np.outer(delta2, a1)
        db2 += delta2
        dW1 += np.outer(delta1, xi)
        db1 += delta1
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
