import numpy as np

reg = 0.05


def forward(params, x):
    h = np.maximum(0, np.dot(x, params.W1.T) + params.b1)
    s = np.dot(h, params.W2.T) + params.b2
    e = np.exp(s - np.max(s, axis=1, keepdims=True))
    return h, e / np.sum(e, axis=1, keepdims=True)


def loss(params, x, y):
    _, p = forward(params, x)
    data_loss = -np.sum(y * np.log(p)) / x.shape[0]
    reg_loss = 0.5 * reg * np.sum(params.W1 * params.W1) + 0.5 * reg * np.sum(params.W2 * params.W2)
    return data_loss + reg_loss


def gradients(params, x, y):
    h, p = forward(params, x)
    dscores = (p - y) / x.shape[0]
    dW2 = np.dot(dscores.T, h)
    db2 = np.sum(dscores, axis=0, keepdims=True)[0]
    dhidden = np.dot(dscores, params.W2)
    dhidden[h <= 0] = 0
    dW1 = np.dot(dhidden.T, x)
    db1 = np.sum(dhidden, axis=0, keepdims=True)[0]
    dW2 += reg * params.W2
    dW1 += reg * params.W1
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
