import numpy as np


def gradients(params, x, y):
    H = x.dot(params.W1.T) + params.b1
    H = H * (H > 0)
    S = H.dot(params.W2.T) + params.b2
    P = np.exp(S) / np.exp(S).sum(axis=1).reshape(-1, 1)
    dS = P - y
    dW2, db2 = dS.T.dot(H), dS.sum(0)
    dH = dS.dot(params.W2)
    dW1, db1 = dH.T.dot(x), dH.sum(0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
