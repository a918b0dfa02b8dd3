"""The activations of both layers, one entry each: the function, its derivative, and both in LaTeX. Imports no JAX.

Value and derivative are code in NumPy's notation, over the pre-activation Z and its activation O = f(Z). Training
compiles the text with JAX's functions; whoever judges a derivation compiles the same text over numbers of his own. A
text may use + - * / **, comparisons, abs, erf, np.exp, np.log, np.log1p, np.tanh, np.sqrt, np.where, np.maximum, np.pi.

What back-propagation needs is the product dZ = dO f'(Z) (eq. 2b), entry by entry: `back` is that.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

from twolayer.names import check_choice


class Activation(NamedTuple):
    """One activation f. `stable` and `stable_back` are for training alone, where the plain text would not do.

    Attributes:
      name: as in the table, or one's own.
      value: f as text over Z.
      derivative: f' as text over Z and O.
      latex: f(z).
      latex_derivative: f'(z).
      largest: the largest |Z| at which every exp in the texts is finite in float32, where there is one.
      kink: whether f has a kink at Z = 0; `derivative` then has a value between both slopes.
      dies: whether f' = 0 wherever f is not positive, so that a unit can be dead.
      stable: f as text over Z, with `jax` too, for numbers at which `value` overflows or jax.grad of it is wrong.
      stable_back: dZ as text over Z, O and dO.
    """

    name: str
    value: str
    derivative: str
    latex: str = ""
    latex_derivative: str = ""
    largest: float | None = None
    kink: bool = False
    dies: bool = False
    stable: str | None = None
    stable_back: str | None = None

    def apply(self, Z):
        """O = f(Z), of Z's shape and type."""
        return compiled("Z", self.stable or self.value)(Z)

    def back(self, Z, O, dO):  # noqa: E741
        """DZ = dO f'(Z); all arrays have one shape."""
        return compiled("Z, O, dO", self.stable_back or f"dO * ({self.derivative})")(Z, O, dO)


@functools.cache
def compiled(arguments: str, text: str) -> Callable:
    """The text as a function of these arguments, with JAX's functions for NumPy's.

    Raises:
      SyntaxError: the text is no expression.
    """
    import jax
    import jax.numpy as jnp

    return eval(f"lambda {arguments}: {text}", {"np": jnp, "jax": jax, "erf": jax.scipy.special.erf})


def leaky_relu(slope: float = 0.01) -> Activation:
    """ReLU with `slope` below zero (Maas et al. 2013, section 2).

    Raises:
      ValueError: the slope is not finite.
    """
    if not math.isfinite(slope):
        raise ValueError(f"the slope of leaky_relu must be a finite number, got {slope}")
    return Activation(
        "leaky_relu" if slope == 0.01 else f"leaky_relu({slope!r})",
        value=f"np.where(Z > 0, Z, {slope!r} * Z)",
        derivative=f"np.where(Z > 0, 1, {slope!r})",
        latex=rf"z\,[z > 0] + {slope:g}\,z\,[z \le 0]",
        latex_derivative=rf"[z > 0] + {slope:g}\,[z \le 0]",
        kink=True,
    )


# sqrt(2 / pi) (z + 0.044715 z^3), from which both formulas of gelu_tanh are made.
_INNER = "np.sqrt(2 / np.pi) * (Z + 0.044715 * Z**3)"

_ENTRIES = (
    Activation(
        "relu",
        value="np.maximum(Z, 0)",
        derivative="np.where(Z > 0, 1, 0)",
        latex=r"\max(z, 0)",
        latex_derivative=r"[z > 0]",
        kink=True,
        dies=True,
        # The derivative of jax.nn.relu at the kink is 0, as here; jnp.maximum has 1/2.
        stable="jax.nn.relu(Z)",
        stable_back="np.where(Z > 0, dO, 0)",
    ),
    Activation("identity", value="Z", derivative="1", latex="z", latex_derivative="1", stable_back="dO"),
    Activation(
        "sigmoid",
        value="1 / (1 + np.exp(-Z))",
        derivative="O * (1 - O)",
        latex=r"\frac{1}{1 + e^{-z}}",
        latex_derivative=r"\sigma(z)\,(1 - \sigma(z))",
        largest=80.0,
        stable="jax.nn.sigmoid(Z)",
    ),
    Activation("tanh", value="np.tanh(Z)", derivative="1 - O**2", latex=r"\tanh z", latex_derivative=r"1 - \tanh^2 z"),
    leaky_relu(),
    # Hendrycks & Gimpel 2016: z Phi(z), with the distribution function of the normal distribution.
    Activation(
        "gelu",
        value="Z * (1 + erf(Z / np.sqrt(2))) / 2",
        derivative="(1 + erf(Z / np.sqrt(2))) / 2 + Z * np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi)",
        latex=r"z\,\Phi(z)",
        latex_derivative=r"\Phi(z) + z\,\varphi(z)",
    ),
    # ... and their approximation of it.
    Activation(
        "gelu_tanh",
        value=f"Z * (1 + np.tanh({_INNER})) / 2",
        derivative=(
            f"(1 + np.tanh({_INNER})) / 2"
            f" + Z * (1 - np.tanh({_INNER}) ** 2) / 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * Z**2)"
        ),
        latex=r"\tfrac{z}{2}\,(1 + \tanh u),\quad u = \sqrt{2/\pi}\,(z + 0.044715\,z^3)",
        latex_derivative=(
            r"\tfrac12 (1 + \tanh u) + \tfrac{z}{2}\,(1 - \tanh^2 u)\,\sqrt{2/\pi}\,(1 + 3 \cdot 0.044715\,z^2)"
        ),
    ),
    Activation(
        "softplus",
        value="np.log1p(np.exp(Z))",
        derivative="1 / (1 + np.exp(-Z))",
        latex=r"\log(1 + e^z)",
        latex_derivative=r"\frac{1}{1 + e^{-z}}",
        largest=80.0,
        stable="jax.nn.softplus(Z)",
        stable_back="dO * jax.nn.sigmoid(Z)",
    ),
)
ACTIVATIONS: dict[str, Activation] = {entry.name: entry for entry in _ENTRIES}
HIDDEN = OUTPUTS = tuple(ACTIVATIONS)  # every one may stand in either layer


def find(argument: str, given: str | Activation) -> Activation:
    """The activation of this name, where "leaky_relu(0.2)" has a slope; an entry of one's own is returned as it is.

    Args:
      argument: what the caller calls it, for the message.

    Raises:
      ValueError: the name is not known.
    """
    if isinstance(given, Activation):
        return given
    slope = re.fullmatch(r"leaky_relu\(([-+.\de]+)\)", given)
    if slope:
        try:
            return leaky_relu(float(slope[1]))
        except ValueError as error:
            raise ValueError(f"{argument}={given!r}: {error}") from error
    check_choice(argument, given, ACTIVATIONS)
    return ACTIVATIONS[given]
