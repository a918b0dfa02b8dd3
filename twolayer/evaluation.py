"""How good a network is on a data set: loss, accuracy, and how much of it is dead."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, Shaped

from twolayer import activations, losses
from twolayer.activations import Activation
from twolayer.devices import split_examples
from twolayer.formulas import Formula
from twolayer.losses import Function
from twolayer.names import check_positive
from twolayer.network import Params, forward

CHUNK = 2000  # examples scored at once, at most
AT_ONCE = 2**26  # hidden activations at once, at most: 0.27 GB in float32


class Evaluation(NamedTuple):
    """Figures of a data set. A unit is dead when its ReLU is 0 on every example: there its gradient is 0 too.

    Only activations that die, as the ReLU does, have dead units (activations.py). An output can be all but dead,
    positive on a few examples and the largest on none: its class is lost as well.
    """

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]  # a fraction; NaN for real targets
    dead_hidden: Int[Array, ""]  # 0 where the activation does not die
    dead_outputs: Int[Array, ""]  # the same
    lost_classes: Int[Array, ""]  # classes that no example is given; 0 for real targets


class _Seen(NamedTuple):
    """Units that were positive, and classes that were predicted, on at least one example."""

    hidden: Bool[Array, " K"]  # the hidden unit was positive
    output: Bool[Array, " C"]  # the output was positive
    chosen: Bool[Array, " C"]  # the output was the largest


def features(x: Num[Array, "m d"], scale: float, dtype: jnp.dtype) -> Float[Array, "m d"]:
    """What the network sees of stored examples: x * scale. Pixels rest and travel as uint8, a quarter of float32.

    Every batch passes here on its way into the network, so this is where a mesh deals out its examples.
    """
    return split_examples(x.astype(dtype) * jnp.asarray(scale, dtype))


def targets(
    y: Shaped[Array, "m *C"], loss: str | Formula | Function, outputs: int, dtype: jnp.dtype
) -> Shaped[Array, "m *out"]:
    """The y that `loss` takes: labels stay labels for the cross-entropies, the quadratic loss has one-hot rows.

    Real targets are cast to `dtype`, the one-hot rows have it.

    Args:
      loss: a name, or a loss of one's own.
      outputs: C, the length of a one-hot row.
      dtype: of real targets and one-hot rows.

    Raises:
      ValueError: real targets for a loss that needs classes.
    """
    labels, cost = jnp.issubdtype(y.dtype, jnp.integer), losses.find("loss", loss)
    if cost.labels and not labels:
        raise ValueError(f"{cost.name} needs class labels, this data set has real targets; use the quadratic loss")
    if cost.labels:
        return y
    return jax.nn.one_hot(y, outputs, dtype=dtype) if labels else y.astype(dtype)


def hits(O2: Float[Array, "m C"], y: Shaped[Array, "m *C"]) -> Float[Array, " m"]:
    """1 where the largest output is the label's, else 0; NaN for real targets. Ties go to the lower class."""
    if y.ndim == 2:
        return jnp.full(len(O2), jnp.nan, jnp.float32)
    return (O2.argmax(axis=1) == y).astype(jnp.float32)


def evaluate(
    params: Params,
    x: Num[Array | np.ndarray, "n d"],
    y: Shaped[Array | np.ndarray, "n *C"],
    *,
    scale: float = 1.0,
    loss: str | Formula | Function = "cross_entropy",
    output: str | Activation = "relu",
    hidden_activation: str | Activation = "relu",
) -> Evaluation:
    """Score all n examples, in chunks. The loss is the mean over examples, whatever the reduction in training.

    Args:
      x: stored examples; the network sees x * scale. NumPy arrays will do, for y and params too.
      y: (n,) class labels or (n, C) real targets.
    """
    params, x, y = jax.tree.map(jnp.asarray, (params, x, y))
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)
    cost, outputs, n = losses.find("loss", loss), params.b2.shape[0], len(x)

    def score(seen: _Seen, rows: Int[Array, " size"]) -> tuple[_Seen, tuple[Float[Array, ""], Float[Array, ""]]]:
        # The last chunk repeats the last example; a repetition counts for nothing in the sums, and changes no any().
        valid = rows < n
        at = jnp.minimum(rows, n - 1)
        trace = forward(params, features(x[at], scale, params.W1.dtype), second, first)
        value = cost(trace.O2, targets(y[at], cost, outputs, trace.O2.dtype)).value
        sums = jnp.where(valid, value, 0).sum(), jnp.where(valid, hits(trace.O2, y[at]), 0).sum()
        chosen = trace.O2.argmax(axis=1)[:, None] == jnp.arange(outputs)[None, :]
        here = _Seen(*(event.any(axis=0) for event in (trace.O1 > 0, trace.O2 > 0, chosen)))
        return jax.tree.map(jnp.logical_or, seen, here), sums

    none = _Seen(*(jnp.zeros(size, bool) for size in (len(params.b1), outputs, outputs)))
    seen, (value, correct) = jax.lax.scan(score, none, _chunks(n, len(params.b1)))
    dead_hidden, dead_outputs, lost_classes = ((~event).sum(dtype=jnp.int32) for event in seen)
    return Evaluation(
        loss=value.sum() / n,
        accuracy=correct.sum() / n,
        dead_hidden=dead_hidden if first.dies else jnp.int32(0),
        dead_outputs=dead_outputs if second.dies else jnp.int32(0),
        lost_classes=lost_classes if y.ndim == 1 else jnp.int32(0),
    )


def predict(
    params: Params,
    x: Num[Array | np.ndarray, "n d"],
    *,
    scale: float = 1.0,
    output: str | Activation = "relu",
    hidden_activation: str | Activation = "relu",
) -> Float[Array, "n C"]:
    """O2 for all n stored examples, in chunks. NumPy arrays will do, as for `evaluate`.

    Args:
      x: stored examples; the network sees x * scale.
      output, hidden_activation: names, or activations of one's own.
    """
    params, x = jax.tree.map(jnp.asarray, params), jnp.asarray(x)
    chunks = jax.lax.map(
        lambda rows: forward(params, features(x[rows], scale, params.W1.dtype), output, hidden_activation).O2,
        jnp.minimum(_chunks(len(x), len(params.b1)), len(x) - 1),
    )
    return chunks.reshape(-1, chunks.shape[-1])[: len(x)]


def _chunks(n: int, units: int) -> Int[Array, "chunks size"]:
    """The numbers of n examples, as many in a row as are scored at once; those from n on fill up the last row."""
    check_positive(examples=n)
    size = min(CHUNK, n, max(1, AT_ONCE // units))
    return jnp.arange(-(-n // size) * size, dtype=jnp.int32).reshape(-1, size)
