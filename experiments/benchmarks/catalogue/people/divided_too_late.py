import numpy as np


def gradients(params, x, y):
    N = x.shape[0]
    h1 = np.maximum(0, x.dot(params.W1.T) + params.b1)
    scores = h1.dot(params.W2.T) + params.b2
    exp_scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    dscores = probs.copy()
    dscores[np.arange(N), y.argmax(1)] -= 1
    dW2 = dscores.T.dot(h1)
    dscores /= N
    db2 = np.sum(dscores, axis=0)

    dh1 = dscores.dot(params.W2)
    dh1[h1 <= 0] = 0
    dW1 = dh1.T.dot(x)
    db1 = np.sum(dh1, axis=0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
