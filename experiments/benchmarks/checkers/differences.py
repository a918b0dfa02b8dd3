"""Checks by differences of the declared loss, in JAX, chex and SciPy; and twolayer's own, which needs none.

JAX and chex get a custom_vjp: forward is the declared loss, backward is the derivation. SciPy gets flat parameters and
returns a number; whether that is small is for its user to say.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads
from jaxtyping import Float
from scipy.optimize import check_grad

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, UNDECIDED, Answer, Derivation
from experiments.benchmarks.checkers.trials import Point
from twolayer.network import Params
from twolayer.verification import verify

Either = np.ndarray | jax.Array
# What scikit-learn's tests ask of SciPy's (manifold/tests/test_t_sne.py): an error of 1.5e-5 at most.
DECIMAL = 5


def ours(derivation: Derivation, point: None = None) -> Answer:
    """twolayer.verification.verify with its defaults: verdict, first wrong step, causes. It draws its own numbers."""
    found = verify(
        derivation.function(), loss=derivation.loss, output=derivation.output, reduction=derivation.reduction
    )
    verdict = {"right": ACCEPTED, "wrong": REJECTED}.get(found.verdict, UNDECIDED)
    causes = tuple((cause.explanation, cause.id) for cause in found.causes)
    return Answer(verdict, found.first_wrong_step, causes)


def float32(derivation: Derivation, point: Point) -> Answer:
    """JAX's check in its default precision."""
    with jax.enable_x64(False):
        return judged(check_grads, derivation, point.cast(np.float32))


def float64(derivation: Derivation, point: Point) -> Answer:
    """JAX's check with 64 bits switched on."""
    with jax.enable_x64(True):
        return judged(check_grads, derivation, point)


def judged(check: Callable, derivation: Derivation, point: Point) -> Answer:
    """The answer of a checker that takes (f, args, order) and raises AssertionError."""
    f = with_gradient(derivation, point)
    try:
        check(f, tuple(point.params), order=1, modes=["rev"])
    except AssertionError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)


def with_gradient(derivation: Derivation, point: Point) -> Callable:
    """f(W1, b1, W2, b2), the loss at the examples of `point`, which JAX differentiates by asking the derivation."""
    gradients = derivation.function()
    x, y = jnp.asarray(point.x), jnp.asarray(point.y)

    @jax.custom_vjp
    def f(*leaves):
        return loss(jnp, derivation, leaves, x, y)

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


def chex(derivation: Derivation, point: Point) -> Answer:
    """JAX's check with a tolerance of its own, in JAX's default precision."""
    import chex

    with jax.enable_x64(False):
        return judged(chex.assert_numerical_grads, derivation, point.cast(np.float32))


def every(derivation: Derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return _judged_by_scipy(derivation, point, direction="all")


def along_one(derivation: Derivation, point: Point) -> Answer:
    """One random direction."""
    return _judged_by_scipy(derivation, point, direction="random", rng=np.random.default_rng(point.seed))


def _judged_by_scipy(derivation: Derivation, point: Point, **options) -> Answer:
    gradients = derivation.function()
    shapes = [leaf.shape for leaf in point.params]
    ends = np.cumsum([leaf.size for leaf in point.params])[:-1]

    def leaves(flat: Float[np.ndarray, " n"]) -> tuple[np.ndarray, ...]:
        return tuple(part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True))

    def value(flat: Float[np.ndarray, " n"]) -> float:
        return float(loss(np, derivation, leaves(flat), point.x, point.y))

    def gradient(flat: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        with jax.enable_x64(True):
            params = Params(*map(jnp.array, leaves(flat)))
            found = gradients(params, jnp.asarray(point.x), jnp.asarray(point.y))
            return np.concatenate([np.asarray(found[f"d{name}"], np.float64).ravel() for name in Params._fields])

    error = check_grad(value, gradient, np.concatenate([leaf.ravel() for leaf in point.params]), **options)
    try:
        np.testing.assert_almost_equal(error, 0, decimal=DECIMAL)
    except AssertionError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)


def loss(
    xp: ModuleType, derivation: Derivation, leaves: tuple[Either, ...], x: Float[Either, "m d"], y: Float[Either, "m C"]
) -> Float[Either, ""]:
    """The declared loss, forwards only. `xp` is numpy or jax.numpy. Leaves: W1 (K, d), b1 (K,), W2 (C, K), b2 (C,)."""
    W1, b1, W2, b2 = leaves
    O1 = xp.maximum(x @ W1.T + b1[None, :], 0)
    O2 = O1 @ W2.T + b2[None, :]
    if derivation.output == "relu":
        O2 = xp.maximum(O2, 0)
    if derivation.loss == "cross_entropy":
        shifted = O2 - O2.max(axis=1, keepdims=True)
        values = xp.log(xp.exp(shifted).sum(axis=1)) - (y * shifted).sum(axis=1)
    else:
        values = ((O2 - y) ** 2).sum(axis=1) / 2
    return values.mean() if derivation.reduction == "mean" else values.sum()
