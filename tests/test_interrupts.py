"""A signal is heard while a program runs, and a run is saved and gone before those who sent it lose patience."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from scripts import ROOT, run, start

from experiments.runtime.interrupts import Interrupts
from twolayer.command import cli

# Two epochs of a few seconds.
SLOW = (
    *("--dataset=teacher", "--loss=quadratic", "--teacher_inputs=64", "--teacher_train=60000", "--teacher_valid=2000"),
    *("--hidden=2048", "--epochs=2", "--optimizer=sgd", "--nofigures", "--quiet", "--log_seconds=3600"),
)


def send(number, after):
    threading.Timer(after, os.kill, (os.getpid(), number)).start()


def test_what_the_work_returns_or_raises_comes_back():
    with Interrupts() as interrupts:
        assert interrupts.during(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            interrupts.during(lambda: 1 / 0)
        assert interrupts.received is None


def test_work_that_ends_soon_after_a_signal_is_waited_for():
    with Interrupts() as interrupts:
        send(signal.SIGTERM, 0.2)
        assert interrupts.during(lambda: time.sleep(0.6) or "done", patience=5) == "done"
        assert interrupts.received == "SIGTERM"


def test_work_that_does_not_is_given_up():
    with Interrupts() as interrupts:
        send(signal.SIGINT, 0.2)
        began = time.monotonic()
        assert interrupts.during(lambda: time.sleep(20), patience=0.3) is None
        assert time.monotonic() - began < 2 and interrupts.received == "SIGINT"


@pytest.mark.parametrize(("before", "heard"), [(signal.SIG_DFL, "SIGHUP"), (signal.SIG_IGN, None)])
def test_a_closed_terminal_is_heard_unless_nohup_has_asked_not_to(before, heard):
    previous = signal.signal(signal.SIGHUP, before)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.during(lambda: 5) == 5 and interrupts.received == heard
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_work_that_fails_after_a_signal_is_given_up():
    """As when another process of the job has heard it first and left."""

    def fail():
        time.sleep(0.6)
        raise RuntimeError("connection closed")

    with Interrupts() as interrupts:
        send(signal.SIGTERM, 0.2)
        assert interrupts.during(fail, patience=5) is None


def test_two_signals_at_once_are_one_and_afterwards_all_is_as_before():
    """As when a launcher signals a parent, which passes it on, and its child."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.received == "SIGTERM"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def script(main, **options):
    """A script whose `main` is this expression, with Python's signals: a job in the background has some ignored."""
    program = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    program += f"from twolayer.command import cli; cli.run(lambda: {main})"
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_there_is_anything_to_save(number):
    process = script(f"os.kill(os.getpid(), {number:d}) or 0")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (75, "interrupted; repeat the command\n")


@pytest.mark.parametrize(("unbuffered", "status"), [("", 3), ("1", 128 + signal.SIGPIPE)])
def test_nobody_reads_the_output(unbuffered, status):
    """What is written at the end finds a status to tell; what is written before it ends the script, as `head` does."""
    reader, writer = os.pipe()
    process = script("print('done') or 3", stdout=writer, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    os.close(reader)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, "")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """The run without a signal."""
    run_dir = tmp_path_factory.mktemp("slow")
    assert run("train", *SLOW, f"--run_dir={run_dir / 'run'}")[0] == 0
    return json.loads((run_dir / "run" / "summary.json").read_text())


def impatient():
    """So that an epoch outlasts the patience by far."""
    cli.PATIENCE = 0.5


def test_in_the_midst_of_a_long_epoch_a_run_is_saved_as_it_was_before_it(slow, tmp_path):
    run_dir = tmp_path / "run"
    process = start("train", *SLOW, f"--run_dir={run_dir}", before=impatient)
    deadline = time.monotonic() + 120
    while not (run_dir / "metrics.jsonl").exists() or not (run_dir / "metrics.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == 75 and err == f"SIGTERM: saved in {run_dir}; repeat the command to continue\n"
    assert took < 5 and (run_dir / "checkpoints" / "00000001.sha256").exists()
    first = (run_dir / "metrics.jsonl").read_text()
    assert json.loads((run_dir / "manifest.json").read_text())["status"] == "interrupted"
    assert run("train", *SLOW, f"--run_dir={run_dir}")[0] == 0
    assert (run_dir / "metrics.jsonl").read_text().startswith(first), "it went on, and did not begin again"
    assert json.loads((run_dir / "summary.json").read_text())["params_sha256"] == slow["params_sha256"]


def test_a_second_signal_stops_at_once_and_the_last_checkpoint_holds(slow, tmp_path):
    run_dir = tmp_path / "run"
    process = start("train", *SLOW, "--checkpoint_every=1", f"--run_dir={run_dir}")
    while not (run_dir / "checkpoints" / "00000001.sha256").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)  # between epochs it would save and leave before the second signal
    first = (run_dir / "metrics.jsonl").read_text()
    process.send_signal(signal.SIGINT)
    time.sleep(0.8)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and time.monotonic() - began < 1 and err == ""
    assert run("train", *SLOW, f"--run_dir={run_dir}")[0] == 0
    assert (run_dir / "metrics.jsonl").read_text().startswith(first), "it went on, and did not begin again"
    assert json.loads((run_dir / "summary.json").read_text())["params_sha256"] == slow["params_sha256"]


LOSES_IT = """
import sys, time
from twolayer.command import cli
class Slow:
    def __del__(self):  # Python reports an exception in here and goes on
        print("deaf", flush=True)
        time.sleep(30)
def main():
    Slow()
    time.sleep(60)
    return 0
cli.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_loses_ends_the_program_all_the_same(number):
    process = subprocess.Popen(
        [sys.executable, "-c", LOSES_IT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "deaf\n"
    process.send_signal(number)
    process.communicate(timeout=25)
    assert process.returncode == 75
