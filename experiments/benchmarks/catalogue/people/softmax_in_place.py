import numpy as np


def gradients(params, x, y):
    W1, b1 = params.W1.T, params.b1
    W2, b2 = params.W2.T, params.b2
    N, D = x.shape
    labels = np.argmax(y, axis=1)

    hidden = np.maximum(0, x.dot(W1) + b1)
    scores = hidden.dot(W2) + b2

    scores -= np.max(scores, axis=1, keepdims=True)
    probs = np.exp(scores)
    probs /= np.sum(probs, axis=1, keepdims=True)

    # compute the gradients
    dscores = probs
    dscores[range(N), labels] -= 1
    dscores /= N

    grads = {}
    grads["dW2"] = hidden.T.dot(dscores).T
    grads["db2"] = np.sum(dscores, axis=0)
    dhidden = dscores.dot(W2.T)
    dhidden[hidden <= 0] = 0
    grads["dW1"] = x.T.dot(dhidden).T
    grads["db1"] = np.sum(dhidden, axis=0)
    return grads
