"""Where a run that diverged first left the finite numbers: its last epoch again, one step at a time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from twolayer.idle import narrow
from twolayer.network import Params, forward
from twolayer.optimizers import Average
from twolayer.segments import State
from twolayer.shuffling import batches
from twolayer.training import Choices, Examples, Numbers, cast, inputs, make_step

MOMENTS = "the optimiser's moments after the step"


class NonFinite(NamedTuple):
    """The first quantity that is not finite: of `epoch` and `step`, both counted from 1, in the order of computing."""

    epoch: int
    step: int
    quantity: str


def first_non_finite(
    choices: Choices, state: State, key: Key[Array, ""], numbers: Numbers, train: Examples
) -> NonFinite | None:
    """Repeat the epoch after `state` step by step; None if all its numbers are finite, as when validation is not.

    The order is Z1, O1, Z2, O2, the loss, dW2, db2, dW1, db1, and after the step the optimiser's moments and the
    parameters.

    Args:
      state: after the last epoch that was finite.
      key: of the data order.
      numbers, train: those of the run.
    """
    take, n = make_step(choices), len(train.x)

    @jax.jit
    def step(
        params: Params, moments: optax.OptState, rows: Int[Array, " B"], weights: Float[Array, " B"]
    ) -> tuple[Params, optax.OptState, dict[str, Array]]:
        low, x = cast(params, jnp.dtype(choices.compute)), inputs(choices, train, rows, key, state.epoch)
        trace = forward(low, x, choices.output, choices.hidden_activation)
        new, moments, of_step = take(params, moments, (rows, weights), state.epoch, key, numbers, train)
        seen = trace._asdict() | {"the loss": of_step.loss}
        seen |= {f"d{name}": leaf for name, leaf in of_step.gradients._asdict().items()}
        seen |= {f"{name} after the step": leaf for name, leaf in new._asdict().items()}
        finite = {name: jnp.isfinite(a).all() for name, a in seen.items()}
        # Without an average of the parameters, which these are checked for.
        kept = [a for a in jax.tree.leaves(moments, is_leaf=_is_average) if not _is_average(a)]
        return new, moments, finite | {MOMENTS: jnp.array([True, *(jnp.isfinite(a).all() for a in kept)]).all()}

    params, moments = narrow((state.params, state.moments), train.live)
    every_rows, every_weights = batches(key, state.epoch, n, choices.batch_size)
    order = (*"Z1 O1 Z2 O2".split(), "the loss", "dW2", "db2", "dW1", "db1", MOMENTS)
    order += tuple(f"{name} after the step" for name in Params._fields)
    for number, (rows, weights) in enumerate(zip(every_rows, every_weights, strict=True), 1):
        params, moments, finite = step(params, moments, rows, weights)
        for name in order:
            if not finite[name]:
                return NonFinite(int(state.epoch) + 1, number, name)
    return None


def _is_average(node: object) -> bool:
    return isinstance(node, Average)
