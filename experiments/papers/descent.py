"""Gradient descent on the population loss, many runs at once, each until it stops by itself.

The runs of a batch take their steps together in one compiled program. Those that have stopped stay as they are, and
after a while they are put aside, so that a few long ones do not cost what all of them did.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Key

from twolayer import population

CHUNK = 500  # steps between two looks at who has stopped
SHRINK = 2  # put stopped runs aside once one in so many goes on: each size is compiled anew
DIVERGED = 1e4  # of max_j ||2 pi dL/dw_j||, as published: begin again with half the step


class Runs(NamedTuple):
    """R runs of students (n, k), as far as they have come."""

    start: Float[Array, "R n k"]
    W: Float[Array, "R n k"]
    step: Float[Array, " R"]
    steps: Integer[Array, " R"]
    slope: Float[Array, " R"]  # max_j ||2 pi dL/dw_j|| before the last step
    going: Bool[Array, " R"]


class Stop(NamedTuple):
    """When a run ends.

    Attributes:
      flat: once its slope is below this.
      settled: once its loss is below this, looked at now and then; -inf for never, as rounding leaves the
        loss of an optimum below 0. Descent only lowers it, so a question about it is settled before the slope is flat.
      cap: after so many steps; it is then undecided.
    """

    flat: float
    settled: float
    cap: int


def begin(key: Key[Array, ""], runs: int, n: int, k: int, step: float) -> Runs:
    """Xavier's start, W ~ N(0, 1/k). A run is the same whatever their number."""
    keys = jax.vmap(lambda run: jax.random.fold_in(key, run))(jnp.arange(runs))
    W = jax.vmap(lambda key: jax.random.normal(key, (n, k), jnp.float64))(keys) / jnp.sqrt(k)
    return Runs(W, W, jnp.full(runs, step), jnp.zeros(runs, int), jnp.full(runs, jnp.inf), jnp.ones(runs, bool))


def descend(runs: Runs, stop: Stop) -> Runs:
    """Each run until it stops; those that still go at the cap are marked as going."""
    done, order, waiting = runs, np.arange(len(runs.W)), runs
    while True:
        waiting = _chunk(waiting, stop)
        going = np.asarray(waiting.going & (waiting.steps < stop.cap))
        if going.sum() > len(going) // SHRINK:
            continue
        done = jax.tree.map(lambda all, part, order=order: all.at[order].set(part), done, waiting)
        if not going.any():
            return done
        size = len(going)
        while size // SHRINK >= going.sum():
            size //= SHRINK
        kept = np.argsort(~going, kind="stable")[:size]  # the last of them may have stopped, which does no harm
        order, waiting = order[kept], jax.tree.map(lambda a, kept=kept: a[kept], waiting)


def further(runs: Runs, which: Bool[np.ndarray, " R"], stop: Stop) -> Runs:
    """Some of the runs from where they have ended, to another stop; their steps are counted anew."""
    some = jax.tree.map(lambda a: a[np.flatnonzero(which)], runs)
    return descend(some._replace(going=jnp.ones_like(some.going), steps=jnp.zeros_like(some.steps)), stop)


@jax.jit
def losses(W: Float[Array, "R n k"]) -> Float[Array, " R"]:
    """The population loss of each student for the teacher e_1, ..., e_k."""
    return jax.vmap(lambda W: population.loss(W, jnp.eye(W.shape[1])))(W)


@jax.jit
def _chunk(runs: Runs, stop: Stop) -> Runs:
    def more(carry: tuple) -> Array:
        i, runs = carry
        return (i < CHUNK) & jnp.any(runs.going & (runs.steps < stop.cap))

    _, runs = jax.lax.while_loop(more, lambda c: (c[0] + 1, _step(c[1], stop)), (0, runs))
    return runs._replace(going=runs.going & ~(losses(runs.W) < stop.settled))


def _step(runs: Runs, stop: Stop) -> Runs:
    gradient = jax.vmap(lambda W: population.gradient(W, arc=population.fast_arc))(runs.W)
    slope = 2 * jnp.pi * jnp.sqrt((gradient**2).sum(axis=2).max(axis=1))
    active = runs.going & (runs.steps < stop.cap)
    lost = active & ~(slope <= DIVERGED)  # also where it is not a number
    moved = runs.W - jnp.where(active, runs.step, 0)[:, None, None] * gradient
    return Runs(
        runs.start,
        jnp.where(lost[:, None, None], runs.start, moved),
        jnp.where(lost, runs.step / 2, runs.step),
        runs.steps + active,
        jnp.where(active, slope, runs.slope),
        runs.going & ~(slope < stop.flat),
    )
