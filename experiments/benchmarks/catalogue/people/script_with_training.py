import numpy as np

np.random.seed(1)
X_train = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
Y_train = np.array([[0], [1], [1], [0]], dtype=float)


class Weights:
    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2


class Grads:
    pass


def sigmoid(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))


def gradients(params, x, y):
    hidden = sigmoid(x @ params.W1.T + params.b1)
    out = sigmoid(hidden @ params.W2.T + params.b2)
    grads = Grads()
    d_out = (out - y) / len(x)
    d_hidden = d_out @ params.W2 * hidden * (1 - hidden)
    grads.dW1, grads.db1 = d_hidden.T @ x, d_hidden.sum(axis=0)
    grads.dW2, grads.db2 = d_out.T @ hidden, d_out.sum(axis=0)
    return grads


net = Weights(np.random.randn(3, 2), np.zeros(3), np.random.randn(1, 3), np.zeros(1))
for epoch in range(3):
    step = gradients(net, X_train, Y_train)
    for name in ("W1", "b1", "W2", "b2"):
        setattr(net, name, getattr(net, name) - 0.5 * getattr(step, "d" + name))
    print("epoch", epoch, "norm of dW1: %.3f" % np.linalg.norm(step.dW1))
