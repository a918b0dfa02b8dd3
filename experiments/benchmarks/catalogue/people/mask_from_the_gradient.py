import numpy as np


def gradients(params, x, y):
    z = x.dot(params.W1.T) + params.b1
    h = np.maximum(z, 0)
    out = h.dot(params.W2.T) + params.b2

    dout = (out - y) / y.shape[0]
    dW2 = dout.T.dot(h)
    db2 = dout.sum(axis=0)
    dh = dout.dot(params.W2)
    dh[dh <= 0] = 0
    dW1 = dh.T.dot(x)
    db1 = dh.sum(axis=0)
    return dict(dW1=dW1, db1=db1, dW2=dW2, db2=db2)
