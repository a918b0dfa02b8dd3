"""Losses and statistics in NumPy with their gradients."""

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def soft_targets(z, t, smoothing=0.1):
    """Cross-entropy with label smoothing, reduction none: one number an example."""
    t = (1 - smoothing) * t + smoothing / t.shape[1]
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -(t * logp).sum(axis=1)


def soft_targets_backward(z, t, grad_output, smoothing=0.1):
    t = (1 - smoothing) * t + smoothing / t.shape[1]
    return (softmax(z) - t) * grad_output[:, None]


def focal(z, y, gamma=2):
    p = 1 / (1 + np.exp(-z))
    pt = np.where(y == 1, p, 1 - p)
    return -((1 - pt) ** gamma * np.log(pt)).mean()


def focal_gradient(z, y, gamma=2):
    p = 1 / (1 + np.exp(-z))
    pt = np.where(y == 1, p, 1 - p)
    dpt = gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - (1 - pt) ** gamma / pt
    sign = np.where(y == 1, 1, -1)
    return dpt * sign * p * (1 - p) / z.size


def huber(w, x, y, delta=0.7):
    r = x @ w - y
    small = np.abs(r) <= delta
    return np.where(small, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta)).mean()


def huber_gradient(w, x, y, delta=0.7):
    r = x @ w - y
    g = np.clip(r, -delta, delta)
    return x.T @ g / len(y)


def hinge(W, x, labels):
    scores = x @ W
    rows = np.arange(x.shape[0])
    margins = np.maximum(0, scores - scores[rows, labels][:, None] + 1)
    margins[rows, labels] = 0
    return margins.sum() / x.shape[0]


def hinge_gradient(W, x, labels):
    scores = x @ W
    rows = np.arange(x.shape[0])
    margins = np.maximum(0, scores - scores[rows, labels][:, None] + 1)
    coefficient = (margins > 0).astype(float)
    coefficient[rows, labels] = 0
    coefficient[rows, labels] = -coefficient.sum(axis=1)
    return x.T @ coefficient / x.shape[0]


def triplet(a, p, n):
    near = ((a - p) ** 2).sum(axis=1)
    far = ((a - n) ** 2).sum(axis=1)
    return np.maximum(near - far + 0.2, 0).sum()


def triplet_gradients(a, p, n):
    near = ((a - p) ** 2).sum(axis=1)
    far = ((a - n) ** 2).sum(axis=1)
    active = (near - far + 0.2 > 0)[:, None]
    da = 2 * (n - p) * active
    dp = 2 * (p - a) * active
    dn = 2 * (a - n) * active
    return da, dp, dn


def logsumexp(x):
    m = x.max()
    return m + np.log(np.exp(x - m).sum())


def logsumexp_gradient(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def cosine(a, b):
    return (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))


def cosine_gradients(a, b):
    na, nb = np.linalg.norm(a), np.linalg.norm(b)
    c = (a * b).sum() / (na * nb)
    da = b / (na * nb) - c * a / na**2
    db = a / (na * nb) - c * b / nb**2
    return da, db


def gaussian(A, x):
    """Minus the log-likelihood of rows x under a Gaussian with covariance I + A A', by Cholesky."""
    L = np.linalg.cholesky(np.eye(len(A)) + A @ A.T)
    u = np.linalg.solve(L, x.T)
    return 0.5 * (u**2).sum() + x.shape[0] * np.log(np.diag(L)).sum()


def gaussian_gradients(A, x):
    P = np.linalg.inv(np.eye(len(A)) + A @ A.T)
    a = P @ x.T
    dS = 0.5 * (x.shape[0] * P - a @ a.T)
    return {"A": 2 * dS @ A, "x": a.T}


def solved(A, b):
    return np.linalg.solve(A, b)


def solved_backward(A, b, g):
    x = np.linalg.solve(A, b)
    db = np.linalg.solve(A.T, g)
    dA = -np.outer(db, x)
    return dA, db


def spread(x):
    """Mean distance from the median."""
    return np.abs(x - np.median(x)).mean()


def spread_gradient(x):
    s = np.sign(x - np.median(x))
    g = s / x.size
    order = np.argsort(x)
    n = x.size
    middle = [order[n // 2]] if n % 2 else [order[n // 2 - 1], order[n // 2]]
    for i in middle:
        g[i] -= s.mean() / len(middle)
    return g


def ranked(x, w):
    """A weighted sum of order statistics."""
    return (np.sort(x) * w).sum()


def ranked_gradients(x, w):
    order = np.argsort(x)
    dx = np.zeros_like(x)
    dx[order] = w
    return dx, x[order]
