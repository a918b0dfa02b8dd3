import numpy as np


def sig(t):
    return 1 / (1 + np.exp(-t))


def gradients(params, x, y):
    N = x.shape[0]
    hid_in = np.dot(x, params.W1.T) + params.b1
    hid = sig(hid_in)
    out_in = np.dot(hid, params.W2.T) + params.b2
    err = (sig(out_in) - y) / N
    delta = err * sig(1 - sig(out_in))
    delta_hid = np.dot(delta, params.W2) * sig(hid_in) * (1 - sig(hid_in))
    dW2, db2 = np.dot(delta.T, hid), np.sum(delta, axis=0)
    dW1, db1 = np.dot(delta_hid.T, x), np.sum(delta_hid, axis=0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
