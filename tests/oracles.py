"""The network, both losses and their gradients as loops over single numbers, in NumPy's float64.

Slow on purpose, and importing nothing of the package: an oracle that shares no code, no matrix product and no trick
with what it judges. Parameters are a sequence W1 (K, d), b1 (K,), W2 (C, K), b2 (C,).
"""

import cmath
import math

import numpy as np


def sigmoid(z):
    """1 / (1 + exp(-z))."""
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def gelu_tanh(z):
    """Hendrycks & Gimpel's approximation of z times the normal distribution function."""
    return z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def activation(z, name):
    """The activation of one unit."""
    return {
        "relu": lambda: max(z, 0.0),
        "identity": lambda: z,
        "sigmoid": lambda: sigmoid(z),
        "tanh": lambda: math.tanh(z),
        "leaky_relu": lambda: max(z, z / 100),
        "leaky_relu(0.2)": lambda: max(z, z / 5),
        "gelu": lambda: z * math.erfc(-z / math.sqrt(2)) / 2,
        "gelu_tanh": lambda: gelu_tanh(z),
        "softplus": lambda: max(z, 0.0) + math.log1p(math.exp(-abs(z))),
    }[name]()


def slope(z, name):
    """Its derivative; that from below at a kink. Of gelu_tanh by complex steps: exact to rounding."""
    return {
        "relu": lambda: float(z > 0),
        "identity": lambda: 1.0,
        "sigmoid": lambda: sigmoid(z) * sigmoid(-z),
        "tanh": lambda: 1 / math.cosh(z) ** 2,
        "leaky_relu": lambda: 1.0 if z > 0 else 1 / 100,
        "leaky_relu(0.2)": lambda: 1.0 if z > 0 else 1 / 5,
        "gelu": lambda: math.erfc(-z / math.sqrt(2)) / 2 + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
        "gelu_tanh": lambda: gelu_tanh_slope(z),
        "softplus": lambda: sigmoid(z),
    }[name]()


def gelu_tanh_slope(z):
    """By a complex step: the imaginary part of f(z + i h) / h, without a difference that could cancel."""
    h = 1e-30
    w = complex(z, h)
    return (w / 2 * (1 + cmath.tanh(math.sqrt(2 / math.pi) * (w + 0.044715 * w**3)))).imag / h


def forward(params, x, output, hidden="relu"):
    """(Z1, O1, Z2, O2), one number at a time."""
    W1, b1, W2, b2 = params
    m, d, K, C = len(x), len(x[0]), len(b1), len(b2)
    Z1, O1, Z2, O2 = np.zeros((m, K)), np.zeros((m, K)), np.zeros((m, C)), np.zeros((m, C))
    for i in range(m):
        for j in range(K):
            Z1[i, j] = b1[j] + sum(W1[j][n] * x[i][n] for n in range(d))
            O1[i, j] = activation(Z1[i, j], hidden)
        for k in range(C):
            Z2[i, k] = b2[k] + sum(W2[k][j] * O1[i, j] for j in range(K))
            O2[i, k] = activation(Z2[i, k], output)
    return Z1, O1, Z2, O2


def value(O2, y, loss):
    """The loss of one example: prediction O2 (C,), and a label or a target (C,)."""
    if loss == "cross_entropy":
        return math.log(sum(math.exp(o - O2[y]) for o in O2))
    if loss == "binary_cross_entropy":
        return -sum(math.log(sigmoid(o) if k == y else sigmoid(-o)) for k, o in enumerate(O2))
    return 0.5 * sum((o - t) ** 2 for o, t in zip(O2, y, strict=True))


def residual(O2, y, loss):
    """The derivative of `value` by each entry of O2."""
    if loss == "cross_entropy":
        total = sum(math.exp(o) for o in O2)
        return [math.exp(o) / total - (k == y) for k, o in enumerate(O2)]
    if loss == "binary_cross_entropy":
        return [sigmoid(o) - (k == y) for k, o in enumerate(O2)]
    return [o - t for o, t in zip(O2, y, strict=True)]


def factors(m, reduction, weights):
    """What each example counts in the loss."""
    weights = [1.0] * m if weights is None else weights
    return [w / sum(weights) if reduction == "mean" else w for w in weights]


def total(params, x, y, loss, output, reduction, weights=None, hidden="relu"):
    """The loss of a batch."""
    O2 = forward(params, x, output, hidden)[3]
    w = factors(len(x), reduction, weights)
    return sum(w[i] * value(O2[i], y[i], loss) for i in range(len(x)))


def gradients(params, x, y, loss, output, reduction, weights=None, hidden="relu"):
    """The chain rule, one product at a time: [dW1, db1, dW2, db2]."""
    _, b1, W2, b2 = params
    m, d, K, C = len(x), len(x[0]), len(b1), len(b2)
    Z1, O1, Z2, O2 = forward(params, x, output, hidden)
    w = factors(m, reduction, weights)
    dW1, db1, dW2, db2 = np.zeros((K, d)), np.zeros(K), np.zeros((C, K)), np.zeros(C)
    for i in range(m):
        r = residual(O2[i], y[i], loss)
        for k in range(C):
            dZ2 = w[i] * r[k] * slope(Z2[i, k], output)
            db2[k] += dZ2
            for j in range(K):
                dW2[k, j] += dZ2 * O1[i, j]
                dZ1 = dZ2 * W2[k][j] * slope(Z1[i, j], hidden)
                db1[j] += dZ1
                for n in range(d):
                    dW1[j, n] += dZ1 * x[i][n]
    return [dW1, db1, dW2, db2]


def finite_differences(params, x, y, loss, output, reduction, weights=None, hidden="relu", h=2.0**-17):
    """(L(p + h) - L(p - h)) / 2h for each parameter p in turn. Knows the loss and nothing of the chain rule."""
    params = [np.array(p, np.float64) for p in params]
    slopes = [np.zeros_like(p) for p in params]
    for p, slope in zip(params, slopes, strict=True):
        for at in np.ndindex(p.shape):
            middle = p[at]
            p[at] = middle + h
            above = total(params, x, y, loss, output, reduction, weights, hidden)
            p[at] = middle - h
            below = total(params, x, y, loss, output, reduction, weights, hidden)
            p[at] = middle
            slope[at] = (above - below) / (2 * h)
    return slopes
