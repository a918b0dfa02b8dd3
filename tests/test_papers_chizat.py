"""Lazy training: the problem, the start, the linearisation, and the script at a small scale."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts

from experiments.papers import lazy
from twolayer.network import forward

SIZES = lazy.Sizes(inputs=6, hidden=8, examples=40)


def test_the_teacher_has_three_units_of_norm_one_on_the_sphere(key, float64):
    x, y = lazy.problem(key, SIZES)
    assert x.shape == (2, 40, 6) and y.shape == (2, 40, 1) and not np.array_equal(x[0], x[1])
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=-1), 1, atol=1e-12)
    assert 0 < abs(y).max() <= 3


def test_the_student_starts_as_zero_whatever_its_scale(key, float64):
    x, _ = lazy.problem(key, SIZES)
    small, large = (lazy.start(key, tau, SIZES) for tau in (0.1, 10.0))
    np.testing.assert_allclose(large.W1, 100 * small.W1)
    np.testing.assert_allclose(large.W2, 100 * small.W2)
    assert abs(forward(large, x[0], "identity").O2).max() < 1e-12 < abs(large.W2).min()
    assert not large.b1.any() and not large.b2.any()


def test_a_look_at_the_loss_is_a_hundred_steps_of_gradient_descent(key, float64):
    keys = key[None]
    found = lazy.trials(keys, 0.5, SIZES, 100, False)
    of_data, of_start = jax.random.split(key)
    x, y = lazy.problem(of_data, SIZES)
    first = lazy.start(of_start, 0.5, SIZES)

    def loss(W1, W2, at):
        return ((jax.nn.relu(x[at] @ W1.T) @ W2.T - y[at]) ** 2).mean() / 2

    def step(_, weights):
        return jax.tree.map(lambda W, g: W - 0.4 * g, weights, jax.grad(loss, (0, 1))(*weights, 0))

    W1, W2 = jax.lax.fori_loop(0, 100, step, (first.W1, first.W2))
    assert found.train[0] == pytest.approx(loss(W1, W2, 0)) and found.test[0] == pytest.approx(loss(W1, W2, 1))
    moved = jnp.sqrt(((W1 - first.W1) ** 2).sum() + ((W2 - first.W2) ** 2).sum())
    flips = [((x[at] @ first.W1.T > 0) != (x[at] @ W1.T > 0)).sum() for at in (0, 1)]
    assert found.flips[0].tolist() == flips and min(flips) > 0
    assert found.change[0] == pytest.approx(moved / jnp.sqrt((first.W1**2).sum() + (first.W2**2).sum()))


def test_the_linearisation_is_the_kernel_method_and_the_lazy_network_follows_it(key, float64):
    of_data, of_start = jax.random.split(key)
    x, y = lazy.problem(of_data, SIZES)
    first = lazy.start(of_start, 100.0, SIZES)

    def jacobian(x):
        leaves = jax.jacobian(lambda W1, W2: (jax.nn.relu(x @ W1.T) @ W2.T)[:, 0], (0, 1))(first.W1, first.W2)
        return jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1)

    train, test = jacobian(x[0]), jacobian(x[1])

    def step(_, carry):
        outputs, total = carry
        residual = outputs - y[0, :, 0]
        return outputs - 1e-5 / 40 * train @ (train.T @ residual), total + residual

    _, total = jax.lax.fori_loop(0, 200, step, (jnp.zeros(40), jnp.zeros(40)))
    expected = -1e-5 / 40 * test @ (train.T @ total)
    linear, network = (lazy.trials(key[None], 100.0, SIZES, 200, flag) for flag in (True, False))
    np.testing.assert_allclose(linear.outputs[0], expected, atol=1e-9)
    distance = jnp.linalg.norm(network.outputs - linear.outputs) / jnp.linalg.norm(linear.outputs)
    assert 0 < distance < 1e-3


SMALL = (
    "--log_taus=-1,0.5,1,1.5",
    "--trials=3",
    "--steps=400",
    "--inputs=10",
    "--hidden=10",
    "--examples=60",
    "--quiet",
)


def test_an_interrupted_script_goes_on_to_the_same_rows(tmp_path):
    straight = scripts.rows_of_study("chizat2019", tmp_path / "straight", SMALL)
    slope, contrast, distance = straight
    assert (slope["row"], slope["published"], slope["n"]) == ("slope of the weight change", None, 3)
    assert slope["ours"] == pytest.approx(-2, abs=0.1) and slope["scaled"]["hidden"] == 10
    assert contrast["row"] == "test loss at 10 over test loss at 0.1" and contrast["ours"] > 1.2
    assert distance["ours"] < 0.01
    assert (tmp_path / "straight" / "figures" / "chizat2019.png").exists()

    command = ("papers.chizat2019", *SMALL[:-1], f"--run_dir={tmp_path / 'halted'}")
    process = scripts.start(*command)
    assert process.line("tau-1: ")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 75 and "repeat the command" in err
    assert not (tmp_path / "halted" / "result.json").exists()
    assert scripts.rows_of_study("chizat2019", tmp_path / "halted", SMALL) == straight


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--log_taus=", ("--log_taus", "-6 to 3")),
        ("--log_taus=1,one", ("--log_taus", "one")),
        ("--log_taus=1,1.0", ("--log_taus", "different")),
        ("--steps=150", ("--steps", "100")),
        ("--hidden=9", ("--hidden", "even")),
        ("--trials=1", ("--trials",)),
    ],
)
def test_bad_flags_are_refused_in_one_line(argument, words, tmp_path):
    scripts.assert_refused(scripts.run("papers.chizat2019", argument, f"--run_dir={tmp_path / 'run'}"), *words)
    assert not (tmp_path / "run").exists()
