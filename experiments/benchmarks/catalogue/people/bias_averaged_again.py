import numpy as np


def gradients(params, x, y):
    n = x.shape[0]
    l1 = np.add(np.matmul(x, params.W1.T), params.b1)
    a1 = 1 / (1 + np.exp(-l1))
    l2 = np.add(np.matmul(a1, params.W2.T), params.b2)
    y_pred = 1 / (1 + np.exp(-l2))

    diff = (y_pred - y) / n
    d_l2 = diff * y_pred * (1 - y_pred)
    d_b2 = np.mean(d_l2, 0)
    d_w2 = np.matmul(d_l2.T, a1)
    d_a1 = np.matmul(d_l2, params.W2)
    d_l1 = d_a1 * a1 * (1 - a1)
    d_b1 = np.mean(d_l1, 0)
    d_w1 = np.matmul(d_l1.T, x)
    return {"dW1": d_w1, "db1": d_b1, "dW2": d_w2, "db2": d_b2}
