import numpy as np


def sigmoid(z):
    """The sigmoid function."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    """Derivative of the sigmoid function."""
    return sigmoid(z) * (1 - sigmoid(z))


def backprop(weights, biases, x, y):
    nabla_b = [np.zeros(b.shape) for b in biases]
    nabla_w = [np.zeros(w.shape) for w in weights]
    # feedforward
    activation = x
    activations = [x]
    zs = []
    for b, w in zip(biases, weights):
        z = np.dot(w, activation) + b
        zs.append(z)
        activation = sigmoid(z)
        activations.append(activation)
    # backward pass
    delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
    nabla_b[-1] = delta
    nabla_w[-1] = np.dot(delta, activations[-2].transpose())
    delta = np.dot(weights[-1].transpose(), delta) * sigmoid_prime(zs[-2])
    nabla_b[-2] = delta
    nabla_w[-2] = np.dot(delta, activations[-3].transpose())
    return nabla_b, nabla_w


def gradients(params, x, y):
    weights = [params.W1, params.W2]
    biases = [params.b1[:, None], params.b2[:, None]]
    nabla_b = [np.zeros(b.shape) for b in biases]
    nabla_w = [np.zeros(w.shape) for w in weights]
    for xi, yi in zip(x, y):
        delta_nabla_b, delta_nabla_w = backprop(weights, biases, xi.reshape(-1, 1), yi.reshape(-1, 1))
        nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b)]
        nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w)]
    return {"dW1": nabla_w[0], "db1": nabla_b[0].ravel(), "dW2": nabla_w[1], "db2": nabla_b[1].ravel()}
