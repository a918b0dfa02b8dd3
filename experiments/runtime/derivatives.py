"""Whether mathematics of one's own is what it says, before a run begins: derivatives against float64 numbers.

Each derivative is held against central differences and against jax.grad of the value, at points away from the kinks
that an entry declares. An optimiser must leave the sign of a gradient, a start must have variances.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer import losses
from twolayer.activations import Activation, compiled
from twolayer.command.cli import BadInput
from twolayer.network import Params
from twolayer.own import Own

STEP = 1e-6  # of the central differences
TOLERANCE = 1e-6  # relative to 1 + the derivative: differences have an error of about STEP^2 + 1e-16 / STEP
POINTS = 64


def check(kind: str, own: Own, outputs: int) -> str:
    """One line that says the entry is right.

    Args:
      kind: "loss", "output", "activation", "init" or "optimizer".
      outputs: C of the data.

    Raises:
      BadInput: it is wrong, with the first point where it is, or it cannot be computed.
    """
    rules = {"loss": _loss, "init": _init, "optimizer": _optimizer}
    try:
        with jax.enable_x64(True):
            found = rules.get(kind, _activation)(own.entry, outputs)
    except BadInput as error:
        raise BadInput(f"--{kind}={own.reference} is wrong: {error}; the run does not begin") from error
    except Exception as error:  # it is anybody's code
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"--{kind}={own.reference} cannot be computed ({type(error).__name__}: {reason})") from error
    return f"--{kind}={own.reference} is right: {found}"


def _activation(entry: Activation, outputs: int) -> str:
    reach = min(entry.largest or 6.0, 6.0)
    Z = jnp.asarray(np.random.default_rng(0).uniform(-reach, reach, POINTS))
    Z = jnp.where(jnp.abs(Z) < 0.01, 0.5, Z) if entry.kink else Z

    @jax.jit  # one program: operation by operation the compiler would take seconds
    def numbers(Z):
        O2, one = entry.apply(Z), jnp.ones_like(Z)
        texts = compiled("Z", entry.value)(Z), compiled("Z, O", entry.derivative)(Z, O2) * one
        slope = (entry.apply(Z + STEP) - entry.apply(Z - STEP)) / (2 * STEP)
        return O2, entry.back(Z, O2, one), *texts, slope, jax.grad(lambda Z: entry.apply(Z).sum())(Z)

    O2, said, value, derivative, slope, gradient = numbers(Z)
    _same("value", "its `stable` form", value, O2, Z)
    _same("derivative", "differences of value", said, slope, Z)
    _same("derivative", "jax.grad of value", said, gradient, Z)
    _same("derivative", "its `stable_back` form", derivative, said, Z)
    return f"the derivative agrees with differences and jax.grad at {POINTS} points"


def _loss(entry: Any, outputs: int) -> str:
    cost, draw = losses.find("loss", entry), np.random.default_rng(0)
    O2 = jnp.asarray(draw.normal(size=(POINTS, outputs)) * 2)
    labels = draw.integers(0, outputs, POINTS)
    # Half of the targets are one-hot, half are any numbers.
    rows = np.where(np.arange(POINTS)[:, None] % 2 == 0, np.eye(outputs)[labels], draw.normal(size=O2.shape))
    y = jnp.asarray(labels, jnp.int32) if cost.labels else jnp.asarray(rows)

    @jax.jit
    def numbers(O2, y):
        def slope(step):
            return (cost(O2 + step, y).value - cost(O2 - step, y).value) / (2 * STEP)

        found = cost(O2, y)
        slopes = jax.vmap(slope, out_axes=-1)(STEP * jnp.eye(outputs)[:, None, :])
        return *(found.value, found.residual), slopes, jax.grad(lambda O2: cost(O2, y).value.sum())(O2)

    value, residual = jax.eval_shape(lambda O2, y: tuple(cost(O2, y)), O2, y)
    if value.shape != (POINTS,) or residual.shape != O2.shape:
        raise BadInput(
            f"for O2 {O2.shape} value must be {(POINTS,)} and residual {O2.shape}, they are {value.shape} and"
            f" {residual.shape}"
        )
    _, residual, slopes, gradient = numbers(O2, y)
    _same("residual", "differences of value", residual, slopes, O2)
    _same("residual", "jax.grad of value", residual, gradient, O2)
    return f"the residual agrees with differences and jax.grad at {POINTS} predictions of {outputs} outputs"


def _init(entry: Any, outputs: int) -> str:
    found = {"W1": entry.W1(7, 5), "W2": entry.W2(5, outputs), "bias": entry.bias}
    for name, variance in found.items():
        if not 0 <= float(variance) < np.inf:
            raise BadInput(f"the variance of {name} is {variance}, it must be finite and not negative")
    if not np.isfinite(float(entry.output_bias(outputs))):
        raise BadInput(f"output_bias({outputs}) is {entry.output_bias(outputs)}")
    return "its variances are finite"


def _optimizer(entry: Any, outputs: int) -> str:
    shapes = {"W1": (5, 7), "b1": (5,), "W2": (outputs, 5), "b2": (outputs,)}
    params = Params(**{name: jnp.ones(shape) for name, shape in shapes.items()})
    gradients = jax.tree.map(lambda leaf: 0.5 * leaf, params)
    rule = entry.make(0.9)
    updates, _ = jax.jit(lambda gradients, params: rule.update(gradients, rule.init(params), params))(gradients, params)
    along = sum(float((g * u).sum()) for g, u in zip(gradients, updates, strict=True))
    if not np.isfinite(along):
        raise BadInput("its first step is not finite")
    if along < 0:
        raise BadInput(
            "its first step goes against the gradient, so it has a learning rate in it; leave that out "
            "(optax.scale_by_adam() for optax.adam(rate)), --learning_rate is applied after it"
        )
    return "its first step goes along the gradient, before the learning rate"


def _same(what: str, other: str, said: jax.Array, found: jax.Array, at: jax.Array) -> None:
    """Raise BadInput unless both agree; names the point where they differ most."""
    apart = jnp.abs(said - found) / (1 + jnp.abs(found))
    apart = jnp.where(jnp.isfinite(apart), apart, jnp.inf)
    worst = int(jnp.argmax(apart))
    if apart.ravel()[worst] > TOLERANCE:
        point = at.ravel()[worst] if at.size == apart.size else at[worst]
        numbers = f"{said.ravel()[worst]:.6g} and {found.ravel()[worst]:.6g}"
        raise BadInput(f"{what} and {other} differ at {point:.4g}: {numbers}")
