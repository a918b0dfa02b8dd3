"""jax.test_util.check_grads, on a custom_vjp: forward is the declared loss, backward is the derivation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, Answer, objective
from experiments.benchmarks.checkers.points import Point
from twolayer.network import Params


def float32(derivation, point: Point) -> Answer:
    """In JAX's default precision."""
    with jax.enable_x64(False):
        return judged(check_grads, derivation, point.cast(np.float32))


def float64(derivation, point: Point) -> Answer:
    """With 64 bits switched on."""
    with jax.enable_x64(True):
        return judged(check_grads, derivation, point)


def judged(check: Callable, derivation, point: Point) -> Answer:
    """The answer of a checker that takes (f, args, order) and raises AssertionError."""
    f = with_gradient(derivation, point)
    try:
        check(f, tuple(point.params), order=1, modes=["rev"])
    except AssertionError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)


def with_gradient(derivation, point: Point) -> Callable:
    """f(W1, b1, W2, b2), the loss at the examples of `point`, which JAX differentiates by asking the derivation."""
    gradients = derivation.function()
    x, y = jnp.asarray(point.x), jnp.asarray(point.y)

    @jax.custom_vjp
    def f(*leaves):
        return objective.loss(jnp, derivation, leaves, x, y)

    def forward(*leaves):
        return f(*leaves), leaves

    def backward(leaves, cotangent):
        found = gradients(Params(*leaves), x, y)
        # In the parameter's own precision, which JAX insists on.
        return tuple(
            (cotangent * found[f"d{name}"]).astype(leaf.dtype)
            for name, leaf in zip(Params._fields, leaves, strict=True)
        )

    f.defvjp(forward, backward)
    return f
