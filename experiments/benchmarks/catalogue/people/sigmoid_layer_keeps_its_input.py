import numpy as np


class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, grad):
        self.dW = grad.T @ self.x
        self.db = grad.sum(axis=0)
        return grad @ self.W


class Sigmoid:
    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, grad):
        grad_input = self.x * (1 - self.x) * grad
        return grad_input


def gradients(params, x, y):
    fc1, act, fc2 = Linear(params.W1, params.b1), Sigmoid(), Linear(params.W2, params.b2)
    logits = fc2.forward(act.forward(fc1.forward(x)))
    shifted = logits - np.max(logits, axis=1)[:, np.newaxis]
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=1)[:, np.newaxis]
    grad = (probs - y) / len(x)
    fc1.backward(act.backward(fc2.backward(grad)))
    return {"dW1": fc1.dW, "db1": fc1.db, "dW2": fc2.dW, "db2": fc2.db}
