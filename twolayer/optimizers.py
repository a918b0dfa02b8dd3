"""Optimisers and learning-rate schedules by name, all of them optax's.

An optimiser is a direction (what it makes of the gradient), a weight decay and a learning rate. Choices (the names)
are Python; numbers (rate, decay, momentum) may be traced, so a sweep over them compiles once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from twolayer import updates
from twolayer.network import Params
from twolayer.updates import Direction

Scalar = float | Float[Array, ""]
Schedule = Callable[[Int[Array, ""]], Float[Array, ""]]


def make_optimizer(
    name: str | Direction,
    schedule: Schedule,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    momentum: Scalar = 0.9,
) -> optax.GradientTransformation:
    """The named optimiser with rate `learning_rate * schedule(step)`.

    Args:
      name: a name in updates.OPTIMIZERS, or an entry of one's own.
      schedule: the shape of the rate over steps, from `make_schedule`.
      learning_rate: the rate where the schedule is 1.
      weight_decay: lambda on W1 and W2, biases are free. It adds lambda W to the gradient (the gradient of
        lambda/2 ||W||^2), except in adamw and lion, where it adds lambda W to the step, before the learning rate.
      momentum: beta of momentum and nesterov, beta_1 of the Adam family and of Lion; sgd, rmsprop, adagrad have none.

    Raises:
      ValueError: `name` is not known.
    """
    direction = updates.find("optimizer", name)
    weights: Any = {"W1": True, "b1": False, "W2": True, "b2": False}
    decay = optax.add_decayed_weights(weight_decay, mask=Params(**weights))
    step = (direction.make(momentum), decay) if direction.decoupled else (decay, direction.make(momentum))

    def rate(count: Any) -> Any:
        return learning_rate * schedule(count)

    return optax.chain(*step, optax.scale_by_learning_rate(rate))


class Average(NamedTuple):
    """State of `averaged`: the mean of the parameters after `count` steps, with more weight on later ones."""

    count: Int[Array, ""]
    average: Params


def averaged(decay: float) -> optax.GradientTransformation:
    """Leaves the updates as they are and keeps an average of the parameters that they lead to (Polyak & Juditsky 1992).

        average = keep average + (1 - keep) params,   keep = min(decay, count / (count + 1))

    So it is the plain mean of the first 1 / (1 - decay) steps, without the initial parameters, and then forgets.
    """

    def init(params: Params) -> Average:
        return Average(jnp.int32(0), params)

    def update(updates: Params, state: Average, params: Params) -> tuple[Params, Average]:
        count = state.count.astype(jnp.promote_types(params.W1.dtype, jnp.float32))
        keep = jnp.minimum(decay, count / (count + 1))
        new = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: (keep * old + (1 - keep) * new).astype(old.dtype), state.average, new)
        return updates, Average(state.count + 1, average)

    own: Any = init, update  # optax's own types take any tree
    return optax.GradientTransformation(*own)


def average_of(params: Params, moments: optax.OptState) -> Params:
    """The averaged parameters, if the optimiser keeps them in its state `moments`, else `params`."""
    return optax.tree.get(moments, "average", default=params)


def make_schedule(name: str, steps: int, warmup: int = 0, every: int = 1, factor: float = 0.1) -> Schedule:
    """The shape of the learning rate: a function from the step, counted from 0, to a factor in [0, 1].

    Args:
      name: "constant" stays at 1; "cosine" falls as (1 + cos(pi t)) / 2 from 1 to 0 after the last step; "step" is
        multiplied by `factor` after each `every` steps; "inverse_sqrt" is 1 / sqrt(1 + i) after i times `every` steps.
      steps: the steps of the whole run, warm-up included.
      warmup: steps over which the factor first rises from 1 / warmup to 1; the named shape follows.

    Raises:
      ValueError: `name` is not known, or the warm-up is not shorter than the run.
    """
    if not 0 <= warmup < max(steps, 1):
        raise ValueError(f"warm-up must be shorter than the run: {warmup} of {steps} steps")
    shape = updates.shape(name, steps - warmup, every, factor)

    def rate(step: Int[Array, ""]) -> Float[Array, ""]:
        step = jnp.asarray(step, float)  # float64 where that is on: float32 would round the rate of a float64 run
        return jnp.minimum(1.0, (step + 1) / max(warmup, 1)) * shape(jnp.maximum(step - warmup, 0))

    return rate
