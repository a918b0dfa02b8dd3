"""Intervals: those of SciPy, no narrower than they say where networks are few, crossed or alike."""

import numpy as np
import pytest
from scipy import stats

from twolayer import statistics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 10, 400])
def test_a_mean_has_students_interval(n):
    numbers = RNG.normal(size=n)
    found = statistics.figures(numbers.tolist())
    low, high = stats.t.interval(0.95, n - 1, numbers.mean(), stats.sem(numbers))
    assert found["interval"] == pytest.approx((low, high)) and found["n"] == n
    assert found["mean"] == pytest.approx(numbers.mean()) and found["sd"] == pytest.approx(numbers.std(ddof=1))


def test_one_number_has_no_interval_and_none_no_figures():
    assert statistics.figures([1.0])["interval"] is None and statistics.figures([1.0])["sd"] is None
    assert statistics.figures([None, float("nan")]) is None


def test_networks_that_agree_are_known_to_the_resolution_only():
    """Three accuracies of 98 % on 300 examples do not say that the mean is 98 % for sure."""
    low, high = statistics.figures([0.98] * 3, resolution=1 / 300)["interval"]
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 2) / 600 / np.sqrt(3))
    assert statistics.figures([2.0] * 5)["interval"] == (2.0, 2.0)


def test_an_accuracy_is_a_share():
    assert statistics.figures([0.3, 0.9], resolution=1 / 300)["interval"] == (0.0, 1.0)
    assert statistics.figures([0.3, 0.9])["interval"][0] < 0


def crossed(starts, orders, deviations):
    a, b, c = (
        RNG.normal(scale=s, size=shape) for s, shape in zip(deviations, (starts, orders, (starts, orders)), strict=True)
    )
    values = (a[:, None] + b[None, :] + c).ravel()
    levels = {"seed": np.repeat(np.arange(starts), orders), "order_seed": np.tile(np.arange(orders), starts)}
    return values, levels


@pytest.mark.parametrize("sizes", [(5, 4), (3, 3)])
@pytest.mark.parametrize("deviations", [(1, 1, 1), (0, 1, 0.3), (1, 0, 1), (1, 1, 0)])
def test_crossed_starts_and_orders_are_covered_and_were_not_as_if_they_were_independent(deviations, sizes):
    inside = {"crossed": 0, "independent": 0}
    for _ in range(400):
        values, levels = crossed(*sizes, deviations)
        for name, own in (("crossed", levels), ("independent", {})):
            low, high = statistics.mean_interval(values, own)
            inside[name] += low <= 0 <= high
    assert inside["crossed"] >= 0.93 * 400 > inside["independent"]


def test_a_source_that_does_not_vary_counts_for_nothing():
    values = RNG.normal(size=6)
    levels = {"seed": list(range(6)), "order_seed": [0] * 6}
    assert statistics.mean_interval(values, levels) == pytest.approx(statistics.mean_interval(values))
    assert statistics.mean_interval(values, {"order_seed": [0] * 6}) is None


@pytest.mark.parametrize("n", [3, 5, 10, 30, 1000])
def test_a_share_is_covered_however_rare_it_is(n):
    """Exactly: a sum over the binomial distribution. Wilson's own has as little as 83 % at some shares."""
    entries = [statistics.share(count, n) for count in range(n + 1)]
    ends = np.array([entry["interval"] for entry in entries])
    covered, wilsons = [], []
    plain = np.array([stats.binomtest(count, n).proportion_ci(0.95, method="wilson") for count in range(n + 1)])
    for p in np.linspace(0.001, 0.999, 999):
        chance = stats.binom.pmf(np.arange(n + 1), n, p)
        covered.append(chance[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum())
        wilsons.append(chance[(plain[:, 0] <= p) & (p <= plain[:, 1])].sum())
    assert np.mean(covered) >= 0.9495 and min(covered) >= 0.915 and min(wilsons) < 0.92
    assert (np.diff(ends, axis=1) > 0).all() and (ends >= 0).all() and (ends <= 1).all()
    assert statistics.share(0, 0) is None


def test_what_intervals_are_over_is_said():
    def said(*axes, **options):
        return statistics.said(statistics.varying(axes, **{"shared": True, "order_seed": None} | options))

    assert said("seed") == (
        "95 % intervals over start; the data order is the same for all and not in them (--noshare gives each its own)"
    )
    assert said("seed", shared=False) == "95 % intervals over start and data order"
    assert "the data order is the same" in said("seed", shared=False, order_seed=3)
    assert said("seed", "order_seed", "label_noise_seed") == "95 % intervals over start and data order and label noise"
    assert "the start is the same" in said("order_seed") and said("hidden").startswith("no intervals")
