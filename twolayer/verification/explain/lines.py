"""A line of a derivation as code, right or wrong: the formula of one step over the arrays that came before it.

The code is text, "dZ1 = dO1 * (Z1 > 0)", and runs as it stands, in float64 for search and in balls for judging. So what
a reader sees is what is tried.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.texts import evaluate, reads


class Misfit(ValueError):
    """A line does not fit these sizes: a matrix product of square matrices only, say."""


class Line(NamedTuple):
    """One line of a derivation.

    Attributes:
      id: "right", or the cause.
      step: which of the steps it computes.
      code: the line as one would write it.
      letters: the shape of the step, in letters of the sizes.
      text: what is wrong with it, in one sentence; "{t}" stands for the literal.
      literal: it has a constant t, tried with each number that stands in the derivation.
      affine: the step is a + t b, so t is solved for instead.
    """

    id: str
    step: str
    code: str
    letters: str
    text: str = ""
    literal: bool = False
    affine: bool = False

    @property
    def formula(self) -> str:
        return self.code.split(" = ", 1)[1]

    @property
    def shown(self) -> str:
        """The code for a reader."""
        return self.code.replace("np.", "")

    @property
    def reads(self) -> frozenset[str]:
        """The names that the formula reads; two scopes that agree on these give the same step."""
        return reads(self.formula)

    def compute(self, scope: Mapping[str, np.ndarray], t: float | Fraction | Ball | None = None) -> np.ndarray:
        """The step's array, float64 or balls as the scope's; a number or a column is spread over it.

        Raises:
          Misfit: the shapes do not fit at the sizes of this scope.
        """
        return compute(self.formula, self.letters, scope, t)


class Row(NamedTuple):
    """A wrong line before it is known which step, layer and setting it stands in: an entry of the catalogue's tables.

    Attributes:
      id, text, literal, affine: as in Line.
      code: its formula. In the tables of a layer Z, O, dO, dZ, W, b, dW, db are those of the layer, V is what its
        weights multiply, Z_other and O_other belong to the other layer; in a text the same names stand in braces.
    """

    id: str
    code: str
    text: str
    literal: bool = False
    affine: bool = False


def compute(
    formula: str, letters: str, scope: Mapping[str, np.ndarray], t: float | Fraction | Ball | None = None
) -> np.ndarray:
    """A formula at a scope, in the shape of these letters.

    Raises:
      Misfit: it does not have that shape at these sizes.
    """
    (K, d), (C, _), m = scope["W1"].shape, scope["W2"].shape, len(scope["x"])
    sizes = {"d": d, "K": K, "C": C, "m": m}
    wanted = tuple(sizes[letter] for letter in letters)
    more = sizes | ({} if t is None else {"t": t}) | ({"i": np.arange(m)[:, None]} if "i" in reads(formula) else {})
    try:
        value = evaluate(formula, {**scope, **more})
        return value if value.shape == wanted else np.broadcast_to(value, wanted)
    except (ValueError, IndexError) as error:
        raise Misfit(f"{formula}: {error}") from error
