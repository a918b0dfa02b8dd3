"""Which variables of a jaxpr are matrix products, and of how many terms each entry is the sum.

XLA adds c to a product of a single row by starting the sum with c. What the program adds is then one sum, not two.
"""

from typing import Any

import numpy as np
from jax.extend.core import Literal

from twolayer.verification.programs.interpreter import nested_call

MOVES = ("transpose", "reshape", "squeeze", "broadcast_in_dim", "name", "copy", "convert_element_type")


class Lengths:
    """Noted operation by operation, in the order in which they run."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}
        self._same: dict[Any, Any] = {}  # a variable inside or outside of a call, and what it stands for

    def note(self, eqn: Any) -> None:
        """Take note of an operation that is about to run."""
        nested = nested_call(eqn)
        if nested is not None:
            inner = getattr(nested, "jaxpr", nested)
            self._same.update(zip(inner.invars, eqn.invars, strict=True))
            self._same.update(zip(eqn.outvars, inner.outvars, strict=True))
        elif eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            shape = eqn.invars[0].aval.shape
            self._known[eqn.outvars[0]] = int(np.prod([shape[axis] for axis in contracted], dtype=int))
        elif eqn.primitive.name in MOVES:
            self._known[eqn.outvars[0]] = self.of(eqn.invars[0])

    def of(self, atom: Any) -> int:
        """The number of terms, or 0 for what is no product."""
        for _ in range(len(self._same) + 1):  # a jaxpr that is called in its own call would go round in circles
            if isinstance(atom, Literal) or atom in self._known or atom not in self._same:
                break
            atom = self._same[atom]
        return 0 if isinstance(atom, Literal) else self._known.get(atom, 0)
