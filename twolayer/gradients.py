"""Back-propagation (eq. 2b), twice: derived by hand, and by jax.grad. Both have one signature.

    f(params, x, y, weights=None) -> (loss, gradients: Params)

y is (m,) integer labels for the cross-entropies and (m, C) real targets for the quadratic loss. `weights` (m,) are
optional example weights. With `predict` the predictions come too, as jax.value_and_grad has it: ((loss, O2),
gradients). Nothing that trains, sweeps or benchmarks can tell which of the two it was given.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Shaped

from twolayer import activations, losses
from twolayer.activations import Activation
from twolayer.formulas import REDUCTIONS, Formula
from twolayer.losses import Function, example_weights
from twolayer.names import check_choice
from twolayer.network import Params, forward

Gradient = Callable[..., tuple[Float[Array, ""] | tuple[Float[Array, ""], Float[Array, "m C"]], Params]]


def closed_form(
    loss: str | Formula | Function = "cross_entropy",
    output: str | Activation = "relu",
    reduction: str = "mean",
    *,
    hidden_activation: str | Activation = "relu",
    predict: bool = False,
) -> Gradient:
    """The hand-derived gradient. No automatic differentiation is used anywhere below.

    L = sum_i w_i value_i, with w_i = 1/m for the mean and 1 for the sum. For parameters W2 and W1 the author writes

        dL/dW2 = dL/dO2 . dO2/dZ2 . dZ2/dW2
        dL/dW1 = dL/dO2 . dO2/dZ2 . dZ2/dO1 . dO1/dZ1 . dZ1/dW1

    Write dA for dL/dA: it has the shape of A. Each factor, for one example i, with its Jacobian and what it does to
    the cotangent that reaches it:

        factor      Jacobian of example i                         step, all examples at once           shape
        ------      ---------------------                         --------------------------           -----
        dL/dO2      w_i residual_i                                dO2 = w * residual                   (m, C)
        dO2/dZ2     diag(1[Z2_i > 0])                             dZ2 = dO2 * 1[Z2 > 0]                (m, C)
        dZ2/dW2     dZ2_ik / dW2_kj = O1_ij                       dW2 = dZ2^T O1                       (C, K)
        dZ2/db2     I                                             db2 = sum_i dZ2_i                    (C,)
        dZ2/dO1     W2                                            dO1 = dZ2 W2                         (m, K)
        dO1/dZ1     diag(1[Z1_i > 0])                             dZ1 = dO1 * 1[Z1 > 0]                (m, K)
        dZ1/dW1     dZ1_ij / dW1_jl = x_il                        dW1 = dZ1^T x                        (K, d)
        dZ1/db1     I                                             db1 = sum_i dZ1_i                    (K,)

    These are the factors of a ReLU, in either layer. For another activation f of layer l = 1 or 2:

        dOl/dZl     diag(f'(Zl_i))                                dZl = dOl * f'(Zl)

    activations.py has f and f' side by side. Of a sigmoid f' is s (1 - s), since s(z) = 1 / (1 + exp(-z)) has
    s' = exp(-z) / (1 + exp(-z))^2; the forward pass has left s in O.

    residual = d value / d O2 is softmax(O2) - onehot(y) for cross-entropy, O2 - y for the quadratic loss and
    sigmoid(O2) - onehot(y) for binary cross-entropy, which has the output's sigmoid inside (losses.py). The sums
    over examples are the chain rule too: the parameters are shared by all of them, so their contributions add up; in
    dZ2^T O1 and dZ1^T x the matrix product does the adding. At the kink ReLU'(0) = 0, as in jax.nn.relu.

    Args:
      loss: a name in LOSSES, or an entry of one's own.
      output: the activation of the second layer, a name in ACTIVATIONS or an entry of one's own.
      reduction: "mean" or "sum" over the examples.
      hidden_activation: that of the first layer, likewise.
      predict: whether to return O2 (m, C) beside the loss.

    Returns:
      f(params, x, y, weights=None) -> (loss, gradients), or ((loss, O2), gradients).

    Raises:
      ValueError: a name is not known; from f, an argument's shape or value does not fit.
    """
    check_names(loss, output, reduction, hidden_activation)
    cost = losses.find("loss", loss)
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)

    def loss_and_gradients(
        params: Params,
        x: Float[Array, "m d"],
        y: Shaped[Array, "m *C"],
        weights: Float[Array, " m"] | None = None,
    ) -> tuple[Float[Array, ""] | tuple[Float[Array, ""], Float[Array, "m C"]], Params]:
        Z1, O1, Z2, O2 = forward(params, x, second, first)
        value, residual = cost(O2, y)
        w = example_weights(reduction, len(x), weights, value.dtype)

        dO2 = (residual * w[:, None]).astype(O2.dtype)
        dZ2 = second.back(Z2, O2, dO2)
        dW2 = dZ2.T @ O1
        db2 = dZ2.sum(axis=0)
        dO1 = dZ2 @ params.W2
        dZ1 = first.back(Z1, O1, dO1)
        dW1 = dZ1.T @ x
        db1 = dZ1.sum(axis=0)
        total = (w * value).sum()
        return (total, O2) if predict else total, Params(dW1, db1, dW2, db2)

    return loss_and_gradients


def autodiff(
    loss: str | Formula | Function = "cross_entropy",
    output: str | Activation = "relu",
    reduction: str = "mean",
    *,
    hidden_activation: str | Activation = "relu",
    predict: bool = False,
) -> Gradient:
    """The gradient by reverse-mode differentiation of the loss: the oracle `closed_form` is held against.

    Arguments, returned function and errors are those of `closed_form`.
    """
    check_names(loss, output, reduction, hidden_activation)
    cost = losses.find("loss", loss)
    first, second = activations.find("hidden_activation", hidden_activation), activations.find("output", output)

    def total(
        params: Params,
        x: Float[Array, "m d"],
        y: Shaped[Array, "m *C"],
        weights: Float[Array, " m"] | None = None,
    ) -> Float[Array, ""] | tuple[Float[Array, ""], Float[Array, "m C"]]:
        O2 = forward(params, x, second, first).O2
        value = cost(O2, y).value
        total = (example_weights(reduction, len(x), weights, value.dtype) * value).sum()
        return (total, O2) if predict else total

    return jax.value_and_grad(total, has_aux=predict)


def check_names(
    loss: str | Formula | Function,
    output: str | Activation,
    reduction: str,
    hidden_activation: str | Activation = "relu",
) -> None:
    """Raise ValueError unless all four are known."""
    losses.find("loss", loss)
    activations.find("output", output)
    check_choice("reduction", reduction, REDUCTIONS)
    activations.find("hidden_activation", hidden_activation)


GRADIENTS: dict[str, Callable[..., Gradient]] = {"closed_form": closed_form, "autodiff": autodiff}
