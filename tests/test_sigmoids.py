"""Derivations with sigmoids: what is right is proved, what is wrong is refuted at its step, with its cause."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handmade import derivation, sigmoid

from experiments.verification.loading import closed_form
from twolayer.losses import LOSSES
from twolayer.network import Params
from twolayer.verification import verify
from twolayer.verification.reference import HIDDEN, OUTPUTS

pytestmark = pytest.mark.usefixtures("as_users_call_it")

BCE = "binary_cross_entropy"
NIELSEN = ("quadratic", "sigmoid", "sigmoid")
WITH_SIGMOID = [
    (loss, output, hidden)
    for loss, output, hidden in itertools.product(LOSSES, OUTPUTS, HIDDEN)
    if "sigmoid" in (output, hidden) or loss == BCE
]


def judged(gradients, loss, output, hidden, **options):
    return verify(gradients, loss=loss, output=output, activation=hidden, **{"precisions": ()} | options)


def s(z):
    return sigmoid(jnp, z)


def slope(z):
    return s(z) * (1 - s(z))


@pytest.mark.parametrize("names", WITH_SIGMOID, ids=" ".join)
def test_the_closed_form_is_right(names):
    loss, output, hidden = names
    check_right(closed_form(loss, output, "mean", hidden).gradients, names)


def test_a_derivation_with_exp_and_all_its_steps_is_right():
    """1 / (1 + exp(-z)) is jax.nn.sigmoid(z)."""
    for names in (NIELSEN, (BCE, "identity", "sigmoid"), ("cross_entropy", "sigmoid", "sigmoid")):
        loss, output, hidden = names
        check_right(derivation(loss, output, ("dO2", "dZ2", "dO1", "dZ1"), hidden), names)


def check_right(gradients, names):
    found = judged(gradients, *names)
    assert found.verdict == "right" and found.causes == (), found.causes
    assert {step.verdict for step in found.steps.values()} == {"right"}
    assert 0 < found.formula.error_probability < 1e-12 and found.formula.left_out == 0


def test_the_same_function_is_right_in_other_words():
    """The derivative as s(z) s(-z), as exp(-z) / (1 + exp(-z))^2, by tanh, and by jax.grad of the activation."""
    rewrites = (
        lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z),
        lambda z: jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2,
        lambda z: (1 - jnp.tanh(z / 2) ** 2) / 4,
        jax.vmap(jax.vmap(jax.grad(jax.nn.sigmoid))),
    )
    for derivative in rewrites:
        lines = {"dZ1": lambda s, f=derivative: s.dO1 * f(s.Z1), "dZ2": lambda s, f=derivative: s.dO2 * f(s.Z2)}
        assert judged(derivation("quadratic", "sigmoid", (), "sigmoid", **lines), *NIELSEN).verdict == "right"


WRONG = {
    "derivative missing": (NIELSEN, "dZ1", lambda n: n.dO1, "derivative_missing"),
    "derivative missing at the output": (NIELSEN, "dZ2", lambda n: n.dO2, "derivative_missing"),
    "s for s (1 - s)": (NIELSEN, "dZ1", lambda n: n.dO1 * n.O1, "output_for_derivative"),
    "s for s (1 - s) at the output": (NIELSEN, "dZ2", lambda n: n.dO2 * n.O2, "output_for_derivative"),
    "1 - s": (NIELSEN, "dZ1", lambda n: n.dO1 * (1 - n.O1), "output_for_derivative"),
    "(1 - s)^2": (NIELSEN, "dZ1", lambda n: n.dO1 * (1 - n.O1) ** 2, "output_for_derivative"),
    "(1 - s)^2 at the output": (NIELSEN, "dZ2", lambda n: n.dO2 * (1 - n.O2) ** 2, "output_for_derivative"),
    "the derivative at O1": (NIELSEN, "dZ1", lambda n: n.dO1 * slope(n.O1), "derivative_of_output"),
    "the derivative at O2": (NIELSEN, "dZ2", lambda n: n.dO2 * slope(n.O2), "derivative_of_output"),
    "Z (1 - Z)": (NIELSEN, "dZ1", lambda n: n.dO1 * n.Z1 * (1 - n.Z1), "derivative_of_preactivation"),
    "a ReLU's mask": (NIELSEN, "dZ1", lambda n: n.dO1 * (n.Z1 > 0), "relu_derivative"),
    "tanh's": (NIELSEN, "dZ2", lambda n: n.dO2 * (1 - n.O2**2), "tanh_derivative"),
    "twice": (NIELSEN, "dZ2", lambda n: n.dO2 * slope(n.Z2) ** 2, "derivative_twice"),
    "a digit of s (1 - s)": (NIELSEN, "dZ1", lambda n: n.dO1 * n.O1 * (1.001 - n.O1), "unknown"),
    "quadratic's delta under cross-entropy": (
        (BCE, "identity", "sigmoid"), "dO2", lambda n: (n.P - n.y) * n.P * (1 - n.P) / n.m,
        "derivative_twice sigmoid_derivative",  # there, or at dZ2: the same product
    ),
    "cross-entropy by the activation": (
        (BCE, "identity", "sigmoid"), "dO2", lambda n: (n.P - n.y) / (n.P * (1 - n.P)) / n.m, "derivative_missing",
    ),
    "softmax for sigmoid": (
        (BCE, "identity", "relu"), "dO2", lambda n: (jax.nn.softmax(n.O2, axis=1) - n.y) / n.m, "softmax_for_sigmoid",
    ),
    "one term of the loss": (
        (BCE, "relu", "sigmoid"), "dO2", lambda n: -n.y * (1 - n.P) / n.m, "one_term",
    ),
    "1/m missing": (("cross_entropy", "identity", "sigmoid"), "dO2", lambda n: n.residual, "reduction"),
    "Z1 for O1": (("cross_entropy", "sigmoid", "sigmoid"), "dW2", lambda n: n.dZ2.T @ n.Z1,
                  "preactivation_for_activation"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_refuted_at_its_step_and_named_from_the_four_gradients_alone(name):
    names, step, line, cause = WRONG[name]
    loss, output, hidden = names
    found = judged(derivation(loss, output, (), hidden, **{step: line}), *names)
    assert found.verdict == "wrong" and found.first_wrong_step == step, (found.first_wrong_step, found.causes)
    assert " ".join(one.id for one in found.causes) == cause, found.causes
    assert found.counterexample is not None and found.formula.error_probability == 0


def test_the_derivative_of_the_other_layer_is_seen_where_it_fits():
    """With K = C alone: at other sizes the code does not run."""
    found = judged(derivation(*NIELSEN[:2], (), "sigmoid", dZ1=lambda n: n.dO1 * slope(n.Z2)), *NIELSEN)
    assert found.verdict == "wrong" and found.first_wrong_step == "dZ1"
    assert "derivative_of_other_layer" in [cause.id for cause in found.causes]


def test_another_activation_than_the_declared_one_is_named():
    found = judged(derivation("quadratic", "identity"), "quadratic", "identity", "sigmoid")
    assert found.verdict == "wrong" and [cause.id for cause in found.causes] == ["other_activation"]
    assert "the hidden activation is a ReLU; the declared one is sigmoid" in found.causes[0].text


def test_nan_on_the_given_batch_is_not_right_though_the_formula_is():
    """The derivative of the sigmoid as exp(-z) / (1 + exp(-z))^2, which is inf / inf once exp(-z) is."""

    def line(n):
        return n.dO1 * jnp.exp(-n.Z1) / (1 + jnp.exp(-n.Z1)) ** 2

    f = derivation("quadratic", "identity", (), "sigmoid", dZ1=line)
    for size, verdict in ((1.0, "right"), (-1e3, "undecided")):
        params = Params(np.full((3, 2), size), np.ones(3), np.ones((2, 3)), np.ones(2))
        batch = (params, np.ones((4, 2)), np.ones((4, 2)))
        found = verify(
            f, loss="quadratic", output="identity", activation="sigmoid", batch=batch, precisions=("float64",)
        )
        assert found.verdict == verdict and found.formula.verdict == "right"
        assert found.program[0].finite_on_batch == (verdict == "right")
    assert "on the given batch the program is not: dZ1 is not finite in float64" in found.notes[0]


def test_sigmoids_have_no_convention_at_zero():
    assert judged(derivation(*NIELSEN[:2], (), "sigmoid"), *NIELSEN).conventions == {}
    found = judged(derivation("quadratic", "relu", (), "sigmoid"), "quadratic", "relu", "sigmoid")
    assert list(found.conventions["relu_at_zero"]) == ["output"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_its_rounding_is_within_the_bounds(precision):
    for names in (NIELSEN, (BCE, "identity", "sigmoid")):
        found = judged(closed_form(*names[:2], "mean", names[2]).gradients, *names, precisions=(precision,))
        assert [one.verdict for one in found.program] == ["right"], found.program


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation='third' is not known; choose one of: relu, sigmoid"):
        judged(derivation("quadratic"), "quadratic", "relu", "third")
