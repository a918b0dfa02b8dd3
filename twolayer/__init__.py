"""A two-layer ReLU network, its two losses and its back-propagation, by hand and by jax.grad."""

from twolayer.gradients import autodiff, closed_form
from twolayer.losses import cross_entropy, quadratic
from twolayer.network import Params, Trace, forward, init

__all__ = ["Params", "Trace", "autodiff", "closed_form", "cross_entropy", "forward", "init", "quadratic"]
