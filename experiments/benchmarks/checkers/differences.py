"""Checks by differences of the declared loss, in JAX, chex and SciPy; and twolayer's own, which needs none.

JAX and chex get a custom_vjp: forward is the declared loss, backward is the derivation. SciPy gets flat parameters and
returns a number; whether that is small is for its user to say.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

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
    return by_scipy(claim_of(derivation, point))


def along_one(derivation: Derivation, point: Point) -> Answer:
    """One random direction."""
    return by_scipy(claim_of(derivation, point), direction="random", rng=np.random.default_rng(point.seed))


class Claim(NamedTuple):
    """A function of float64 arrays that returns one number, with the gradient that it is said to have, at one point."""

    value: Callable[..., float]
    slopes: Callable[..., list[np.ndarray]]
    point: Sequence[np.ndarray]


def claim_of(derivation: Derivation, point: Point) -> Claim:
    """The declared loss as a function of W1, b1, W2 and b2, with the gradients of a derivation."""
    gradients = derivation.function()

    def value(*leaves: np.ndarray) -> float:
        return float(loss(np, derivation, leaves, point.x, point.y))

    def slopes(*leaves: np.ndarray) -> list[np.ndarray]:
        with jax.enable_x64(True):
            params = Params(*map(jnp.array, leaves))  # copies: a checker may move its points in place
            found = gradients(params, jnp.asarray(point.x), jnp.asarray(point.y))
            return [np.asarray(found[f"d{name}"], np.float64) for name in Params._fields]

    return Claim(value, slopes, [np.asarray(leaf) for leaf in point.params])


def by_scipy(claim: Claim, **options: Any) -> Answer:
    """scipy.optimize.check_grad, which takes one flat array and returns how far the gradients are apart."""
    ends = np.cumsum([leaf.size for leaf in claim.point])[:-1]

    def arrays(flat: Float[np.ndarray, " n"]) -> list[np.ndarray]:
        return [part.reshape(a.shape) for part, a in zip(np.split(flat, ends), claim.point, strict=True)]

    def gradient(flat: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.concatenate([slope.ravel() for slope in claim.slopes(*arrays(flat))])

    start = np.concatenate([leaf.ravel() for leaf in claim.point])
    error = check_grad(lambda flat: claim.value(*arrays(flat)), gradient, start, **options)
    return Answer(ACCEPTED if abs(error) < 1.5 * 10**-DECIMAL else REJECTED)  # as numpy's assert_almost_equal


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
