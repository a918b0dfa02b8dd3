"""N networks of one shape on one batch: eq. 1a and 2b with one more letter, so that all first layers are one product.

Every parameter has a leading axis of networks: W1 (N, K, d), b1 (N, K), W2 (N, C, K), b2 (N, C). Examples are rows of x
(m, d), as everywhere; activations are columns, Z1 (N, K, m), as the author writes them: Z1 = W1 x + b1. So the largest
products need no transposed copy of anything as large as W1: with W1 seen as (N K, d), Z1 = W1 x^T and dW1 = dZ1 x are
one dense product each, for all networks together.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Shaped

from twolayer import activations, gradients, losses
from twolayer.activations import Activation
from twolayer.formulas import Formula
from twolayer.losses import Function, Loss, example_weights
from twolayer.network import Params, Trace

Gradient = Callable[..., tuple[Float[Array, " N"] | tuple[Float[Array, " N"], Float[Array, "N m C"]], Params]]


def forward(
    params: Params,
    x: Float[Array, "m d"],
    output: str | Activation = "relu",
    hidden_activation: str | Activation = "relu",
) -> Trace:
    """Both layers of all networks (eq. 1a): Z1, O1 (N, K, m) and Z2, O2 (N, C, m).

    Raises:
      ValueError: an activation is not a known name.
    """
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)
    N, K, d = params.W1.shape
    Z1 = (params.W1.reshape(N * K, d) @ x.T).reshape(N, K, len(x)) + params.b1[:, :, None]
    O1 = first.apply(Z1)
    Z2 = params.W2 @ O1 + params.b2[:, :, None]
    return Trace(Z1, O1, Z2, second.apply(Z2))


def closed_form(
    loss: str | Formula | Function = "cross_entropy",
    output: str | Activation = "relu",
    reduction: str = "mean",
    *,
    hidden_activation: str | Activation = "relu",
    predict: bool = False,
) -> Gradient:
    """The hand-derived gradient of every network; each line is that of `gradients.closed_form`, transposed.

    Targets y are those of all networks; real ones may have a leading axis N too.

    Returns:
      f(params, x, y, weights=None) -> (losses (N,), gradients), or ((losses, O2 (N, m, C)), gradients) with `predict`:
      predictions have examples as rows again.

    Raises:
      ValueError: a name is not known.
    """
    gradients.check_names(loss, output, reduction, hidden_activation)
    cost = losses.find("loss", loss)
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)

    def losses_and_gradients(
        params: Params,
        x: Float[Array, "m d"],
        y: Shaped[Array, "..."],
        weights: Float[Array, " m"] | None = None,
    ) -> tuple[Float[Array, " N"] | tuple[Float[Array, " N"], Float[Array, "N m C"]], Params]:
        (N, K, d), m = params.W1.shape, len(x)
        Z1, O1, Z2, O2 = forward(params, x, second, first)
        each = jax.vmap(lambda O2, y: _columns(cost(O2.T, y)), in_axes=(0, _axis_of(y)))
        value, residual = each(O2, y)
        w = example_weights(reduction, m, weights, value.dtype)

        dO2 = (residual * w[None, None, :]).astype(O2.dtype)
        dZ2 = second.back(Z2, O2, dO2)
        dW2 = dZ2 @ O1.swapaxes(1, 2)
        db2 = dZ2.sum(axis=2)
        dO1 = params.W2.swapaxes(1, 2) @ dZ2
        dZ1 = first.back(Z1, O1, dO1)
        dW1 = (dZ1.reshape(N * K, m) @ x).reshape(N, K, d)
        db1 = dZ1.sum(axis=2)
        totals = (w[None, :] * value).sum(axis=1)
        return (totals, O2.swapaxes(1, 2)) if predict else totals, Params(dW1, db1, dW2, db2)

    return losses_and_gradients


def autodiff(
    loss: str | Formula | Function = "cross_entropy",
    output: str | Activation = "relu",
    reduction: str = "mean",
    *,
    hidden_activation: str | Activation = "relu",
    predict: bool = False,
) -> Gradient:
    """`gradients.autodiff` of each network, by vmap. Arguments, result and errors are those of closed_form."""
    one = gradients.autodiff(loss, output, reduction, hidden_activation=hidden_activation, predict=predict)
    return lambda params, x, y, weights=None: jax.vmap(one, in_axes=(0, None, _axis_of(y), None))(params, x, y, weights)


def _axis_of(y: Shaped[Array, "..."]) -> int | None:
    """Where the targets have their axis of networks, if each has its own."""
    return 0 if y.ndim == 3 else None


def _columns(pair: Loss) -> Loss:
    return pair._replace(residual=pair.residual.T)


GRADIENTS: dict[str, Callable[..., Gradient]] = {"closed_form": closed_form, "autodiff": autodiff}
"""Both engines, by the names of gradients.GRADIENTS."""
