"""N networks in one program: each is what it would be alone, and nothing as large as W1 is copied in a step."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import examples, on_device, start_of_training
from tolerances import assert_close

from twolayer import segments, sweeps
from twolayer.distortions import Distortion
from twolayer.network import Params
from twolayer.segments import DIVERGED, RUNNING, STOPPED_EARLY
from twolayer.training import Choices, Examples, Numbers, place

KEY = jax.random.key(3)
RATES = (0.03, 0.1, 0.3)
N, EPOCHS = len(RATES), 3
CHOICES = Choices(
    warmup_epochs=0, batch_size=5, epochs=EPOCHS, optimizer="momentum", schedule="cosine", compute="float64"
)


def networks(dtype="float64"):
    """Parameters and numbers of N networks: other weights, other rates, other decay."""
    one = start_of_training(dtype)
    params = Params(*(np.stack([leaf * (1 + n / 8) for n in range(N)]) for leaf in one))
    numbers = Numbers(*(np.array(row, dtype) for row in (RATES, (0.0, 1e-3, 1e-2), (0.9, 0.8, 0.5))))
    return on_device((params, numbers))


def data(dtype="float64"):
    return on_device((examples(dtype=dtype), examples(9, seed=1, dtype=dtype)))


def one_of(tree, n):
    return jax.tree.map(lambda leaf: leaf[n], tree)


def together(choices, params, numbers, key=KEY, *, shared=True, epochs=EPOCHS):
    train, valid = data(str(params.W1.dtype))
    state = sweeps.start(choices, params, numbers, len(train.x))
    segment = jax.jit(sweeps.make_segment(choices, epochs, shared=shared))
    return segment(state, jnp.int32(0), jnp.int32(epochs), key, numbers, train, valid)


def alone(choices, params, numbers, key=KEY, *, epochs=EPOCHS):
    train, valid = data(str(params.W1.dtype))
    state = segments.start(choices, params, numbers, len(train.x))
    return jax.jit(segments.make_segment(choices, epochs))(state, jnp.int32(epochs), key, numbers, train, valid)


VARIANTS = {
    "closed form, output relu": {},
    "autodiff": {"gradient": "autodiff"},
    "quadratic, identity": {"loss": "quadratic", "output": "identity"},
    "adam, the sum": {"optimizer": "adam", "reduction": "sum"},
    "distorted images, averaged": {"distortion": Distortion((2, 3), alpha=1.0, shift=0.5), "averaging": 0.9},
}


@pytest.mark.parametrize("shared", [True, False], ids=["shared batches", "orders of their own"])
@pytest.mark.parametrize("name", VARIANTS)
def test_each_network_is_what_it_would_be_alone(name, shared, float64):
    choices = dataclasses.replace(CHOICES, **VARIANTS[name])
    params, numbers = networks()
    keys = jax.random.split(KEY, N)
    state, metrics = together(choices, params, numbers, KEY if shared else keys, shared=shared)
    for n in range(N):
        expected = alone(choices, one_of(params, n), one_of(numbers, n), KEY if shared else keys[n])
        assert_close(one_of(state, n).params, expected[0].params, "float64")
        assert_close(jax.tree.map(lambda a, n=n: a[:, n], metrics), expected[1])
        assert int(state.epoch[n]) == EPOCHS and int(state.status[n]) == RUNNING


def test_a_network_that_diverges_keeps_its_last_finite_state_and_the_others_go_on(float64):
    params, numbers = networks()
    numbers = numbers._replace(learning_rate=jnp.array([0.1, 1e200, 0.1]))
    state, _ = together(CHOICES, params, numbers)
    assert state.status.tolist() == [RUNNING, DIVERGED, RUNNING]
    assert state.epoch.tolist() == [EPOCHS, 0, EPOCHS]
    assert_close(one_of(state, 1).params, one_of(params, 1))
    assert_close(one_of(state, 2).params, alone(CHOICES, one_of(params, 2), one_of(numbers, 2))[0].params)


def test_early_stopping_is_each_network_s_own(float64):
    choices = dataclasses.replace(CHOICES, patience=1, epochs=12, schedule="constant")
    params, numbers = networks()
    numbers = numbers._replace(learning_rate=jnp.array([0.5, 0.001, 0.5]), momentum=jnp.array([0.9, 0.0, 0.5]))
    state, _ = together(choices, params, numbers, epochs=12)
    assert STOPPED_EARLY in state.status.tolist() and len(set(state.epoch.tolist())) > 1
    for n in range(N):
        expected, _ = alone(choices, one_of(params, n), one_of(numbers, n), epochs=12)
        assert (int(state.epoch[n]), int(state.status[n])) == (int(expected.epoch), int(expected.status))
        assert_close(segments.final_params(one_of(state, n)), segments.final_params(expected))


def test_however_it_is_cut_into_segments_a_sweep_gives_the_same_bits(float64):
    params, numbers = networks()
    train, valid = data()
    whole, _ = together(CHOICES, params, numbers)
    segment = jax.jit(sweeps.make_segment(CHOICES, 1))
    state = sweeps.start(CHOICES, params, numbers, len(train.x))
    for epoch in range(EPOCHS):
        state, _ = segment(state, jnp.int32(epoch), jnp.int32(epoch + 1), KEY, numbers, train, valid)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True))


def test_idle_inputs_are_left_out_of_the_step_and_keep_their_weights(float64):
    params, numbers = networks()
    numbers = numbers._replace(weight_decay=jnp.zeros(N))
    wide = params._replace(W1=jnp.pad(params.W1, ((0, 0), (0, 0), (0, 40)), constant_values=0.5))
    train, valid = examples(dtype="float64"), examples(9, seed=1, dtype="float64")
    padded = [Examples(np.pad(part.x, ((0, 0), (0, 40))), part.y) for part in (train, valid)]
    placed = place(*padded[0][:2], skip_idle=True), place(*padded[1][:2])
    assert placed[0].live is not None and len(placed[0].live) < 46
    state = sweeps.start(CHOICES, wide, numbers, len(train.x))
    state, _ = jax.jit(sweeps.make_segment(CHOICES, EPOCHS))(
        state, jnp.int32(0), jnp.int32(EPOCHS), KEY, numbers, *placed
    )
    assert (state.params.W1[:, :, 6:] == 0.5).all()
    assert_close(state.params.W1[:, :, :6], together(CHOICES, params, numbers)[0].params.W1)


def test_other_numbers_never_compile_again(float64):
    params, numbers = networks()
    train, valid = data()
    segment = jax.jit(sweeps.make_segment(CHOICES, 1))
    for scale in (1.0, 0.5):
        other = jax.tree.map(lambda leaf, scale=scale: leaf * scale, numbers)
        segment(
            sweeps.start(CHOICES, params, other, len(train.x)), jnp.int32(0), jnp.int32(1), KEY, other, train, valid
        )
    assert segment._cache_size() == 1


def test_no_step_copies_or_transposes_anything_as_large_as_w1():
    """In the compiled program of a CPU; the loop over steps is every computation but the entry."""
    N, K, d, m = 8, 16, 300, 32
    params = Params(*(jnp.ones(shape, jnp.float32) for shape in ((N, K, d), (N, K), (N, 10, K), (N, 10))))
    numbers = Numbers(*(jnp.full(N, value, jnp.float32) for value in (0.1, 0.0, 0.9)))
    choices = Choices(batch_size=m, epochs=1, optimizer="sgd")
    train = Examples(jnp.ones((4 * m, d), jnp.uint8), jnp.zeros(4 * m, jnp.int32))
    moments = sweeps.start(choices, params, numbers, 4 * m).moments
    epoch = jax.jit(sweeps.make_epoch(choices))
    text = epoch.lower(params, moments, jnp.int32(0), KEY, numbers, train).compile().as_text()
    steps = [line for line in text.splitlines() if "while/body" in line]
    copies = [line for line in steps if re.search(r" (copy|transpose)\(", line)]
    sizes = [int(np.prod([int(n) for n in re.search(r"\[([\d,]*)\]", line)[1].split(",") if n])) for line in copies]
    assert any(" dot(" in line for line in steps) and copies
    assert max(sizes) < N * K * d, copies[int(np.argmax(sizes))]


def test_the_batch_must_fit_the_data():
    params, numbers = networks("float32")
    with pytest.raises(ValueError, match="larger than the training set"):
        sweeps.start(Choices(batch_size=100), params, numbers, 23)
