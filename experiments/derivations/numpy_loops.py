"""Back-propagation in plain NumPy, one number at a time. JAX cannot trace it; the verification can.

    python -m experiments.verify --derivation=experiments/derivations/numpy_loops.py --loss=cross_entropy

Expected: right.
"""

import math

import numpy as np


def gradients(params, x, y):
    """The chain rule as loops over examples, outputs, hidden units and inputs."""
    W1, b1, W2, b2, x, y = (np.asarray(a, np.float64) for a in (*params, x, y))
    m, K, C = len(x), len(b1), len(b2)
    dW1, db1, dW2, db2 = np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2), np.zeros_like(b2)

    for i in range(m):
        Z1 = [float(b1[j] + np.dot(W1[j], x[i])) for j in range(K)]
        O1 = [max(z, 0.0) for z in Z1]
        Z2 = [float(b2[k] + np.dot(W2[k], O1)) for k in range(C)]
        O2 = [max(z, 0.0) for z in Z2]
        total = sum(math.exp(o - max(O2)) for o in O2)

        dO1 = [0.0] * K
        for k in range(C):
            P = math.exp(O2[k] - max(O2)) / total
            dZ2 = (P - y[i, k]) / m if Z2[k] > 0 else 0.0
            db2[k] += dZ2
            for j in range(K):
                dW2[k, j] += dZ2 * O1[j]
                dO1[j] += dZ2 * W2[k, j]
        for j in range(K):
            dZ1 = dO1[j] if Z1[j] > 0 else 0.0
            db1[j] += dZ1
            dW1[j] += dZ1 * x[i]

    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
