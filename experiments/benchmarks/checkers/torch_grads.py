"""torch.autograd.gradcheck, on a Function: forward is the declared loss in PyTorch, backward calls the derivation."""

import contextlib
import importlib
import unittest.mock
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, Answer, Derivation
from experiments.benchmarks.checkers.trials import SETTINGS, Point
from twolayer.network import Params

# By name, because torch.autograd has a function that is called like this module.
_module = importlib.import_module("torch.autograd.gradcheck")
_THREADS = torch.get_num_threads()


def slow(derivation: Derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return _judged(derivation, point, fast_mode=False)


def fast(derivation: Derivation, point: Point) -> Answer:
    """One random direction.

    A failing check then computes every entry, two forward passes each, for its message only. In a large setting that
    takes minutes and would end as "timed out", so it is left out there; the decision has been made before it.
    """
    skip = SETTINGS[point.setting].images
    message = unittest.mock.patch.object(_module, "_run_slow_mode_and_get_error", lambda *_, **__: "")
    with message if skip else contextlib.nullcontext():
        return _judged(derivation, point, fast_mode=True)


def _judged(derivation: Derivation, point: Point, fast_mode: bool) -> Answer:
    # Threads that wait for each other take longer than a softmax of 7 x 3 numbers.
    torch.set_num_threads(_THREADS if SETTINGS[point.setting].images else 1)
    leaves = [torch.tensor(leaf, requires_grad=True) for leaf in point.params]
    try:
        torch.autograd.gradcheck(_with_gradient(derivation, point), leaves, fast_mode=fast_mode)
    except _module.GradcheckError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)


def _with_gradient(derivation: Derivation, point: Point) -> Callable:
    gradients = derivation.function()
    x, y = torch.tensor(point.x), torch.tensor(point.y)

    class Derived(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *leaves):
            ctx.save_for_backward(*leaves)
            return _loss(derivation, leaves, x, y)

        @staticmethod
        def backward(ctx, cotangent):
            with jax.enable_x64(True):
                # jnp.array copies: gradcheck moves its inputs in place.
                params = Params(*(jnp.array(leaf.detach().numpy()) for leaf in ctx.saved_tensors))
                found = gradients(params, jnp.array(point.x), jnp.array(point.y))
            return tuple(cotangent * torch.tensor(np.asarray(found[f"d{name}"], np.float64)) for name in Params._fields)

    return Derived.apply


def _loss(derivation, leaves: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    W1, b1, W2, b2 = leaves
    O2 = functional.linear(torch.relu(functional.linear(x, W1, b1)), W2, b2)
    if derivation.output == "relu":
        O2 = torch.relu(O2)
    if derivation.loss == "cross_entropy":
        return functional.cross_entropy(O2, y, reduction=derivation.reduction)
    total = ((O2 - y) ** 2).sum() / 2
    return total / len(x) if derivation.reduction == "mean" else total
