"""N networks in one program: other seeds, rates, scales; the same sizes and names. One compilation for all of them.

Numbers differ between networks (learning rate, weight decay, momentum, initial parameters), choices do not. With shared
batches all networks see the same examples in the same order, and their first layers are one dense product (stacks.py).
Otherwise each has an order of its own, and the program of a single network is mapped over them. A network that diverges
or stops early keeps its state while the others go on.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from twolayer import segments, training
from twolayer.measures import make_measure
from twolayer.network import Params
from twolayer.segments import RUNNING, Metrics, State
from twolayer.stacks import GRADIENTS
from twolayer.training import Choices, Examples, Networks, Numbers

STACK = Networks(GRADIENTS, jax.vmap)


def start(choices: Choices, params: Params, numbers: Numbers, examples: int) -> State:
    """The state of N networks before the first epoch; every array of `params` and `numbers` has a leading axis N.

    Args:
      examples: n of the training set.
    """
    return jax.vmap(lambda params, numbers: segments.start(choices, params, numbers, examples))(params, numbers)


def make_epoch(choices: Choices) -> Callable:
    """`training.make_epoch` of a stack: one pass of all networks over the training set, the same batches for each."""
    return training.make_epoch(choices, STACK)


def make_segment(choices: Choices, length: int, *, shared: bool = True) -> Callable:
    """Train at most `length` epochs of all networks, each with its validation.

    Args:
      shared: whether all networks see the same batches; else `key` has one key for each.

    Returns:
      segment(state, first, until, key, numbers, train, valid) -> (state, Metrics of shape (length, N)), where `first`
      counts the epochs before this segment and `until` is the epoch to stop after. A network's rows count while its own
      state.epoch advances; those of epochs that nobody ran are NaN, counts -1.
    """
    if shared:
        train_epoch = make_epoch(choices)
    else:
        train_epoch = jax.vmap(training.make_epoch(choices), in_axes=(0, 0, None, 0, 0, None))
    judge_one, measure = segments.make_judge(choices), make_measure(choices)

    def judge(
        state: State, trained: tuple, numbers: Numbers, train: Examples, valid: Examples
    ) -> tuple[State, Metrics]:
        state, metrics = judge_one(state, trained, training.with_noise(valid, numbers))
        return state, metrics._replace(measured=measure(state.params, training.with_noise(train, numbers)))

    judge_all = jax.vmap(judge, in_axes=(0, 0, 0, None, None))

    def segment(
        state: State,
        first: Int[Array, ""],
        until: Int[Array, ""],
        key: Key[Array, "*N"],
        numbers: Numbers,
        train: Examples,
        valid: Examples,
    ) -> tuple[State, Metrics]:
        def advance(state: State, index: Int[Array, ""]) -> tuple[State, Metrics]:
            trained = train_epoch(state.params, state.moments, index, key, numbers, train)
            judged, metrics = judge_all(state, trained, numbers, train, valid)
            return jax.vmap(segments.where)(state.status == RUNNING, judged, state), metrics

        filler = segments.filler_of(jax.eval_shape(advance, state, first)[1])

        def body(state: State, index: Int[Array, ""]) -> tuple[State, Metrics]:
            wanted = index < jnp.minimum(until, choices.epochs)
            return jax.lax.cond(wanted, advance, lambda state, _: (state, filler), state, index)

        return jax.lax.scan(body, state, first + jnp.arange(length, dtype=jnp.int32))

    return segment
