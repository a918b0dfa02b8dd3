"""How far one operation may round: of each float type, and of each function that XLA computes; and how long sums are.

An operation whose exact result is r may give r (1 + delta) + eta, |delta| <= k u, |eta| <= the smallest normal number
(results below it are flushed to zero). IEEE arithmetic has k = 1. For the rest k was measured, see TRUSTED.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jax.typing import DTypeLike

from twolayer.verification.programs.jaxprs import nested_call

# Roundings that a function is trusted to need at most, in units of u: twice the largest error seen on a CPU in JAX
# 0.10.2, over 44 million float32, all bfloat16 and float16, and 7,500 float64 arguments. Seen: exp 5.0, log 2.0,
# logistic 2.4, tanh 6.9, expm1 6.6; log1p 3.5, but 232 in float64. For the second line 4 million, 4 million and 20,000
# arguments; seen: rsqrt 2.8, sin and cos 1.1, sqrt and pow 1.0, erf 5.3. div is 2, as XLA turns a / b into a * (1 / b).
TRUSTED = {"div": 2, "exp": 10, "log": 4, "logistic": 5, "tanh": 14, "expm1": 14, "log1p": 512}
TRUSTED |= {"sqrt": 2, "rsqrt": 6, "pow": 3, "sin": 3, "cos": 3, "erf": 12}
NUMPY = 4  # the same for NumPy and SciPy in float64; seen: 2.0, erf 2.8


class Unit(NamedTuple):
    """The unit roundoff of a float type, the size below which results may be lost, and its largest number."""

    u: float
    tiny: float
    largest: float


@functools.cache
def unit(dtype: DTypeLike) -> Unit:
    """Half the gap above 1: 2^-53, 2^-24, 2^-11 and 2^-8 for float64, float32, float16 and bfloat16.

    Types smaller than float32 are computed in float32 and rounded again, which adds 2^-24.
    """
    info, name = jnp.finfo(dtype), np.dtype(dtype).name
    u = float(info.eps) / 2
    flushed = name in ("float64", "float32", "bfloat16")  # others keep their subnormal numbers
    tiny = float(info.tiny if flushed else info.smallest_subnormal)
    return Unit(u if info.bits >= 32 else u + 2.0**-24 * (1 + u), tiny, float(info.max))


def product_of(n: int | float, u: float) -> float:
    """(1 + u)^n - 1: what n factors 1 + delta, |delta| <= u, differ from 1 by at most."""
    return float(np.expm1(n * np.log1p(u)))


def operand_rounding(precision: Any, platform: str, name: str = "float32") -> float:
    """To what a matrix product rounds its float32 operands: 0, 2^-10 (TF32, cut off) or 2^-8 (bfloat16).

    Args:
      precision: the parameter of dot_general: None, a pair of lax.Precision, or a lax.DotAlgorithmPreset.
      platform: "cpu" keeps float32 whatever is asked for, "gpu" and "tpu" do not.
      name: the precision under check; "tensorfloat32" allows its rounding, 2^-11, on any platform.
    """
    asked = str(precision[0] if isinstance(precision, tuple) else precision).rsplit(".", 1)[-1]
    if platform == "cpu" or asked in ("HIGHEST", "F32_F32_F32"):
        return 2.0**-11 if name == "tensorfloat32" else 0.0
    return 2.0**-8 if platform == "tpu" or asked.startswith("BF16") else 2.0**-10


MOVES = ("transpose", "reshape", "squeeze", "broadcast_in_dim", "name", "copy", "convert_element_type")


class Lengths:
    """Which variables of a jaxpr are matrix products, of how many terms; noted operation by operation as they run.

    XLA adds c to a product of a single row by starting the sum with c. What the program adds is then one sum, not two.
    """

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
