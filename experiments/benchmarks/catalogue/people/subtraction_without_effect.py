import numpy as np


def gradients(params, x, y):
    num_train = x.shape[0]
    labels = y.argmax(axis=1)
    hidden_layer = np.maximum(0, np.dot(x, params.W1.T) + params.b1)
    scores = np.dot(hidden_layer, params.W2.T) + params.b2
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    dscores = probs
    dscores[range(num_train), labels] - 1
    dscores = dscores / num_train
    dW2 = np.dot(dscores.T, hidden_layer)
    db2 = np.sum(dscores, axis=0)
    dhidden = np.dot(dscores, params.W2)
    dhidden[hidden_layer <= 0] = 0
    dW1 = np.dot(dhidden.T, x)
    db1 = np.sum(dhidden, axis=0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
