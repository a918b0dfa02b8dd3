"""An epoch of training as a pure function: a scan over steps, each one batch through one gradient engine.

Choices are closed over, numbers are passed in: `make_epoch(choices)` is compiled for names and sizes; learning rate,
weight decay, momentum, keys and data are arguments, so other numbers never compile again.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int, Key, Num, Shaped

from twolayer.activations import Activation
from twolayer.checks import check_examples
from twolayer.devices import put
from twolayer.distortions import Distortion, distort, example_keys
from twolayer.evaluation import Evaluation, evaluate, features, hits, targets
from twolayer.formulas import Formula
from twolayer.gradients import GRADIENTS
from twolayer.idle import live_inputs, narrow, widen
from twolayer.losses import Function
from twolayer.names import check_choice, check_positive
from twolayer.network import Params
from twolayer.optimizers import Scalar, averaged, make_optimizer, make_schedule
from twolayer.settings import DEFAULT, warmup
from twolayer.shuffling import batches
from twolayer.updates import Direction


class Examples(NamedTuple):
    """Stored examples on the device: uint8 pixels or real features, with labels or real targets."""

    x: Num[Array, "n p"]
    y: Shaped[Array, "n *C"]
    live: Int[Array, " p"] | None = None  # which of the d inputs x holds, where the others are always 0; None is all
    noise: Float[Array, "n C"] | None = None  # what Numbers.noise multiplies and adds to real targets


def place(
    x: Num[np.ndarray, "n d"],
    y: Shaped[np.ndarray, "n *C"],
    *,
    outputs: int | None = None,
    skip_idle: bool = False,
    noise: Float[np.ndarray, "n C"] | None = None,
    where: NamedSharding | None = None,
) -> Examples:
    """Put examples on the device, without their idle inputs if these may be skipped (see twolayer/idle.py).

    Args:
      outputs: C of the network, against which labels are checked; without it, only that none is negative.
      skip_idle: for training examples, and only without weight decay, which moves weights that have no gradient, and
        without distortions, which move pixels.
      noise: to add to real targets, as often as Numbers.noise says.
      where: the devices, if not the first alone.

    Raises:
      ValueError: a number is not finite, or a label is not one of the C classes. Inside a compiled program neither
        can be seen.
    """
    check_examples(x, y, outputs)
    live = live_inputs(x) if skip_idle else None
    fields: Any = x, y, None, noise  # NumPy's, until they are put on a device
    if live is not None and len(live) < x.shape[1]:
        fields = np.ascontiguousarray(x[:, live]), y, live, noise
    examples = Examples(*fields)
    return jax.device_put(examples) if where is None else put(examples, where)


@dataclasses.dataclass(frozen=True)
class Choices:
    """The choices that a training program is compiled for. Every field is a Python value."""

    loss: str | Formula | Function = DEFAULT.loss
    output: str | Activation = DEFAULT.output
    hidden_activation: str | Activation = DEFAULT.hidden_activation
    reduction: str = DEFAULT.reduction
    gradient: str = DEFAULT.gradient
    optimizer: str | Direction = DEFAULT.optimizer
    schedule: str = DEFAULT.schedule
    batch_size: int = DEFAULT.batch_size
    epochs: int = DEFAULT.epochs
    warmup_epochs: float | None = DEFAULT.warmup_epochs  # None is a tenth of the run, at most 1
    step_every: int = DEFAULT.step_every  # epochs between drops of the step and inverse_sqrt schedules
    step_factor: float = DEFAULT.step_factor
    patience: int = DEFAULT.early_stopping  # epochs without a lower validation loss before stopping; 0 never stops
    compute: str = "float32"  # dtype of the forward and backward pass; parameters keep their own
    scale: float = 1.0  # the network sees x * scale
    distortion: Distortion | None = None  # of the images, drawn afresh each epoch
    averaging: float = DEFAULT.averaging  # of the parameters over steps: what the average keeps in a step; 0 has none
    measure: tuple[str, ...] = ()  # what is measured after each epoch besides the scores, of measures.MEASURES

    @property
    def scoring(self) -> dict[str, Any]:
        """What `evaluation.evaluate` takes of them, by name."""
        names = ("loss", "output", "hidden_activation", "scale")
        return {name: getattr(self, name) for name in names}


class Numbers(NamedTuple):
    """The numbers of a run; they may vary without compiling again."""

    learning_rate: Scalar
    weight_decay: Scalar = 0.0
    momentum: Scalar = 0.9
    noise: Scalar | None = None  # of the targets, in units of Examples.noise, where these have any


class Networks(NamedTuple):
    """The networks that an epoch trains: one, or a stack of them on the same batches (stacks.py).

    engines: name -> gradient engine.
    each: makes of a function of one network a function of all.
    """

    engines: Mapping[str, Callable]
    each: Callable


ONE = Networks(GRADIENTS, lambda f: f)


class Seen(NamedTuple):
    """What a step has seen of its batch, before the update: loss, outputs, and the gradient. Of a stack, of each."""

    loss: Float[Array, "*N"]
    O2: Float[Array, "*N B C"]
    gradients: Params


def make_step(choices: Choices, networks: Networks = ONE) -> Callable:
    """One update on one batch.

    Returns:
      step(params, moments, batch, index, key, numbers, train) -> (params, moments, Seen), where `batch` has the rows of
      its examples in `train` and their weights, `index` is the epoch, counted from 0, and `key` decides the data order.
      Of a stack, params, moments and numbers have a leading axis of networks; the batch is that of all.

    Raises:
      ValueError: a name or a size in `choices` is not valid; from `step`, the batch is larger than the data.
    """
    check_choice("gradient", choices.gradient, networks.engines)
    engine = networks.engines[choices.gradient]
    names = choices.loss, choices.output, choices.reduction
    gradient = engine(*names, hidden_activation=choices.hidden_activation, predict=True)
    compute = jnp.dtype(choices.compute)

    def step(
        params: Params,
        moments: optax.OptState,
        batch: tuple[Int[Array, " B"], Float[Array, " B"]],
        index: Int[Array, ""],
        key: Key[Array, ""],
        numbers: Numbers,
        train: Examples,
    ) -> tuple[Params, optax.OptState, Seen]:
        rows, weights = batch
        low, x = cast(params, compute), inputs(choices, train, rows, key, index)
        aims = targets(train.y[rows], choices.loss, params.b2.shape[-1], compute)
        if train.noise is not None:
            extra = train.noise[rows].astype(compute)
            aims = networks.each(lambda level: aims + level.astype(compute) * extra)(numbers.noise)
        (loss, O2), gradients = gradient(low, x, aims, weights)
        update = networks.each(make_update(choices, len(train.x)))
        return *update(gradients, moments, params, numbers), Seen(loss, O2, gradients)

    return step


def make_epoch(choices: Choices, networks: Networks = ONE) -> Callable:
    """One pass over the training set in a fresh order: a scan of steps.

    Returns:
      epoch(params, moments, index, key, numbers, train) -> (params, moments, loss, accuracy): as in `make_step`. The
      ragged last batch is one step like the others. Of a stack, loss and accuracy have the axis of networks too.

    Raises:
      ValueError: a name or a size in `choices` is not valid; from `epoch`, the batch is larger than the data.
    """
    check_positive(batch_size=choices.batch_size, epochs=choices.epochs)
    step = make_step(choices, networks)

    def epoch(
        params: Params,
        moments: optax.OptState,
        index: Int[Array, ""],
        key: Key[Array, ""],
        numbers: Numbers,
        train: Examples,
    ) -> tuple[Params, optax.OptState, Float[Array, "*N"], Float[Array, "*N"]]:
        n, whole = len(train.x), (params, moments)

        def body(
            carry: tuple[Params, optax.OptState], batch: tuple[Int[Array, " B"], Float[Array, " B"]]
        ) -> tuple[tuple[Params, optax.OptState], tuple[Float[Array, "*N"], Float[Array, "*N"]]]:
            rows, weights = batch
            params, moments, seen = step(*carry, batch, index, key, numbers, train)
            correct = networks.each(lambda O2: (weights * hits(O2, train.y[rows])).sum())(seen.O2)
            share = weights.sum() if choices.reduction == "mean" else 1
            return (params, moments), (seen.loss * share, correct)

        live, (losses, correct) = jax.lax.scan(
            body, narrow(whole, train.live), batches(key, index, n, choices.batch_size)
        )
        params, moments = widen(whole, live, train.live)
        return params, moments, losses.sum(axis=0) / n, correct.sum(axis=0) / n

    return epoch


def inputs(
    choices: Choices, train: Examples, rows: Int[Array, " B"], key: Key[Array, ""], index: Int[Array, ""]
) -> Float[Array, "B p"]:
    """What the network sees of these training examples in epoch `index` of the run with the data order `key`.

    Args:
      rows: the numbers of the examples in `train`.
      key: of the data order, from which distortions are drawn too.
      index: of the epoch, counted from 0.
    """
    x = train.x[rows]
    if choices.distortion is not None:
        x = distort(example_keys(key, index, rows), x, choices.distortion)
    return features(x, choices.scale, jnp.dtype(choices.compute))


def make_update(choices: Choices, examples: int) -> Callable:
    """Make the update of a step: (gradients, moments, params, numbers) -> (params, moments), of one network.

    Args:
      examples: n of the training set, as for `optimizer_for`.

    Raises:
      ValueError: as `optimizer_for`, when the update is made.
    """

    def update(
        gradients: Params, moments: optax.OptState, params: Params, numbers: Numbers
    ) -> tuple[Params, optax.OptState]:
        optimizer = optimizer_for(choices, numbers, examples)
        updates, moments = optimizer.update(cast(gradients, params.W1.dtype), moments, params)
        new: Any = optax.apply_updates(params, updates)  # of the same type
        return new, moments

    return update


def optimizer_for(choices: Choices, numbers: Numbers, examples: int) -> optax.GradientTransformation:
    """The optimiser of a run over a training set of `examples`.

    Args:
      numbers: learning rate, weight decay and momentum; they may be traced.
      examples: n, which with the batch size makes the steps of an epoch, and so of the schedule.

    Raises:
      ValueError: a name or a size in `choices` is not valid, or the batch is larger than the data.
    """
    check_positive(batch_size=choices.batch_size, epochs=choices.epochs)
    if choices.batch_size > examples:
        raise ValueError(f"batch_size {choices.batch_size} is larger than the training set of {examples} examples")
    steps = -(-examples // choices.batch_size)  # an epoch
    schedule = make_schedule(
        choices.schedule,
        steps * choices.epochs,
        warmup=round(steps * warmup(choices.epochs, choices.warmup_epochs)),
        every=steps * choices.step_every,
        factor=choices.step_factor,
    )
    optimizer = make_optimizer(
        choices.optimizer, schedule, numbers.learning_rate, numbers.weight_decay, numbers.momentum
    )
    return optax.chain(optimizer, averaged(choices.averaging)) if choices.averaging else optimizer


def with_noise(examples: Examples, numbers: Numbers) -> Examples:
    """Examples whose targets have their noise, as one network is judged by them."""
    if examples.noise is None:
        return examples
    level = 0 if numbers.noise is None else numbers.noise
    return examples._replace(y=examples.y + level * examples.noise, noise=None)


def score(choices: Choices, params: Params, examples: Examples, numbers: Numbers) -> Evaluation:
    """Evaluate one network on stored examples, which may lack their idle inputs: scores and dead units.

    Args:
      numbers: of the run; only the level of the noise counts.
    """
    seen = with_noise(examples, numbers)
    return evaluate(narrow(params, examples.live), seen.x, seen.y, **choices.scoring)


def cast(params: Params, dtype: jnp.dtype) -> Params:
    """The same numbers in another type."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params)
