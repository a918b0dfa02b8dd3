"""Norms and sharpness: those of NumPy and of the dense Hessian, alone and in a stack, with idle inputs left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import examples, start_of_training

from twolayer import measures, segments, sweeps
from twolayer.gradients import autodiff
from twolayer.network import Params
from twolayer.training import Choices, Examples, Numbers, place

CHOICES = Choices(batch_size=5, epochs=3, optimizer="sgd", schedule="constant", measure=measures.MEASURES)


def padded(data):
    """The same examples with two inputs that are always zero."""
    return Examples(np.pad(data.x, ((0, 0), (0, 2))), data.y)


def wider(params):
    return params._replace(W1=np.pad(params.W1, ((0, 0), (0, 2))))


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("gradient", ["closed_form", "autodiff"])
def test_they_are_the_norms_and_the_top_eigenvalue_of_the_dense_hessian(loss, gradient, float64):
    params, (x, y, *_) = jax.tree.map(jnp.asarray, (start_of_training("float64"), examples(dtype="float64")[:2]))
    choices = Choices(loss=loss, gradient=gradient, measure=measures.MEASURES)
    found = jax.jit(measures.make_measure(choices))(params, Examples(x, y))
    aims = y if loss == "cross_entropy" else jax.nn.one_hot(y, 3, dtype=x.dtype)
    engine = autodiff(loss, "relu", "mean")
    gradients = engine(params, x, aims)[1]
    for name in Params._fields:
        assert found[f"norm_{name}"] == pytest.approx(np.linalg.norm(getattr(params, name)))
        assert found[f"norm_d{name}"] == pytest.approx(np.linalg.norm(getattr(gradients, name)))
    flat, unravel = ravel_pytree(params)
    hessian = jax.jit(jax.hessian(lambda v: engine(unravel(v), x, aims)[0]))(flat)
    assert found["sharpness"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-6)


def test_a_run_and_a_stack_measure_the_same_after_each_epoch():
    train, valid = place(*padded(examples())[:2], skip_idle=True), place(*padded(examples(9, seed=1))[:2])
    params, numbers, key = jax.tree.map(jnp.asarray, wider(start_of_training())), Numbers(0.1), jax.random.key(3)
    alone = segments.start(CHOICES, params, numbers, len(train.x))
    _, one = jax.jit(segments.make_segment(CHOICES, 4))(alone, jnp.int32(3), key, numbers, train, valid)
    two = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), (params, numbers._replace(weight_decay=0.0)))
    state = sweeps.start(CHOICES, *two, len(train.x))
    segment = jax.jit(sweeps.make_segment(CHOICES, 4))
    _, both = segment(state, jnp.int32(0), jnp.int32(3), key, two[1], train, valid)
    assert set(one.measured) == {f"norm_{d}{n}" for d in ("", "d") for n in Params._fields} | {"sharpness"}
    for name, column in one.measured.items():
        assert np.isfinite(column[:3]).all() and np.isnan(column[3]), name
        np.testing.assert_allclose(both.measured[name][:3, 1], column[:3], rtol=2e-3, err_msg=name)


def test_nothing_is_measured_unless_it_is_asked_for():
    assert measures.make_measure(Choices())(start_of_training(), examples()) is None
