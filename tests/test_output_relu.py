"""How often a class is lost: the counts, the expectation before the first step, and the script at a small scale."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
import scripts

from experiments.runtime import lost_classes, sweep_tables


def test_cells_count_the_networks_that_lost_something():
    rows = [
        {"init": init, "loss": "quadratic", "hidden": 8, "learning_rate": 0.1, "status": status}
        | {"test_lost_classes": classes, "train_dead_outputs": outputs, "test_accuracy": 0.5}
        | dict.fromkeys((*sweep_tables.SCORES[:4], *sweep_tables.COUNTS[:1], "test_dead_outputs"), 0.0)
        | {"validated_on": 10, "tested_on": 10}
        for init, status, classes, outputs in [
            ("he", "done", 0, 0), ("alive", "done", 0, 0), ("he", "done", 2, 1),
            ("he", "done", 1, 0), ("he", "diverged", 9, 9), ("alive", "done", 0, 0),
        ]
    ]  # fmt: skip
    alive, he = lost_classes.cells(pa.Table.from_pylist(rows))
    assert (alive["init"], alive["networks"], alive["diverged"], alive["not_predicted"]["count"]) == ("alive", 2, 0, 0)
    assert (he["networks"], he["diverged"]) == (4, 1)
    assert (he["not_predicted"]["count"], he["not_predicted"]["n"], he["lost_for_good"]["count"]) == (2, 3, 1)
    low, high = he["not_predicted"]["interval"]
    assert 0 < low < 2 / 3 < high < 1 and lost_classes.share(0, 0) is None


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_the_integral_is_the_share_of_draws_without_a_positive_number(rho):
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(40_000, 1)), rng.normal(size=(40_000, 20))
    drawn = (np.sqrt(rho) * u + np.sqrt(1 - rho) * v < 0).all(axis=1).mean()
    assert lost_classes.dead_probability(rho, 20) == pytest.approx(drawn, abs=4 * np.sqrt(drawn / 40_000))
    assert lost_classes.dead_probability(rho, 1) == pytest.approx(0.5)


def test_alike_images_make_a_dead_output_more_likely():
    rng = np.random.default_rng(0)
    alike = 1 + 0.1 * rng.random((200, 30))
    apart = np.eye(200)
    assert lost_classes.expected_dead(apart, 10) < 0.01 < lost_classes.expected_dead(alike, 10) < 1


SMALL = ("--seeds=4", "--inits=he,alive", "--losses=quadratic", "--widths=8", "--rates=1", "--epochs=2", "--quiet")


def test_a_small_study_counts_all_its_networks_and_is_continued(tmp_path):
    run_dir, path = tmp_path / "run", tmp_path / "cells.json"
    status, out, err = scripts.run("output_relu", *SMALL, f"--run_dir={run_dir}", f"--json={path}")
    assert status == 0, err
    result = json.loads(path.read_text())
    assert [(cell["init"], cell["networks"]) for cell in result["cells"]] == [("alive", 4), ("he", 4)]
    start = {entry["init"]: entry["dead_output"] for entry in result["start"]}
    assert start["alive"]["count"] == 0 and start["he"]["n"] == 4 and 0 < result["expected_at_the_start"] < 1
    assert result["varies"] == {"start": True, "data order": True} and "over start and data order" in out
    trained = re.search(r"^8 networks in ([\d.]+) \w+ of training", out, re.M)
    assert trained and float(trained[1]) > 0, "it read 0 s once"
    assert (run_dir / "figures" / "lost_classes.png").exists()
    again = scripts.run("output_relu", *SMALL, f"--run_dir={run_dir}")
    assert again[0] == 0 and again[1].split("\n\n")[0] == out.split("\n\n")[0], "told again without training"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--hidden=8", ("--hidden", "--widths")),
        ("--rates=0", ("--rates", "positive")),
        ("--widths=", ("--widths", "empty")),
        ("--inits=", ("--inits", "empty")),
        ("--inits=zero", ("init", "'zero'")),
        ("--seeds=1", ("--seeds",)),
    ],
)
def test_bad_flags_are_refused_in_one_line(argument, words, tmp_path):
    scripts.assert_refused(scripts.run("output_relu", argument, f"--run_dir={tmp_path / 'run'}"), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("losses", ["cross_entropy,quadratic", "quadratic"])
def test_real_targets_have_no_classes_to_lose(losses, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "\n".join(f"{i},{i / 7}" for i in range(40)))
    where = (f"--dataset={tmp_path / 't.csv'}", "--target=y", f"--run_dir={tmp_path / 'run'}", f"--losses={losses}")
    scripts.assert_refused(scripts.run("output_relu", *where, *SMALL[:2]), "t.csv", "no classes to lose")
    assert not (tmp_path / "run").exists()
