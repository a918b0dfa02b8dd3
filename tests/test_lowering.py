"""What is compiled: once, with donated state, no wasted product, and for every kind of machine."""

import re

import jax
import jax.export
import jax.numpy as jnp
import pytest
from problems import examples, on_device, start_of_training

from twolayer.distortions import Distortion
from twolayer.gradients import GRADIENTS
from twolayer.segments import make_segment, start
from twolayer.training import Choices, Numbers, make_epoch

CHOICES = Choices(batch_size=5, epochs=3, patience=1)
TRAIN, VALID = examples(), examples(11, seed=1)


def arguments(seed=0, rate=0.01, decay=0.0):
    """What a segment takes."""
    numbers = Numbers(rate, decay)
    state = start(CHOICES, on_device(start_of_training()), numbers, len(TRAIN.x))
    return state, jnp.int32(CHOICES.epochs), jax.random.key(seed), numbers, *on_device((TRAIN, VALID))


def test_other_numbers_seeds_and_data_compile_nothing():
    traces = []

    def counted(*arguments):
        traces.append(1)
        return make_segment(CHOICES, 2)(*arguments)

    segment = jax.jit(counted)
    state, *rest = arguments()
    state, _ = segment(state, *rest)
    segment(state, *rest)
    segment(*arguments(seed=1, rate=0.5, decay=0.1))
    assert len(traces) == 1


def test_the_state_is_donated_and_the_callers_parameters_are_not():
    """Parameters and moments of a wide network exist once; init's result can still be used after start."""
    params = on_device(start_of_training())
    state = start(CHOICES, params, Numbers(0.01), len(TRAIN.x))
    after, _ = jax.jit(make_segment(CHOICES, 1), donate_argnums=0)(state, *arguments()[1:])
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in (*jax.tree.leaves(after), *params))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere products become library calls")
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_step_computes_five_matrix_products_and_none_twice(gradient):
    """Two forward, three backward; the training accuracy takes the gradient's forward pass."""
    choices = Choices(batch_size=5, gradient=gradient)
    state, _, key, numbers, train, _ = arguments()
    lowered = jax.jit(make_epoch(choices)).lower(state.params, state.moments, jnp.int32(0), key, numbers, train)
    assert lowered.as_text().count("dot_general") == 5
    assert len(re.findall(r" dot\(", lowered.compile().as_text())) == 5


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_segment_gives_back_a_state_of_the_types_it_was_given(dtype, float64):
    """Or it could be neither donated nor scanned over."""
    choices = Choices(batch_size=5, patience=1, compute=dtype, averaging=0.9, distortion=Distortion((2, 3), alpha=1.0))
    _, until, key, numbers, train, valid = arguments()
    state = start(choices, on_device(start_of_training(jnp.dtype(dtype))), numbers, len(TRAIN.x))
    after, _ = jax.eval_shape(make_segment(choices, 2), state, until, key, numbers, train, valid)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert jax.tree.map(lambda a: a.dtype, after) == jax.tree.map(lambda a: a.dtype, state)
    assert {leaf.dtype for leaf in after.params} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_a_segment_lowers_for_cpu_cuda_and_tpu(compute):
    choices = Choices(batch_size=5, epochs=3, patience=1, compute=compute, distortion=Distortion((2, 3), alpha=1.0))
    exported = jax.export.export(jax.jit(make_segment(choices, 2)), platforms=("cpu", "cuda", "tpu"))(*arguments())
    assert exported.platforms == ("cpu", "cuda", "tpu")
