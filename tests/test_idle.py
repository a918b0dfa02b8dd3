"""Leaving out inputs that are always zero changes nothing but the time it takes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from twolayer import network
from twolayer.distortions import Distortion
from twolayer.fitting import may_skip_idle
from twolayer.idle import LANES, live_inputs, narrow, widen
from twolayer.network import Params
from twolayer.segments import start
from twolayer.training import Choices, Numbers, make_epoch, place
from twolayer.updates import OPTIMIZERS

# 40 inputs, 9 of them always zero: 31 are live, and one idle one fills them up to 32.
IDLE = [0, 1, 7, 13, 14, 25, 30, 38, 39]


def images():
    random = np.random.default_rng(0)
    x = random.integers(1, 256, (23, 40)).astype(np.uint8)
    x[:, IDLE] = 0
    return x, random.integers(0, 3, 23).astype(np.int32)


def test_live_inputs_are_those_that_are_ever_not_zero():
    x, _ = images()
    live = live_inputs(x)
    assert len(live) == 32 and len(live) % LANES == 0
    assert set(range(40)) - set(IDLE) <= set(live.tolist())
    assert (np.diff(live) > 0).all()
    x[5, IDLE] = 1
    assert live_inputs(x).tolist() == list(range(40))  # never more than there are


def test_widen_undoes_narrow_and_keeps_the_idle_columns():
    params = network.init(jax.random.key(0), 40, 5, 3)
    tree = {"params": params, "moments": (params, jnp.int32(4)), "count": jnp.int32(3)}
    live = jnp.asarray(live_inputs(images()[0]))
    small = narrow(tree, live)
    assert small["params"].W1.shape == small["moments"][0].W1.shape == (5, 32)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, small)
    whole = widen(tree, doubled, live)
    resting = np.setdiff1d(np.arange(40), live)
    np.testing.assert_array_equal(whole["params"].W1[:, live], 2 * params.W1[:, live])
    np.testing.assert_array_equal(whole["params"].W1[:, resting], params.W1[:, resting])
    assert whole["moments"][1] == 8 and whole["count"] == 6


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_leaves_idle_columns_where_they_started(name, float64):
    """Three epochs with and without the idle inputs: the same parameters, and idle columns that have not moved."""
    choices = Choices(warmup_epochs=0, optimizer=name, batch_size=5, epochs=3, compute="float64", scale=1 / 255)
    numbers = Numbers(OPTIMIZERS[name].learning_rate)
    params = network.init(jax.random.key(1), 40, 8, 3, "alive", dtype=jnp.float64)
    outcomes, epoch = [], jax.jit(make_epoch(choices))
    for skip_idle in (False, True):
        train = place(*images(), skip_idle=skip_idle)
        assert train.x.shape[1] == (32 if skip_idle else 40)
        state = start(choices, params, numbers, 23)
        now, moments = state.params, state.moments
        for index in range(3):
            now, moments, *figures = epoch(now, moments, jnp.int32(index), jax.random.key(2), numbers, train)
        outcomes.append((now, figures))
    assert_close(outcomes[1][0], outcomes[0][0])
    assert_close(tuple(outcomes[1][1]), tuple(outcomes[0][1]))
    for outcome, _ in outcomes:
        np.testing.assert_array_equal(np.asarray(outcome.W1)[:, IDLE], np.asarray(params.W1)[:, IDLE])
        assert not np.array_equal(outcome.W1, params.W1)


def test_weight_decay_moves_idle_columns_so_they_must_not_be_skipped_then(float64):
    choices = dataclasses.replace(Choices(optimizer="sgd", batch_size=5), compute="float64", scale=1 / 255)
    numbers = Numbers(0.1, 0.5)
    params = network.init(jax.random.key(1), 40, 8, 3, dtype=jnp.float64)
    state = start(choices, params, numbers, 23)
    epoch = jax.jit(make_epoch(choices))
    after = epoch(state.params, state.moments, jnp.int32(0), jax.random.key(2), numbers, place(*images()))[0]
    assert isinstance(after, Params)
    assert (np.abs(np.asarray(after.W1)[:, IDLE]) < np.abs(np.asarray(params.W1)[:, IDLE])).all()


@pytest.mark.parametrize(
    ("weight_decay", "distortion", "allowed"),
    [
        (0.0, None, True),
        (1e-6, None, False),
        (np.array([0.0, 0.1]), None, False),
        (np.zeros(2), None, True),
        (0.0, Distortion((5, 8), shift=1.0), False),
    ],
)
def test_idle_inputs_are_skipped_only_where_nothing_moves_their_weights(weight_decay, distortion, allowed):
    assert may_skip_idle(Choices(distortion=distortion), Numbers(0.1, weight_decay)) == allowed
