"""Bad minima: descent ends where the authors' did, the comparison of counts, and the script at a small scale."""

import math
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts

from experiments.papers import descent, minima
from twolayer import population

FLAT = descent.Stop(flat=1e-9, settled=-np.inf, cap=30_000)


def test_the_known_minimum_for_seven_units_is_one_and_descent_goes_there(float64):
    diagonal, other, to_row, to_column, rest = minima.MINIMUM_7
    known = np.full((7, 7), rest)
    known[0], known[:, 0] = to_row, to_column
    np.fill_diagonal(known, other)
    known[0, 0] = diagonal
    slopes = [float(abs(population.gradient(jnp.asarray(W))).max()) for W in (known, known.T)]
    assert min(slopes) < 1e-9 < 1e-3 < max(slopes), "one of the two ways to place the entries is the minimum"
    W = known if slopes[0] < slopes[1] else known.T
    assert population.loss(jnp.asarray(W), jnp.eye(7)) > 1e-3
    moved = jnp.asarray(W + 1e-3 * np.random.default_rng(0).normal(size=W.shape))[None]
    start = descent.begin(jax.random.key(0), 1, 7, 7, 0.1)._replace(start=moved, W=moved)
    found = descent.descend(start, FLAT._replace(flat=1e-12))
    assert not found.going[0] and minima.distance(np.asarray(found.W[0])) < 1e-9


def test_all_runs_stop_where_one_alone_does_and_the_loss_decides_early(float64):
    many = descent.begin(jax.random.key(1), 24, 8, 8, 0.1)
    done = descent.descend(many, FLAT)
    loss = np.asarray(descent.losses(done.W))
    bad = loss >= minima.FAILED
    assert 0 < bad.sum() < 12 and not done.going.any() and (done.slope < 1e-9).all()
    assert abs(loss[~bad]).max() < 1e-12 and loss[bad].min() > 0.01, "nothing between"
    further = descent.further(done, bad, FLAT._replace(flat=1e-10))
    assert len(further.W) == bad.sum() and (further.slope < 1e-10).all() and (0 < further.steps).all()
    np.testing.assert_allclose(further.W, done.W[bad], atol=1e-6)
    late = int(np.argmax(done.steps))
    alone = descent.descend(jax.tree.map(lambda a: a[late : late + 1], many), FLAT)
    assert abs(int(alone.steps[0]) - int(done.steps[late])) <= 2
    np.testing.assert_allclose(alone.W[0], done.W[late], atol=1e-7)
    early = descent.descend(many, FLAT._replace(settled=1e-3))
    np.testing.assert_array_equal(np.asarray(descent.losses(early.W)) >= minima.FAILED, bad)
    assert np.median(early.steps[~bad]) < 0.6 * np.median(done.steps[~bad])


def test_a_step_too_long_is_halved_until_descent_converges(float64):
    runs = descent.descend(descent.begin(jax.random.key(0), 6, 3, 3, 40.0), FLAT._replace(flat=1e-6))
    assert (runs.step < 40).all() and not runs.going.any() and abs(descent.losses(runs.W)).max() < 1e-8


def test_the_cap_leaves_runs_undecided(float64):
    runs = descent.descend(descent.begin(jax.random.key(0), 3, 4, 4, 0.1), FLAT._replace(cap=10))
    assert runs.going.all() and (runs.steps == 10).all()


def test_shares_are_compared_by_their_difference():
    same = minima.compare(55, 1000, 55, 1000)
    assert same["z"] == 0 and same["inside"] and same["interval"][0] == -same["interval"][1]
    half = minima.compare(450, 1000, 500, 1000)
    assert half["z"] == pytest.approx(-0.05 / np.sqrt(0.475 * 0.525 / 500)) and half["inside"]
    assert not minima.compare(440, 1000, 500, 1000)["inside"]
    assert minima.compare(0, 10, 0, 1000)["inside"]


def test_levels_of_the_same_minima_have_the_same_shares():
    theirs = minima.PUBLISHED[17, 18]
    assert sum(theirs.values()) == 233 and minima.same_levels(theirs, theirs) == 1
    assert minima.same_levels({level: 2 * runs for level, runs in theirs.items()}, theirs) == pytest.approx(1)
    chi_squared = 2 * (10**2 / 50 + 10**2 / 30)  # with one degree of freedom
    p_value = math.erfc(math.sqrt(chi_squared / 2))
    assert minima.same_levels({0.1: 40, 0.2: 40}, {0.1: 60, 0.2: 20}) == pytest.approx(p_value)
    assert minima.same_levels({0.1: 40, 0.2: 40}, {0.1: 40, 0.3: 40}) < 1e-9, "a minimum of one side only"
    assert minima.same_levels({0.1: 40, 0.2: 3, 0.3: 4}, {0.1: 40, 0.4: 7}) == 1, "rare ones count as one"
    assert minima.same_levels({0.1: 40}, {0.1: 60}) is None and minima.same_levels({}, theirs) is None


SMALL = ("--ks=3,8", "--ks_plus_one=3", "--runs=24", "--quiet")


def test_an_interrupted_script_goes_on_to_the_same_rows(tmp_path):
    straight = scripts.rows_of_study("safran2018", tmp_path / "straight", SMALL)
    assert [(row["row"], row["n"]) for row in straight] == [
        ("k = 3", 24),
        ("k = 8", 24),
        ("k = 3, n = 4", 24),
    ]
    by_name = {row["row"]: row for row in straight}
    assert by_name["k = 3"]["failures"] == by_name["k = 3, n = 4"]["failures"] == 0
    assert by_name["k = 8"]["failures"] > 0 and list(by_name["k = 8"]["levels"]) == ["0.0215"]
    assert by_name["k = 8"]["undecided"] == 0 and by_name["k = 8"]["scaled"] == {"runs": 24}
    assert by_name["k = 8"]["published"] is None and "inside" not in by_name["k = 8"], "its interval would be wide"
    assert (tmp_path / "straight" / "figures" / "safran2018.png").exists()

    command = ("papers.safran2018", *(part for part in SMALL if part != "--quiet"), f"--run_dir={tmp_path / 'halted'}")
    process = scripts.start(*command)
    assert process.line("k3-n3: ")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 75 and "repeat the command" in err
    assert (tmp_path / "halted" / "cells" / "k3-n3.json").exists() and not (
        tmp_path / "halted" / "result.json"
    ).exists()
    assert scripts.rows_of_study("safran2018", tmp_path / "halted", SMALL) == straight
