import numpy as np


def relu(z):
    return np.where(z > 0, z, 0.0)


def drelu(z):
    return (z > 0).astype(float)


def gradients(params, x, y):
    n = x.shape[0]
    z1 = np.einsum("nd,kd->nk", x, params.W1) + params.b1
    a1 = relu(z1)
    z2 = np.einsum("nk,ck->nc", a1, params.W2) + params.b2
    a2 = relu(z2)

    delta2 = np.einsum("nc,nc->nc", a2 - y, drelu(z2)) / n
    delta1 = np.einsum("nc,ck,nk->nk", delta2, params.W2, drelu(z1))
    return {
        "dW1": np.einsum("nk,nd->kd", delta1, x),
        "db1": np.einsum("nk->k", delta1),
        "dW2": np.einsum("nc,nk->ck", delta2, a1),
        "db2": np.einsum("nc->c", delta2),
    }
