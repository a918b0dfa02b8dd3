"""Back-propagations in the styles people use, right and wrong, each a file of its own: name -> text."""

STYLES = {
    "columns_with_caches": """
import numpy as np
import matplotlib.pyplot as plt
%matplotlib inline
!pip install h5py

np.random.seed(1)

def sigmoid(Z):
    A = 1 / (1 + np.exp(-Z))
    cache = Z
    return A, cache

def relu(Z):
    A = np.maximum(0, Z)
    assert(A.shape == Z.shape)
    cache = Z
    return A, cache

def relu_backward(dA, cache):
    Z = cache
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    assert (dZ.shape == Z.shape)
    return dZ

def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = 1. / m * np.dot(dZ, A_prev.T)
    db = 1. / m * np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db

def gradients(params, x, y):
    parameters = {"W1": params.W1, "b1": params.b1.reshape(-1, 1), "W2": params.W2, "b2": params.b2.reshape(-1, 1)}
    X, Y = x.T, y.T
    grads = {}
    Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
    A1, _ = relu(Z1)
    Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
    A2, _ = sigmoid(Z2)
    dA2 = -(np.divide(Y, A2) - np.divide(1 - Y, 1 - A2))
    dZ2 = dA2 * A2 * (1 - A2)
    dA1, grads["dW2"], grads["db2"] = linear_backward(dZ2, (A1, parameters["W2"], parameters["b2"]))
    dZ1 = relu_backward(dA1, Z1)
    _, grads["dW1"], grads["db1"] = linear_backward(dZ1, (X, parameters["W1"], parameters["b1"]))
    print("cost %.6f, shapes %s" % (np.squeeze(-np.mean(Y * np.log(A2))), dZ1.shape))
    return grads
""",
    "class_with_self": """
import numpy as np

class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {}
        self.params['W1'] = std * np.random.randn(input_size, hidden_size)
        self.params['b1'] = np.zeros(hidden_size)
        self.params['W2'] = std * np.random.randn(hidden_size, output_size)
        self.params['b2'] = np.zeros(output_size)

    def loss(self, X, y=None, reg=0.0):
        W1, b1 = self.params['W1'], self.params['b1']
        W2, b2 = self.params['W2'], self.params['b2']
        N, D = X.shape
        hidden = np.maximum(X.dot(W1) + b1, 0)
        scores = hidden.dot(W2) + b2
        if y is None:
            return scores
        shifted = scores - np.max(scores, axis=1).reshape(-1, 1)
        probs = np.exp(shifted) / np.sum(np.exp(shifted), axis=1).reshape(-1, 1)
        loss = -np.sum(np.log(probs[range(N), list(y)])) / N
        loss += 0.5 * reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        grads = {}
        dscores = probs.copy()
        dscores[range(N), list(y)] -= 1
        dscores /= N
        grads['W2'] = hidden.T.dot(dscores) + reg * W2
        grads['b2'] = np.sum(dscores, axis=0)
        dh = dscores.dot(W2.T)
        dh_ReLu = (hidden > 0) * dh
        grads['W1'] = X.T.dot(dh_ReLu) + reg * W1
        grads['b1'] = np.sum(dh_ReLu, axis=0)
        return loss, grads

def gradients(params, x, y):
    net = TwoLayerNet(x.shape[1], params.b1.size, params.b2.size)
    net.params = {'W1': params.W1.T.copy(), 'b1': params.b1, 'W2': params.W2.T.copy(), 'b2': params.b2}
    loss, g = net.loss(x, np.argmax(y, axis=1))
    return {"dW1": g['W1'].T, "db1": g['b1'], "dW2": g['W2'].T, "db2": g['b2'], "loss": loss}
""",
    "loop_over_examples": """
import numpy as np

def sigmoid(z):
    return 1.0/(1.0+np.exp(-z))

def sigmoid_prime(z):
    return sigmoid(z)*(1-sigmoid(z))

class Network(object):
    def __init__(self, weights, biases):
        self.num_layers = len(weights) + 1
        self.weights = weights
        self.biases = biases

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights):
            z = np.dot(w, activation)+b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for l in range(2, self.num_layers):
            z = zs[-l]
            sp = sigmoid_prime(z)
            delta = np.dot(self.weights[-l+1].transpose(), delta) * sp
            nabla_b[-l] = delta
            nabla_w[-l] = np.dot(delta, activations[-l-1].transpose())
        return (nabla_b, nabla_w)

    def cost_derivative(self, output_activations, y):
        return (output_activations-y)

def gradients(params, x, y):
    net = Network([params.W1, params.W2], [params.b1[:, None], params.b2[:, None]])
    nb = [np.zeros(b.shape) for b in net.biases]
    nw = [np.zeros(w.shape) for w in net.weights]
    for xi, yi in zip(x, y):
        db, dw = net.backprop(xi.reshape(-1, 1), yi.reshape(-1, 1))
        nb = [a + d for a, d in zip(nb, db)]
        nw = [a + d for a, d in zip(nw, dw)]
    return nw[0] / len(x), nb[0].ravel() / len(x), nw[1] / len(x), nb[1].ravel() / len(x)
""",
    "plain_lists": """
from math import exp
import random

def sigmoid(t):
    return 1.0 / (1.0 + exp(-t))

def transfer_derivative(output):
    return output * (1.0 - output)

def gradients(params, x, y):
    K, C, d = len(params.b1), len(params.b2), len(x[0])
    dW1 = [[0.0] * d for _ in range(K)]
    db1 = [0.0 for _ in range(K)]
    dW2 = [[0.0] * K for _ in range(C)]
    db2 = [0] * C
    for n in range(len(x)):
        hidden = []
        for j in range(K):
            total = float(params.b1[j])
            for i in range(d):
                total += params.W1[j][i] * x[n][i]
            hidden.append(sigmoid(total))
        out = [sigmoid(sum(params.W2[k][j] * hidden[j] for j in range(K)) + params.b2[k]) for k in range(C)]
        delta2 = [(out[k] - y[n][k]) * transfer_derivative(out[k]) for k in range(C)]
        for j in range(K):
            error = 0.0
            for k in range(C):
                error += params.W2[k][j] * delta2[k]
                dW2[k][j] += delta2[k] * hidden[j] / len(x)
            delta1 = error * transfer_derivative(hidden[j])
            db1[j] += delta1 / len(x)
            for i in range(d):
                dW1[j][i] += delta1 * x[n][i] / len(x)
        for k in range(C):
            db2[k] += delta2[k] / len(x)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
""",
    "script_that_trains": """
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

data = pd.read_csv('digit-recognizer/train.csv')
data = np.array(data)
m, n = data.shape
np.random.shuffle(data)
X_train = data[0:1000].T[1:n] / 255.

def ReLU(Z):
    return np.maximum(Z, 0)

def softmax(Z):
    A = np.exp(Z) / sum(np.exp(Z))
    return A

def ReLU_deriv(Z):
    return Z > 0

def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2

def backward_prop(Z1, A1, Z2, A2, W1, W2, X, one_hot_Y):
    m = X.shape[1]
    dZ2 = A2 - one_hot_Y
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2)
    dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1)
    return dW1, db1, dW2, db2

W1, b1 = np.random.rand(10, 784) - 0.5, np.random.rand(10, 1) - 0.5
for i in range(500):
    W1 = W1 - 0.1 * X_train.mean()
    if i % 10 == 0:
        print("Iteration: ", i)
plt.imshow(W1); plt.show()

def gradients(params, x, y):
    b1, b2 = params.b1[:, None], params.b2[:, None]
    Z1, A1, Z2, A2 = forward_prop(params.W1, b1, params.W2, b2, x.T)
    return backward_prop(Z1, A1, Z2, A2, params.W1, params.W2, x.T, y.T)
""",
    "eleven_lines": """
import numpy as np
def nonlin(x, deriv=False):
    if(deriv==True):
        return x*(1-x)
    return 1/(1+np.exp(-x))
X = np.array([[0,0,1],[0,1,1],[1,0,1],[1,1,1]])
np.random.seed(1)
syn0 = 2*np.random.random((3,4)) - 1
def gradients(params, x, y):
    l1 = nonlin(np.dot(x, params.W1.T) + params.b1)
    l2 = nonlin(np.dot(l1, params.W2.T) + params.b2)
    l2_error = y - l2
    l2_delta = l2_error*nonlin(l2, deriv=True)
    l1_error = l2_delta.dot(params.W2)
    l1_delta = l1_error * nonlin(l1, True)
    return {"dW2": -l2_delta.T.dot(l1), "dW1": -l1_delta.T.dot(x), "db1": -l1_delta.sum(0), "db2": -l2_delta.sum(0)}
if __name__ == "__main__":
    for j in range(60000):
        raise SystemExit("not reached")
""",
    "in_place_everything": """
import numpy as np
def gradients(params, x, y):
    z = np.empty((len(x), len(params.b1)))
    np.dot(x, params.W1.T, out=z)
    z += params.b1
    h = z.copy()
    np.maximum(h, 0, out=h)
    s = np.zeros((len(x), len(params.b2)), dtype=np.float64)
    s[:] = h @ params.W2.T
    s[...] += params.b2[None, :]
    s -= s.max(axis=1, keepdims=True)
    np.exp(s, out=s)
    s /= s.sum(axis=1, keepdims=True)
    s[np.arange(len(x)), y.argmax(1)] -= 1.0
    s *= 1.0 / len(x)
    g = {k: np.zeros_like(getattr(params, k)) for k in ("W1", "b1", "W2", "b2")}
    np.add(g["W2"], s.T @ h, out=g["W2"])
    g["b2"] += s.sum(0)
    dh = s @ params.W2
    dh[z <= 0] = 0
    for i in range(len(x)):
        g["W1"] += np.outer(dh[i], x[i])
        g["b1"] += dh[i, :]
    return {"d" + k: v for k, v in g.items()}
""",
    "closures_and_partial": """
import functools
from functools import partial, reduce
import numpy as np
from numpy import dot, exp, tanh
from numpy.linalg import norm
def layer(activation, derivative):
    def forward(W, b, x):
        z = dot(x, W.T) + b
        a = activation(z)
        def backward(upstream):
            dz = upstream * derivative(a)
            return dz.T @ x, dz.sum(axis=0), dz @ W
        return a, backward
    return forward
hidden = layer(tanh, lambda a: 1 - a ** 2)
out = layer(lambda z: z, lambda a: np.ones_like(a))
scale = lambda s, a: s * a
def gradients(params, x, y):
    a1, back1 = hidden(params.W1, params.b1, x)
    a2, back2 = out(params.W2, params.b2, a1)
    half = partial(scale, 1 / y.size)
    dW2, db2, da1 = back2(half(2 * (a2 - y)))
    dW1, db1, _ = back1(da1)
    total = reduce(lambda s, a: s + norm(a) ** 2, [dW1, dW2], 0.0)
    return dict(dW1=dW1, db1=db1, dW2=dW2, db2=db2, total=total)
""",
    "vectorize_and_apply": """
import numpy as np
relu = np.vectorize(lambda z: z if z > 0 else 0.0)
step = np.vectorize(lambda z: 1.0 if z > 0 else 0.0, otypes=[float])
def softmax(row):
    e = np.exp(row - np.max(row))
    return e / e.sum()
def gradients(params, x, y):
    z1 = np.array([[np.dot(w, xi) + b for w, b in zip(params.W1, params.b1)] for xi in x])
    h = relu(z1)
    p = np.apply_along_axis(softmax, 1, h @ params.W2.T + params.b2)
    d2 = (p - y) / y.shape[0]
    d1 = d2 @ params.W2 * step(z1)
    return {"dW1": np.einsum("nk,nd->kd", d1, x), "db1": np.einsum("nk->k", d1),
            "dW2": np.tensordot(d2, h, axes=(0, 0)), "db2": np.add.reduce(d2)}
""",
    "dataclass_layers": """
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Optional
import numpy as np
@dataclass
class Dense:
    W: np.ndarray
    b: np.ndarray
    lr: float = 0.01
    cache: dict = field(default_factory=dict)
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.cache["x"] = x
        return x @ self.W.T + self.b
    def backward(self, grad: np.ndarray) -> np.ndarray:
        x = self.cache["x"]
        self.dW = grad.T @ x
        self.db = grad.sum(axis=0)
        return grad @ self.W
class LeakyReLU:
    alpha = 0.01
    def __call__(self, z):
        self.mask = np.where(z > 0, 1.0, self.alpha)
        return z * self.mask
    def backward(self, grad):
        return grad * self.mask
def gradients(params, x, y):
    layers = [Dense(params.W1, params.b1), LeakyReLU(), Dense(params.W2, params.b2)]
    out = x
    for l in layers:
        out = l(out) if callable(l) else l.forward(out)
    grad = (out - y) / len(x)
    for l in reversed(layers):
        grad = l.backward(grad)
    return {"dW1": layers[0].dW, "db1": layers[0].db, "dW2": layers[2].dW, "db2": layers[2].db}
""",
    "scipy_and_stability": """
import numpy as np
from scipy.special import expit, softmax, logsumexp
import scipy.special as sp
from tqdm import tqdm
def gradients(params, x, y, eps=1e-12):
    h = np.log1p(np.exp(-np.abs(x @ params.W1.T + params.b1))) + np.maximum(x @ params.W1.T + params.b1, 0)
    s = h @ params.W2.T + params.b2
    logp = s - logsumexp(s, axis=1, keepdims=True)
    p = softmax(s, axis=-1)
    assert np.allclose(np.exp(logp), p)
    loss = -np.mean(np.sum(sp.xlogy(y, np.clip(p, eps, 1 - eps)), axis=1))
    d2 = (p - y) / len(x)
    d1 = np.zeros_like(h)
    for i in tqdm(range(len(x))):
        d1[i] = d2[i] @ params.W2 * expit(params.W1 @ x[i] + params.b1)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ h, "db2": d2.sum(0), "loss": loss}
""",
    "scalars_and_branches": """
import math
def relu(z):
    if z > 0:
        return z
    else:
        return 0
def gradients(params, x, y):
    g = {"dW1": params.W1 * 0, "db1": params.b1 * 0, "dW2": params.W2 * 0, "db2": params.b2 * 0}
    for n in range(x.shape[0]):
        z = [sum(float(w) * float(v) for w, v in zip(row, x[n])) + b for row, b in zip(params.W1.tolist(), params.b1)]
        h = [relu(v) for v in z]
        s = [math.fsum(w * v for w, v in zip(row, h)) + b for row, b in zip(params.W2, params.b2)]
        biggest = max(s)
        e = [math.exp(v - biggest) for v in s]
        p = [v / sum(e) for v in e]
        for k in range(len(p)):
            d = p[k] - y[n, k]
            g["db2"][k] += d
            for j in range(len(h)):
                g["dW2"][k, j] += d * h[j]
                if z[j] > 0:
                    g["db1"][j] = g["db1"][j] + d * params.W2[k, j]
                    g["dW1"][j, :] += d * params.W2[k, j] * x[n]
    return g
""",
    "globals_and_numbers": """
import numpy as np
np.set_printoptions(precision=3, suppress=True)
eta, lam = 0.5, 1e-3
SCALE = np.sqrt(2) / np.sqrt(16)
NORM = [1 / (k + 1) for k in range(40)]
W1 = np.random.randn(3, 3)
W1[0] = 1
cache = {}
def forward(x, params):
    global last
    last = x
    cache["h"] = np.tanh(x @ params.W1.T * SCALE + params.b1)
    return cache["h"] @ params.W2.T + params.b2
def gradients(params, x, y):
    out = forward(x, params)
    d2 = 2.0 * (out - y) / np.prod(y.shape)
    d1 = np.dot(d2, params.W2) * (1 - np.power(cache["h"], 2))
    return {"dW1": SCALE * d1.T.dot(last) + lam * params.W1, "db1": d1.sum(axis=0), "dW2": d2.T.dot(cache["h"]),
            "db2": np.sum(d2, 0), "extra": sum(NORM) * np.pi * eta, "rms": np.sqrt(np.mean(np.square(d1)))}
""",
    "numerical_check_beside": """
import numpy as np
def eval_numerical_gradient(f, x, h=0.00001):
    grad = np.zeros_like(x)
    it = np.nditer(x, flags=['multi_index'], op_flags=['readwrite'])
    while not it.finished:
        ix = it.multi_index
        old = x[ix]
        x[ix] = old + h
        plus = f(x)
        x[ix] = old - h
        minus = f(x)
        x[ix] = old
        grad[ix] = (plus - minus) / (2 * h)
        it.iternext()
    return grad
def gradients(params, x, y):
    W2 = params.W2.copy()
    f = lambda W: float(np.sum((np.maximum(x @ params.W1.T + params.b1, 0) @ W.T + params.b2 - y) ** 2) / 2)
    numeric = eval_numerical_gradient(f, W2)
    h = np.maximum(x @ params.W1.T + params.b1, 0)
    d2 = h @ params.W2.T + params.b2 - y
    error = np.linalg.norm(numeric - d2.T @ h) / (np.linalg.norm(numeric) + np.linalg.norm(d2.T @ h))
    if error > 1e-7:
        print("bad")
    d1 = (d2 @ params.W2) * (h > 0).astype(float)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ h, "db2": d2.sum(0), "numeric": numeric}
""",
    "one_hot_by_labels": """
import numpy as np
def one_hot(labels, n):
    Y = np.zeros((labels.size, n))
    Y[np.arange(labels.size), labels] = 1
    return Y
def gradients(params, x, y):
    labels = np.argmax(y, axis=-1).astype(int)
    N = labels.shape[0]
    h = np.where(x @ params.W1.T + params.b1 < 0, 0, x @ params.W1.T + params.b1)
    h1 = np.hstack([h, np.ones((N, 1))])
    V = np.column_stack((params.W2, params.b2))
    s = h1 @ V.T
    p = np.exp(s) / np.exp(s).sum(-1)[:, None]
    acc = np.mean(np.argmax(p, 1) == labels)
    assert 0 <= acc <= 1 and isinstance(float(acc), float)
    loss = -np.log(p[np.arange(N), labels]).mean()
    delta = (p - np.eye(p.shape[1])[labels]) / N
    assert np.array_equal(one_hot(labels, p.shape[1]), np.eye(p.shape[1])[labels])
    dV = delta.T @ h1
    d1 = delta @ V[:, :-1] * np.sign(h)
    return dict(dW1=d1.T @ x, db1=d1.sum(0), dW2=dV[:, :-1], db2=dV[:, -1], loss=loss)
""",
    "softmax_jacobian": """
import numpy as np
def gradients(params, x, y):
    n_samples = x.shape[0]
    grads = [np.zeros(np.shape(v)) for v in (params.W1, params.b1, params.W2, params.b2)]
    for i in range(n_samples):
        z1 = params.W1.dot(x[i]) + params.b1
        a1 = z1 * (z1 > 0)
        z2 = params.W2.dot(a1) + params.b2
        a2 = np.exp(z2 - z2.max()) / np.exp(z2 - z2.max()).sum()
        jacobian = np.diagflat(a2) - np.dot(a2.reshape(-1, 1), a2.reshape(1, -1))
        da2 = -y[i] / a2
        dz2 = jacobian @ da2
        dz1 = (params.W2.T @ dz2) * np.heaviside(z1, 0)
        for g, d in zip(grads, (np.outer(dz1, x[i]), dz1, np.outer(dz2, a1), dz2)):
            g += d / n_samples
    dW1, db1, dW2, db2 = grads
    return dW1, db1, dW2, db2
""",
    "batch_generator": """
import numpy as np, copy
def batches(x, y, size):
    for start in range(0, len(x), size):
        yield x[start:start + size], y[start:start + size]
def gradients(params, x, y):
    p = copy.deepcopy({"W1": params.W1, "b1": params.b1, "W2": params.W2, "b2": params.b2})
    grads = {k: np.zeros(v.shape) for k, v in p.items()}
    for xb, yb in batches(x, y, 2):
        try:
            h = np.maximum(xb @ p["W1"].T + p["b1"], 0.0)
        except ValueError as e:
            raise SystemExit(e)
        e = (h @ p["W2"].T + p["b2"]) - yb
        grads["W2"] += e.T @ h; grads["b2"] += e.sum(axis=0)
        dh = e @ p["W2"]; dh *= (h != 0)
        grads["W1"] += dh.T @ xb; grads["b1"] += dh.sum(axis=0)
    for k in grads:
        grads[k] /= x.shape[0]
        np.clip(grads[k], -1000, 1000, out=grads[k])
    return {f"d{k}": g for k, g in grads.items()}
""",
    "static_methods_and_properties": """
import numpy as np
class Activation:
    @staticmethod
    def f(z): return np.tanh(z)
    @staticmethod
    def df(z): return 1.0 - np.tanh(z) ** 2
class Net:
    count = 0
    def __init__(self, p):
        self._p = p
        Net.count += 1
    @property
    def W1(self): return self._p[0]
    @classmethod
    def make(cls, *p): return cls(p)
    def step(self, x, y):
        W1, b1, W2, b2 = self._p
        self.z = x.dot(W1.T) + b1
        self.a = Activation.f(self.z)
        self.o = 1 / (1 + np.exp(-(self.a.dot(W2.T) + b2)))
        self.d2 = (self.o - y) / x.shape[0]
        self.d1 = self.d2.dot(W2) * Activation.df(self.z)
        return self
class Result:
    pass
def gradients(params, x, y):
    n = Net.make(*params).step(x, y)
    r = Result()
    r.dW1, r.db1, r.dW2, r.db2 = n.d1.T.dot(x), n.d1.sum(0), n.d2.T.dot(n.a), n.d2.sum(0)
    return r
""",
    "from_numpy_import_star": """
from numpy import *
from math import pi
def gradients(params, x, y):
    h = tanh(dot(x, params.W1.T) + params.b1)
    d2 = (dot(h, params.W2.T) + params.b2 - y) * cos(2 * pi) / sqrt(4)
    d1 = dot(d2, params.W2) * (1 - square(h))
    return {"dW1": dot(d1.T, x), "db1": sum(d1, axis=0), "dW2": dot(d2.T, h), "db2": sum(d2, axis=0)}
""",
    "gelu_by_hand": """
import numpy as np
import math
def phi(z):
    return 0.5 * (1.0 + np.vectorize(math.erf)(z / math.sqrt(2.0)))
def pdf(z):
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
def gradients(params, x, y):
    z = x @ params.W1.T + params.b1
    h = z * phi(z)
    e = h @ params.W2.T + params.b2 - y
    d1 = e @ params.W2 * (phi(z) + z * pdf(z))
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "normalised_by_hand": """
import numpy as np
def gradients(params, x, y):
    N = float(x.shape[0])
    h = x @ params.W1.T + params.b1
    mu, var = h.mean(axis=0), h.var(axis=0)
    std = np.sqrt(var + 1e-5)
    n = (h - mu) / std
    e = (n @ params.W2.T + params.b2 - y) / N
    dn = e @ params.W2
    dh = (1. / N) / std * (N * dn - dn.sum(0) - n * (dn * n).sum(0))
    return {"dW1": dh.T @ x, "db1": np.round(dh.sum(0), 6), "dW2": e.T @ n, "db2": e.sum(0)}
""",
    "lists_of_arrays": """
import numpy as np
def gradients(params, x, y):
    weights, biases = [params.W1, params.W2], [params.b1, params.b2]
    acts, zs = [x], []
    for w, b in zip(weights, biases):
        zs.append(acts[-1] @ w.T + b)
        acts.append(np.maximum(zs[-1], 0))
    deltas = [None] * len(weights)
    deltas[-1] = (acts[-1] - y) * (zs[-1] > 0)
    for l in range(len(weights) - 2, -1, -1):
        deltas[l] = (deltas[l + 1] @ weights[l + 1]) * (zs[l] > 0)
    dws = [np.zeros(w.shape) for w in weights]
    dbs = [np.zeros(b.shape) for b in biases]
    for l in range(len(weights)):
        dws[l][:] = np.dot(deltas[l].T, acts[l]) / np.shape(x)[0]
        dbs[l][:] = np.average(deltas[l], axis=0)
    return np.array(dws[0]), np.asarray(dbs[0]), dws[1], dbs[1]
""",
    "old_numpy_names": """
import numpy as np
def gradients(params, x, y):
    h = np.asarray(np.maximum(x @ params.W1.T + params.b1, 0), dtype=np.float)
    mask = np.zeros(h.shape, dtype=np.bool)
    mask[h > 0] = True
    e = np.subtract(np.matmul(h, np.transpose(params.W2)) + params.b2, y).astype(np.float_)
    d1 = np.multiply(np.matmul(e, params.W2), mask.astype(np.int)) * np.product([0.5, 2])
    return {"dW1": np.matmul(d1.T, x), "db1": np.sum(d1, axis=0).reshape(-1), "dW2": np.matmul(e.T, h),
            "db2": e.sum(0).flatten()}
""",
    "adam_beside_the_gradient": """
import numpy as np
import os, sys, time, pickle, warnings
warnings.filterwarnings("ignore")
start = time.time()
beta1, beta2, t = 0.9, 0.999, 3
def gradients(params, x, y):
    tic = time.time()
    h = np.maximum(0.01 * (x @ params.W1.T + params.b1), x @ params.W1.T + params.b1)
    e = (h @ params.W2.T + params.b2 - y) / (1 - beta1 ** t)
    d = np.ones_like(h); d[h < 0] = 0.01
    d1 = e @ params.W2 * d
    m = (1 - beta1) * d1; v = (1 - beta2) * d1 ** 2
    step = (m / (1 - beta1 ** t)) / (np.sqrt(v / (1 - beta2 ** t)) + 1e-8)
    sys.stdout.write("done in {:.3f} s, mean {:.4f}\\n".format(time.time() - tic, step.mean()))
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0), "step": step}
""",
    "asserts_and_shapes": """
import numpy as np
assert np.__version__
def check(a: np.ndarray, shape) -> None:
    assert isinstance(a, np.ndarray) and a.shape == tuple(shape), a.shape
    if a.dtype != np.float64 and not np.issubdtype(a.dtype, np.floating):
        raise TypeError("no floats")
    if np.isnan(a).any() or not np.isfinite(a).all():
        raise ValueError("not finite")
def gradients(params, x, y):
    (m, d), C = x.shape, y.shape[-1]
    check(x, (m, d)); check(params.W2, (C, params.b1.shape[0]))
    with np.errstate(over="ignore", divide="ignore"):
        h = 1 / (1 + np.exp(-(x @ params.W1.T + params.b1[np.newaxis, :])))
    e = h @ params.W2.T + params.b2 - y
    e = e if m > 1 else e * 1.0
    d1 = np.einsum("mc,ck,mk,mk->mk", e, params.W2, h, 1 - h)
    grads = (d1.T @ x, d1.sum(0), e.T @ h, e.sum(0))
    for g, p in zip(grads, params):
        check(g, p.shape)
        p -= 0.1 * g
    return grads
""",
    "wrong_updates_first": """
import numpy as np
def gradients(params, x, y, lr=.1):
    W1, b1, W2, b2 = params
    h = np.maximum(x @ W1.T + b1, 0)
    e = (h @ W2.T + b2 - y) / len(x)
    dW2, db2 = e.T @ h, e.sum(0)
    W2 -= lr * dW2
    d1 = (e @ W2) * (h > 0)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": dW2, "db2": db2}
""",
    "wrong_integer_vectorize": """
import numpy as np
relu = np.vectorize(lambda z: max(0, z))
def gradients(params, x, y):
    h = relu(np.abs(x @ params.W1.T) - 1000)
    e = h @ params.W2.T + params.b2 - y
    d1 = (e @ params.W2) * relu(h + 1)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "wrong_integer_buffer": """
import numpy as np
def gradients(params, x, y):
    h = np.maximum(x @ params.W1.T + params.b1, 0)
    out = np.zeros((len(x), len(params.b2)), dtype=int)
    out[:] = h @ params.W2.T + params.b2
    e = out - y
    d1 = (e @ params.W2) * (h > 0)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "wrong_shares_memory": """
import numpy as np
def gradients(params, x, y):
    h = x @ params.W1.T + params.b1
    mask = h
    h[h < 0] = 0
    e = h @ params.W2.T + params.b2
    e -= y
    d1 = e @ params.W2
    d1[mask < 0] = 0
    view = d1.T
    view *= 0.5
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "formatted_progress": """
import numpy as np
def gradients(params, x, y):
    h = np.tanh(x @ params.W1.T + params.b1)
    e = h @ params.W2.T + params.b2 - y
    loss = (e ** 2).sum() / 2
    fmt = "epoch %d: loss %.4f"
    print(fmt % (3, loss), "%s" % h, "{:.2e}".format(loss), f"{loss:>10.4f} {loss!r} {e.shape}", sep="\\n", end="")
    name = input("Press enter")
    d1 = e @ params.W2 * (1 - h * h)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "enum_match_and_decorators": """
from __future__ import annotations
import functools, time, logging, enum, typing as t
from collections import namedtuple, defaultdict, OrderedDict
import numpy as np
from numpy.typing import NDArray
import numpy.typing as npt
logger = logging.getLogger(__name__)
class Kind(enum.Enum):
    RELU = "relu"
    TANH = "tanh"
Cache = namedtuple("Cache", "x z a")
def timed(f):
    @functools.wraps(f)
    def inner(*a, **k):
        t0 = time.perf_counter()
        r = f(*a, **k)
        logger.info("took %.3f", time.perf_counter() - t0)
        return r
    return inner
@functools.lru_cache(maxsize=None)
def slope(n: int) -> float:
    return 1.0 / n
def act(z: NDArray[np.float64], kind: Kind) -> npt.NDArray:
    match kind:
        case Kind.RELU:
            return np.where(z > 0, z, 0)
        case _:
            return np.tanh(z)
class Base:
    def __init__(self, **kw): self.__dict__.update(kw)
    def __getattr__(self, name):
        raise AttributeError(name)
class Net(Base):
    __slots__ = ("tape",)
    def __init__(self, **kw):
        super().__init__(**kw)
        self.tape = OrderedDict()
    @timed
    def __call__(self, x):
        for l in range(1, 3):
            z = x @ self.params["W" + str(l)].T + self.params[f"b{l}"]
            a = act(z, Kind.RELU) if l == 1 else z
            self.tape[l] = Cache(x, z, a)
            x = a
        return x
def gradients(params, x, y):
    net = Net(params={"W1": params.W1, "b1": params.b1, "W2": params.W2, "b2": params.b2})
    out = net(np.asarray(x, dtype=np.float64))
    grads = defaultdict(lambda: 0.0)
    delta = (out - np.array(y, ndmin=2)) * slope(len(x))
    for l in reversed(range(1, 3)):
        c = net.tape[l]
        if l == 1:
            delta = delta * (c.z > 0)
        grads[f"dW{l}"] += delta.T @ c.x
        grads[f"db{l}"] += delta.sum(axis=0)
        delta = delta @ net.params["W" + str(l)]
    assert type(delta) == np.ndarray and isinstance(delta, np.ndarray)
    if (n := delta.shape[0]) != len(x): raise ValueError(n)
    return dict(grads)
""",
    "exec_and_eval": """
import numpy as np
code = "h = np.maximum(x @ params.W1.T + params.b1, 0)"
def gradients(params, x, y):
    ns = {"np": np, "x": x, "params": params}
    exec(code, ns)
    h = ns["h"]
    e = eval("h @ params.W2.T + params.b2 - y")
    d1 = (e @ params.W2) * (h > 0)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "dropout_with_a_seed": """
import numpy as np
def gradients(params, x, y):
    np.random.seed(0)
    h = np.maximum(x @ params.W1.T + params.b1, 0)
    D = np.random.rand(h.shape[0], h.shape[1])
    D = (D < 0.8).astype(int)
    h = h * D / 0.8
    e = h @ params.W2.T + params.b2 - y
    d1 = (e @ params.W2) * D / 0.8
    d1 = np.multiply(d1, np.int64(h > 0))
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": e.T @ h, "db2": e.sum(0)}
""",
    "gradient_checking_course": """
import numpy as np
def dictionary_to_vector(g):
    keys, out = [], None
    for k in ["W1", "b1", "W2", "b2"]:
        v = np.reshape(g[k], (-1, 1))
        out = v if out is None else np.concatenate((out, v), axis=0)
        keys = keys + [k] * v.shape[0]
    return out, keys
def gradients(params, x, y):
    W1, b1, W2, b2 = [np.array(a, dtype=np.float32) for a in params]
    X, Y = np.array(x).T.astype("float64"), np.float64(y.T)
    m = float(X.shape[1])
    Z1 = np.dot(W1, X) + b1.reshape((b1.shape[0], 1))
    A1 = np.maximum(np.zeros(Z1.shape), Z1)
    Z2 = np.dot(W2, A1) + b2[:, np.newaxis]
    t = np.exp(Z2 - np.max(Z2, axis=0))
    A2 = t / np.sum(t, axis=0, keepdims=True)
    dZ2 = 1. / m * (A2 - Y)
    dW2 = np.dot(dZ2, A1.T); db2 = np.sum(dZ2, axis=1, keepdims=True)
    dA1 = np.dot(W2.T, dZ2)
    dZ1 = np.multiply(dA1, np.int64(A1 > 0))
    dW1 = np.dot(dZ1, X.T); db1 = np.sum(dZ1, axis=1, keepdims=True)
    vec, keys = dictionary_to_vector({"W1": dW1, "b1": db1, "W2": dW2, "b2": db2})
    n = np.zeros((len(vec), 1))
    for i in range(len(vec)): n[i] = vec[i][0]
    difference = np.linalg.norm(n - vec) / (np.linalg.norm(n) + np.linalg.norm(vec))
    if difference > 2e-7: print("\\033[93m" + "mistake " + str(difference) + "\\033[0m")
    else: print("ok", difference)
    return {"dW1": dW1, "db1": np.squeeze(db1), "dW2": dW2, "db2": db2.flatten(), "vec": vec}
""",
    "scalar_autodiff_engine": """
import numpy as np
class Value:
    def __init__(self, data, children=(), op=''):
        self.data = data; self.grad = 0.0; self._backward = lambda: None
        self._prev = set(children); self._op = op
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        def _backward():
            self.grad += out.grad; other.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        def _backward():
            self.grad += other.data * out.grad; other.grad += self.data * out.grad
        out._backward = _backward
        return out
    def __pow__(self, n):
        assert isinstance(n, (int, float))
        out = Value(self.data ** n, (self,), f'**{n}')
        def _backward(): self.grad += n * self.data ** (n - 1) * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), 'ReLU')
        def _backward(): self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def backward(self):
        topo, visited = [], set()
        def build(v):
            if v not in visited:
                visited.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo): v._backward()
    __radd__ = __add__; __rmul__ = __mul__
    def __sub__(self, o): return self + o * -1
    def __repr__(self): return f"Value(data={self.data}, grad={self.grad})"
def gradients(params, x, y):
    V = lambda a: np.vectorize(Value, otypes=[object])(a)
    W1, b1, W2, b2 = map(V, params)
    loss = Value(0.0)
    for xi, yi in zip(x, y):
        h = [sum((W1[k, j] * float(xi[j]) for j in range(len(xi))), b1[k]).relu() for k in range(len(b1))]
        o = [sum((W2[c, k] * h[k] for k in range(len(h))), b2[c]) for c in range(len(b2))]
        for c in range(len(o)): loss = loss + (o[c] - float(yi[c])) ** 2 * 0.5
    loss.backward()
    G = lambda a: np.array([v.grad for v in a.ravel()]).reshape(a.shape)
    return {"dW1": G(W1), "db1": G(b1), "dW2": G(W2), "db2": G(b2)}
""",
    "one_vector_of_parameters": """
import numpy as np
from scipy.special import expit as sigmoid
from scipy import optimize, stats
import scipy.io as sio
def pack(*a): return np.concatenate([v.ravel() for v in a])
def unpack(theta, d, K, C):
    i = 0; out = []
    for s in ((K, d), (K,), (C, K), (C,)):
        n = int(np.prod(s)); out.append(theta[i:i + n].reshape(s)); i += n
    return out
def cost(theta, X, Y, K, lam=1e-2):
    m, d = X.shape; C = Y.shape[1]
    W1, b1, W2, b2 = unpack(theta, d, K, C)
    a1 = sigmoid(X @ W1.T + b1); a2 = sigmoid(a1 @ W2.T + b2)
    J = (-1 / m) * np.sum(np.sum(np.multiply(Y, np.log(a2)) + np.multiply(1 - Y, np.log(1 - a2))))
    J += lam / (2 * m) * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
    d3 = a2 - Y
    d2 = d3 @ W2 * a1 * (1 - a1)
    return J, pack(d2.T @ X / m + lam / m * W1, d2.mean(0), d3.T @ a1 / m + lam / m * W2, d3.mean(0))
def gradients(params, x, y):
    J, g = cost(pack(*params), x, y, len(params.b1))
    dW1, db1, dW2, db2 = unpack(g, x.shape[1], len(params.b1), y.shape[1])
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2, "J": J}
""",
    "rows_one_by_one_in_dicts": """
import numpy as np
ReLU = lambda z: (abs(z) + z) / 2
dReLU = lambda z: (np.sign(z) + 1) / 2
def gradients(params, x, y):
    d = {}
    for n in range(len(x)):
        a0 = np.atleast_2d(x[n]); t = np.atleast_2d(y[n])
        z1 = a0 @ params.W1.T + params.b1; a1 = ReLU(z1)
        z2 = a1 @ params.W2.T + params.b2
        e = z2 - t
        d1 = e @ params.W2 * dReLU(z1)
        for k, v in {"dW2": e.T * a1, "db2": e[0], "dW1": d1.T * a0, "db1": d1.ravel()}.items():
            d[k] = d.get(k, 0) + v
    rms = np.sqrt(np.mean([np.mean(v ** 2) for v in d.values()]))
    norm = sum(np.linalg.norm(v) ** 2 for v in d.values()) ** 0.5
    best = float("inf"); 
    for v in d.values(): best = min(best, np.abs(v).max())
    clipped = {k: v * min(1.0, 1e6 / (norm + 1e-6)) for k, v in d.items()}
    return {**clipped, "rms": rms, "best": best}
""",
}
