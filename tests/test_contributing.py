"""The examples of CONTRIBUTING.md, run as they stand: an entry is all that a new activation, loss, start, ... takes."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twolayer import autodiff, closed_form, init, updates

TEXT = (pathlib.Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def example(name):
    """The entry that an example defines."""
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    scope = {}
    exec(found[1], scope)
    return scope["entry"]


def both(**choices):
    """Closed form and autodiff of the same network, on real targets."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = init(keys[0], inputs=5, hidden_size=7, outputs=3, scheme="lecun", dtype=jnp.float64)
    x, y = jax.random.normal(keys[1], (6, 5), jnp.float64), jax.random.normal(keys[2], (6, 3), jnp.float64)
    choices = {"loss": "quadratic", "output": "identity", "reduction": "mean"} | choices
    return (engine(**choices)(params, x, y) for engine in (closed_form, autodiff))


@pytest.mark.parametrize(
    ("name", "argument"), [("activation", "hidden_activation"), ("activation", "output"), ("loss", "loss")]
)
def test_an_entry_has_the_gradient_of_its_own_value(name, argument, float64):
    by_hand, by_jax = both(**{argument: example(name)})
    np.testing.assert_allclose(by_hand[0], by_jax[0], rtol=1e-12)
    for mine, theirs in zip(by_hand[1], by_jax[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_start_draws_what_it_says(key):
    params = init(key, inputs=300, hidden_size=400, outputs=10, scheme=example("start"))
    assert np.var(params.W1) == pytest.approx(3 / 300, rel=0.05) and np.var(params.W2) == pytest.approx(
        3 / 400, rel=0.1
    )


def test_an_optimiser_steps():
    transform = example("optimizer").make(0.9)
    params = jnp.ones(3)
    step, _ = transform.update(jnp.array([1.0, -2.0, 3.0]), transform.init(params), params)
    assert (np.sign(step) == [1, -1, 1]).all() and "momentum" in str(updates.OPTIMIZERS["adam"].transform)
