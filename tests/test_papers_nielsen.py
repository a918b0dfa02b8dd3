"""The study of Nielsen's book at a small scale, on digits: outcomes, resumption, and what `experiments.sweep` gives."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import scripts

from experiments.papers import nielsen2015

SMALL = ("--dataset=digits", "--seeds=2", "--quiet")
ROWS = ("n=100", "n=500", "relu n=500", "K=30 default", "K=30 default epoch 1", "1000 images lambda=0.1")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A tenth of the rows, a twentieth of the epochs: (result, run directory, flags, progress)."""
    folder = tmp_path_factory.mktemp("nielsen")
    given = (*SMALL, "--length=0.05", f"--rows={','.join(ROWS)}", f"--run_dir={folder / 'run'}")
    status, _, err = scripts.run("papers.nielsen2015", *given, "--noquiet", f"--json={folder / 'rows.json'}")
    assert status == 0, err
    return json.loads((folder / "rows.json").read_text()), folder / "run", given, err


def test_more_examples_help_and_two_rows_share_their_networks(study):
    result, run_dir, *_ = study
    rows = {row["row"]: row for row in result["rows"]}
    assert list(rows) == list(ROWS) and all(row["n"] == 2 for row in rows.values())
    assert 85 < rows["n=100"]["ours"] < rows["n=500"]["ours"] and rows["relu n=500"]["ours"] > 90
    assert rows["1000 images lambda=0.1"]["ours"] > 85 and rows["1000 images lambda=0.1"]["unit"] == "% test accuracy"
    assert rows["K=30 default epoch 1"]["ours"] < rows["K=30 default"]["ours"]
    assert len(list((run_dir / "cells").iterdir())) == len(ROWS) - 1
    assert {row["published"] for row in rows.values()} == {None}, "nothing is published on digits"
    assert (run_dir / "figures" / "nielsen2015.png").stat().st_size > 10_000


def test_progress_names_rows_as_the_table_does(study):
    """Not what their cells are a function of: it read 50000-30-quadratic-... once."""
    lines = [line for line in study[3].splitlines() if line.endswith(" ...")]
    assert lines == [f"{row} ..." for row in ROWS if row != "K=30 default epoch 1"], "which shares its networks"


def test_the_same_command_again_computes_nothing(study):
    result, run_dir, given, _ = study
    before = {path: path.stat().st_mtime_ns for path in (run_dir / "cells").iterdir()}
    assert scripts.run("papers.nielsen2015", *given)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (run_dir / "cells").iterdir()} == before
    assert json.loads((run_dir / "result.json").read_text())["rows"] == result["rows"]


def test_a_row_is_what_its_command_of_a_sweep_gives(study, tmp_path):
    """Up to rounding, which may turn one of the 180 images."""
    result, *_ = study
    row = next(row for row in result["rows"] if row["row"] == "n=500")
    module, *given = row["network_command"].removeprefix("python -m experiments.").split()
    status, _, err = scripts.run(module, *given, "--quiet", "--nofigures", f"--run_dir={tmp_path / 'sweep'}")
    assert status == 0, err
    accuracies = pq.read_table(tmp_path / "sweep" / "networks.parquet")["valid_accuracy"].to_numpy()
    np.testing.assert_allclose(row["values"], 100 * accuracies, atol=0.7)


def test_an_unknown_row_is_refused(tmp_path):
    outcome = scripts.run("papers.nielsen2015", *SMALL, "--rows=n=7", f"--run_dir={tmp_path / 'run'}")
    scripts.assert_refused(outcome, "'n=7' is not known", "n=100")


def test_the_rows_are_the_published_numbers_of_the_recipes():
    targets = nielsen2015.TARGETS
    assert [targets[f"n={n}"].recipe.decay / n for n in nielsen2015.SIZES] == pytest.approx([1e-4] * 9)
    assert {t.recipe.epochs * t.recipe.examples for name, t in targets.items() if "n=" in name} == {1_500_000}
    assert {t.measured for t in targets.values()} == {"valid", "first_valid", "test"}
    assert all(60 < t.published < 100 for t in targets.values())
    assert targets["n=100"].judged(69.5)["met"] and not targets["n=100"].judged(70)["met"]
    assert targets["relu n=100"].judged(70)["met"] and not targets["relu n=100"].judged(69)["met"]
    assert targets["quadratic K=30"].judged(95) == {}
