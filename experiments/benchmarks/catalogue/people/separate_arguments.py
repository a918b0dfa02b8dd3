import numpy as np


def gradients(W1, b1, W2, b2, X, Y):
    N = X.shape[0]
    deltas1, deltas2, hiddens = [], [], []
    for n in range(N):
        h = np.tanh(np.matmul(W1, X[n]) + b1)
        out = np.matmul(W2, h) + b2
        d2 = (out - Y[n]) / N
        d1 = np.matmul(d2, W2) * (1.0 - h * h)
        hiddens.append(h)
        deltas2.append(d2)
        deltas1.append(d1)
    deltas1, deltas2, hiddens = np.array(deltas1), np.vstack(deltas2), np.stack(hiddens)
    return {"dW1": deltas1.T @ X, "db1": sum(deltas1), "dW2": deltas2.T @ hiddens, "db2": sum(deltas2)}
