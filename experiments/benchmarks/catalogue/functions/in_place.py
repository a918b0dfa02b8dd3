"""Backward passes in NumPy, in place: networks, normalisation, convolution, recurrence, losses, physics, algebra."""

import numpy as np


def leaky_loss(W1, b1, W2, b2, x, labels, mask):
    h = x @ W1 + b1
    h = np.where(h > 0, h, 0.01 * h) * mask / 0.8
    z = h @ W2 + b2
    z = z - z.max(axis=1, keepdims=True)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]).mean()


def leaky_gradients(W1, b1, W2, b2, x, labels, mask):
    grads = {}
    z1 = x @ W1 + b1
    h = np.where(z1 > 0, z1, 0.01 * z1)
    dropped = h * mask / 0.8
    scores = dropped @ W2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    p = np.exp(scores)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    p /= len(labels)
    grads["W2"] = dropped.T @ p
    grads["b2"] = p.sum(axis=0)
    dh = p @ W2.T
    dh *= mask / 0.8
    dh[z1 <= 0] *= 0.01
    grads["W1"] = x.T @ dh
    grads["b1"] = dh.sum(axis=0)
    return grads


def group_norm(x, gamma):
    n, c = x.shape
    g = x.reshape(n, 2, c // 2)
    mean = g.mean(axis=2, keepdims=True)
    var = g.var(axis=2, keepdims=True)
    return ((g - mean) / np.sqrt(var + 1e-5)).reshape(n, c) * gamma


def group_norm_backward(x, gamma, dy):
    n, c = x.shape
    size = c // 2
    g = x.reshape(n, 2, size)
    centred = g - g.mean(axis=2, keepdims=True)
    std = np.sqrt(centred.var(axis=2, keepdims=True) + 1e-5)
    normed = centred / std
    dgamma = (dy * normed.reshape(n, c)).sum(axis=0)
    dnormed = (dy * gamma).reshape(n, 2, size)
    dx = dnormed / std
    dx -= dnormed.mean(axis=2, keepdims=True) / std
    dx -= normed * (dnormed * normed).sum(axis=2, keepdims=True) / size / std
    return dx.reshape(n, c), dgamma


def weight_norm(v, g, x):
    return x @ (g * v / np.sqrt((v**2).sum(axis=0)))


def weight_norm_backward(v, g, x, dy):
    norm = np.sqrt((v**2).sum(axis=0))
    w = g * v / norm
    dw = x.T @ dy
    dg = (dw * v).sum(axis=0) / norm
    dv = g / norm * dw
    dv -= g * dg * v / norm**2
    return {"v": dv, "g": dg, "x": dy @ w.T}


def depthwise(x, w, stride=2):
    c, n = x.shape
    k = w.shape[1]
    out = np.zeros((c, (n - k) // stride + 1))
    for t in range(out.shape[1]):
        out[:, t] = (x[:, t * stride : t * stride + k] * w).sum(axis=1)
    return out


def depthwise_backward(x, w, dout, stride=2):
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)
    k = w.shape[1]
    for t in range(dout.shape[1]):
        window = x[:, t * stride : t * stride + k]
        dw += window * dout[:, t : t + 1]
        dx[:, t * stride : t * stride + k] += w * dout[:, t : t + 1]
    return dx, dw


def two_way(Wf, Wb, U, x):
    T, k = x.shape[0], U.shape[0]
    hf, hb = np.zeros((T + 1, k)), np.zeros((T + 1, k))
    for t in range(T):
        hf[t + 1] = np.tanh(x[t] @ Wf + hf[t] @ U)
    for t in reversed(range(T)):
        hb[t] = np.tanh(x[t] @ Wb + hb[t + 1] @ U)
    return hf[1:] + hb[:T]


def two_way_backward(Wf, Wb, U, x, dy):
    T, k = x.shape[0], U.shape[0]
    hf, hb = np.zeros((T + 1, k)), np.zeros((T + 1, k))
    for t in range(T):
        hf[t + 1] = np.tanh(x[t] @ Wf + hf[t] @ U)
    for t in reversed(range(T)):
        hb[t] = np.tanh(x[t] @ Wb + hb[t + 1] @ U)
    dWf, dWb, dU, dx = np.zeros_like(Wf), np.zeros_like(Wb), np.zeros_like(U), np.zeros_like(x)
    carry = np.zeros(k)
    for t in reversed(range(T)):
        dz = (dy[t] + carry) * (1 - hf[t + 1] ** 2)
        dWf += np.outer(x[t], dz)
        dU += np.outer(hf[t], dz)
        dx[t] += dz @ Wf.T
        carry = dz @ U.T
    carry = np.zeros(k)
    for t in range(T):
        dz = (dy[t] + carry) * (1 - hb[t] ** 2)
        dWb += np.outer(x[t], dz)
        dU += np.outer(hb[t + 1], dz)
        dx[t] += dz @ Wb.T
        carry = dz @ U.T
    return {"Wf": dWf, "Wb": dWb, "U": dU, "x": dx}


def vae_loss(We, Wd, x, noise):
    code = x @ We
    k = noise.shape[1]
    mu, logvar = code[:, :k], code[:, k:]
    z = mu + np.exp(0.5 * logvar) * noise
    rec = 0.5 * ((z @ Wd - x) ** 2).sum()
    kl = -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum()
    return (rec + kl) / len(x)


def vae_gradients(We, Wd, x, noise):
    m, k = noise.shape
    code = x @ We
    mu, logvar = code[:, :k], code[:, k:]
    std = np.exp(0.5 * logvar)
    z = mu + std * noise
    drec = (z @ Wd - x) / m
    dWd = z.T @ drec
    dz = drec @ Wd.T
    dmu = dz + mu / m
    dlogvar = dz * noise * 0.5 * std
    dlogvar += 0.5 * (np.exp(logvar) - 1) / m
    return x.T @ np.concatenate([dmu, dlogvar], axis=1), dWd


def poisson(w, b, x, counts):
    rate = np.exp(x @ w + b)
    return (rate - counts * np.log(rate)).mean() + 0.5 * 0.3 * (w**2).sum()


def poisson_gradients(w, b, x, counts):
    rate = np.exp(x @ w + b)
    err = (rate - counts) / len(counts)
    dw = x.T @ err + 0.3 * w
    return dw, err.sum()


def diffused(u, kappa, steps=3, dt=0.1):
    u = u.copy()
    for _ in range(steps):
        lap = np.zeros_like(u)
        lap[1:-1] = u[2:] - 2 * u[1:-1] + u[:-2]
        u = u + dt * kappa * lap
    return 0.5 * (u**2).sum()


def diffused_gradients(u, kappa, steps=3, dt=0.1):
    laps = []
    u = u.copy()
    for _ in range(steps):
        lap = np.zeros_like(u)
        lap[1:-1] = u[2:] - 2 * u[1:-1] + u[:-2]
        laps.append(lap)
        u = u + dt * kappa * lap
    adjoint, dkappa = u, 0.0
    for lap in reversed(laps):
        dkappa += dt * (adjoint * lap).sum()
        dlap = dt * kappa * adjoint[1:-1]
        new = adjoint.copy()
        new[2:] += dlap
        new[1:-1] -= 2 * dlap
        new[:-2] += dlap
        adjoint = new
    return {"u": adjoint, "kappa": dkappa}


def gravity(q, masses):
    energy = 0.0
    for i in range(len(masses)):
        for j in range(i + 1, len(masses)):
            r = np.sqrt(((q[i] - q[j]) ** 2).sum() + 0.01)
            energy -= masses[i] * masses[j] / r
    return energy


def gravity_gradients(q, masses):
    dq = np.zeros_like(q)
    dm = np.zeros_like(masses)
    for i in range(len(masses)):
        for j in range(i + 1, len(masses)):
            diff = q[i] - q[j]
            r2 = (diff**2).sum() + 0.01
            r = np.sqrt(r2)
            f = masses[i] * masses[j] / (r * r2)
            dq[i] += f * diff
            dq[j] -= f * diff
            dm[i] -= masses[j] / r
            dm[j] -= masses[i] / r
    return dq, dm


def log_volume(A, b):
    S = A @ A.T + np.eye(len(A))
    return 0.5 * np.log(np.linalg.det(S)) + 0.5 * b @ np.linalg.inv(S) @ b


def log_volume_gradients(A, b):
    S = A @ A.T + np.eye(len(A))
    inverse = np.linalg.inv(S)
    y = inverse @ b
    dS = 0.5 * inverse
    dS -= 0.5 * np.outer(y, y)
    dA = (dS + dS.T) @ A
    return dA, y


def isotonic_loss(x, y):
    s = np.sort(x)
    c = np.cumsum(s)
    return ((c - y) ** 2).sum()


def isotonic_gradients(x, y):
    order = np.argsort(x)
    c = np.cumsum(x[order])
    dc = 2 * (c - y)
    ds = np.cumsum(dc[::-1])[::-1]
    dx = np.zeros_like(x)
    dx[order] = ds
    return dx, -dc


def rbf(x, z, log_width):
    d2 = ((x[:, None, :] - z[None, :, :]) ** 2).sum(axis=2)
    return np.exp(-d2 / (2 * np.exp(log_width) ** 2))


def rbf_backward(x, z, log_width, dk):
    width = np.exp(log_width)
    diff = x[:, None, :] - z[None, :, :]
    d2 = (diff**2).sum(axis=2)
    k = np.exp(-d2 / (2 * width**2))
    dd2 = dk * k / (-2 * width**2)
    dx = (2 * dd2[:, :, None] * diff).sum(axis=1)
    dz = -(2 * dd2[:, :, None] * diff).sum(axis=0)
    dwidth = (dk * k * d2 / width**2).sum()
    return {"x": dx, "z": dz, "log_width": dwidth}


def softmax_loss(W, x, y):
    z = x @ W
    return (np.log(np.exp(z).sum(axis=1)) - (z * y).sum(axis=1)).sum()


def softmax_hvp(W, x, y, V):
    z = x @ W
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    u = x @ V
    dp = p * u
    dp -= p * (p * u).sum(axis=1, keepdims=True)
    return x.T @ dp
