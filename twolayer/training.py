"""Training as pure functions: a step, an epoch of steps, a segment of epochs. Each is a scan over the one before.

Choices are closed over, numbers are passed in: `make_segment(choices, length)` returns one function to jit once, at
the rim, with its state donated; learning rate, weight decay, momentum, keys and data are its arguments. However a run
is cut into segments, the same epochs give the same bits.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, Num, PyTree, Shaped

from twolayer.checks import check_positive
from twolayer.evaluation import evaluate, features, hits, targets
from twolayer.gradients import GRADIENTS
from twolayer.network import Params, forward
from twolayer.optimizers import Scalar, make_optimizer, make_schedule
from twolayer.shuffling import batches

RUNNING, DIVERGED, STOPPED_EARLY = 0, 1, 2


class Examples(NamedTuple):
    """Stored examples on the device: uint8 pixels or real features, with labels or real targets."""

    x: Num[Array, "n d"]
    y: Shaped[Array, "n *C"]


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a training program is compiled for. Every field is a Python value."""

    loss: str = "cross_entropy"
    output: str = "relu"
    reduction: str = "mean"
    gradient: str = "closed_form"
    optimizer: str = "adam"
    schedule: str = "cosine"
    batch_size: int = 128
    epochs: int = 10
    warmup_epochs: float = 0.0
    step_every: int = 1  # epochs, of the step schedule
    step_factor: float = 0.1
    patience: int = 0  # epochs without a lower validation loss before stopping; 0 never stops
    compute: str = "float32"  # dtype of the forward and backward pass; parameters keep their own
    scale: float = 1.0  # the network sees x * scale


class Numbers(NamedTuple):
    """What may vary without compiling again."""

    learning_rate: Scalar
    weight_decay: Scalar = 0.0
    momentum: Scalar = 0.9


class State(NamedTuple):
    """What the next epoch needs. `best` is there only with early stopping."""

    params: Params
    moments: optax.OptState
    epoch: Int[Array, ""]  # completed, all finite
    status: Int[Array, ""]  # RUNNING, DIVERGED or STOPPED_EARLY
    best: tuple[Params, Float[Array, ""], Int[Array, ""]] | None  # parameters, validation loss, epoch


class Metrics(NamedTuple):
    """One epoch. Training figures are means over its batches as they were trained on; the others score its end."""

    train_loss: Float[Array, "*epochs"]
    train_accuracy: Float[Array, "*epochs"]
    valid_loss: Float[Array, "*epochs"]
    valid_accuracy: Float[Array, "*epochs"]
    dead_hidden: Int[Array, "*epochs"]
    dead_outputs: Int[Array, "*epochs"]
    lost_classes: Int[Array, "*epochs"]


def make_epoch(choices: Choices) -> Callable:
    """One pass over the training set in a fresh order.

    Returns:
      epoch(params, moments, index, key, numbers, train) -> (params, moments, loss, accuracy), where `index` counts
      epochs from 0, `key` decides the data order, and the ragged last batch is one step like the others.

    Raises:
      ValueError: a name or a size in `choices` is not valid; from `epoch`, the batch is larger than the data.
    """
    check_positive(batch_size=choices.batch_size, epochs=choices.epochs)
    gradient = GRADIENTS[choices.gradient](choices.loss, choices.output, choices.reduction)
    compute = jnp.dtype(choices.compute)

    def epoch(
        params: Params,
        moments: optax.OptState,
        index: Int[Array, ""],
        key: Key[Array, ""],
        numbers: Numbers,
        train: Examples,
    ) -> tuple[Params, optax.OptState, Float[Array, ""], Float[Array, ""]]:
        n, outputs = len(train.x), params.b2.shape[0]
        optimizer = _optimizer(choices, numbers, n)

        def step(
            carry: tuple[Params, optax.OptState], batch: tuple[Int[Array, " B"], Float[Array, " B"]]
        ) -> tuple[tuple[Params, optax.OptState], tuple[Float[Array, ""], Float[Array, ""]]]:
            params, moments = carry
            rows, weights = batch
            low, x = _cast(params, compute), features(train.x[rows], choices.scale, compute)
            loss, gradients = gradient(low, x, targets(train.y[rows], choices.loss, outputs, compute), weights)
            updates, moments = optimizer.update(_cast(gradients, params.W1.dtype), moments, params)
            # The engine's forward pass again: the compiler sees the same products and computes them once.
            correct = (weights * hits(forward(low, x, choices.output).O2, train.y[rows])).sum()
            share = weights.sum() if choices.reduction == "mean" else 1
            return (optax.apply_updates(params, updates), moments), (loss * share, correct)

        (params, moments), (losses, correct) = jax.lax.scan(
            step, (params, moments), batches(key, index, n, choices.batch_size)
        )
        return params, moments, losses.sum() / n, correct.sum() / n

    return epoch


def make_segment(choices: Choices, length: int) -> Callable:
    """At most `length` epochs, each with its validation; fewer where the run ends, diverges or stops early.

    Returns:
      segment(state, key, numbers, train, valid) -> (state, Metrics of shape (length,)). Rows beyond the epochs that
      state.epoch has advanced are filler. An epoch that ends with anything non-finite is undone: the state keeps the
      last finite parameters, its status is DIVERGED, and it does not change any more.
    """
    train_epoch = make_epoch(choices)

    def advance(state: State, key: Key[Array, ""], numbers: Numbers, train: Examples, valid: Examples):
        params, moments, train_loss, train_accuracy = train_epoch(
            state.params, state.moments, state.epoch, key, numbers, train
        )
        score = evaluate(params, *valid, scale=choices.scale, loss=choices.loss, output=choices.output)
        metrics = Metrics(train_loss, train_accuracy, *score)
        new = State(params, moments, state.epoch + 1, state.status, state.best)
        new = _remember_best(new, score.loss, choices.patience)
        finite = jnp.isfinite(train_loss) & jnp.isfinite(score.loss) & _all_finite((params, moments))
        return _where(finite, new, state._replace(status=jnp.int32(DIVERGED))), metrics

    def segment(
        state: State, key: Key[Array, ""], numbers: Numbers, train: Examples, valid: Examples
    ) -> tuple[State, Metrics]:
        filler = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(advance, state, key, numbers, train, valid)[1],
        )

        def body(state: State, _: None) -> tuple[State, Metrics]:
            running = (state.status == RUNNING) & (state.epoch < choices.epochs)
            return jax.lax.cond(
                running,
                lambda state: advance(state, key, numbers, train, valid),
                lambda state: (state, filler),
                state,
            )

        return jax.lax.scan(body, state, None, length)

    return segment


def start(choices: Choices, params: Params, numbers: Numbers, examples: int) -> State:
    """The state before the first epoch, for a training set of `examples`.

    Raises:
      ValueError: a size in `choices` is not positive, or the batch is larger than the data.
    """
    moments = _optimizer(choices, numbers, examples).init(params)
    best = (params, jnp.asarray(jnp.inf, params.W1.dtype), jnp.int32(0)) if choices.patience else None
    # Copies, so that the state can be donated: no array may stand in it twice.
    return jax.tree.map(jnp.copy, State(params, moments, jnp.int32(0), jnp.int32(RUNNING), best))


def final_params(state: State) -> Params:
    """The parameters a run hands over: the best on validation with early stopping, else the last."""
    return state.params if state.best is None else state.best[0]


def _optimizer(choices: Choices, numbers: Numbers, examples: int) -> optax.GradientTransformation:
    check_positive(batch_size=choices.batch_size, epochs=choices.epochs)
    if choices.batch_size > examples:
        raise ValueError(f"batch_size {choices.batch_size} is larger than the training set of {examples} examples")
    steps = -(-examples // choices.batch_size)  # an epoch
    schedule = make_schedule(
        choices.schedule,
        steps * choices.epochs,
        warmup=round(steps * choices.warmup_epochs),
        every=steps * choices.step_every,
        factor=choices.step_factor,
    )
    return make_optimizer(choices.optimizer, schedule, *numbers)


def _remember_best(state: State, valid_loss: Float[Array, ""], patience: int) -> State:
    if state.best is None:
        return state
    candidate = state.params, valid_loss, state.epoch
    best = _where(valid_loss < state.best[1], candidate, state.best)
    out_of_patience = state.epoch - best[2] >= patience
    return state._replace(best=best, status=jnp.where(out_of_patience, STOPPED_EARLY, state.status))


def _cast(params: Params, dtype: jnp.dtype) -> Params:
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params)


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _where(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
