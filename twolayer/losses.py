"""The losses (eqs. 1b and 2a, and one over sigmoids), each a function of the prediction and the target of one batch.

A loss is a pair (value, residual), one entry per example: residual = d value / d O2. Back-propagation needs nothing
else of a loss, so one closed form serves them all. formulas.py has the table; here is what must not be computed as it
is written there.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from twolayer.activations import compiled
from twolayer.checks import check_labels, check_targets
from twolayer.formulas import FORMULAS, Formula
from twolayer.formulas import OF_LABELS as OF_LABELS
from twolayer.formulas import REDUCTIONS as REDUCTIONS
from twolayer.names import check_choice


class Loss(NamedTuple):
    """What one batch costs: `value` per example, and `residual` = d value / d O2. Both are at least float32."""

    value: Float[Array, " m"]
    residual: Float[Array, "m C"]


def cross_entropy(O2: Float[Array, "m C"], y: Int[Array, " m"]) -> Loss:
    """Cross-entropy of the softmax of the prediction (eq. 1b), in nats, for labels y in 0..C-1.

        value_i    = log sum_j exp(O2_ij) - O2_i,y_i
        residual_i = softmax(O2_i) - onehot(y_i)

    The row's maximum is subtracted first; it cancels from both, and nothing overflows however large O2 is.

    Raises:
      ValueError: y is not (m,) integers, or a label lies outside 0..C-1.
    """
    check_labels("cross_entropy", y, O2)
    O2, onehot = _at_least_float32(O2), _is_label(O2, y)
    shifted = O2 - jax.lax.stop_gradient(O2.max(axis=1, keepdims=True))
    exps = jnp.exp(shifted)
    total = exps.sum(axis=1, keepdims=True)
    value = jnp.log(total[:, 0]) - jnp.where(onehot, shifted, 0).sum(axis=1)
    return Loss(value, exps / total - onehot.astype(O2.dtype))


def binary_cross_entropy(O2: Float[Array, "m C"], y: Int[Array, " m"]) -> Loss:
    """C binary cross-entropies, one for each class, of the sigmoids a = s(O2), for labels y in 0..C-1, t = onehot(y).

        value_i    = - sum_k [t_ik log a_ik + (1 - t_ik) log(1 - a_ik)]
        residual_i = a_i - t_i

    This is Nielsen's cross-entropy (2015, chapter 3, eq. 63) of a network with sigmoid outputs. It takes what stands
    before the sigmoid, so it goes with output="identity": the same function of the parameters, the same gradient and
    the same largest output. Taken of a itself the residual would be (a - t) / (a (1 - a)), which is 0/0 in float32 as
    soon as a sigmoid saturates; here the denominator has cancelled with the sigmoid's derivative. (Over another output
    activation it is still a loss, but not his.)

    With the sign v = -1 for the labelled class and 1 for the others: value = sum_k log(1 + exp(v O2)), and the residual
    is v s(v O2). Nothing overflows, and nothing cancels where an output is sure and right.

    Raises:
      ValueError: y is not (m,) integers, or a label lies outside 0..C-1.
    """
    check_labels("binary_cross_entropy", y, O2)
    O2 = _at_least_float32(O2)
    sign = jnp.where(_is_label(O2, y), -1, 1).astype(O2.dtype)
    z = sign * O2
    # log(1 + exp(z)) without overflow. With minimum, not abs, so that jax.grad has 1/2 = s(0) at z = 0: there it
    # takes the mean of both slopes, 0 and 1 of the maximum, 1 and -1 of the minimum.
    softplus = jnp.maximum(z, 0) + jnp.log1p(jnp.exp(jnp.minimum(z, -z)))
    return Loss(softplus.sum(axis=1), sign * jax.nn.sigmoid(z))


def quadratic(O2: Float[Array, "m C"], y: Float[Array, "m C"]) -> Loss:
    """Half the squared error (eq. 2a), for real targets y; C = 1 is scalar regression.

        value_i    = 1/2 sum_k (O2_ik - y_ik)^2
        residual_i = O2_i - y_i

    The author leaves the 1/2 open; it is here so that the residual has no factor.

    Raises:
      ValueError: y is not (m, C) reals, or holds a NaN.
    """
    check_targets(y, O2)
    residual = _at_least_float32(O2) - _at_least_float32(y)
    return Loss((residual * residual).sum(axis=1) / 2, residual)


def _is_label(O2: Float[Array, "m C"], y: Int[Array, " m"]) -> Bool[Array, "m C"]:
    # A comparison, not an index: on every backend it is cheaper than a gather, and its transpose than a scatter.
    return y[:, None] == jnp.arange(O2.shape[1], dtype=y.dtype)[None, :]


def _at_least_float32(a: Float[Array, "..."]) -> Float[Array, "..."]:
    # A mean over thousands of bfloat16 values would be good to two digits.
    return a if a.dtype.itemsize >= 4 else a.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class Function:
    """A loss as training calls it: (O2, y) -> Loss, with labels (m,) or real targets (m, C) as `labels` says.

    This is also the form of a loss of one's own that is written as a function.
    """

    name: str
    compute: Callable[..., Loss]
    labels: bool = False

    def __call__(self, O2: Float[Array, "m C"], y: Shaped[Array, "m *C"]) -> Loss:
        """Value and residual of a batch.

        Raises:
          TypeError: the function returns no such pair.
        """
        pair = self.compute(O2, y)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            shape = getattr(pair, "shape", None)
            given = f"an array of shape {shape}" if shape is not None else f"a {type(pair).__name__}"
            given = f"{len(pair)} values" if isinstance(pair, tuple | list) else given
            raise TypeError(f"{self.name} gives {given}; wanted is (value (m,), residual (m, C))")
        return Loss(*pair)


@functools.cache
def function_of(formula: Formula) -> Function:
    """The loss of a formula: its stable function where it names one, else its two texts with JAX's functions."""
    if formula.stable:
        return Function(formula.name, globals()[formula.stable], formula.labels)
    value, residual = (compiled("O2, y", text) for text in (formula.value, formula.residual))

    def compute(O2: Float[Array, "m C"], y: Shaped[Array, "m *C"]) -> Loss:
        O2 = _at_least_float32(O2)
        if formula.labels:
            check_labels(formula.name, y, O2)
            y = _is_label(O2, y)
        else:
            check_targets(y, O2)
        y = y.astype(O2.dtype)
        return Loss(value(O2, y), residual(O2, y))

    return Function(formula.name, compute, formula.labels)


LOSSES: dict[str, Function] = {name: function_of(formula) for name, formula in FORMULAS.items()}


def find(argument: str, given: str | Formula | Function) -> Function:
    """The loss of this name; one of one's own is a formula or a function.

    Args:
      argument: what an error calls it.
      given: a name in LOSSES, or a loss of one's own.

    Raises:
      ValueError: the name is not known.
    """
    if isinstance(given, Function):
        return given
    if isinstance(given, Formula):
        return function_of(given)
    check_choice(argument, given, LOSSES)
    return LOSSES[given]


def example_weights(reduction: str, m: int, weights: Float[Array, " m"] | None, dtype: jnp.dtype) -> Float[Array, " m"]:
    """The factor w_i of each example in L = sum_i w_i value_i: the one place where a reduction is applied.

    mean: w_i = weights_i / sum_j weights_j, so 1/m without weights. sum: w_i = weights_i, so 1 without weights.
    A weight of 0 takes an example out, which is how a ragged last batch is trained on.

    Args:
      reduction: "mean" or "sum".
      m: the number of examples.
      weights: of the examples; None is 1 for each.
      dtype: of the result.

    Raises:
      ValueError: `reduction` is not known, or weights is not (m,).
    """
    check_choice("reduction", reduction, REDUCTIONS)
    if weights is None:
        return jnp.full(m, 1 / m if reduction == "mean" else 1, dtype)
    if weights.shape != (m,):
        raise ValueError(f"weights must be (m,) for x (m, d): weights has shape {weights.shape}, m is {m}")
    weights = weights.astype(dtype)
    return weights / weights.sum() if reduction == "mean" else weights
