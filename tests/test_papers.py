"""The scripts of published results as a user meets them, at a small scale, and what they share."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import scripts

from experiments.papers import listing, results
from experiments.papers.results import Origin, Row, as_text
from experiments.runtime.interrupts import carry_out
from twolayer.command.cli import BadInput
from twolayer.datasets import mnist_family

needs_mnist = pytest.mark.skipif(
    "TWOLAYER_MNIST_DIR" not in os.environ, reason="TWOLAYER_MNIST_DIR names no folder of archives"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Flags that say where MNIST is, prepared once."""
    return f"--source_dir={os.environ['TWOLAYER_MNIST_DIR']}", f"--data_dir={tmp_path_factory.mktemp('data')}"


def rows_of(path):
    return {row["row"]: row for row in json.loads(path.read_text())["rows"]}


def run(name, *arguments):
    status, out, err = scripts.run(f"papers.{name}", *arguments, before=few_images)
    assert status == 0, err
    return out


def few_images():
    """Of MNIST 2,000 of the 20,000 images that are not trained on: looking at them takes most of the time of a test."""
    prepare, sizes = mnist_family.prepare, (50_000, 1_000, 1_000)
    mnist_family.FORM = mnist_family.FORM._replace(sizes=sizes)
    mnist_family.prepare = lambda *place: tuple(
        part._replace(x=part.x[:size], y=part.y[:size]) for part, size in zip(prepare(*place), sizes, strict=True)
    )


# --- what they share ---


def row_of(name, values, bar=1.6):
    met = sum(values) / len(values) <= bar
    origin = Origin(60.0, frozenset(["b", "a"]), frozenset(["d"]))
    facts = {"command": "c"}
    return Row("simard2003", name, 1.6, values, "% test error", origin, facts, bar=f"at most {bar}", met=met)


def test_a_row_has_what_the_contract_asks_for():
    row = row_of("cross_entropy none", [1.5, 1.4])
    found = row.as_dict()
    assert found["ours"] == pytest.approx(1.45) and found["sd"] == pytest.approx(0.0707, rel=1e-2) and found["n"] == 2
    assert (found["published"], found["met"], found["command"]) == (1.6, True, "c")
    assert (found["commit"], found["device"], found["seconds"]) == ("a, b", "d", 60.0)
    alone = Row("simard2003", "headline", None, [0.6], "% test error").as_dict()
    assert alone["sd"] is None and "met" not in alone
    assert "1.45" in as_text([found, alone])
    with pytest.raises(ValueError, match="'headline' would replace n"):
        Row("simard2003", "headline", None, [0.6], "% test error", facts={"n": 3}).as_dict()


def test_a_row_comes_from_all_sessions_of_its_runs(tmp_path):
    platform = {"cpus": 2, "cpu": "Z80"}
    sessions = [
        {"git": {"commit": "a", "dirty": False}, "devices": ["cpu: cpu"]},
        {"git": {"commit": "b", "dirty": True}, "devices": ["gpu: H1"]},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"platform": platform, "sessions": sessions, **sessions[1]}))
    found = Origin.of_run(tmp_path, 3.0)
    assert found == Origin(3.0, frozenset(["a", "b+"]), frozenset(["2 cores of Z80", "gpu: H1"]))
    cell = Origin.of_cell({"seconds": 4.0, "commit": "c", "device": "d"})
    assert Origin.total([found, cell.counted()]) == Origin(3.0, found.commits | {"c"}, found.devices | {"d"})


def test_rows_of_another_name_stay_in_a_result_file(tmp_path):
    target = tmp_path / "rows.json"
    for names, value in (("ab", 1), ("bc", 2)):
        results.merge(target, {"rows": [{"row": name, "ours": value} for name in names], "versions": value})
    assert results.rows_of(target) == [{"row": name, "ours": value} for name, value in (("a", 1), ("b", 2), ("c", 2))]
    assert json.loads(target.read_text())["versions"] == 2
    with pytest.raises(BadInput, match="'c' at the published scale"):
        results.merge(target, {"rows": [{"row": "c", "ours": 3, "scaled": {"seeds": 1}}]})
    target.write_text('{"rows": 5}')
    with pytest.raises(BadInput, match=r"rows\.json is damaged"):
        results.merge(target, {"rows": []})


@pytest.mark.parametrize(
    ("program", "stop", "status"),
    [
        ("raise SystemExit(3)", False, 3),
        ("import os; os.kill(os.getpid(), 9)", False, 128 + 9),
        ("import time; time.sleep(60)", True, 75),  # it does not listen for the signal yet
        ("import signal, time; signal.signal(15, lambda *_: exit(75)); print(flush=True); time.sleep(60)", True, 75),
    ],
)
def test_a_child_is_waited_for_and_told_to_stop(program, stop, status):
    ended, errors = carry_out([sys.executable, "-c", program], lambda: stop, stderr=subprocess.PIPE)
    assert (ended, errors) == (status, "")


def test_the_list_has_every_script_with_its_time(tmp_path):
    status, out, _ = scripts.run("papers")
    names = {path.stem for path in (scripts.ROOT / "experiments" / "papers").glob("*20*.py")} | {"doubledescent"}
    assert status == 0 and names == {paper.name for paper in listing.PAPERS}
    assert all(f"{name} " in out for name in names)


@pytest.mark.parametrize("name", [paper.name for paper in listing.PAPERS])
def test_help_of_each_script_teaches_and_is_quick(name):
    began = time.perf_counter()
    status, out, _ = scripts.run(f"papers.{name}", "--help")
    assert status == 0 and f"python -m experiments.papers.{name}" in out and "--run_dir" in out and "--json" in out
    assert time.perf_counter() - began < 30  # no training


def test_a_budget_is_read_as_it_is_written():
    assert [listing.seconds(text) for text in ("45s", "1.5min", "2h")] == [45, 90, 7200]
    scripts.assert_refused(scripts.run("papers", "--all", "--budget=60"), "--budget=60", "60min")
    scripts.assert_refused(scripts.run("papers", "--budget=60min"), "--all")


def test_all_of_them_stop_when_the_budget_is_used_up_and_go_on_from_there(tmp_path):
    folders = (f"--results={tmp_path / 'results'}", f"--runs={tmp_path / 'runs'}")
    (tmp_path / "results").mkdir()
    for paper in listing.PAPERS[2:]:
        rows = [{"row": str(number), "met": True} for number in range(paper.whole)]
        paper.result(tmp_path / "results").write_text(json.dumps({"rows": rows}))
    status, _, err = scripts.run("papers", "--all", "--budget=20s", *folders)
    assert status == 75 and "about" in err
    status, out, _ = scripts.run("papers", *folders)
    assert status == 0 and "begun" in out and "not run" in out and f"all {listing.PAPERS[2].whole} rows" in out


def test_tables_say_what_was_missed_and_what_was_not_measured(tmp_path):
    paper = listing.Paper("simard2003", "?", 7, 3)
    assert "Not measured yet" in listing.table(paper, tmp_path) and "7 minutes" in listing.table(paper, tmp_path)
    again = dataclasses.replace(row_of("again", [1.5]), facts={"command": "c", "earlier_attempt": "1.7"})
    rows = [row_of("good", [1.5]), row_of("bad", [1.75]), again]
    paper.result(tmp_path).write_text(json.dumps({"rows": [row.as_dict() for row in rows]}))
    assert "| bad | 1.6 | 1.75 |  | 1 | % test error | at most 1.6 | **no** |" in listing.table(paper, tmp_path)
    assert "| at most 1.6 | yes, second attempt |" in listing.table(paper, tmp_path)
    assert "2 of 3 bars are reached. Missed: simard2003: bad." in listing.misses(tmp_path)
    assert paper.status(tmp_path) == "all 3 rows, 1 missed"


# --- each script, small ---

TINY = ("--hidden=16", "--length=0.02", "--nofigures")


@needs_mnist
@pytest.mark.mnist
def test_simard_trains_each_kind_of_row_and_keeps_other_rows_of_the_file(data, tmp_path):
    places = (*data, f"--run_dir={tmp_path / 'run'}", f"--json={tmp_path / 'rows.json'}")
    run("simard2003", *TINY, "--seeds=2", "--rows=cross_entropy none", *places)
    run("simard2003", *TINY[:2], "--seeds=1", "--rows=quadratic elastic (output relu)", *places)
    rows = rows_of(tmp_path / "rows.json")
    assert list(rows) == ["cross_entropy none", "quadratic elastic (output relu)"]
    assert rows["cross_entropy none"]["n"] == 2 and len(set(rows["cross_entropy none"]["values"])) == 2
    assert rows["cross_entropy none"]["ours"] < 12 and rows["quadratic elastic (output relu)"]["ours"] < 25
    assert "--elastic=34" in rows["quadratic elastic (output relu)"]["network_command"]
    assert rows["cross_entropy none"]["published"] is None, "nothing is published about 16 hidden units"
    assert rows["cross_entropy none"]["scaled"] == {"hidden": 16, "length": 0.02, "seeds": 2}
    assert (tmp_path / "run" / "figures" / "distorted_digits.png").exists()
    refused = scripts.run("papers.simard2003", *TINY, "--rows=hinge", f"--run_dir={tmp_path / 'no'}")
    assert refused[0] == 1 and "'hinge' is not known" in refused[2] and "quadratic none" in refused[2]


@needs_mnist
@pytest.mark.mnist
def test_an_interrupted_study_goes_on_where_it_was(data, tmp_path):
    places = (*data, f"--run_dir={tmp_path / 'run'}")
    arguments = (*TINY, "--seeds=2", "--rows=cross_entropy none", *places)
    process = scripts.start("papers.simard2003", *arguments, before=few_images)
    kept = tmp_path / "run" / "runs" / "cross_entropy-none-0" / "summary.json"
    while process.poll() is None and not kept.exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75 and "repeat the command" in err
    written = kept.stat().st_mtime_ns
    run("simard2003", *arguments)
    assert kept.stat().st_mtime_ns == written
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "done"
    assert rows_of(tmp_path / "run" / "result.json")["cross_entropy none"]["n"] == 2

    manifest = kept.with_name("manifest.json")
    theirs = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(theirs | {"argv": [*theirs["argv"], "--elastic=34"]}))
    refused = scripts.run("papers.simard2003", *arguments)
    assert refused[0] == 1 and "cross_entropy-none-0 was made with other flags" in refused[2]
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "interrupted"


def test_a_damaged_cell_or_result_file_is_refused_with_what_to_do(tmp_path):
    small = ("--ks=3", "--ks_plus_one=", "--runs=4", "--flat=1e-4", "--nofigures", f"--run_dir={tmp_path / 'run'}")
    run("safran2018", *small)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["rows"][0]["device"].endswith(result["platform"]["cpu"])
    assert str(tmp_path) not in json.dumps(result) and "--runs=4" in result["argv"], "flags, and no places"
    (tmp_path / "run" / "cells" / "k3-n3.json").write_text("{")
    scripts.assert_refused(scripts.run("papers.safran2018", *small), "k3-n3.json is damaged", "remove it")
    (tmp_path / "rows.json").write_text("[]")
    refused = scripts.run("papers.safran2018", *small, f"--json={tmp_path / 'rows.json'}")
    scripts.assert_refused(refused, "rows.json is damaged", "no rows")
    (tmp_path / "zhang2017.json").write_text('{"row')
    scripts.assert_refused(scripts.run("papers", f"--results={tmp_path}"), "zhang2017.json is damaged")


@needs_mnist
@pytest.mark.mnist
def test_double_descent_trains_with_label_noise_and_chains_of_widths(data, tmp_path):
    sizes = ("--examples=300", "--epochs=30", "--reuse_epochs=3", "--repetitions=2", "--reuse_repetitions=1")
    some = ("--widths=4,40", "--chain=5,30", "--fresh=31")
    run("doubledescent", *sizes, *some, *data, f"--run_dir={tmp_path / 'run'}")
    rows = rows_of(tmp_path / "run" / "result.json")
    assert list(rows) == [
        *("label noise, H = 4", "label noise, H = 40"),
        "weight reuse up to 30: H = 30 over H = 31",
    ], "two widths say nothing about the peak"
    assert rows["label noise, H = 4"]["train_accuracy"] < rows["label noise, H = 40"]["train_accuracy"]
    assert rows["label noise, H = 4"]["published"] is None and len(set(rows["label noise, H = 4"]["values"])) == 2
    assert "published_sd" not in rows["label noise, H = 4"], "nothing is published about 300 images"
    assert rows["weight reuse up to 30: H = 30 over H = 31"]["seconds"] > 0
    flags = (tmp_path / "run" / "runs" / "reuse-30-0" / "flags.txt").read_text()
    assert "--start_from=" in flags and "reuse-5-0" in flags
    assert (tmp_path / "run" / "figures" / "doubledescent.png").exists()


@needs_mnist
@pytest.mark.mnist
def test_wider_networks_fit_more_and_random_labels_are_learnt_by_heart(data, tmp_path):
    small = ("--examples=500", "--epochs=40", *data)
    run("neyshabur2015", *small, "--widths=2,64", "--seeds=1", f"--run_dir={tmp_path / 'width'}")
    rows = rows_of(tmp_path / "width" / "result.json")
    assert rows["K = 64"]["train_error"] == 0 < rows["K = 2"]["train_error"]
    assert rows["K = 64"]["ours"] < rows["K = 2"]["ours"]

    run("zhang2017", "--examples=32", "--epochs=32", *data, "--hidden=256", f"--run_dir={tmp_path / 'labels'}")
    rows = rows_of(tmp_path / "labels" / "result.json")
    assert rows["cross_entropy, random labels"]["ours"] == 100
    assert rows["cross_entropy, random labels"]["test_accuracy"][0] < 15
    assert rows["cross_entropy, true labels"]["test_accuracy"][0] > 15, "after two epochs"
    assert rows["quadratic, random labels"]["ours"] > 90
    assert 0 < rows["quadratic, random labels"]["active_units"][0]["least"] < 256
    assert rows["quadratic, random labels, rate 0.001"]["learning_rate"] == 0.001
