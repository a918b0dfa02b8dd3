"""Two real processes on this machine are one job: the same result, one writer, and no survivor that waits for ever."""

import fcntl
import itertools
import json
import os
import pathlib
import signal
import socket
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from scripts import assert_refused, read, run, start, without_seconds

from experiments.runtime import processes
from twolayer.command.cli import BadInput
from twolayer.command.files import LOCK

FLAGS = ("--hidden=16", "--epochs=4", "--nofigures", "--quiet")
LONG = ("--hidden=16", "--epochs=100", "--nofigures", "--quiet", "--checkpoint_every=10")
LOST = "error: another process of the job was lost; what was saved is intact: repeat the command on all to continue"
SILENT = "error: JAX lost contact with another process of the job, or could not reach it"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def hasty():
    """The waits of a job, so much shorter that a test can outwait them."""
    processes.HEARTBEAT, processes.GRACE, processes.QUIET = 10, 2, 1


def together(script, *arguments, apart=False):
    """Two running processes of one job; with `apart` the second is told another directory, which it leaves alone."""
    job = ("--num_processes=2", f"--coordinator_address=127.0.0.1:{free_port()}")
    both = []
    for number in range(2):
        own = [f"{text}-other" if apart and number and text.startswith("--run_dir") else text for text in arguments]
        both.append(start(script, *own, *job, f"--process_id={number}", before=hasty))
    return both


def finish(both):
    """(exit status, what it says at the end) of each; JAX's threads may write to stderr after that."""
    ended = []
    for process in both:
        _, err = process.communicate(timeout=200)
        ours = [line for line in err.splitlines() if line.startswith("error: ") or "repeat the command" in line]
        ended.append((process.returncode, ours[-1] if ours else err))
    return ended


def worker(process):
    """The child that does the work of a process."""
    return int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def training(run_dir, both, epochs=25):
    """Wait until so many epochs have been logged."""
    deadline = time.monotonic() + 120
    metrics = run_dir / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < epochs:
        assert all(process.poll() is None for process in both) and time.monotonic() < deadline
        time.sleep(0.02)


def outcome(run_dir):
    summary, metrics = read(run_dir)
    return summary["params_sha256"], without_seconds(metrics)


@pytest.mark.parametrize("mesh", ["hidden=2", "data=2"])
def test_two_processes_give_the_bits_of_one_with_two_devices(mesh, tmp_path):
    command = ("train", *FLAGS, f"--mesh={mesh}", f"--run_dir={tmp_path / 'two'}")
    ended = finish(together(*command, apart=True))
    assert [status for status, _ in ended] == [0, 0], ended
    one = run("train", *FLAGS, f"--mesh={mesh}", f"--run_dir={tmp_path / 'one'}", JAX_NUM_CPU_DEVICES="2")
    assert one[0] == 0, one
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert len(manifest["devices"]) == 2 and manifest["mesh"][mesh[:-2]] == 2
    assert not (tmp_path / "two-other").exists(), "only the first writes"
    ended = finish(together(*command, apart=True))
    assert [status for status, _ in ended] == [0, 0], "both know that the run of the first is done"


def test_two_processes_share_the_networks_of_a_sweep(tmp_path):
    sweep = ("--sweep=seed=0:6", "--together=4", *FLAGS)
    ended = finish(together("sweep", *sweep, f"--run_dir={tmp_path / 'two'}", apart=True))
    assert [status for status, _ in ended] == [0, 0], ended
    assert run("sweep", *sweep, f"--run_dir={tmp_path / 'one'}")[0] == 0
    two, one = (pq.read_table(tmp_path / name / "networks.parquet").to_pylist() for name in ("two", "one"))
    assert [row["test_accuracy"] for row in two] == [row["test_accuracy"] for row in one] and len(two) == 6
    for a, b in zip(two, one, strict=True):
        assert a["test_loss"] == pytest.approx(b["test_loss"], rel=1e-5)
    assert not (tmp_path / "two-other").exists()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "long"
    assert run("train", *LONG, "--mesh=hidden=2", f"--run_dir={run_dir}", JAX_NUM_CPU_DEVICES="2")[0] == 0
    return outcome(run_dir)


def test_a_signal_to_one_stops_both_and_both_continue_to_the_same_bits(tmp_path, uninterrupted):
    run_dir = tmp_path / "run"
    both = together("train", *LONG, f"--run_dir={run_dir}")
    training(run_dir, both)
    both[1].send_signal(signal.SIGTERM)
    first, second = finish(both)
    assert first == (75, f"another process got a signal: saved in {run_dir}; repeat the command to continue")
    assert second[0] == 75
    assert [status for status, _ in finish(together("train", *LONG, f"--run_dir={run_dir}"))] == [0, 0]
    assert outcome(run_dir) == uninterrupted


@pytest.mark.parametrize("victim", [0, 1], ids=["the first", "the second"])
def test_when_one_is_killed_the_other_ends_with_a_message_and_nothing_is_lost(victim, tmp_path, uninterrupted):
    run_dir = tmp_path / "run"
    both = together("train", *LONG, f"--run_dir={run_dir}")
    training(run_dir, both)
    both[victim].kill()
    began = time.monotonic()
    status, last = finish(both)[1 - victim]
    assert status == 75 and (last == LOST or last.startswith(SILENT)), (status, last)
    assert time.monotonic() - began < 60
    assert [status for status, _ in finish(together("train", *LONG, f"--run_dir={run_dir}"))] == [0, 0]
    assert outcome(run_dir) == uninterrupted


def test_one_that_waits_for_the_others_says_so_and_hears_a_signal():
    job = (f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2", "--process_id=1")
    process = start("train", *job, before=hasty)
    assert process.line("waiting") == "waiting for the other processes, at most 300 s\n"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75 and err.endswith("interrupted; repeat the command\n"), err
    assert time.monotonic() - began < 5


def test_one_that_falls_silent_does_not_hold_up_the_other_for_ever(tmp_path):
    both = together("train", *LONG, "--epochs=1000000", f"--run_dir={tmp_path / 'run'}")
    training(tmp_path / "run", both, epochs=5)
    silent = worker(both[1])
    os.kill(silent, signal.SIGSTOP)
    began = time.monotonic()
    try:
        _, said = both[0].communicate(timeout=60)
        assert 5 < time.monotonic() - began < 40 and both[0].returncode == 75
        assert any(line.startswith(SILENT) for line in said.splitlines()), said
    finally:
        os.kill(silent, signal.SIGKILL)
    finish(both)


def test_bad_input_ends_both_at_once(tmp_path):
    began = time.monotonic()
    ended = finish(together("train", *FLAGS, "--hidden=15", f"--run_dir={tmp_path / 'run'}"))
    assert [status for status, _ in ended] == [1, 1]
    assert {line for _, line in ended} == {"error: hidden=15 cannot be split evenly over hidden=2; take 14 or 16"}
    assert time.monotonic() - began < 60 and not (tmp_path / "run").exists()


def test_what_the_first_is_refused_all_are_refused(tmp_path):
    """A status 75 of the others would have a launcher queue the job again."""
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = finish(together("train", *FLAGS, f"--run_dir={tmp_path / 'run'}"))
    said = f"error: another process works in --run_dir={tmp_path / 'run'}; wait for it, or choose another"
    assert ended == [(1, said), (1, said)]


def test_processes_that_were_given_different_flags_are_refused(tmp_path):
    job = ("--num_processes=2", f"--coordinator_address=127.0.0.1:{free_port()}", f"--run_dir={tmp_path / 'run'}")
    both = [
        start("train", *FLAGS, *job, f"--process_id={n}", f"--learning_rate=0.0{n + 1}", before=hasty) for n in range(2)
    ]
    said = "error: the processes of this job were given different flags; start all with the same"
    ended = finish(both)
    assert (1, said) in ended and all(status in (1, 75) for status, _ in ended)
    assert not (tmp_path / "run").exists()


# --- who belongs to a job ---

NONE = dict.fromkeys(("coordinator_address", "num_processes", "process_id")) | {"distributed": "auto"}
NAMED = {"coordinator_address": "host:1234", "num_processes": 4, "process_id": 3}
SLURM = {"SLURM_NTASKS": "4", "SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "node[1-4]"}


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ({}, {}, False),
        ({}, SLURM, True),
        ({}, SLURM | {"SLURM_NTASKS": "1"}, False),
        ({}, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, False),  # the batch script itself, without srun
        ({}, {"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({}, {"SLURM_NTASKS": "4", "OMPI_COMM_WORLD_SIZE": "4"}, True),  # mpirun in a batch script
        ({}, {"TPU_WORKER_HOSTNAMES": "a,b"}, True),
        ({}, {"TPU_WORKER_HOSTNAMES": "a"}, False),
        ({"distributed": "off"}, SLURM, False),
        ({"distributed": "on"}, {}, True),
        (NAMED, {}, True),
    ],
)
def test_several_processes_are_seen_in_the_flags_or_the_environment(flags, environment, expected, monkeypatch):
    for name in itertools.chain(SLURM, processes.COUNTED, processes.LISTED):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes.several(NONE | flags) == expected


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (NAMED | {"distributed": "off"}, "--coordinator_address is for several processes"),
        (NAMED | {"process_id": None}, "go together; give all three"),
        (NAMED | {"process_id": 4}, "--process_id=4 must be below --num_processes=4"),
        (NAMED | {"coordinator_address": "host"}, "needs a port: HOST:PORT"),
        (NAMED | {"coordinator_address": "host:99999"}, "needs a port: HOST:PORT"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, said):
    with pytest.raises(BadInput, match=said):
        processes.several(NONE | flags)


def test_to_be_one_of_several_where_nothing_says_which_is_refused(tmp_path):
    assert_refused(run("train", "--distributed=on", f"--run_dir={tmp_path / 'run'}"), "cannot join", "--process_id")


def test_alone_what_all_have_is_what_one_has():
    assert processes.any_of(True) and not processes.any_of(False) and processes.first()
    tree = {"a": np.arange(3)}
    assert processes.firsts(tree) is tree and processes.fetch(tree)["a"] is tree["a"]
