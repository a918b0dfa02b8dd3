"""The first number of a diverged run that is not finite is named with its epoch and step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import examples, on_device, start_of_training

from twolayer.diagnosis import first_non_finite
from twolayer.segments import DIVERGED, make_segment, start
from twolayer.training import Choices, Numbers, place

KEY = jax.random.key(3)
CHOICES = Choices(
    warmup_epochs=0, batch_size=5, epochs=4, optimizer="sgd", schedule="constant", loss="quadratic", output="identity"
)


def diagnosed(numbers, choices=CHOICES, data=None):
    train, valid = on_device((examples(), examples(9, seed=1))) if data is None else data
    state = start(choices, on_device(start_of_training()), numbers, len(train.x))
    state, _ = jax.jit(make_segment(choices, choices.epochs))(
        state, jnp.int32(choices.epochs), KEY, numbers, train, valid
    )
    return state, first_non_finite(choices, state, KEY, numbers, train)


@pytest.mark.parametrize("gradient", ["closed_form", "autodiff"])
def test_a_rate_that_is_too_large_shows_in_the_products(gradient):
    state, found = diagnosed(Numbers(jnp.float32(1e6)), dataclasses.replace(CHOICES, gradient=gradient))
    assert state.status == DIVERGED and found.epoch == int(state.epoch) + 1
    assert 1 < found.step <= 5 and found.quantity in ("Z1", "Z2", "the loss", "dW1", "dW2")


def test_a_gradient_whose_square_overflows_shows_in_the_moments():
    adam = dataclasses.replace(CHOICES, optimizer="adam", scale=1e22)
    params = on_device(start_of_training())
    state = start(adam, params._replace(W1=0 * params.W1, b1=0 * params.b1 + 1), Numbers(jnp.float32(0.01)), 23)
    found = first_non_finite(adam, state, KEY, Numbers(jnp.float32(0.01)), on_device(examples()))
    assert found == (1, 1, "the optimiser's moments after the step")


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_rate_beyond_all_numbers_shows_in_the_first_parameters(averaging):
    state, found = diagnosed(Numbers(jnp.float32(np.inf)), dataclasses.replace(CHOICES, averaging=averaging))
    assert state.status == DIVERGED and found == (1, 1, "W1 after the step")


def test_idle_inputs_are_left_out_here_too():
    wide = [np.pad(part.x, ((0, 0), (0, 40))) for part in (examples(), examples(9, seed=1))]
    train, valid = place(wide[0], examples().y, skip_idle=True), place(wide[1], examples(9, seed=1).y)
    assert train.live is not None
    numbers = Numbers(jnp.float32(np.inf))
    params = on_device(start_of_training(d=46))
    state = start(CHOICES, params, numbers, 23)
    state, _ = jax.jit(make_segment(CHOICES, 1))(state, jnp.int32(1), KEY, numbers, train, valid)
    assert first_non_finite(CHOICES, state, KEY, numbers, train) == (1, 1, "W1 after the step")


def test_a_finite_epoch_has_none():
    numbers = Numbers(jnp.float32(0.01))
    train = on_device(examples())
    state = start(CHOICES, on_device(start_of_training()), numbers, len(train.x))
    assert first_non_finite(CHOICES, state, KEY, numbers, train) is None
