"""Layers as classes that remember what their way back needs, in NumPy. The ReLU asks for the sign of the gradient.

    python -m experiments.verify --derivation=experiments/derivations/numpy_caches.py --loss=quadratic --output=identity

Expected: wrong. Wrong leaves: dW1, db1. First wrong step: dZ1. Cause: mask_of_gradient, at dZ1.
"""

import numpy as np


class Affine:
    """x W' + b."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, upstream):
        self.dW = upstream.T @ self.x
        self.db = upstream.sum(axis=0)
        return upstream @ self.W


class Relu:
    """max(z, 0)."""

    def forward(self, z):
        self.z = z
        return np.maximum(z, 0)

    def backward(self, upstream):
        dz = upstream.copy()
        dz[dz <= 0] = 0  # it should be dz[self.z <= 0]
        return dz


def gradients(params, x, y):
    """Half the squared error, mean over the examples."""
    layers = [Affine(params.W1, params.b1), Relu(), Affine(params.W2, params.b2)]
    value = x
    for layer in layers:
        value = layer.forward(value)
    upstream = (value - y) / len(x)
    for layer in reversed(layers):
        upstream = layer.backward(upstream)
    first, _, second = layers
    return {"dW1": first.dW, "db1": first.db, "dW2": second.dW, "db2": second.db}
