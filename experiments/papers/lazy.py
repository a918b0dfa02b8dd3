"""Teacher, student and full-batch gradient descent of the lazy-training study; the student, or its linearisation."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from twolayer.gradients import closed_form
from twolayer.network import Params, forward

LOOK = 100  # steps between two looks at the test loss
TEACHER = 3  # units
loss_and_gradients = closed_form(loss="quadratic", output="identity", reduction="mean")


class Sizes(NamedTuple):
    """Inputs d, hidden units K, and m examples to train and to test."""

    inputs: int
    hidden: int
    examples: int


class Outcome(NamedTuple):
    """Of each trial: losses at the end, the lowest test loss on the way, ||W - W0|| / ||W0||, and what follows.

    Attributes:
      flips: pairs of a unit and a training input, and of a unit and a test input, where the unit was active at the
        start or at the end, but not at both. Without any, the network is linear in each layer between the two.
      outputs: on the test inputs.
    """

    train: Float[Array, " trials"]
    test: Float[Array, " trials"]
    best: Float[Array, " trials"]
    change: Float[Array, " trials"]
    flips: Int[Array, "trials 2"]
    outputs: Float[Array, "trials m"]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def trials(keys: Key[Array, " trials"], tau: float, sizes: Sizes, steps: int, linear: bool) -> Outcome:
    """All trials at once.

    Args:
      keys: one for each trial, which has the same data, teacher and directions for each tau.
      tau: the scale of both layers at the start.
      sizes: of network and data.
      steps: a multiple of LOOK.
      linear: train the linearisation at the start in the network's place.
    """
    return jax.vmap(lambda key: _trial(key, tau, sizes, steps, linear))(keys)


def problem(key: Key[Array, ""], sizes: Sizes) -> tuple[Float[Array, "2 m d"], Float[Array, "2 m 1"]]:
    """Inputs uniform on the unit sphere with the teacher's outputs: first those to train on, then those to test on."""
    of_x, of_units, of_signs = jax.random.split(key, 3)
    x = jax.random.normal(of_x, (2, sizes.examples, sizes.inputs))
    units = jax.random.normal(of_units, (TEACHER, sizes.inputs))
    x, units = (a / jnp.linalg.norm(a, axis=-1, keepdims=True) for a in (x, units))
    signs = jnp.sign(jax.random.normal(of_signs, (TEACHER, 1)))
    return x, jax.nn.relu(x @ units.T) @ signs


def start(key: Key[Array, ""], tau: float | Float[Array, ""], sizes: Sizes) -> Params:
    """Both layers N(0, tau^2); the second half of the units is the first with the opposite output, so f = 0."""
    K, halves = sizes.hidden, jax.random.split(key)
    W1 = tau * jax.random.normal(halves[0], (K // 2, sizes.inputs))
    W2 = tau * abs(jax.random.normal(halves[1], (1, K // 2)))
    return Params(jnp.concatenate([W1, W1]), jnp.zeros(K), jnp.concatenate([W2, -W2], axis=1), jnp.zeros(1))


def _trial(key: Key[Array, ""], tau: float, sizes: Sizes, steps: int, linear: bool) -> Outcome:
    of_data, of_start = jax.random.split(key)
    x, y = problem(of_data, sizes)
    first = start(of_start, tau, sizes)
    step = jnp.minimum(10.0, 0.1 / tau**2)
    learn: Callable[[Params], tuple[Any, Params]]
    learn, predict = _linearised(first, x, y) if linear else _network(x, y)

    def one(_: jax.Array, params: Params) -> Params:
        _, gradients = learn(params)
        # The paper's network has no biases: theirs stay 0.
        return params._replace(W1=params.W1 - step * gradients.W1, W2=params.W2 - step * gradients.W2)

    def look(params: Params, _: None) -> tuple[Params, Float[Array, ""]]:
        params = jax.lax.fori_loop(0, LOOK, one, params)
        return params, ((predict(params) - y[1]) ** 2).mean() / 2

    last, tests = jax.lax.scan(look, first, length=steps // LOOK)
    change = _norm(jax.tree.map(jnp.subtract, last, first)) / _norm(first)
    flips = ((x @ first.W1.T > 0) != (x @ last.W1.T > 0)).sum(axis=(1, 2))
    return Outcome(learn(last)[0], tests[-1], tests.min(), change, flips, predict(last)[:, 0])


def _network(x, y):
    """The network: its loss and gradients on the first data, its outputs on the second."""
    learn: Any = loss_and_gradients
    return lambda p: learn(p, x[0], y[0]), lambda p: forward(p, x[1], "identity").O2


def _linearised(first: Params, x, y):
    """The same of its linearisation f(W0) + J (W - W0)."""
    trained, along = jax.linearize(lambda p: forward(p, x[0], "identity").O2, first)
    back = jax.linear_transpose(along, first)
    tested, along_test = jax.linearize(lambda p: forward(p, x[1], "identity").O2, first)

    def learn(params: Params) -> tuple[Float[Array, ""], Params]:
        residual = trained + along(jax.tree.map(jnp.subtract, params, first)) - y[0]
        return (residual**2).mean() / 2, back(residual / len(residual))[0]

    return learn, lambda p: tested + along_test(jax.tree.map(jnp.subtract, p, first))


def _norm(params: Params) -> Float[Array, ""]:
    return jnp.sqrt(sum((a**2).sum() for a in params))
