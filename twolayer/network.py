"""The author's network (eq. 1a): y = ReLU(W2 ReLU(W1 x + b1) + b2), with its parameters and where they start.

Legend, used in every file: d inputs, K hidden units, C outputs, m examples. Examples are rows, so the
column-vector equation Z1 = W1 x + b1 becomes Z1 = x W1^T + b1 with x of shape (m, d).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from twolayer import activations, starts
from twolayer.activations import Activation
from twolayer.checks import check_features
from twolayer.names import check_positive
from twolayer.settings import DEFAULT
from twolayer.starts import Scheme


class Params(NamedTuple):
    """The four parameters, in the author's letters and shapes. Gradients and optimiser moments have this type too."""

    W1: Float[Array, "K d"]
    b1: Float[Array, " K"]
    W2: Float[Array, "C K"]
    b2: Float[Array, " C"]


class Trace(NamedTuple):
    """Every intermediate of the forward pass: pre-activations Z and activations O of both layers."""

    Z1: Float[Array, "m K"]
    O1: Float[Array, "m K"]
    Z2: Float[Array, "m C"]
    O2: Float[Array, "m C"]


def forward(
    params: Params,
    x: Float[Array, "m d"],
    output: str | Activation = "relu",
    hidden_activation: str | Activation = "relu",
) -> Trace:
    """Both layers of the network (eq. 1a).

        Z1 = x W1^T + b1    O1 = hidden_activation(Z1)     (m, K)
        Z2 = O1 W2^T + b2   O2 = output(Z2)     (m, C)

    Args:
      params: weights as (out, in), biases as vectors.
      x: examples as rows.
      output: activation of the second layer, a name in ACTIVATIONS or an entry of one's own: "relu" is the author's
        equation, "identity" is the usual logit layer, "sigmoid" that of Nielsen (2015).
      hidden_activation: activation of the first layer, likewise.

    Raises:
      ValueError: an activation is not a known name, or x does not fit W1 (both shapes are named), or holds a NaN.
    """
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)
    check_features(x, params.W1)
    Z1 = x @ params.W1.T + params.b1[None, :]
    O1 = first.apply(Z1)
    Z2 = O1 @ params.W2.T + params.b2[None, :]
    return Trace(Z1, O1, Z2, second.apply(Z2))


def init(
    key: Key[Array, ""],
    inputs: int,
    hidden_size: int,
    outputs: int,
    scheme: str | Scheme = DEFAULT.init,
    *,
    output_bias: float | Float[Array, ""] | None = None,
    scale: float | Float[Array, ""] = 1.0,
    dtype: DTypeLike = jnp.float32,
) -> Params:
    """Draw the parameters of a network with `inputs` = d, `hidden_size` = K and `outputs` = C.

    Args:
      key: a typed key from jax.random.key.
      scheme: a name in starts.SCHEMES, where each formula stands beside its source, or an entry of one's own.
      output_bias: the constant in b2; None takes the scheme's own.
      scale: multiplies the standard deviation of all weights. This and `output_bias` may be traced.
      dtype: of all four arrays.

    Raises:
      ValueError: a size is not a positive integer, or `scheme` is not a known name.
    """
    rule = starts.find("scheme", scheme)
    check_positive(inputs=inputs, hidden_size=hidden_size, outputs=outputs)
    shift = rule.output_bias(outputs) if output_bias is None else output_bias
    shift, scale = jnp.asarray(shift, dtype), jnp.asarray(scale, dtype)
    keys = jax.random.split(key, 4)

    def normal(key: Key[Array, ""], shape: tuple[int, ...], variance: float) -> Float[Array, "..."]:
        return variance**0.5 * jax.random.normal(key, shape, dtype)

    def bias(key: Key[Array, ""], size: int) -> Float[Array, " size"]:
        # Most schemes have none, and what draws one takes as long to compile as what draws W1.
        return normal(key, (size,), rule.bias) if rule.bias else jnp.zeros(size, dtype)

    return Params(
        W1=scale * normal(keys[0], (hidden_size, inputs), rule.W1(inputs, hidden_size)),
        b1=bias(keys[1], hidden_size),
        W2=scale * normal(keys[2], (outputs, hidden_size), rule.W2(hidden_size, outputs)),
        b2=bias(keys[3], outputs) + shift,
    )


def grown(small: Params, large: Params) -> Params:
    """The parameters of a wider network whose first hidden units are those of `small`, the others those of `large`.

    Before further training it computes what `small` does plus what the other units of `large` add, without its b2.

    Raises:
      ValueError: `small` has other inputs or outputs, or more hidden units.
    """
    (k, d), (K, D), C = small.W1.shape, large.W1.shape, len(large.b2)
    if k > K or d != D or len(small.b2) != C:
        raise ValueError(f"a network {d}-{k}-{len(small.b2)} cannot grow to {D}-{K}-{C}")
    return Params(
        W1=large.W1.at[:k].set(small.W1),
        b1=large.b1.at[:k].set(small.b1),
        W2=large.W2.at[:, :k].set(small.W2),
        b2=small.b2,
    )
