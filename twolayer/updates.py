"""Optimisers and shapes of the learning rate, one entry each. Imports no JAX.

Each is optax's, as text that is compiled when it is first used, or a function of one's own.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from twolayer.names import check_choice


class Direction(NamedTuple):
    """An optimiser without its learning rate, with the numbers to start from.

    Attributes:
      transform: momentum -> optax.GradientTransformation, as text over `momentum` or as a function. It leaves the sign
        of the gradient: the step goes against it.
      learning_rate: the peak rate, if none is given.
      weight_decay: the decay, if none is given.
      decoupled: weight decay beside the direction (AdamW, Lion), not inside the gradient (L2).
      momentum: whether it has one.
    """

    transform: str | Callable
    learning_rate: float
    weight_decay: float = 0.0
    decoupled: bool = False
    momentum: bool = True

    def make(self, momentum):
        """The optax transformation with this momentum, a number or a traced one."""
        text = self.transform
        return (_compiled(f"lambda momentum: {text}") if isinstance(text, str) else text)(momentum)


OPTIMIZERS: dict[str, Direction] = {
    "sgd": Direction("optax.identity()", 0.2, momentum=False),
    "momentum": Direction("optax.trace(momentum)", 0.1),
    "nesterov": Direction("optax.trace(momentum, nesterov=True)", 0.1),
    "adam": Direction("optax.scale_by_adam(b1=momentum)", 0.004),
    "nadam": Direction("optax.scale_by_adam(b1=momentum, nesterov=True)", 0.004),
    "adamw": Direction("optax.scale_by_adam(b1=momentum)", 0.004, weight_decay=0.2, decoupled=True),
    "adabelief": Direction("optax.scale_by_belief(b1=momentum)", 0.004),
    "lion": Direction("optax.scale_by_lion(b1=momentum)", 0.0003, decoupled=True),
    "rmsprop": Direction("optax.scale_by_rms()", 0.001, momentum=False),
    "adagrad": Direction("optax.scale_by_rss()", 0.02, momentum=False),
}

# (steps of the run, every, factor) -> a function of the step.
SCHEDULES: dict[str, str] = {
    "constant": "optax.constant_schedule(1.0)",
    "cosine": "optax.cosine_decay_schedule(1.0, max(steps, 1))",
    "step": "lambda step: jnp.power(factor, jnp.floor(step / float(every)))",  # optax's stays at 1 where factor is 0
    "inverse_sqrt": "lambda step: jax.lax.rsqrt(1 + jnp.floor(step / float(every)))",
}
STEPPED = ("step", "inverse_sqrt")  # those that `every` means something to


def find(argument: str, given: str | Direction) -> Direction:
    """The optimiser of this name; an entry of one's own is returned as it is.

    Args:
      argument: what an error calls it.
      given: a name in OPTIMIZERS, or an entry of one's own.

    Raises:
      ValueError: the name is not known.
    """
    if isinstance(given, Direction):
        return given
    check_choice(argument, given, OPTIMIZERS)
    return OPTIMIZERS[given]


def shape(name: str, steps: int, every: int, factor: float) -> Callable:
    """The named shape of the learning rate for a run of so many steps, as a function of the step.

    Args:
      name: in SCHEDULES.
      steps: of the whole run.
      every, factor: of the schedules that fall in stairs: the steps of a stair, and what a stair multiplies.

    Raises:
      ValueError: the name is not known.
    """
    check_choice("schedule", name, SCHEDULES)
    return _compiled(f"lambda steps, every, factor: {SCHEDULES[name]}")(steps, every, factor)


@functools.cache
def _compiled(text: str) -> Callable:
    import jax
    import jax.numpy as jnp
    import optax

    return eval(text, {"jax": jax, "jnp": jnp, "optax": optax})
