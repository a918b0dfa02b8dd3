"""Checks by differences of the declared loss, in JAX, chex, PyTorch and SciPy; and twolayer's own, which needs none.

JAX and chex get a custom_vjp: forward is the declared loss, backward is the derivation. PyTorch gets a Function of the
same kind. SciPy gets flat parameters and returns a number; whether that is small is for its user to say.
"""

import contextlib
import functools
import importlib
import unittest.mock
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads
from jaxtyping import Float
from scipy.optimize import check_grad

from experiments.benchmarks.catalogue import Entry, Right
from experiments.benchmarks.checkers import ACCEPTED, REJECTED, UNDECIDED, Answer
from experiments.benchmarks.checkers.trials import SETTINGS, Point
from experiments.benchmarks.peers.worker import threads
from twolayer.network import Params
from twolayer.verification import verify

Derivation = Entry | Right
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


def by_jax(derivation: Derivation, point: Point, dtype: type, check: Callable = check_grads) -> Answer:
    """The answer of a checker that takes (f, args, order) and raises AssertionError, in a precision."""
    with jax.enable_x64(dtype is np.float64):
        given = point.cast(dtype)
        try:
            check(with_gradient(derivation, given), tuple(given.params), order=1, modes=["rev"])
        except AssertionError:
            return Answer(REJECTED)
        return Answer(ACCEPTED)


float32, float64 = (functools.partial(by_jax, dtype=dtype) for dtype in (np.float32, np.float64))


def chex(derivation: Derivation, point: Point) -> Answer:
    """JAX's check with a tolerance of its own, in JAX's default precision."""
    import chex

    return by_jax(derivation, point, np.float32, chex.assert_numerical_grads)


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


def every(derivation: Derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return by_scipy(claim_of(derivation, point))


def along_one(derivation: Derivation, point: Point) -> Answer:
    """One random direction."""
    return by_scipy(claim_of(derivation, point), direction="random", rng=np.random.default_rng(point.seed))


def torch_slow(derivation: Derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return by_torch(claim_of(derivation, point), fast=False, alone=not SETTINGS[point.setting].images)


def torch_fast(derivation: Derivation, point: Point) -> Answer:
    """One random direction.

    A failing check then computes every entry, two forward passes each, for its message only. In a large setting that
    takes minutes and would end as "timed out", so it is left out there; the decision has been made before it.
    """
    # By name, because torch.autograd has a function that is called like this module.
    module, large = importlib.import_module("torch.autograd.gradcheck"), SETTINGS[point.setting].images
    message = unittest.mock.patch.object(module, "_run_slow_mode_and_get_error", lambda *_, **__: "")
    with message if large else contextlib.nullcontext():
        return by_torch(claim_of(derivation, point), fast=True, alone=not large)


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


def by_torch(claim: Claim, *, fast: bool, alone: bool = True) -> Answer:
    """torch.autograd.gradcheck with its default tolerances.

    Args:
      fast: along one random direction.
      alone: in one thread; several that wait for each other take longer than a softmax of 7 x 3 numbers.
    """
    import torch

    class Claimed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *leaves: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*leaves)
            return torch.tensor(claim.value(*(leaf.detach().numpy() for leaf in leaves)), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor, ...]:
            slopes = claim.slopes(*(leaf.detach().numpy() for leaf in ctx.saved_tensors))
            return tuple(cotangents[0] * torch.tensor(slope) for slope in slopes)

    torch.set_num_threads(1 if alone else threads())
    leaves = [torch.tensor(np.asarray(leaf), requires_grad=True) for leaf in claim.point]
    found = torch.autograd.gradcheck(Claimed.apply, leaves, fast_mode=fast, raise_exception=False)
    return Answer(ACCEPTED if found else REJECTED)


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
