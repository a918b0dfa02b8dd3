"""Hessian-vector products, and pairs of programs that are the same function."""

import jax
import jax.numpy as jnp
import numpy as np


def logistic(w, x, y):
    z = x @ w
    return (np.log1p(np.exp(-y * z))).mean() + 0.05 * (w @ w)


def logistic_hvp(w, x, y, v):
    p = 1 / (1 + np.exp(-y * (x @ w)))
    s = p * (1 - p)
    return x.T @ (s * (x @ v)) / len(y) + 0.1 * v


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_hvp(x, v):
    out = np.zeros_like(x)
    for i in range(len(x) - 1):
        out[i] += (1200 * x[i] ** 2 - 400 * x[i + 1] + 2) * v[i] - 400 * x[i] * v[i + 1]
        out[i + 1] += 200 * v[i + 1] - 400 * x[i] * v[i]
    return out


def network_loss(W, x, y):
    return 0.5 * ((jnp.tanh(x @ W) - y) ** 2).sum()


def network_hvp(W, x, y, V):
    def directional(W):
        return jax.jvp(lambda U: network_loss(U, x, y), (W,), (V,))[1]

    return jax.grad(directional)(W)


def variance(x):
    return ((x - x.mean()) ** 2).mean()


def variance_in_one_pass(x):
    count, mean, m2 = 0, 0.0, 0.0
    for value in x:
        count += 1
        delta = value - mean
        mean += delta / count
        m2 += delta * (value - mean)
    return m2 / count


def log_softmax(z):
    return jax.nn.log_softmax(z)


def log_softmax_by_hand(z):
    top = z.max(axis=-1, keepdims=True)
    shifted = z - top
    return shifted - jnp.log(jnp.exp(shifted).sum(axis=-1, keepdims=True))


def gelu_exact(x):
    return 0.5 * x * (1 + jax.scipy.special.erf(x / jnp.sqrt(2.0)))


def gelu_by_jax(x):
    return jax.nn.gelu(x, approximate=False)


def softmax_in_pieces(x, piece=2):
    """The online softmax: a running maximum and a running sum."""
    top, total = -np.inf, 0.0
    for start in range(0, len(x), piece):
        part = x[start : start + piece]
        new = max(top, part.max())
        total = total * np.exp(top - new) + np.exp(part - new).sum()
        top = new
    return np.exp(x - top) / total


def softmax(x):
    e = np.exp(x)
    return e / e.sum()
