"""What the package refuses, and that the error names the argument and both shapes that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import on_device, problem

from twolayer.gradients import autodiff, closed_form
from twolayer.losses import cross_entropy, quadratic
from twolayer.names import check_positive
from twolayer.network import forward, init
from twolayer.optimizers import make_optimizer, make_schedule
from twolayer.segments import start
from twolayer.training import Choices, Numbers, make_epoch, place

pytestmark = pytest.mark.usefixtures("as_users_call_it")

PARAMS, X, LABELS = on_device(problem("cross_entropy"))
TARGETS = jnp.ones((7, 3), jnp.float32)
KEY = jax.random.key(0)


def with_entry(array, value):
    return jnp.asarray(np.where(np.arange(array.size).reshape(array.shape) == 0, value, array).astype(array.dtype))


REFUSED = {
    "a batch of other images": (lambda: forward(PARAMS, X[:, :4]), ["x", "(7, 4)", "W1", "(6, 5)"]),
    "placed labels that start at 1": (
        lambda: place(np.ones((2, 5)), np.array([1, 2]), outputs=2),
        ["y", "1..2", "0..1"],
    ),
    "a placed negative label": (lambda: place(np.ones((2, 5)), np.array([-1, 0])), ["y", "-1..0", "from 0"]),
    "a placed NaN": (lambda: place(np.array([[0.0], [np.nan]]), np.array([0, 1])), ["x", "not finite", "row 1"]),
    "a placed infinite target": (lambda: place(np.ones((1, 2)), np.array([[np.inf]])), ["y", "not finite", "row 0"]),
    "placed examples without labels": (lambda: place(np.ones((2, 5)), np.array([0])), ["2 examples", "1"]),
    "one image without a batch": (lambda: forward(PARAMS, X[0]), ["x", "(5,)", "W1", "(6, 5)"]),
    "an empty batch": (lambda: forward(PARAMS, X[:0]), ["x", "(0, 5)", "at least one"]),
    "a NaN pixel": (lambda: closed_form()(PARAMS, with_entry(X, np.nan), LABELS), ["x", "(7, 5)", "NaN"]),
    "a label too large": (lambda: closed_form()(PARAMS, X, with_entry(LABELS, 3)), ["y", "0..2", "..3"]),
    "a negative label": (lambda: autodiff()(PARAMS, X, with_entry(LABELS, -1)), ["y", "0..2", "-1.."]),
    "real labels": (lambda: cross_entropy(TARGETS, TARGETS[:, 0]), ["y", "integer", "float32", "(7,)", "(7, 3)"]),
    "too few labels": (lambda: closed_form()(PARAMS, X, LABELS[:6]), ["y", "(6,)", "O2", "(7, 3)"]),
    "one-hot labels": (lambda: cross_entropy(TARGETS, jnp.ones((7, 3), jnp.int32)), ["y", "(7, 3)", "(m,)"]),
    "integer targets": (lambda: quadratic(TARGETS, jnp.ones((7, 3), jnp.int32)), ["y", "real", "int32", "(7, 3)"]),
    "flat targets": (lambda: quadratic(TARGETS[:, :1], TARGETS[:, 0]), ["y", "(7,)", "O2", "(7, 1)"]),
    "too few targets": (lambda: closed_form("quadratic")(PARAMS, X, TARGETS[:, :2]), ["y", "(7, 2)", "(7, 3)"]),
    "a NaN target": (lambda: quadratic(TARGETS, with_entry(TARGETS, np.nan)), ["y", "(7, 3)", "NaN"]),
    "too few weights": (lambda: closed_form()(PARAMS, X, LABELS, jnp.ones(6)), ["weights", "(6,)", "7"]),
    "an unknown loss": (lambda: closed_form("hinge"), ["loss", "hinge", "cross_entropy", "quadratic"]),
    "an unknown output": (lambda: autodiff(output="cosh"), ["output", "cosh", "relu", "identity"]),
    "an unknown output of forward": (lambda: forward(PARAMS, X, "cosh"), ["output", "cosh", "relu", "identity"]),
    "an unknown reduction": (lambda: closed_form(reduction="max"), ["reduction", "max", "mean", "sum"]),
    "an unknown scheme": (lambda: init(KEY, 2, 2, 2, "zero"), ["scheme", "zero", "he", "alive"]),
    "an unknown engine": (lambda: make_epoch(Choices(gradient="numeric")), ["gradient", "numeric", "closed_form"]),
    "an unknown optimizer": (lambda: make_optimizer("lbfgs", lambda t: 1.0, 0.1), ["optimizer", "lbfgs", "adam"]),
    "an unknown schedule": (lambda: make_schedule("linear", 5), ["schedule", "linear", "cosine"]),
    "a warm-up as long as the run": (lambda: make_schedule("cosine", 5, warmup=5), ["warm-up", "5 of 5"]),
    "no inputs": (lambda: init(KEY, 0, 2, 2), ["inputs", "0"]),
    "half a hidden unit": (lambda: init(KEY, 2, 2.5, 2), ["hidden_size", "2.5"]),
    "a boolean number of outputs": (lambda: init(KEY, 2, 2, True), ["outputs", "True"]),
    "an empty batch size": (lambda: make_epoch(Choices(batch_size=0)), ["batch_size", "0"]),
    "no epochs": (lambda: start(Choices(epochs=0), PARAMS, Numbers(0.1), 7), ["epochs", "0"]),
    "a batch larger than the data": (lambda: start(Choices(batch_size=8), PARAMS, Numbers(0.1), 7), ["8", "7"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_an_error_that_names_what_does_not_fit(case):
    call, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("engine", [closed_form, autodiff])
def test_shapes_are_checked_inside_jit_and_values_only_outside(engine):
    """Values are not known there; a NaN shows in the loss instead."""
    with pytest.raises(ValueError, match=r"\(7, 4\).*\(6, 5\)"):
        jax.jit(engine())(PARAMS, X[:, :4], LABELS)
    assert np.isnan(jax.jit(engine("quadratic"))(PARAMS, with_entry(X, np.nan), TARGETS)[0])


def test_data_that_a_jitted_function_closes_over_are_known_and_checked():
    blank, beyond = with_entry(X, np.nan), with_entry(LABELS, 3)
    assert np.isfinite(jax.jit(lambda params: closed_form()(params, X, LABELS)[0])(PARAMS))
    with pytest.raises(ValueError, match="NaN"):
        jax.jit(lambda params: forward(params, blank))(PARAMS)
    with pytest.raises(ValueError, match="label outside"):
        jax.jit(lambda params: closed_form()(params, X, beyond))(PARAMS)


def test_sizes_may_be_numpy_integers():
    check_positive(inputs=np.int64(3), hidden_size=np.int32(1))
