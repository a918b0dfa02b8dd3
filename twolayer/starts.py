"""Where training starts, one entry each, beside its source. Imports no JAX.

d inputs, K hidden units, C outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

from twolayer.names import check_choice


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


def find(argument: str, given: str | Scheme) -> Scheme:
    """The start of this name; an entry of one's own is returned as it is.

    Args:
      argument: what an error calls it.
      given: a name in SCHEMES, or an entry of one's own.

    Raises:
      ValueError: the name is not known.
    """
    if isinstance(given, Scheme):
        return given
    check_choice(argument, given, SCHEMES)
    return SCHEMES[given]
