"""A run that was ended too early goes on where it was, to the same bits; and one process at a time works on it."""

import fcntl
import functools
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
import scripts
from scripts import assert_refused, read, read_metrics, without_seconds

from experiments.runtime.runs import Run, find_run
from twolayer.command.cli import BadInput
from twolayer.command.files import LOCK

start, train = (functools.partial(f, "train") for f in (scripts.start, scripts.run))


# Long enough to be interrupted on a fast machine: 300 epochs are 12 segments.
LONG = ("--hidden=64", "--epochs=300", "--nofigures", "--quiet", "--checkpoint_every=25")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "long"
    assert train(*LONG, f"--run_dir={run_dir}")[0] == 0
    return read(run_dir)


def interrupt(run_dir, number, epochs=1, arguments=LONG):
    """Send a signal once the run has logged so many epochs; returns (exit status, stderr)."""
    process = start(*arguments, f"--run_dir={run_dir}")
    metrics, deadline = run_dir / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) < epochs:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_continues_to_the_same_bits(tmp_path, uninterrupted, number):
    status, err = interrupt(tmp_path / "run", number)
    assert status == 75
    assert err.splitlines() == [f"{number.name}: saved in {tmp_path / 'run'}; repeat the command to continue"]
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "interrupted"
    before = read_metrics(tmp_path / "run")
    assert train(*LONG, f"--run_dir={tmp_path / 'run'}")[0] == 0
    summary, metrics = read(tmp_path / "run")
    assert metrics[: len(before)] == before, "it went on, and did not begin again"
    sessions = json.loads((tmp_path / "run" / "manifest.json").read_text())["sessions"]
    assert [session["epoch"] for session in sessions] == [0, len(before)] and all(s["argv"] for s in sessions)
    assert summary["params_sha256"] == uninterrupted[0]["params_sha256"]
    assert without_seconds(metrics) == without_seconds(uninterrupted[1])


def test_a_killed_run_continues_to_the_same_bits(tmp_path, uninterrupted):
    assert interrupt(tmp_path / "run", signal.SIGKILL, epochs=51)[0] == -signal.SIGKILL
    before = read_metrics(tmp_path / "run", 25)
    assert train(*LONG, f"--run_dir={tmp_path / 'run'}")[0] == 0
    summary, metrics = read(tmp_path / "run")
    assert metrics[:25] == before, "it went on from a checkpoint, with the seconds of then"
    assert summary["params_sha256"] == uninterrupted[0]["params_sha256"]
    assert without_seconds(metrics) == without_seconds(uninterrupted[1])


def test_a_run_continues_on_other_devices_to_the_same_within_rounding(tmp_path):
    exact = ("--hidden=16", "--epochs=200", "--nofigures", "--quiet", "--precision=float64")
    assert train(*exact, f"--run_dir={tmp_path / 'whole'}")[0] == 0
    interrupt(tmp_path / "cut", signal.SIGTERM, arguments=exact)
    before = read_metrics(tmp_path / "cut")
    assert len(before) < 200
    status, _, err = train(*exact, "--mesh=hidden=2", f"--run_dir={tmp_path / 'cut'}", JAX_NUM_CPU_DEVICES="2")
    assert status == 0, err
    assert read_metrics(tmp_path / "cut", len(before)) == before, "it went on, and did not begin again"
    with np.load(tmp_path / "whole" / "params.npz") as one, np.load(tmp_path / "cut" / "params.npz") as two:
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-9, atol=1e-11)


def test_of_a_damaged_checkpoint_the_one_before_is_used(tmp_path, uninterrupted):
    assert interrupt(tmp_path / "run", signal.SIGTERM, epochs=51)[0] == 75  # so that there are two
    _, last = sorted(path for path in (tmp_path / "run" / "checkpoints").iterdir() if path.is_dir())
    array = max(last.rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    content = bytearray(array.read_bytes())
    content[len(content) // 2] ^= 1
    array.write_bytes(content)
    status, _, err = train(*LONG, f"--run_dir={tmp_path / 'run'}")
    assert status == 0 and err.splitlines() == [
        f"warning: the checkpoint {last} is damaged; going on from the one before it"
    ]
    summary, metrics = read(tmp_path / "run")
    assert summary["params_sha256"] == uninterrupted[0]["params_sha256"]
    assert without_seconds(metrics) == without_seconds(uninterrupted[1])


@pytest.mark.parametrize("content", [b'{"epoch": 1}\n', b'{"epoch": 1}\n{"epo\n{"epoch": 3}\n', b"\xfb" * 9, None])
def test_metrics_that_are_lost_are_not_gone_on_from(content, tmp_path):
    if content:
        (tmp_path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match="is damaged"):
        Run(tmp_path, {"status": "running"}).keep_metrics(3)
    assert not content or (tmp_path / "metrics.jsonl").read_bytes() == content


def test_an_interrupted_run_without_its_checkpoints_is_not_begun_again(tmp_path):
    assert interrupt(tmp_path / "run", signal.SIGTERM)[0] == 75
    before = read_metrics(tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_refused(train(*LONG, f"--run_dir={tmp_path / 'run'}"), "has lost its checkpoints", "put them back")
    assert before and read_metrics(tmp_path / "run") == before


def test_a_second_process_in_the_same_directory_is_refused(tmp_path):
    endless = (*LONG[:1], "--epochs=1000000", *LONG[2:], f"--run_dir={tmp_path / 'run'}")
    first = start(*endless)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "manifest.json").exists():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert_refused(train(*endless), "another process works in", str(tmp_path / "run"))
    first.kill()
    first.communicate()
    with open(tmp_path / "run" / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ended with its process


def test_a_run_that_another_process_has_finished_meanwhile_is_not_begun_again(tmp_path):
    stale = Run(tmp_path, {"status": "running", "flags": {}})
    Run(tmp_path, {"flags": {}}).set_status("done")
    with pytest.raises(BadInput, match="finished it meanwhile"):
        stale.create()


def test_a_run_that_another_process_has_begun_meanwhile_with_other_flags_is_left_alone(tmp_path):
    stale = find_run(tmp_path / "run", {"hidden": 8, "quiet": True}, ("quiet",))
    other = find_run(tmp_path / "run", {"hidden": 9, "quiet": False}, ("quiet",))
    other.create()
    os.close(other._lock._file)  # it has ended
    with pytest.raises(BadInput, match=r"--hidden is 9 there and 8 here\)"):
        stale.create()


def test_a_run_is_not_continued_on_other_data(tmp_path):
    other = ("--dataset=teacher", "--loss=quadratic", "--output=identity", "--epochs=1", "--nofigures", "--quiet")
    assert train(*other, f"--run_dir={tmp_path / 'run'}")[0] == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest |= {"status": "interrupted", "data_sha256": "0" * 64}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    found = train(*other, f"--run_dir={tmp_path / 'run'}")
    assert_refused(found, "was begun on other data", "000000000000 there")


def test_a_run_from_before_a_flag_was_added_has_its_default(tmp_path):
    """As if the flag had not existed when it was begun; another value of it is another run."""
    run_dir = tmp_path / "run"
    assert train("--epochs=1", "--nofigures", f"--run_dir={run_dir}")[0] == 0
    manifest = json.loads((run_dir / "manifest.json").read_text())
    for name in ("averaging", "label_noise_seed", "activation"):  # defaults that are not None
        del manifest["flags"][name]
    (run_dir / "manifest.json").write_text(json.dumps(manifest))
    assert train("--epochs=1", "--nofigures", f"--run_dir={run_dir}")[0] == 0
    scripts.assert_refused(train("--epochs=1", "--averaging=0.9", f"--run_dir={run_dir}"), "--averaging is 0.0 there")
