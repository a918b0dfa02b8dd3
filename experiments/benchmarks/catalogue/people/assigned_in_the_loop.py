import numpy as np


def gradients(params, x, y):
    grad_W1, grad_b1 = np.zeros(params.W1.shape), np.zeros(params.b1.shape)
    grad_W2, grad_b2 = np.zeros(params.W2.shape), np.zeros(params.b2.shape)
    N = len(x)
    for n in range(N):
        a = params.W1 @ x[n] + params.b1
        h = np.where(a > 0, a, 0)
        s = params.W2 @ h + params.b2
        p = np.exp(s) / np.sum(np.exp(s))
        ds = p.copy()
        ds[np.argmax(y[n])] -= 1
        ds = ds / N
        grad_W2 += np.outer(ds, h)
        grad_b2 += ds
        dh = params.W2.T @ ds
        dh[a < 0] = 0
        grad_W1 = np.outer(dh, x[n])
        grad_b1 += dh
    return {"dW1": grad_W1, "db1": grad_b1, "dW2": grad_W2, "db2": grad_b2}
