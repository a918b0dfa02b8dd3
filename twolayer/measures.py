"""What can be measured of a network after each epoch besides its scores: norms, and the sharpness of the loss.

    norm_W1, ...           Frobenius norms of the parameters
    norm_dW1, ...          of the gradient of the training loss
    sharpness              the largest eigenvalue of the Hessian of the training loss

The training loss is the mean over the first EXAMPLES training examples. The eigenvalue is that of Lanczos's method
(Golub & Van Loan 2013, section 10.1) after STEPS products of the Hessian with a vector, each the derivative of the
gradient in the direction of the vector (Pearlmutter 1994); the basis is made orthogonal again at each step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from twolayer.evaluation import features, targets
from twolayer.gradients import GRADIENTS
from twolayer.idle import narrow
from twolayer.network import Params
from twolayer.training import Choices, Examples

MEASURES = ("norms", "sharpness")
EXAMPLES = 2000  # training examples, at most
STEPS = 20  # of Lanczos


def make_measure(choices: Choices) -> Callable[[Params, Examples], dict[str, Float[Array, ""]] | None]:
    """(params, training examples) -> the numbers that `choices.measure` names, or None if it names none."""

    def measure(params: Params, train: Examples) -> dict[str, Float[Array, ""]] | None:
        if not choices.measure:
            return None
        dtype, outputs = params.W1.dtype, params.b2.shape[0]
        x = features(train.x[:EXAMPLES], choices.scale, dtype)
        y = targets(train.y[:EXAMPLES], choices.loss, outputs, dtype)
        names = choices.loss, choices.output, "mean"
        engine = GRADIENTS[choices.gradient](*names, hidden_activation=choices.hidden_activation)
        live = narrow(params, train.live)  # the gradient of what is left out is zero

        def gradient(params: Params) -> Params:
            return engine(params, x, y)[1]

        found = {}
        if "norms" in choices.measure:
            trees = {"norm_": params, "norm_d": gradient(live)}
            for prefix, tree in trees.items():
                found |= {prefix + name: jnp.linalg.norm(leaf) for name, leaf in tree._asdict().items()}
        if "sharpness" in choices.measure:
            found["sharpness"] = top_eigenvalue(gradient, live)
        return found

    return measure


def top_eigenvalue(gradient: Callable[[Params], Params], at: Params) -> Float[Array, ""]:
    """The largest eigenvalue of the derivative of `gradient` at these parameters.

    Args:
      gradient: of a loss, so that its derivative is the Hessian, which is symmetric.
      at: the parameters.
    """
    flat, unravel = ravel_pytree(at)
    steps = min(STEPS, len(flat))

    def product(v: Float[Array, " n"]) -> Float[Array, " n"]:
        return ravel_pytree(jax.jvp(gradient, (at,), (unravel(v),))[1])[0]

    def step(basis: Float[Array, "steps n"], i: Array) -> tuple[Float[Array, "steps n"], tuple[Array, Array]]:
        w = product(basis[i])
        alpha = w @ basis[i]
        for _ in range(2):  # once is not enough in float32
            w = w - basis.T @ (basis @ w)
        beta = jnp.linalg.norm(w)
        new = jnp.where(beta > 0, w / jnp.where(beta > 0, beta, 1), 0)
        return basis.at[i + 1].set(new, mode="drop"), (alpha, beta)

    start = jax.random.normal(jax.random.key(0, impl="threefry2x32"), flat.shape, flat.dtype)
    basis = jnp.zeros((steps, len(flat)), flat.dtype).at[0].set(start / jnp.linalg.norm(start))
    _, (alpha, beta) = jax.lax.scan(step, basis, jnp.arange(steps))
    return jnp.linalg.eigvalsh(jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1))[-1]
