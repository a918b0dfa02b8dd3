"""The measurement that nothing is lost, on a small scale; and that it would see a loss."""

import dataclasses
import json
import signal
import subprocess

import numpy as np
import pytest
import scripts

from experiments.benchmarks.faults import kills, pairs
from experiments.runtime.runs import Run, load_params
from twolayer.command.cli import BadInput

SMALL = ("--hidden=8", "--epochs=50", "--checkpoint_every=25", "--nofigures")


@pytest.fixture(scope="module", autouse=True)
def forked():
    """What the measurement starts comes from the process that has imported the libraries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", scripts.forked_if_ours())
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    assert 0 < kills.alone(SMALL, folder) < 60
    return folder


def test_nothing_is_lost_and_the_file_says_so(tmp_path):
    file = tmp_path / "endurance.json"
    small = ("--hidden=16", "--kills=2", "--terms=1", "--damages=12", "--epochs=200", "--nopairs", "--quiet")
    status, out, err = scripts.run("benchmarks.endurance", *small, f"--json={file}")
    assert (status, err) == (0, ""), err
    result = json.loads(file.read_text())
    assert result["nothing_lost"] and all(run["equal"] for run in result["runs"])
    assert sorted(kill["signal"] for kill in result["kills"]) == ["SIGKILL"] * 2 + ["SIGTERM"]
    assert sum(result["phases"].values()) == 3
    assert set(result["damages"]) == {"checkpoint", "prepared data", "params.npz"}
    for count in result["damages"].values():
        assert sum(count.values()) == 12 and count["silently used"] == 0
    assert "2 SIGKILLs and 1 SIGTERMs of" in out and "0 silently used" in out and "The signals met" in out
    assert str(tmp_path) not in json.dumps(result | {"argv": None})


def test_another_seed_is_seen_to_differ(place, tmp_path):
    assert kills.differences(place / "run", place / "run") == []
    kills.alone((*SMALL, "--seed=1"), tmp_path)
    different = ["params.npz", "params_sha256", "metrics.jsonl"]
    assert kills.differences(place / "run", tmp_path / "run") == different


def test_a_lost_epoch_is_seen(place, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    for name in ("params.npz", "summary.json", "metrics.jsonl"):
        (other / name).write_bytes((place / "run" / name).read_bytes())
    assert kills.differences(place / "run", other) == []
    lines = (other / "metrics.jsonl").read_text().splitlines(keepends=True)
    (other / "metrics.jsonl").write_text("".join(lines[:10] + lines[11:]))
    assert kills.differences(place / "run", other) == ["metrics.jsonl"]


def test_a_run_that_fails_by_itself_is_no_kill(tmp_path):
    with pytest.raises(BadInput, match=r"failed: error: .*add --loss=quadratic"):
        kills.alone((*SMALL, "--dataset=teacher"), tmp_path)
    with pytest.raises(BadInput, match="no checkpoint to continue from"):
        kills.alone(("--hidden=8", "--epochs=2", "--nofigures"), tmp_path)


def test_two_processes_have_the_result_of_one_and_a_survivor_ends(tmp_path):
    training = ("--hidden=8", "--epochs=60", "--checkpoint_every=5")
    assert pairs.together(training, tmp_path) == []
    found = pairs.lost(training, tmp_path / "lost", tmp_path / "two", 1, signal.SIGKILL)
    assert found.seconds < 60 and found.status == 75 and "repeat the command on all" in found.said
    assert found.ended_well
    for worse in ({"seconds": None}, {"seconds": 61.0}, {"status": 1}, {"said": ""}, {"differs": ["metrics.jsonl"]}):
        assert not dataclasses.replace(found, **worse).ended_well
    assert found.differs == [] and (found.process, found.signal) == (1, "SIGKILL")
    with pytest.raises(BadInput, match="ended by itself, or has no checkpoint"):
        pairs.lost(("--hidden=8", "--epochs=2"), tmp_path / "short", tmp_path / "two", 1, signal.SIGKILL)


def test_a_reader_that_verifies_nothing_is_seen(tmp_path):
    array = np.arange(1000, dtype=np.float32)
    path = tmp_path / "array"
    array.tofile(path)
    found = kills.count([path], lambda: {"array": np.fromfile(path, np.float32)}, 30, np.random.default_rng(0))
    assert found == {"detected": 0, "harmless": 0, "silently used": 30}
    assert path.read_bytes() == array.tobytes(), "the file is mended"


# --- params.npz of a run ---


@pytest.fixture
def finished(tmp_path):
    run = Run(tmp_path, {"status": "done", "flags": {}})
    arrays = {name: np.full(3, i, np.float32) for i, name in enumerate(("W1", "b1", "W2", "b2"))}
    run.save_summary({"params_sha256": run.save_params(arrays)})
    return run, arrays


def test_the_parameters_of_a_run_are_read_and_verified(finished):
    run, arrays = finished
    found = load_params(run.path)
    assert list(found) == list(arrays) and all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_parameters_that_cannot_be_trusted_are_refused_in_one_line(finished):
    run, arrays = finished
    run.save_params(arrays | {"W1": np.full(3, 9, np.float32)})  # of another run
    refused = {"params.npz is damaged: it has SHA-256": lambda: None}
    refused["damaged or unreadable"] = lambda: (run.path / "params.npz").write_bytes(b"PK" + bytes(50))
    refused["params.npz is missing"] = (run.path / "params.npz").unlink
    refused["names no params_sha256"] = lambda: (run.path / "summary.json").write_text("{}")
    refused["is not a finished run"] = (run.path / "summary.json").unlink
    for words, damage_it in refused.items():
        damage_it()
        with pytest.raises(BadInput, match=words) as caught:
            load_params(run.path)
        assert len(str(caught.value).splitlines()) == 1


def test_no_pickle_is_loaded(finished):
    run, arrays = finished
    with open(run.path / "params.npz", "wb") as file:
        np.savez(file, **arrays | {"W1": np.array([{}], object)})
    with pytest.raises(BadInput, match=r"damaged or unreadable .*allow_pickle"):
        load_params(run.path)
