"""Layers of networks in NumPy, each with its backward pass: dense, normalisation, attention, convolution, pooling."""

import numpy as np


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def gelu_slope(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


def gelu_pullback(z, g):
    return g * gelu_slope(z)


def deep_loss(W1, W2, W3, x, y):
    a1 = np.tanh(x @ W1)
    a2 = gelu(a1 @ W2)
    penalty = 0.01 * ((W1**2).sum() + (W2**2).sum() + (W3**2).sum())
    return 0.5 * ((a2 @ W3 - y) ** 2).sum() / x.shape[0] + penalty


def deep_gradients(W1, W2, W3, x, y):
    a1 = np.tanh(x @ W1)
    z2 = a1 @ W2
    a2 = gelu(z2)
    delta3 = (a2 @ W3 - y) / x.shape[0]
    delta2 = (delta3 @ W3.T) * gelu_slope(z2)
    delta1 = (delta2 @ W2.T) * (1 - a1**2)
    dW3 = a2.T @ delta3 + 0.02 * W3
    dW2 = a1.T @ delta2 + 0.02 * W2
    dW1 = x.T @ delta1 + 0.02 * W1
    return dW1, dW2, dW3


def batch_norm(x, gamma, beta):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    return gamma * (x - mu) / np.sqrt(var + 1e-5) + beta


def batch_norm_stepwise(x, gamma, beta, dout):
    m = x.shape[0]
    xc = x - x.mean(axis=0)
    var = (xc**2).mean(axis=0)
    inv_std = 1 / np.sqrt(var + 1e-5)
    xhat = xc * inv_std
    dxhat = dout * gamma
    dvar = (dxhat * xc).sum(axis=0) * -0.5 * inv_std**3
    dmu = -(dxhat * inv_std).sum(axis=0) + dvar * (-2 * xc).mean(axis=0)
    dx = dxhat * inv_std + dvar * 2 * xc / m + dmu / m
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def batch_norm_compact(x, gamma, beta, dout):
    m = x.shape[0]
    xc = x - x.mean(axis=0)
    inv_std = 1 / np.sqrt((xc**2).mean(axis=0) + 1e-5)
    xhat = xc * inv_std
    dgamma = (dout * xhat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx = gamma * inv_std / m * (m * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


def layer_norm(x, w, b):
    mu = x.mean(-1, keepdims=True)
    var = ((x - mu) ** 2).mean(-1, keepdims=True)
    return (x - mu) / np.sqrt(var + 1e-5) * w + b


def layer_norm_backward(x, w, b, dout):
    mu = x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + 1e-5)
    norm = (x - mu) * rstd
    dnorm = dout * w
    dx = dnorm - dnorm.mean(-1, keepdims=True) - norm * (dnorm * norm).mean(-1, keepdims=True)
    dx *= rstd
    dw = np.zeros(w.shape)
    dw += (dout * norm).sum(0)
    db = dout.sum(0)
    return {"x": dx, "w": dw, "b": db}


def attention(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, -np.inf)
    p = np.exp(s - s.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True) @ v


def attention_backward(q, k, v, do, chunk=2):
    """Row by row of chunks, as flash attention does it."""
    scale = 1 / np.sqrt(q.shape[1])
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    n = q.shape[0]
    for i in range(0, n, chunk):
        rows = slice(i, min(i + chunk, n))
        s = q[rows] @ k.T * scale
        mask = np.arange(n)[None, :] <= np.arange(n)[rows][:, None]
        p = np.where(mask, np.exp(s), 0)
        p = p / p.sum(axis=1, keepdims=True)
        o = p @ v
        dv += p.T @ do[rows]
        dp = do[rows] @ v.T
        delta = (do[rows] * o).sum(axis=1, keepdims=True)
        ds = p * (dp - delta)
        dq[rows] = ds @ k * scale
        dk += ds.T @ q[rows] * scale
    return dq, dk, dv


def conv2d(x, w):
    H, W = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    out = np.zeros((H, W))
    for i in range(H):
        for j in range(W):
            out[i, j] = (x[i : i + w.shape[0], j : j + w.shape[1]] * w).sum()
    return out


def conv2d_backward(x, w, dout):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    kh, kw = w.shape
    for i in range(dout.shape[0]):
        for j in range(dout.shape[1]):
            dw += dout[i, j] * x[i : i + kh, j : j + kw]
            dx[i : i + kh, j : j + kw] += dout[i, j] * w
    return dx, dw


def im2col(x, k):
    return np.stack([x[i : i + k].ravel() for i in range(x.shape[0] - k + 1)])


def conv1d(x, w, b):
    return im2col(x, w.shape[0]) @ w.reshape(-1, w.shape[2]) + b


def conv1d_backward(x, w, b, dout):
    cols = im2col(x, w.shape[0])
    dw = (cols.T @ dout).reshape(w.shape)
    dcols = dout @ w.reshape(-1, w.shape[2]).T
    dx = np.zeros_like(x)
    for i in range(cols.shape[0]):
        dx[i : i + w.shape[0]] += dcols[i].reshape(w.shape[0], x.shape[1])
    return dx, dw, dout.sum(axis=0)


def max_pool(x):
    return x.reshape(x.shape[0] // 2, 2, x.shape[1]).max(axis=1)


def max_pool_backward(x, dout):
    blocks = x.reshape(x.shape[0] // 2, 2, x.shape[1])
    best = blocks.max(axis=1, keepdims=True)
    dx = (blocks == best) * dout[:, None, :]
    return dx.reshape(x.shape)


def embedded_loss(E, W, ids, labels):
    z = E[ids] @ W
    z = z - z.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -logp[np.arange(len(ids)), labels].mean()


def embedded_gradients(E, W, ids, labels):
    h = E[ids]
    e = np.exp(h @ W)
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(ids)), labels] -= 1
    p /= len(ids)
    dE = np.zeros_like(E)
    np.add.at(dE, ids, p @ W.T)
    return {"E": dE, "W": h.T @ p}
