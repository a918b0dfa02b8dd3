"""N networks in one program: other seeds, rates, scales; the same sizes and names. One compilation for all of them.

Numbers differ between networks (learning rate, weight decay, momentum, initial parameters), choices do not. With shared
batches all networks see the same examples in the same order, and their first layers are one dense product (stacks.py).
Otherwise each has an order of its own, and the program of a single network is mapped over them. A network that diverges
or stops early keeps its state while the others go on.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from twolayer import segments, training
from twolayer.checks import check_choice
from twolayer.evaluation import features, hits, targets
from twolayer.idle import narrow, widen
from twolayer.network import Params
from twolayer.segments import RUNNING, Metrics, State
from twolayer.shuffling import batches
from twolayer.stacks import GRADIENTS, forward
from twolayer.training import Choices, Examples, Numbers, optimizer_for


def start(choices: Choices, params: Params, numbers: Numbers, examples: int) -> State:
    """The state of N networks before the first epoch; every array of `params` and `numbers` has a leading axis N."""
    return jax.vmap(lambda params, numbers: segments.start(choices, params, numbers, examples))(params, numbers)


def make_epoch(choices: Choices) -> Callable:
    """One pass of all networks over the training set, the same batches for each.

    Returns:
      epoch(params, moments, index, key, numbers, train) -> (params, moments, losses (N,), accuracies (N,)), as
      `training.make_epoch` for one network; `index` and `key` are those of all.

    Raises:
      ValueError: a name or a size in `choices` is not valid; from `epoch`, the batch is larger than the data.
    """
    check_choice("gradient", choices.gradient, GRADIENTS)
    gradient = GRADIENTS[choices.gradient](choices.loss, choices.output, choices.reduction)
    compute = jnp.dtype(choices.compute)

    def epoch(
        params: Params,
        moments: optax.OptState,
        index: Int[Array, ""],
        key: Key[Array, ""],
        numbers: Numbers,
        train: Examples,
    ) -> tuple[Params, optax.OptState, Float[Array, " N"], Float[Array, " N"]]:
        n, outputs = len(train.x), params.b2.shape[1]
        whole = params, moments

        def update(gradients: Params, moments: optax.OptState, params: Params, numbers: Numbers):
            updates, moments = optimizer_for(choices, numbers, n).update(gradients, moments, params)
            return optax.apply_updates(params, updates), moments

        def step(
            carry: tuple[Params, optax.OptState], batch: tuple[Int[Array, " B"], Float[Array, " B"]]
        ) -> tuple[tuple[Params, optax.OptState], tuple[Float[Array, " N"], Float[Array, " N"]]]:
            params, moments = carry
            rows, weights = batch
            low, x, y = training.cast(params, compute), features(train.x[rows], choices.scale, compute), train.y[rows]
            losses, gradients = gradient(low, x, targets(y, choices.loss, outputs, compute), weights)
            O2 = forward(low, x, choices.output).O2  # as in training.py: the same products, computed once
            correct = jax.vmap(lambda O2: (weights * hits(O2.T, y)).sum())(O2)
            share = weights.sum() if choices.reduction == "mean" else 1
            carry = jax.vmap(update)(training.cast(gradients, params.W1.dtype), moments, params, numbers)
            return carry, (losses * share, correct)

        live, (losses, correct) = jax.lax.scan(
            step,
            jax.vmap(lambda tree: narrow(tree, train.live))(whole),
            batches(key, index, n, choices.batch_size),
        )
        params, moments = jax.vmap(lambda tree, live: widen(tree, live, train.live))(whole, live)
        return params, moments, losses.sum(axis=0) / n, correct.sum(axis=0) / n

    return epoch


def make_segment(choices: Choices, length: int, *, shared: bool = True) -> Callable:
    """`length` epochs of all networks, each with its validation.

    Args:
      shared: whether all networks see the same batches; else `key` has one key for each.

    Returns:
      segment(state, first, key, numbers, train, valid) -> (state, Metrics of shape (length, N)), where `first` counts
      the epochs before this segment. A network's rows count while its own state.epoch advances; beyond they are filler.
    """
    if shared:
        train_epoch = make_epoch(choices)
    else:
        train_epoch = jax.vmap(training.make_epoch(choices), in_axes=(0, 0, None, 0, 0, None))
    judge = jax.vmap(segments.make_judge(choices), in_axes=(0, 0, None))

    def segment(
        state: State, first: Int[Array, ""], key: Key[Array, "*N"], numbers: Numbers, train: Examples, valid: Examples
    ) -> tuple[State, Metrics]:
        def body(state: State, index: Int[Array, ""]) -> tuple[State, Metrics]:
            trained = train_epoch(state.params, state.moments, index, key, numbers, train)
            judged, metrics = judge(state, trained, valid)
            running = (state.status == RUNNING) & (index < choices.epochs)
            return jax.vmap(segments.where)(running, judged, state), metrics

        return jax.lax.scan(body, state, first + jnp.arange(length, dtype=jnp.int32))

    return segment
