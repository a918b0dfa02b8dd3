"""Recurrent networks in NumPy with back-propagation through time."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn_loss(Wx, Wh, b, x, y):
    h = np.zeros(b.shape)
    loss = 0
    for t in range(x.shape[0]):
        h = np.tanh(Wx @ x[t] + Wh @ h + b)
        loss = loss + 0.5 * ((h - y[t]) ** 2).sum()
    return loss


def rnn_gradients(Wx, Wh, b, x, y):
    hs = {-1: np.zeros(b.shape)}
    for t in range(x.shape[0]):
        hs[t] = np.tanh(Wx @ x[t] + Wh @ hs[t - 1] + b)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh_next = np.zeros_like(b)
    for t in reversed(range(x.shape[0])):
        dh = hs[t] - y[t] + dh_next
        dz = dh * (1 - hs[t] ** 2)
        dWx += np.outer(dz, x[t])
        dWh += np.outer(dz, hs[t - 1])
        db += dz
        dh_next = Wh.T @ dz
    return {"Wx": dWx, "Wh": dWh, "b": db}


def gru(params, x, h):
    r = sigmoid(x @ params["Wr"] + h @ params["Ur"])
    z = sigmoid(x @ params["Wz"] + h @ params["Uz"])
    n = np.tanh(x @ params["Wn"] + (r * h) @ params["Un"])
    return (1 - z) * n + z * h


def gru_backward(params, x, h, dout):
    r = sigmoid(x @ params["Wr"] + h @ params["Ur"])
    z = sigmoid(x @ params["Wz"] + h @ params["Uz"])
    n = np.tanh(x @ params["Wn"] + (r * h) @ params["Un"])
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    drh = dn @ params["Un"].T
    dr = drh * h * r * (1 - r)
    dh = dout * z + drh * r + dz @ params["Uz"].T + dr @ params["Ur"].T
    dx = dn @ params["Wn"].T + dz @ params["Wz"].T + dr @ params["Wr"].T
    grads = {"Wr": x.T @ dr, "Ur": h.T @ dr, "Wz": x.T @ dz, "Uz": h.T @ dz, "Wn": x.T @ dn, "Un": (r * h).T @ dn}
    return {"params": grads, "x": dx, "h": dh}


def lstm_loss(W, x):
    k = W.shape[1] // 4
    h = c = np.zeros(k)
    for t in range(x.shape[0]):
        a = np.concatenate([x[t], h]) @ W
        i, f, o, g = sigmoid(a[:k]), sigmoid(a[k : 2 * k]), sigmoid(a[2 * k : 3 * k]), np.tanh(a[3 * k :])
        c = f * c + i * g
        h = o * np.tanh(c)
    return 0.5 * (h**2).sum()


def lstm_gradients(W, x):
    k, d = W.shape[1] // 4, x.shape[1]
    h = c = np.zeros(k)
    cache = []
    for t in range(x.shape[0]):
        u = np.concatenate([x[t], h])
        a = u @ W
        i, f, o, g = sigmoid(a[:k]), sigmoid(a[k : 2 * k]), sigmoid(a[2 * k : 3 * k]), np.tanh(a[3 * k :])
        c_before = c
        c = f * c + i * g
        h = o * np.tanh(c)
        cache.append((u, i, f, o, g, c_before, c))
    dW, dx = np.zeros_like(W), np.zeros_like(x)
    dh, dc = h, np.zeros(k)
    for t in reversed(range(x.shape[0])):
        u, i, f, o, g, c_before, c = cache[t]
        do = dh * np.tanh(c) * o * (1 - o)
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        df = dc * c_before * f * (1 - f)
        di = dc * g * i * (1 - i)
        dg = dc * i * (1 - g**2)
        da = np.concatenate([di, df, do, dg])
        dW += np.outer(u, da)
        du = W @ da
        dx[t] = du[:d]
        dh = du[d:]
        dc = dc * f
    return dW, dx
