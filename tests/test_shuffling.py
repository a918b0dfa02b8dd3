"""The order of the data is a permutation, a pure function of (key, epoch), and as good as random."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2, poisson

from twolayer.shuffling import batches, permutation

# A test of randomness fails for a good shuffle once in so many keys; the keys here are fixed.
RISK = 1e-6


@functools.cache
def draws(n, count=4096):
    """`count` permutations of 0..n-1, from as many keys."""
    keys = jax.random.split(jax.random.key(1), count)
    return np.asarray(jax.jit(jax.vmap(functools.partial(permutation, n=n)))(keys))


def check_uniform(counts, freedom, factor=1.0):
    """Pearson's chi-square of the counts against all being equal."""
    expected = counts.mean()
    assert factor * ((counts - expected) ** 2 / expected).sum() < chi2.isf(RISK, freedom)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 97, 1797, 50_000])
def test_every_example_comes_exactly_once(n, key):
    np.testing.assert_array_equal(np.sort(permutation(key, n)), np.arange(n))


def test_permutation_gives_known_numbers():
    """If these change, the same seed trains in another order, and published runs cannot be repeated."""
    np.testing.assert_array_equal(permutation(jax.random.key(0), 10), [3, 1, 2, 4, 7, 9, 5, 6, 0, 8])


@pytest.mark.parametrize("n", [2, 3, 4])
def test_all_orders_of_a_few_examples_are_equally_likely(n):
    orders, counts = np.unique(draws(n), axis=0, return_counts=True)
    assert len(orders) == math.factorial(n)
    check_uniform(counts, len(orders) - 1)


def test_every_example_is_equally_likely_at_every_position():
    n = 11
    counts = np.array([np.bincount(draws(n)[:, position], minlength=n) for position in range(n)])
    # Rows and columns of a table of permutations add up, which leaves (n - 1)^2 degrees of freedom and this factor.
    check_uniform(counts, (n - 1) ** 2, (n - 1) / n)


def test_every_example_is_equally_likely_to_follow_every_other():
    """One pair of neighbours from each draw, at a position that moves on, so that the pairs are independent."""
    n = 11
    at = np.arange(len(draws(n)))
    first, second = draws(n)[at, at % (n - 1)], draws(n)[at, at % (n - 1) + 1]
    counts = np.bincount(n * first + second, minlength=n * n).reshape(n, n)
    check_uniform(counts[~np.eye(n, dtype=bool)], n * (n - 1) - 1)


def test_two_epochs_agree_no_more_than_chance(key):
    """Two random orders agree in a number of places that is Poisson with mean 1, however long they are."""
    n = 1797
    first, second = (np.ravel(batches(key, epoch, n, n)[0]) for epoch in (0, 1))
    assert (first == second).sum() <= poisson.isf(RISK, 1)
    assert (first == np.arange(n)).sum() <= poisson.isf(RISK, 1)


def test_the_order_depends_on_key_and_epoch_alone(key):
    """Also when the epoch is a traced number, as it is in training."""
    order = jax.jit(lambda key, epoch: batches(key, epoch, 23, 5)[0])
    np.testing.assert_array_equal(order(key, jnp.int32(3)), batches(key, 3, 23, 5)[0])
    assert (order(key, jnp.int32(3)) != order(key, jnp.int32(4))).any()
    assert (order(key, jnp.int32(3)) != order(jax.random.key(1), jnp.int32(3))).any()


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (7, 3), (8, 4), (9, 9), (23, 5)])
def test_batches_hold_every_example_once_with_weight_one_and_padding_with_weight_zero(n, batch_size, key):
    rows, weights = batches(key, 0, n, batch_size)
    assert rows.shape == weights.shape == (math.ceil(n / batch_size), batch_size)
    np.testing.assert_array_equal(np.ravel(weights), np.arange(rows.size) < n)
    np.testing.assert_array_equal(np.sort(rows[weights == 1]), np.arange(n))
    assert ((0 <= rows) & (rows < n)).all()
