"""The eight lines of back-propagation, right and wrong, as functions that any number system can interpret.

A line computes one step from what came before it. The wrong ones are the catalogue: mistakes that people make, each
with the sentence a student needs. `explain.py` looks for the choice of one line a step that reproduces a derivation.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float


class Scope(NamedTuple):
    """What a line may use: parameters, batch, forward pass, the steps before it; w is 1/m or 1, t a literal."""

    W1: Float[Array, "K d"]
    b1: Float[Array, " K"]
    W2: Float[Array, "C K"]
    b2: Float[Array, " C"]
    x: Float[Array, "m d"]
    y: Float[Array, "m C"]
    w: Float[Array, ""] | None = None
    Z1: Float[Array, "m K"] | None = None
    O1: Float[Array, "m K"] | None = None
    Z2: Float[Array, "m C"] | None = None
    O2: Float[Array, "m C"] | None = None
    dO2: Float[Array, "m C"] | None = None  # noqa: N815
    dZ2: Float[Array, "m C"] | None = None  # noqa: N815
    dO1: Float[Array, "m K"] | None = None  # noqa: N815
    dZ1: Float[Array, "m K"] | None = None  # noqa: N815
    dW2: Float[Array, "C K"] | None = None  # noqa: N815
    t: Float[Array, ""] | None = None


class Line(NamedTuple):
    """One line of a derivation.

    id: "right", or the cause.
    step: which of the eight steps it computes, or "forward".
    code: the line as one would write it.
    compute: Scope -> the step's array; for "forward", Scope -> (Z1, O1, Z2, O2).
    text: what is wrong with it, in one sentence; "{t}" stands for the literal.
    loss, output, hidden: where it can occur; None for everywhere.
    literal: it has a constant t, tried with each float literal that the derivation contains.
      affine: the step is a + t b, so that t is solved for instead.
    """

    id: str
    step: str
    code: str
    compute: Callable[[Scope], Array]
    text: str = ""
    loss: str | None = None
    output: str | None = None
    literal: bool = False
    affine: bool = False
    hidden: str | None = None

    def fits(self, loss: str, output: str, hidden: str = "relu") -> bool:
        """Whether the line can occur for this loss and these activations."""
        return self.loss in (None, loss) and self.output in (None, output) and self.hidden in (None, hidden)


# What each step reads, besides parameters, batch and forward pass.
UPSTREAM = {
    "dO2": (),
    "dZ2": ("dO2",),
    "dW2": ("dO2", "dZ2"),
    "db2": ("dO2", "dZ2"),
    "dO1": ("dO2", "dZ2", "dW2"),
    "dZ1": ("dO1",),
    "dW1": ("dO1", "dZ1"),
    "db1": ("dO1", "dZ1"),
}
