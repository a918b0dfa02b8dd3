from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def leaky(alpha):
    def f(z):
        return np.where(z >= 0, z, alpha * z)

    def df(z):
        return np.where(z >= 0, 1.0, alpha)

    return f, df


@dataclass
class Layer:
    W: np.ndarray
    b: np.ndarray
    f: Callable
    df: Callable

    def __call__(self, inputs):
        self.inputs = inputs
        self.z = inputs @ self.W.T + self.b
        return self.f(self.z)

    def pull_back(self, upstream):
        delta = upstream * self.df(self.z)
        self.grad_W, self.grad_b = delta.T @ self.inputs, delta.sum(axis=0)
        return delta @ self.W


def gradients(params, x, y):
    first = Layer(params.W1, params.b1, *leaky(0.01))
    second = Layer(params.W2, params.b2, lambda z: z, lambda z: np.ones_like(z))
    prediction = second(first(x))
    first.pull_back(second.pull_back((prediction - y) / len(y)))
    return {"dW1": first.grad_W, "db1": first.grad_b, "dW2": second.grad_W, "db2": second.grad_b}
