"""torch.autograd.gradcheck, on a Function: forward is the value of a claim, backward the gradient that it has."""

import contextlib
import importlib
import unittest.mock
from typing import Any

import numpy as np
import torch

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, Answer, Derivation
from experiments.benchmarks.checkers.differences import Claim, claim_of
from experiments.benchmarks.checkers.trials import SETTINGS, Point

# By name, because torch.autograd has a function that is called like this module.
_module = importlib.import_module("torch.autograd.gradcheck")
_THREADS = torch.get_num_threads()


def slow(derivation: Derivation, point: Point) -> Answer:
    """Every entry of the gradient."""
    return by_torch(claim_of(derivation, point), fast=False, alone=not SETTINGS[point.setting].images)


def fast(derivation: Derivation, point: Point) -> Answer:
    """One random direction.

    A failing check then computes every entry, two forward passes each, for its message only. In a large setting that
    takes minutes and would end as "timed out", so it is left out there; the decision has been made before it.
    """
    large = SETTINGS[point.setting].images
    message = unittest.mock.patch.object(_module, "_run_slow_mode_and_get_error", lambda *_, **__: "")
    with message if large else contextlib.nullcontext():
        return by_torch(claim_of(derivation, point), fast=True, alone=not large)


def by_torch(claim: Claim, *, fast: bool, alone: bool = True) -> Answer:
    """gradcheck with its default tolerances.

    Args:
      fast: along one random direction.
      alone: in one thread; several that wait for each other take longer than a softmax of 7 x 3 numbers.
    """

    class Claimed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *leaves: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*leaves)
            return torch.tensor(claim.value(*(leaf.detach().numpy() for leaf in leaves)), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor, ...]:
            slopes = claim.slopes(*(leaf.detach().numpy() for leaf in ctx.saved_tensors))
            return tuple(cotangents[0] * torch.tensor(slope) for slope in slopes)

    torch.set_num_threads(1 if alone else _THREADS)
    leaves = [torch.tensor(np.asarray(leaf), requires_grad=True) for leaf in claim.point]
    found = torch.autograd.gradcheck(Claimed.apply, leaves, fast_mode=fast, raise_exception=False)
    return Answer(ACCEPTED if found else REJECTED)
