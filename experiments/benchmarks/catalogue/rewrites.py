"""What a right derivation in another style is, and the plain lines that the styles have in common."""

import dataclasses
from collections.abc import Callable, Iterator

import jax.numpy as jnp

from experiments.benchmarks.catalogue.base import LOSSES, OUTPUTS, REDUCTIONS

Gradients = Callable[..., dict]


@dataclasses.dataclass(frozen=True)
class Right:
    """A right derivation in one setting. `function()` is its gradients(params, x, y).

    tie: the share of a cotangent that its ReLUs let through at an exact tie, "0", "1/2" or "1".
    """

    name: str
    loss: str
    output: str
    reduction: str
    build: Callable[[str, str, str], Gradients]
    tie: str = "0"

    @property
    def id(self) -> str:
        return f"{self.name} {self.loss} {self.output} {self.reduction}"

    def function(self) -> Gradients:
        """A fresh gradients(params, x, y), which returns the four leaves."""
        return self.build(self.loss, self.output, self.reduction)


def everywhere(
    name: str, build: Callable[[str, str, str], Gradients], losses: tuple[str, ...] = LOSSES, tie: str = "0"
) -> Iterator[Right]:
    """One style in all settings of some losses."""
    for loss in losses:
        for output in OUTPUTS:
            for reduction in REDUCTIONS:
                yield Right(name, loss, output, reduction, build, tie)


def forward(params, x, output):
    """(Z1, O1, Z2, O2) of a batch of rows, or of one example."""
    Z1 = x @ params.W1.T + params.b1
    O1 = jnp.maximum(Z1, 0)
    Z2 = O1 @ params.W2.T + params.b2
    return Z1, O1, Z2, jnp.maximum(Z2, 0) if output == "relu" else Z2


def softmax(O2):
    """Of the last axis, shifted by its maximum."""
    E = jnp.exp(O2 - O2.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def residual(loss, O2, y):
    """The derivative of each example's loss by its O2."""
    return (softmax(O2) if loss == "cross_entropy" else O2) - y


def weight(reduction, m):
    """What each example counts."""
    return 1 / m if reduction == "mean" else 1


def through(output, dO2, Z2):
    """dZ2 from dO2."""
    return dO2 * (Z2 > 0) if output == "relu" else dO2


def finish(params, x, Z1, O1, dZ2):
    """The four leaves from dZ2."""
    dZ1 = (dZ2 @ params.W2) * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}
