"""The author's network (eq. 1a): y = ReLU(W2 ReLU(W1 x + b1) + b2), with its parameters and where they start.

Legend, used in every file: d inputs, K hidden units, C outputs, m examples. Examples are rows, so the
column-vector equation Z1 = W1 x + b1 becomes Z1 = x W1^T + b1 with x of shape (m, d).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from twolayer.activations import ACTIVATIONS, HIDDEN, OUTPUTS
from twolayer.checks import check_choice, check_features, check_positive


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


def forward(params: Params, x: Float[Array, "m d"], output: str = "relu", hidden: str = "relu") -> Trace:
    """Both layers of the network (eq. 1a).

        Z1 = x W1^T + b1    O1 = hidden(Z1)     (m, K)
        Z2 = O1 W2^T + b2   O2 = output(Z2)     (m, C)

    Args:
      params: weights as (out, in), biases as vectors.
      x: examples as rows.
      output: activation of the second layer: "relu" is the author's equation, "identity" is the usual logit layer,
        "sigmoid" that of Nielsen (2015).
      hidden: activation of the first layer, "relu" or "sigmoid".

    Raises:
      ValueError: an activation is not a known name, or x does not fit W1 (both shapes are named), or holds a NaN.
    """
    check_choice("output", output, OUTPUTS)
    check_choice("hidden", hidden, HIDDEN)
    check_features(x, params.W1)
    Z1 = x @ params.W1.T + params.b1[None, :]
    O1 = ACTIVATIONS[hidden].apply(Z1)
    Z2 = O1 @ params.W2.T + params.b2[None, :]
    return Trace(Z1, O1, Z2, ACTIVATIONS[output].apply(Z2))


class Scheme(NamedTuple):
    """Where training starts: W1, W2 and both biases are Gaussian with these variances, then b2 is shifted.

    W1(d, K) and W2(K, C) map (fan in, fan out) to the variance of one weight.
    """

    W1: Callable[[int, int], float]
    W2: Callable[[int, int], float]
    bias: float = 0.0
    output_bias: Callable[[int], float] = lambda C: 0.0


SCHEMES: dict[str, Scheme] = {
    # He et al. 2015, eq. 10: a ReLU halves the second moment, 2 / fan_in restores it.
    "he": Scheme(lambda d, K: 2 / d, lambda K, C: 2 / K),
    # He with W2 10 C times smaller and b2 = 1/C. O1 >= 0, so a row of W2 tends to push Z2 to one side on *every* image;
    # with a ReLU on top, a class pushed below zero has no gradient and never comes back. Here b2 outweighs W2 O1: for
    # pixels of mean square q the standard deviation of W2 O1 is sqrt(2 q) / (10 C), on MNIST (q = 0.11) a twentieth of
    # b2. So each output starts positive on each image, and at the mean of one-hot targets.
    "alive": Scheme(lambda d, K: 2 / d, lambda K, C: 2 / (K * (10 * C) ** 2), output_bias=lambda C: 1 / C),
    # LeCun et al. 1998 (Efficient BackProp), eq. 16: unit variance in, unit variance out.
    "lecun": Scheme(lambda d, K: 1 / d, lambda K, C: 1 / K),
    # Glorot & Bengio 2010, eq. 12: a compromise between the forward and the backward pass.
    "glorot": Scheme(lambda d, K: 2 / (d + K), lambda K, C: 2 / (K + C)),
    # Belkin et al. 2019, appendix C.1 (the units that are new under weight reuse): whatever the fan, deviation 0.1.
    "normal": Scheme(lambda d, K: 0.1**2, lambda K, C: 0.1**2),
    # Jacot et al. 2018, section 2: Z = W a / sqrt(fan_in) + 0.1 b with W, b ~ N(0, 1); the factors are folded into
    # the parameters, so the function at the start is theirs, while one learning rate for all makes training ours.
    "ntk": Scheme(lambda d, K: 1 / d, lambda K, C: 1 / K, bias=0.1**2),
    # Mei et al. 2018, eq. 1: the output is a mean (1/K) sum_j a_j ReLU(w_j x), a_j ~ N(0, 1); 1/K is folded into W2.
    "mean_field": Scheme(lambda d, K: 1 / d, lambda K, C: 1 / K**2),
    # Nielsen 2015, Neural Networks and Deep Learning, chapters 1 and 3: large_weight_initializer of his network2.py ...
    "nielsen_large": Scheme(lambda d, K: 1, lambda K, C: 1, bias=1),
    # ... and its default_weight_initializer, with weights over sqrt(fan_in) and the same biases.
    "nielsen": Scheme(lambda d, K: 1 / d, lambda K, C: 1 / K, bias=1),
}


def init(
    key: Key[Array, ""],
    inputs: int,
    hidden: int,
    outputs: int,
    scheme: str = "he",
    *,
    output_bias: float | Float[Array, ""] | None = None,
    scale: float | Float[Array, ""] = 1.0,
    dtype: DTypeLike = jnp.float32,
) -> Params:
    """Draw the parameters of a network with `inputs` = d, `hidden` = K and `outputs` = C.

    Args:
      key: a typed key from jax.random.key.
      scheme: a name in SCHEMES, where each formula stands beside its source.
      output_bias: the constant in b2; None takes the scheme's own.
      scale: multiplies the standard deviation of all weights. This and `output_bias` may be traced.
      dtype: of all four arrays.

    Raises:
      ValueError: a size is not a positive integer, or `scheme` is not a known name.
    """
    check_choice("scheme", scheme, SCHEMES)
    check_positive(inputs=inputs, hidden=hidden, outputs=outputs)
    rule = SCHEMES[scheme]
    shift = rule.output_bias(outputs) if output_bias is None else output_bias
    shift, scale = jnp.asarray(shift, dtype), jnp.asarray(scale, dtype)
    keys = jax.random.split(key, 4)

    def normal(key: Key[Array, ""], shape: tuple[int, ...], variance: float) -> Float[Array, "..."]:
        return variance**0.5 * jax.random.normal(key, shape, dtype)

    def bias(key: Key[Array, ""], size: int) -> Float[Array, " size"]:
        # Most schemes have none, and what draws one takes as long to compile as what draws W1.
        return normal(key, (size,), rule.bias) if rule.bias else jnp.zeros(size, dtype)

    return Params(
        W1=scale * normal(keys[0], (hidden, inputs), rule.W1(inputs, hidden)),
        b1=bias(keys[1], hidden),
        W2=scale * normal(keys[2], (outputs, hidden), rule.W2(hidden, outputs)),
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
