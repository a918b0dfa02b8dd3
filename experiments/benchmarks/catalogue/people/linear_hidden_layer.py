import numpy as np


def gradients(params, x, y):
    h = np.inner(x, params.W1) + params.b1
    pred = np.inner(h, params.W2) + params.b2
    err = np.subtract(pred, y) / x.shape[0]
    back = np.matmul(err, params.W2)
    return {
        "dW1": np.tensordot(back, x, axes=(0, 0)),
        "db1": np.add.reduce(back, axis=0),
        "dW2": np.tensordot(err, h, axes=([0], [0])),
        "db2": np.add.reduce(err, axis=0),
    }
