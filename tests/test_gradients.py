"""Back-propagation by hand is right: against loops and jax.grad, and by what holds of any gradient."""

import ast
import inspect

import jax
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import LAYERS, compiled, on_device, problem, unequal_weights
from tolerances import assert_close

import twolayer.activations
import twolayer.losses
import twolayer.network
from twolayer.activations import ACTIVATIONS
from twolayer.gradients import GRADIENTS, closed_form
from twolayer.losses import LOSSES, REDUCTIONS
from twolayer.network import Params, forward

pytestmark = pytest.mark.usefixtures("strict_dtypes")

every_engine = pytest.mark.parametrize("engine", GRADIENTS)
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_pair = pytest.mark.parametrize(("hidden", "output"), LAYERS)
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def in_numpy(case, weights=None):
    """The problem as the oracle takes it: NumPy arrays, float64 but for labels."""
    return jax.tree.map(lambda a: np.asarray(a, None if a.dtype == np.int32 else np.float64), (*case, weights))


def check_against_the_loops(case, names, weights=None, hidden="relu"):
    """Both engines give the loss and the gradient of the float64 loops."""
    *arguments, factors = in_numpy(case, weights)
    expected = (
        oracles.total(*arguments, *names, factors, hidden),
        Params(*oracles.gradients(*arguments, *names, factors, hidden)),
    )
    for engine in GRADIENTS:
        assert_close(compiled(engine, *names, hidden)(*case, weights), expected)


@pytest.mark.parametrize(("reduction", "dtype", "weighted"), [("sum", "float32", False), ("mean", "float64", True)])
@every_pair
@every_loss
def test_both_engines_equal_the_loops(loss, hidden, output, reduction, dtype, weighted, float64):
    weights = unequal_weights(dtype=dtype) if weighted else None
    check_against_the_loops(problem(loss, dtype), (loss, output, reduction), weights, hidden)


@settings(max_examples=15)
@given(
    sizes=st.fixed_dictionaries({name: st.integers(1, 5) for name in ("m", "d", "K", "C")}),
    names=st.tuples(st.sampled_from(list(LOSSES)), st.sampled_from(list(ACTIVATIONS)), st.sampled_from(REDUCTIONS)),
    hidden=st.sampled_from(list(ACTIVATIONS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_engines_equal_the_loops_for_any_sizes(sizes, names, hidden, seed):
    """One example, one pixel, one hidden unit, one output: no size is special."""
    with jax.enable_x64(True):
        check_against_the_loops(problem(names[0], "float64", **sizes, seed=seed), names, hidden=hidden)


@pytest.mark.parametrize("output", ["relu", "identity", "sigmoid", "tanh"])
@every_engine
def test_a_hidden_unit_on_the_kink_passes_nothing_back(engine, output):
    """An all-zero image with b1 = 0 has Z1 = 0 exactly. jnp.maximum would pass half of the gradient there."""
    params, x, y = problem("cross_entropy")
    params = params._replace(b1=0 * params.b1, b2=abs(params.b2))
    gradients = compiled(engine, "cross_entropy", output)(params, 0 * x, y)[1]
    assert not gradients.b1.any() and not gradients.W1.any()
    assert gradients.b2.any()


@every_loss
@every_engine
def test_an_output_on_the_kink_passes_nothing_back(engine, loss):
    """W2 = 0 and b2 = 0 give Z2 = 0 exactly: no gradient at all under the ReLU, some without it."""
    params, x, y = problem(loss)
    params = params._replace(W2=0 * params.W2, b2=0 * params.b2)
    assert not any(leaf.any() for leaf in compiled(engine, loss, "relu")(params, x, y)[1])
    assert compiled(engine, loss, "identity")(params, x, y)[1].b2.any()


@every_engine
def test_a_class_that_is_zero_on_every_image_gets_no_gradient(engine):
    """Why a ReLU on the output can lose a class for good."""
    params, x, y = problem("cross_entropy")
    gradients = compiled(engine)(params._replace(b2=params.b2 - np.float32([0, 100, 0])), x, y)[1]
    assert not gradients.W2[1].any() and gradients.b2[1] == 0
    assert gradients.W2[0].any() and gradients.b2[0] != 0


@every_loss
@every_engine
def test_permuting_hidden_units_permutes_the_gradient(engine, loss, float64):
    params, x, y = problem(loss, "float64")
    order = np.array([3, 0, 5, 1, 4, 2])

    def permuted(p):
        return Params(p.W1[order], p.b1[order], p.W2[:, order], p.b2)

    f = compiled(engine, loss)
    assert_close(f(permuted(params), x, y)[1], permuted(f(params, x, y)[1]))


@pytest.mark.parametrize("output", ["relu", "identity", "sigmoid", "tanh"])
@every_loss
@every_engine
def test_each_hidden_unit_is_in_balance(engine, loss, output, float64):
    """<w_in, g_in> = <w_out, g_out>: scaling what enters a unit is scaling what leaves it, ReLU(c z) = c ReLU(z)."""
    case = problem(loss, "float64")
    p, g = case.params, compiled(engine, loss, output)(*case)[1]
    leaving = (p.W2 * g.W2).sum(axis=0)
    assert leaving.all()
    assert_close((p.W1 * g.W1).sum(axis=1) + p.b1 * g.b1, leaving)


@every_loss
@every_engine
def test_the_gradient_of_a_batch_reduces_those_of_its_examples(engine, loss, float64):
    params, x, y = problem(loss, "float64")
    each = jax.jit(jax.vmap(GRADIENTS[engine](loss), in_axes=(None, 0, 0)))(params, x[:, None], y[:, None])
    for reduction, reduce in [("mean", np.mean), ("sum", np.sum)]:
        expected = jax.tree.map(lambda a, reduce=reduce: reduce(np.asarray(a), axis=0), each)
        assert_close(compiled(engine, loss, "relu", reduction)(params, x, y), expected)


@every_loss
@every_engine
def test_the_mean_over_a_batch_is_the_weighted_mean_over_unequal_parts(engine, loss, float64):
    params, x, y = problem(loss, "float64")
    f = compiled(engine, loss)
    first, second = f(params, x[:2], y[:2]), f(params, x[2:], y[2:])
    assert_close(f(params, x, y), jax.tree.map(lambda a, b: (2 * a + 5 * b) / 7, first, second))


@every_reduction
@every_loss
@every_engine
def test_examples_of_weight_zero_change_nothing(engine, loss, reduction, float64):
    params, x, y = problem(loss, "float64")
    f = compiled(engine, loss, "relu", reduction)
    padded = np.concatenate([x, 8 * x[:3]]), np.concatenate([y, y[:3]])
    weights = (np.arange(10) < 7).astype(np.float64)
    assert_close(f(params, *padded, weights), f(params, x, y))


@every_engine
def test_cross_entropy_moves_output_biases_against_each_other(engine, dtype):
    """Adding a constant to all outputs changes nothing, so with no ReLU on top db2 sums to zero."""
    db2 = compiled(engine, "cross_entropy", "identity")(*problem("cross_entropy", dtype))[1].b2
    # A mean of seven sums that are zero but for the rounding of three shares of one: about ten roundings.
    assert abs(db2.sum()) <= 10 * np.finfo(dtype).eps
    assert db2.any()


@every_engine
def test_predictions_of_ten_thousand_have_the_exact_gradient(engine):
    """At |O2| = 10^4 the softmax is one-hot: the residual, and so db2, is 1, -1, 0 without rounding."""
    params, x, _ = problem("cross_entropy", m=1)
    params = params._replace(W2=0 * params.W2, b2=np.float32([1e4, -1e4, 0]))
    loss, gradients = compiled(engine, "cross_entropy", "identity")(params, x, np.int32([1]))
    O1 = oracles.forward(params, x, "identity")[1]
    assert loss == 2e4
    np.testing.assert_array_equal(gradients.b2, [1, -1, 0])
    np.testing.assert_array_equal(gradients.W2, np.outer([1, -1, 0], O1[0]))


@every_engine
def test_gradients_keep_the_dtype_of_the_parameters_and_the_loss_is_at_least_float32(engine, float64):
    exact = compiled(engine)(*problem("cross_entropy", "float64"))
    for dtype, loss_dtype in [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")]:
        loss, gradients = compiled(engine)(*problem("cross_entropy", dtype))
        assert loss.dtype == loss_dtype and all(leaf.dtype == dtype for leaf in gradients)
        assert_close((loss, gradients), exact, dtype)


def test_the_closed_form_never_differentiates_automatically(monkeypatch):
    """It runs with every differentiating function of JAX broken, and its source names none of them."""
    differentiators = {"grad", "value_and_grad", "vjp", "jvp", "linearize", "jacfwd", "jacrev", "jacobian", "hessian"}

    def refuse(*args, **kwargs):
        raise AssertionError("automatic differentiation")

    for name in differentiators:
        monkeypatch.setattr(jax, name, refuse)
    for loss in LOSSES:
        closed_form(loss)(*on_device(problem(loss)))
    with pytest.raises(AssertionError, match="automatic differentiation"):
        GRADIENTS["autodiff"]()(*on_device(problem("cross_entropy")))

    for source in (closed_form, twolayer.losses, twolayer.network, twolayer.activations):
        nodes = list(ast.walk(ast.parse(inspect.getsource(source))))
        used = {getattr(node, "attr", getattr(node, "id", None)) for node in nodes}
        assert not used & (differentiators | {"custom_vjp", "custom_jvp", "autodiff"})


@pytest.mark.parametrize("engine", GRADIENTS)
def test_predictions_come_with_the_gradient_if_they_are_wanted(engine):
    params, x, y = on_device(problem("cross_entropy"))
    (loss, O2), gradients = GRADIENTS[engine](predict=True)(params, x, y)
    assert_close((loss, gradients), GRADIENTS[engine]()(params, x, y))
    assert_close(O2, forward(params, x).O2)
