"""Optimisers by name: their conventions of weight decay and momentum, written out, and the shapes of the learning rate.

That every name equals its optax namesake and goes downhill is tested on whole epochs, in test_training.py.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import assert_close

from twolayer.network import Params
from twolayer.optimizers import make_optimizer, make_schedule
from twolayer.updates import OPTIMIZERS, SCHEDULES

RATE, DECAY, BETA = 0.1, 0.3, 0.8


def constant(step):
    return 1.0


@functools.cache
def three_steps(name):
    @jax.jit
    def run(params, gradients, decay):
        optimizer = make_optimizer(name, constant, RATE, decay, BETA)
        moments = optimizer.init(params)
        for _ in range(3):
            updates, moments = optimizer.update(gradients, moments, params)
            params = optax.apply_updates(params, updates)
        return params

    return run


def trained(name, gradient, decay=DECAY):
    """Where [2, -3] in every leaf goes when the same gradient arrives three times."""
    return three_steps(name)(everywhere([2, -3]), everywhere(gradient), decay)


def everywhere(values):
    return Params(*[np.float32(values)] * 4)


def by_hand(step, decay):
    """Three steps from [2, -3] with the gradient [1, 0.5]. step(w, g, m, t) -> (change of w, m)."""
    w, m, g = np.array([2.0, -3.0]), np.zeros(2), np.array([1.0, 0.5])
    for t in (1, 2, 3):
        change, m = step(w, g, m, t, decay)
        w = w - RATE * change
    return w


def sgd(w, g, m, t, decay):
    return g + decay * w, m


def momentum(w, g, m, t, decay):
    m = BETA * m + g + decay * w
    return m, m


def nesterov(w, g, m, t, decay):
    m = BETA * m + g + decay * w
    return BETA * m + g + decay * w, m


def adamw(w, g, m, t, decay):
    """A constant gradient g has moments g and g^2 after their bias is corrected; the decay stays outside of both."""
    return g / (abs(g) + 1e-8) + decay * w, m


def lion(w, g, m, t, decay):
    return np.sign(BETA * m + (1 - BETA) * g) + decay * w, 0.99 * m + 0.01 * g


@pytest.mark.parametrize("rule", [sgd, momentum, nesterov, adamw, lion], ids=lambda rule: rule.__name__)
def test_weights_decay_by_the_stated_convention_and_biases_do_not(rule):
    """Inside the gradient for sgd and momentum, so momentum remembers it; beside the direction for AdamW and Lion."""
    params = trained(rule.__name__, [1, 0.5])
    decayed, free = by_hand(rule, DECAY), by_hand(rule, 0.0)
    assert_close(params, Params(decayed, free, decayed, free))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_a_gradient_only_weight_decay_moves_weights_and_nothing_moves_biases(name):
    params = jax.tree.map(np.asarray, trained(name, [0, 0]))
    np.testing.assert_array_equal(params.b1, [2, -3])
    np.testing.assert_array_equal(params.b2, [2, -3])
    assert (abs(params.W1) < [2, 3]).all() and (abs(params.W2) < [2, 3]).all()
    np.testing.assert_array_equal(trained(name, [0, 0], decay=0.0).W1, [2, -3])


def rates(name, steps, **numbers):
    schedule = make_schedule(name, steps, **numbers)
    return np.array([schedule(jnp.int32(step)) for step in range(steps + 1)], np.float64)


def test_a_constant_rate_is_one_throughout():
    np.testing.assert_array_equal(rates("constant", 5), np.ones(6))


def test_the_cosine_starts_at_one_is_half_way_down_in_the_middle_and_reaches_zero_when_the_run_is_over():
    cosine = rates("cosine", 8)
    assert_close(cosine, (1 + np.cos(np.pi * np.arange(9) / 8)) / 2, "float32", absolute=1e-7)
    assert (cosine[:-1] > 0).all()


def test_the_step_schedule_multiplies_by_the_factor_after_each_so_many_steps():
    assert_close(rates("step", 5, every=2, factor=0.5), np.array([1, 1, 0.5, 0.5, 0.25, 0.25]), "float32")
    assert_close(rates("step", 5, every=2, factor=0.0), np.array([1, 1, 0, 0, 0, 0]), "float32")


def test_the_inverse_square_root_falls_after_each_so_many_steps():
    expected = 1 / np.sqrt([1, 1, 2, 2, 3, 3])
    assert_close(rates("inverse_sqrt", 5, every=2), expected, "float32")


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_in_equal_steps_to_one_and_the_named_shape_follows(name):
    """No step is lost: the first rate is 1/4, not 0, and the shape starts at its beginning."""
    warm, cold = rates(name, 10, warmup=4, every=3), rates(name, 6, every=3)
    assert_close(warm[:4], np.array([0.25, 0.5, 0.75, 1]), "float32")
    assert_close(warm[4:], cold, "float32")
