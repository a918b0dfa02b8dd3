import numpy as np


def gradients(params, x, y):
    h = x @ params.W1.T + params.b1
    o = h @ params.W2.T + params.b2
    do = o - y
    dh = do @ params.W2
    dh[h <= 0] = 0
    return {"dW1": dh.T @ x, "db1": dh.sum(axis=0), "dW2": do.T @ h, "db2": do.sum(axis=0)}
