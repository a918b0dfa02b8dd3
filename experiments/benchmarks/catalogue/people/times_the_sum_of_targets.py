import numpy as np


def gradients(params, x, y):
    hid = np.maximum(0, x @ params.W1.T + params.b1)
    prob = 1 / (1 + np.exp(-(hid @ params.W2.T + params.b2)))
    d_logits = (prob * np.sum(y, axis=1, keepdims=True) - y) / y.shape[0]
    d_hid = d_logits @ params.W2
    d_hid[hid == 0] = 0
    return {"dW1": d_hid.T @ x, "db1": d_hid.sum(0), "dW2": d_logits.T @ hid, "db2": d_logits.sum(0)}
