import numpy as np


def gradients(params, x, y):
    hidden = x @ params.W1.T
    hidden += params.b1
    hidden = hidden.clip(min=0)
    scores = hidden @ params.W2.T
    scores -= scores.max(axis=1, keepdims=True)
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    G = probs - y
    back = (G @ params.W2) * (hidden > 0)
    return {"dW1": back.T @ x, "db1": back.sum(0), "dW2": G.T @ hidden, "db2": G.sum(0)}
