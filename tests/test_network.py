"""The forward pass, and where training starts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from problems import LAYERS, problem
from tolerances import assert_close, assert_identical

from twolayer.network import Params, Trace, forward, grown, init
from twolayer.starts import SCHEMES

# The variance of one entry of W1, W2 and of both biases for d inputs, K hidden units and C outputs, as published.
VARIANCES = {
    "he": lambda d, K, C: (2 / d, 2 / K, 0),
    "alive": lambda d, K, C: (2 / d, 2 / (K * (10 * C) ** 2), 0),
    "lecun": lambda d, K, C: (1 / d, 1 / K, 0),
    "normal": lambda d, K, C: (0.01, 0.01, 0),
    "glorot": lambda d, K, C: (2 / (d + K), 2 / (K + C), 0),
    "ntk": lambda d, K, C: (1 / d, 1 / K, 0.01),
    "mean_field": lambda d, K, C: (1 / d, 1 / K**2, 0),
    "nielsen_large": lambda d, K, C: (1, 1, 1),
    "nielsen": lambda d, K, C: (1 / d, 1 / K, 1),
}


@pytest.mark.parametrize(("hidden", "output"), LAYERS)
def test_forward_equals_the_loops(output, hidden, dtype, strict_dtypes):
    params, x, _ = problem("cross_entropy", dtype)
    trace = jax.jit(functools.partial(forward, output=output, hidden_activation=hidden))(params, x)
    expected = Trace(*oracles.forward(params, x, output, hidden))
    assert_close(trace, expected)
    # Or the tests of the gradient would not see a mask that is missing or the wrong way round.
    for Z in (expected.Z1, expected.Z2) if hidden == "relu" else (expected.Z1,):
        assert (Z > 0).any(axis=0).all() and (Z < 0).any(axis=0).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_has_its_published_variances(scheme, key):
    d, K, C = 30, 200, 50
    params = jax.tree.map(np.asarray, init(key, d, K, C, scheme))
    shift = 1 / C if scheme == "alive" else 0
    W1, W2, bias = VARIANCES[scheme](d, K, C)
    for entries, variance in [(params.W1, W1), (params.b1, bias), (params.W2, W2), (params.b2 - shift, bias)]:
        entries = np.asarray(entries, np.float64)
        if variance == 0:
            assert abs(entries).max() <= np.finfo(np.float32).eps
            continue
        # The mean square of N normals has mean v and standard deviation v sqrt(2 / N); six of them are one in 10^9.
        assert abs((entries**2).mean() / variance - 1) < 6 * np.sqrt(2 / entries.size)


def test_init_gives_known_numbers():
    """If these change, JAX draws other numbers, and every published result was computed from other networks."""
    params = init(jax.random.key(0), 2, 3, 1, "he")
    assert_close(params.W1, np.array([[1.0040143, -0.9063372], [-0.7481722, -1.1713669], [-0.8712328, 0.5888381]]))
    assert_close(params.W2, np.array([[1.0578823, 1.1063615, -0.3344415]]))


def test_each_array_of_a_network_is_drawn_from_its_own_key(key):
    """With equal shapes and variances a shared key would show as equal numbers."""
    leaves = [np.ravel(leaf) for leaf in init(key, 4, 4, 4, "ntk")]
    numbers = np.concatenate([leaves[0] * 2, leaves[1] * 10, leaves[2] * 2, leaves[3] * 10])
    assert len(np.unique(numbers.round(5))) == 4 * 4 + 4 + 4 * 4 + 4


def test_alive_starts_with_every_output_positive_where_he_loses_whole_classes():
    """On random non-negative images as bright as MNIST's, whose mean square is 0.11, and networks from ten keys."""
    x = jnp.asarray(np.sqrt(0.33) * np.random.default_rng(0).uniform(size=(64, 100)), jnp.float32)

    def outputs(scheme):
        started = jax.jit(lambda key: forward(init(key, 100, 128, 10, scheme), x).O2)
        return np.stack([started(jax.random.key(seed)) for seed in range(10)])

    assert (outputs("alive") > 0).all()
    assert (outputs("he") == 0).all(axis=1).any()


def test_scale_and_output_bias_are_numbers_a_sweep_may_vary_without_compiling_again(key):
    traces = []

    @jax.jit
    def draw(scale, output_bias):
        traces.append(1)
        return init(key, 4, 5, 3, scale=scale, output_bias=output_bias)

    once, twice = draw(1.0, 0.5), draw(2.0, 0.25)
    assert len(traces) == 1
    np.testing.assert_array_equal(twice.W1, 2 * np.asarray(once.W1))
    np.testing.assert_array_equal(twice.W2, 2 * np.asarray(once.W2))
    np.testing.assert_array_equal(once.b2, np.full(3, 0.5))
    np.testing.assert_array_equal(twice.b2, np.full(3, 0.25))


@pytest.mark.parametrize("name", ["bfloat16", "float32", "float64"])
def test_init_has_the_dtype_asked_for_even_if_its_numbers_have_another(name, key, float64):
    params = jax.eval_shape(lambda: init(key, 4, 5, 3, dtype=name, scale=jnp.float32(2), output_bias=jnp.float32(1)))
    assert all(leaf.dtype == name for leaf in params)
    trace = jax.eval_shape(forward, params, jax.ShapeDtypeStruct((2, 4), name))
    assert all(leaf.dtype == name for leaf in trace)


def test_a_grown_network_keeps_its_units_and_adds_those_of_the_large_one(key):
    small, large = (init(k, 5, K, 3, "ntk") for k, K in zip(jax.random.split(key), (2, 6), strict=True))
    x, whole = jax.random.normal(key, (7, 5)), grown(small, large)
    rest = Params(large.W1[2:], large.b1[2:], large.W2[:, 2:], jnp.zeros(3))
    sums = forward(small, x, "identity").O2 + forward(rest, x, "identity").O2
    assert_close(forward(whole, x, "identity").O2, sums)
    assert_identical(grown(small, small), small)
    with pytest.raises(ValueError, match="5-6-3 cannot grow to 5-2-3"):
        grown(large, small)
