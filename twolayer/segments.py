"""A segment of epochs as a pure function: each trained, validated and judged, all of it one compiled program.

`make_segment(choices, length)` returns the function to jit once, at the rim, with its state donated. However a run is
cut into segments, the same epochs give the same bits.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from twolayer.evaluation import evaluate
from twolayer.measures import make_measure
from twolayer.network import Params
from twolayer.optimizers import average_of
from twolayer.training import Choices, Examples, Numbers, make_epoch, optimizer_for, with_noise

RUNNING, DIVERGED, STOPPED_EARLY = 0, 1, 2


class State(NamedTuple):
    """The state between two epochs. `best` is there only with early stopping."""

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
    measured: dict[str, Float[Array, "*epochs"]] | None = None  # what Choices.measure names

    def columns(self) -> dict[str, Array]:
        """All of them by name, those that were measured too."""
        fields = self._asdict()
        return {name: fields[name] for name in self._fields if name != "measured"} | (self.measured or {})


def start(choices: Choices, params: Params, numbers: Numbers, examples: int) -> State:
    """The state before the first epoch, for a training set of `examples`.

    Args:
      params: the initial parameters.
      numbers: as the segments will be given them.
      examples: n of the training set.

    Raises:
      ValueError: a size in `choices` is not positive, or the batch is larger than the data.
    """
    moments = optimizer_for(choices, numbers, examples).init(params)
    worst = jnp.asarray(jnp.inf, jnp.promote_types(params.W1.dtype, jnp.float32))  # of the type of a validation loss
    best = (params, worst, jnp.int32(0)) if choices.patience else None
    # Copies, so that the state can be donated: no array may stand in it twice.
    return jax.tree.map(jnp.copy, State(params, moments, jnp.int32(0), jnp.int32(RUNNING), best))


def make_segment(choices: Choices, length: int) -> Callable:
    """Train at most `length` epochs, each with its validation; fewer where the run diverges or stops early.

    Args:
      length: the most epochs of one call; the program is compiled for it.

    Returns:
      segment(state, until, key, numbers, train, valid) -> (state, Metrics of shape (length,)), where `until` is the
      epoch to stop after. Rows beyond the epochs that state.epoch has advanced are NaN, counts -1. An epoch that ends
      with anything non-finite is undone: the state keeps the last finite parameters, its status is DIVERGED, and it
      does not change any more.
    """
    train_epoch, judge, measure = make_epoch(choices), make_judge(choices), make_measure(choices)

    def advance(state: State, key: Key[Array, ""], numbers: Numbers, train: Examples, valid: Examples):
        trained = train_epoch(state.params, state.moments, state.epoch, key, numbers, train)
        state, metrics = judge(state, trained, with_noise(valid, numbers))
        return state, metrics._replace(measured=measure(state.params, with_noise(train, numbers)))

    def segment(
        state: State, until: Int[Array, ""], key: Key[Array, ""], numbers: Numbers, train: Examples, valid: Examples
    ) -> tuple[State, Metrics]:
        filler = filler_of(jax.eval_shape(advance, state, key, numbers, train, valid)[1])

        def body(state: State, _: None) -> tuple[State, Metrics]:
            running = (state.status == RUNNING) & (state.epoch < jnp.minimum(until, choices.epochs))
            return jax.lax.cond(
                running,
                lambda state: advance(state, key, numbers, train, valid),
                lambda state: (state, filler),
                state,
            )

        return jax.lax.scan(body, state, None, length)

    return segment


def make_judge(choices: Choices) -> Callable:
    """Validate an epoch, keep the best, and roll back if it is not finite.

    Returns:
      judge(state, (params, moments, loss, accuracy), valid) -> (state, Metrics of one epoch), the arrays being what an
      epoch of `training.make_epoch` returns. It is validated, compared with the best, and undone if not finite.
    """

    def judge(state: State, trained: tuple, valid: Examples) -> tuple[State, Metrics]:
        params, moments, train_loss, train_accuracy = trained
        score = evaluate(average_of(params, moments), valid.x, valid.y, **choices.scoring)
        metrics = Metrics(train_loss, train_accuracy, *score)
        new = State(params, moments, state.epoch + 1, state.status, state.best)
        new = _remember_best(new, score.loss, choices.patience)
        finite = jnp.isfinite(train_loss) & jnp.isfinite(score.loss) & _all_finite((params, moments))
        return where(finite, new, state._replace(status=jnp.int32(DIVERGED))), metrics

    return judge


def final_params(state: State) -> Params:
    """The parameters a run hands over: the best on validation with early stopping, else the last; averaged, if so."""
    return average_of(state.params, state.moments) if state.best is None else state.best[0]


def _remember_best(state: State, valid_loss: Float[Array, ""], patience: int) -> State:
    if state.best is None:
        return state
    candidate = average_of(state.params, state.moments), valid_loss, state.epoch
    best = where(valid_loss < state.best[1], candidate, state.best)
    out_of_patience = state.epoch - best[2] >= patience
    return state._replace(best=best, status=jnp.where(out_of_patience, STOPPED_EARLY, state.status))


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def filler_of(shapes: PyTree) -> PyTree:
    """Metrics that stand for an epoch that was not run: NaN, and -1 for counts, which nobody takes for a result."""

    def fill(leaf: jax.ShapeDtypeStruct) -> Array:
        return jnp.full(leaf.shape, jnp.nan if jnp.issubdtype(leaf.dtype, jnp.inexact) else -1, leaf.dtype)

    return jax.tree.map(fill, shapes)


def where(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    """`yes` or `no`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
