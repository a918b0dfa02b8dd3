"""Back-propagation with replaceable lines, for tests of what judges derivations."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np


def sigmoid(xp, z):
    return 1 / (1 + xp.exp(-z))


def activation(name, xp, z):
    return {"relu": lambda: xp.maximum(z, 0), "identity": lambda: z, "sigmoid": lambda: sigmoid(xp, z)}[name]()


def back(name, dO, Z, O):  # noqa: E741
    """dZ of an activation."""
    return {"relu": lambda: dO * (Z > 0), "identity": lambda: dO, "sigmoid": lambda: dO * O * (1 - O)}[name]()


LINES = {
    "dO2": lambda s: s.residual / s.m,
    "dZ2": lambda s: back(s.output, s.dO2, s.Z2, s.O2),
    "dW2": lambda s: s.dZ2.T @ s.O1,
    "db2": lambda s: s.dZ2.sum(axis=0),
    "dO1": lambda s: s.dZ2 @ s.W2,
    "dZ1": lambda s: back(s.hidden, s.dO1, s.Z1, s.O1),
    "dW1": lambda s: s.dZ1.T @ s.x,
    "db1": lambda s: s.dZ1.sum(axis=0),
}


def changed(text, *changes):
    """A text with other texts in it, each in the place of one that must be there."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def derivation(loss, output="relu", steps=(), hidden="relu", **changes):
    """`gradients` for the mean of a loss; each change is a line as a function of everything computed before it.

    NumPy arrays are computed with NumPy, which has nothing to compile.
    """

    def gradients(params, x, y):
        W1, b1, W2, b2 = params
        xp = np if isinstance(x, np.ndarray) else jnp
        s = SimpleNamespace(W1=W1, b1=b1, W2=W2, b2=b2, xp=xp, x=x, y=y, m=len(x), output=output, hidden=hidden)
        s.Z1 = x @ W1.T + b1
        s.O1 = activation(hidden, xp, s.Z1)
        s.Z2 = s.O1 @ W2.T + b2
        s.O2 = activation(output, xp, s.Z2)
        if loss == "cross_entropy":
            E = xp.exp(s.O2 - s.O2.max(axis=1, keepdims=True))
            s.P = E / E.sum(axis=1, keepdims=True)
        elif loss == "binary_cross_entropy":
            s.P = sigmoid(xp, s.O2)
        s.residual = (s.O2 if loss == "quadratic" else s.P) - y
        for name, line in (LINES | changes).items():
            setattr(s, name, line(s))
        return {name: getattr(s, name) for name in ("dW1", "db1", "dW2", "db2", *steps)}

    return gradients


# Wrong lines: the step, the line, and the leaves that it spoils under ordinary circumstances.
WRONG = {
    "1/m missing": ("dO2", lambda s: s.residual, "dW1 db1 dW2 db2"),
    "sign": ("dO2", lambda s: -s.residual / s.m, "dW1 db1 dW2 db2"),
    "one relative error of 1e-9": ("dO2", lambda s: s.residual / s.m * (1 + 1e-9), "dW1 db1 dW2 db2"),
    "hidden mask missing": ("dZ1", lambda s: s.dO1, "dW1 db1"),
    "hidden mask by a threshold": ("dZ1", lambda s: s.dO1 * (s.Z1 > 1e-4), "dW1 db1"),
    "decay that is not in the loss": ("dW2", lambda s: s.dZ2.T @ s.O1 + 1e-6 * s.W2, "dW2"),
    "bias from the wrong cotangent": ("db1", lambda s: s.dO1.sum(axis=0), "db1"),
    "only the last example": ("dW1", lambda s: s.xp.outer(s.dZ1[-1], s.x[-1]), "dW1"),
    "mean of the bias": ("db2", lambda s: s.dZ2.mean(axis=0), "db2"),
}
