"""The author's chain rule as the scan has it: its last factor is dZ/dD where dZ/dW belongs. The forward pass is right.

    python -m experiments.verify --derivation=experiments/derivations/author_chain_as_scanned.py --reduction=sum

D is the scan's O: the factor before it, dD/dZ, is dO/dZ. Read so, each chain ends in what its layer takes in, not in
its weights, and the product is a gradient of something else: of O1 (m, K) where dW2 (C, K) belongs, and of x (m, d)
where dW1 (K, d) belongs. The two lines of the slip are those of dW2 and dW1. Bias gradients: none on the page.

Expected: bad input. It is said of dW2 that it has the shape of O1. dW2 has shape (m, K) where W2 has (C, K), and dW1
(m, d) where W1 has (K, d).
"""

import jax
import jax.numpy as jnp


def gradients(params, x, y):
    """The two weight gradients of the page."""
    Z1 = x @ params.W1.T + params.b1  # Z1 = W1 x + b1
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ params.W2.T + params.b2  # Z2 = W2 O1 + b2
    O2 = jax.nn.relu(Z2)

    P = jnp.exp(O2) / jnp.exp(O2).sum(axis=1, keepdims=True)
    dZ2 = (P - y) * (Z2 > 0)  # dL/dO . dO/dZ
    dW2 = dZ2 @ params.W2  # dL/dW2 = dL/dO . dO/dZ . dZ/dO
    dZ1 = (dZ2 @ params.W2) * (Z1 > 0)
    dW1 = dZ1 @ params.W1  # dL/dW1 = dL/dO2 . dO2/dZ2 . dZ2/dO1 . dO1/dZ1 . dZ1/dx
    return {"dW1": dW1, "dW2": dW2}
