"""The author's forward pass as the scan has it, with the chain rule of the page on top, in the page's column form.

    python -m experiments.verify --derivation=experiments/derivations/author_as_scanned.py --reduction=sum

The slip is in the line that computes O2: W2 stands where W1 x belongs, and b2 is missing. W2 (C, K) plus a column
b1 (K, 1) needs C = K, and O2 then has one column for each hidden unit, not for each example: with the sizes on the page
nothing fits. Where all sizes agree the file runs, and is wrong. Bias gradients: none on the page.

Expected: wrong. First wrong step: dO2. Cause: w2_for_w1, at forward. The shape error in that line is quoted too.
"""

import jax
import jax.numpy as jnp


def gradients(params, x, y):
    """The two weight gradients of the page."""
    X, Y, b1 = x.T, y.T, params.b1[:, None]  # columns are examples

    O2 = jax.nn.relu(params.W2 @ jax.nn.relu(params.W2 + b1))  # O2 = ReLU(W2 (ReLU(W2 + b1))): the slip
    O1 = jax.nn.relu(params.W1 @ X + b1)  # O1 = ReLU(W1 x + b1): right, and at odds with the line above
    Z1 = params.W1 @ X + b1  # Z = W1 x + b1

    P = jnp.exp(O2) / jnp.exp(O2).sum(axis=0)
    dZ2 = (P - Y) * (O2 > 0)  # dL/dO2 . dO2/dZ2
    dW2 = dZ2 @ O1.T  # . dZ2/dW2
    dZ1 = (params.W2.T @ dZ2) * (Z1 > 0)  # dL/dO2 . dO2/dZ2 . dZ2/dO1 . dO1/dZ1
    dW1 = dZ1 @ X.T  # . dZ1/dW1
    return {"dW1": dW1, "dW2": dW2}
