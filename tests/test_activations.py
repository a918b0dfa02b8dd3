"""The table of activations: each text against Python's math, the slope at the kink, and which names are refused."""

import ast
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import scripts
from tolerances import assert_close

from twolayer import activations
from twolayer.activations import ACTIVATIONS, Activation, compiled, find
from twolayer.network import forward

NAMES = (*ACTIVATIONS, "leaky_relu(0.2)")
every = pytest.mark.parametrize("name", NAMES)
Z = np.array([-30.0, -4.0, -1.3, -0.2, 0.0, 0.1, 0.7, 2.5, 30.0])
VOCABULARY = {"np", "abs", "erf", "Z", "O", "exp", "log", "log1p", "tanh", "sqrt", "where", "maximum", "pi"}


def by(function, name):
    return np.array([function(float(z), name) for z in Z])


@every
def test_value_and_derivative_are_those_of_pythons_math(name, dtype):
    entry, z = find("output", name), jnp.asarray(Z, dtype)
    value, dO = entry.apply(z), jnp.full_like(z, 3)
    assert value.dtype == dtype and entry.back(z, value, dO).dtype == dtype
    # 1 - tanh^2 and s (1 - s) at |Z| = 30 are differences of numbers near 1: right to a rounding of 1.
    assert_close(1 + value, 1 + by(oracles.activation, name))
    assert_close(3 + entry.back(z, value, dO), 3 + 3 * by(oracles.slope, name))


@every
def test_the_plain_text_is_the_function_that_training_uses(name, float64):
    """A derivation is judged by the text; `stable` only rounds less."""
    entry, z = find("output", name), jnp.asarray(Z)
    assert_close(compiled("Z", entry.value)(z), entry.apply(z))
    text = compiled("Z, O", entry.derivative)(z, entry.apply(z))
    assert_close(jnp.ones_like(z) * text, entry.back(z, entry.apply(z), jnp.ones_like(z)))


@every
def test_jax_grad_of_the_value_is_the_derivative_even_at_zero(name, float64):
    entry, z = find("output", name), jnp.asarray(Z)
    slope = jax.vmap(jax.grad(entry.apply))(z)
    assert_close(1 + slope, 1 + by(oracles.slope, name))
    at_zero = [by(oracles.slope, name)[4], (oracles.activation(1e-9, name) - oracles.activation(0.0, name)) / 1e-9]
    assert entry.kink == (abs(at_zero[0] - at_zero[1]) > 1e-3)


@every
def test_large_numbers_stay_finite_forwards_and_backwards(name):
    entry = find("output", name)
    z = jnp.asarray([-1e4, -200.0, 200.0, 1e4], jnp.float32)
    for found in (entry.apply(z), entry.back(z, entry.apply(z), z), jax.vmap(jax.grad(entry.apply))(z)):
        assert np.isfinite(found).all(), name
    if entry.largest:
        reach = jnp.asarray([-entry.largest, entry.largest], jnp.float32)
        assert np.isfinite(compiled("Z", entry.value)(reach)).all()


@every
def test_a_unit_dies_exactly_where_the_entry_says_so(name):
    below = np.array([oracles.slope(float(z), name) for z in (-3.0, -1.0, -0.5)])
    assert find("output", name).dies == (not below.any())


@every
def test_a_text_has_nothing_that_numbers_of_another_kind_could_not_have(name):
    entry = find("output", name)
    for text in (entry.value, entry.derivative):
        nodes = list(ast.walk(ast.parse(text)))
        words = {n.id for n in nodes if isinstance(n, ast.Name)} | {
            n.attr for n in nodes if isinstance(n, ast.Attribute)
        }
        assert words <= VOCABULARY, words - VOCABULARY
    assert entry.latex and entry.latex_derivative


def test_an_activation_of_ones_own_goes_where_a_name_goes(key):
    swish = Activation("swish", "Z / (1 + np.exp(-Z))", "(1 + np.exp(-Z) * (1 + Z)) / (1 + np.exp(-Z)) ** 2")
    from twolayer.gradients import GRADIENTS
    from twolayer.network import init

    params = init(key, 3, 4, 2, "glorot")
    x, y = jnp.linspace(-1, 1, 15).reshape(5, 3), jnp.array([0, 1, 1, 0, 1])
    np.testing.assert_allclose(forward(params, x, swish).O2, jax.nn.silu(forward(params, x).Z2), rtol=1e-5)
    of = [engine("cross_entropy", swish, hidden_activation=swish)(params, x, y) for engine in GRADIENTS.values()]
    assert_close(*of)
    assert hash(swish) == hash(swish._replace())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("third", "output='third' is not known; choose one of: relu, identity"),
        ("leaky_relu(x)", "output='leaky_relu(x)' is not known"),
        ("leaky_relu(1e999)", "the slope of leaky_relu must be a finite number"),
        ("leaky_relu(1.2.3)", "could not convert"),
    ],
)
def test_what_is_no_activation_is_refused(given, message):
    with pytest.raises(ValueError) as error:
        activations.find("output", given)
    assert message in str(error.value)


def test_the_table_is_read_without_jax():
    code = "import sys, twolayer.activations as a; assert 'tanh' in a.ACTIVATIONS; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT).returncode == 0
