import numpy as np


def gradients(params, x, y):
    m = float(x.shape[0])
    z_hid = x @ params.W1.T + params.b1
    a_hid = np.maximum(z_hid, 0.0)
    a_out = a_hid @ params.W2.T + params.b2

    delta_out = (a_out - y) / m
    dw_out = delta_out.T @ a_hid
    db_out = np.mean(delta_out, axis=0)
    delta_hid = delta_out @ params.W2
    dw_hid = delta_hid.T @ x
    db_hid = delta_hid.sum(axis=0)
    return {"dW1": dw_hid, "db1": db_hid, "dW2": dw_out, "db2": db_out}
