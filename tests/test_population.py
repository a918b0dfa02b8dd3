"""The population loss and its gradient: against sampling, jax.grad, balls, and the proof of the sampled network's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twolayer import Params, population
from twolayer.gradients import closed_form
from twolayer.verification import verify
from twolayer.verification.evidence.points import exactly
from twolayer.verification.numbers.balls import precision
from twolayer.verification.programs.jax_code import JaxProgram

pytestmark = pytest.mark.usefixtures("float64")


def units(n, k, seed=0):
    return jax.random.normal(jax.random.key(seed), (n, k), jnp.float64)


def test_both_arcs_give_angle_and_sine():
    ends = 1 - 10.0 ** np.arange(-16, 0)
    c = np.concatenate([np.linspace(-1, 1, 20_001), ends, -ends])
    for arc in (population.exact_arc, population.fast_arc):
        rest, sine = arc(jnp.asarray(c))
        assert abs(rest - (np.pi - np.arccos(c))).max() < 1.5e-15
        assert abs(sine - np.sqrt((1 - c) * (1 + c))).max() < 1e-15


def test_cosines_beyond_one_by_rounding_have_angles_and_derivatives():
    c = jnp.asarray([1 + 2e-16, -1 - 2e-16])
    for arc in (population.exact_arc, population.fast_arc):
        np.testing.assert_allclose(arc(c)[0], [np.pi, 0], atol=1e-15)
        np.testing.assert_array_equal(arc(c)[1], [0, 0])
    assert np.isfinite(jax.jacobian(lambda c: population.exact_arc(c)[0])(c)).all()


def test_the_loss_is_the_mean_over_gaussian_inputs():
    W, V = units(3, 4), units(2, 4, seed=1)
    x = units(400_000, 4, seed=2)
    sampled = (jax.nn.relu(x @ W.T).sum(axis=1) - jax.nn.relu(x @ V.T).sum(axis=1)) ** 2 / 2
    error = sampled.std() / np.sqrt(len(x))
    assert error < 0.005 * sampled.mean()
    assert abs(sampled.mean() - population.loss(W, V)) < 4 * error


@pytest.mark.parametrize("arc", [population.exact_arc, population.fast_arc])
@pytest.mark.parametrize(("n", "t", "k"), [(1, 1, 2), (3, 3, 3), (5, 2, 4), (20, 20, 20)])
def test_the_gradient_is_that_of_the_loss(n, t, k, arc):
    W, V = units(n, k), units(t, k, seed=1)
    by_autodiff, ours = jax.jit(jax.grad(population.loss)), jax.jit(functools.partial(population.gradient, arc=arc))
    np.testing.assert_allclose(ours(W, V), by_autodiff(W, V), rtol=0, atol=1e-14 * n)
    np.testing.assert_allclose(ours(W), by_autodiff(W, jnp.eye(k)), rtol=0, atol=1e-14 * n)


@pytest.mark.parametrize("arc", [population.exact_arc, population.fast_arc])
def test_at_the_optimum_it_vanishes_and_beside_it_it_is_the_hessian_times_the_step(arc):
    eye = jnp.eye(5)
    assert abs(population.gradient(eye, arc=arc)).max() < 1e-15 and abs(population.loss(eye, eye)) < 1e-14
    assert (
        np.isfinite(population.gradient(-eye, arc=arc)).all()
        and np.isfinite(jax.grad(population.loss)(-eye, eye)).all()
    )
    # The angles to the teacher are 1e-9, which their cosines cannot show; the gradient is right to 1e-15 all the same.
    D = units(5, 5)
    found, farther = (population.gradient(eye + e * D, arc=arc) / e for e in (1e-9, 1e-5))
    np.testing.assert_allclose(found, farther, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_balls_enclose_the_difference_to_automatic_differentiation(seed):
    """Both programs are evaluated in balls of 200 bits; pi is a literal of the program, known to its last digit.

    A wrong formula differs at a generic point, and then the ball of the difference leaves out 0.
    """
    W, V = units(4, 3, seed), units(2, 3, seed + 9)
    right = _difference(lambda W, V: population.gradient(W, V), W, V)
    assert all(ball.v.contains(0) and ball.v.abs_upper() < 1e-13 for ball in right)
    wrong = _difference(lambda W, V: population.gradient(W, V) * (1 + 1e-9), W, V)
    assert not any(ball.v.contains(0) for ball in wrong)


def _difference(function, W, V):
    """`function` minus jax.grad of the loss, as balls."""
    inputs = [exactly(np.asarray(a)) for a in (W, V)]
    with precision(200):
        mine, right = (JaxProgram(f).run(*inputs).result for f in (function, jax.grad(population.loss)))
        return (mine - right).ravel().tolist()


def sampled_gradients(params, x, y):
    """The same network on samples, before the mean over x is taken in closed form: dW1 = mean (f - y) 1[Z1 > 0] x."""
    Z1 = x @ params.W1.T + params.b1[None]
    residual = (jnp.maximum(Z1, 0) @ params.W2.T + params.b2[None] - y) / len(x)
    dZ1 = (residual @ params.W2) * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "dW2": residual.T @ jnp.maximum(Z1, 0), "db1": dZ1.sum(0), "db2": residual.sum(0)}


@pytest.mark.usefixtures("as_users_call_it")
def test_the_sampled_gradient_is_proved_and_its_mean_is_the_closed_form(key):
    """The package proves the gradient of the network on samples; with W2 = 1 and no biases it estimates ours."""
    assert verify(sampled_gradients, loss="quadratic", output="identity").verdict == "right"
    W, V = units(3, 4), units(2, 4, seed=1)
    params = Params(W, jnp.zeros(3), jnp.ones((1, 3)), jnp.zeros(1))
    x = units(100_000, 4, seed=2).reshape(100, 1000, 4)

    def one(x):
        y = jax.nn.relu(x @ V.T).sum(axis=1, keepdims=True)
        return sampled_gradients(params, x, y)["dW1"], closed_form("quadratic", "identity")(params, x, y)[1].W1

    found, ours = jax.lax.map(one, x)
    np.testing.assert_allclose(found, ours, atol=1e-12)
    error = found.std(axis=0, ddof=1) / 10
    assert (abs(found.mean(axis=0) - population.gradient(W, V)) < 4.5 * error).all() and error.max() < 0.03


def test_teachers_of_another_size_are_refused(as_users_call_it):
    for function in (population.loss, population.gradient):
        with pytest.raises(ValueError, match=r"V has shape \(2, 4\)"):
            function(units(3, 5), units(2, 4))
