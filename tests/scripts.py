"""The experiment scripts as a user runs them: in a process of their own, without the modes of the test session."""

import atexit
import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time
from multiprocessing import forkserver, spawn

import jax
import pytest

ROOT = pathlib.Path(__file__).parent.parent
OWN = ("JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES")  # precision and devices of the session

# Importing the libraries takes longer than most scripts work: they are forked from a process that has them.
FORKS = multiprocessing.get_context("forkserver")
SERVER = ("_forkserver_address", "_forkserver_authkey")  # by which a process that was forked can ask for another
LIBRARIES = ("jax", "optax", "sklearn.datasets", "pyarrow.parquet", "matplotlib.backends.backend_agg", "scipy.stats")
LIBRARIES += ("orbax.checkpoint", "tensorflow_datasets", "pytest")
OURS = ("experiments.runtime.session", "experiments.runtime.outcome", "twolayer.command.judging")  # without their flags
FORKS.set_forkserver_preload([*LIBRARIES, *OURS, "twolayer.verification.judge", "tests.frozen"])


class Forked:
    """A running script, with what its tests need of `subprocess.Popen`."""

    def __init__(self, script, arguments, environment, before):
        self._folder = tempfile.TemporaryDirectory()
        self._files, self._texts = [pathlib.Path(self._folder.name) / name for name in ("out", "err")], None
        for file in self._files:
            file.touch()
        self._said = self._files[1].open()
        with without(OWN):
            forkserver._forkserver.ensure_running()
            server = {name: value for name, value in vars(forkserver._forkserver).items() if name in SERVER}
            given = (script, arguments, self._files, environment, before, server)
            self._process = FORKS.Process(target=_run_here, args=given)
            self._process.start()
        self.pid, self.kill, self.poll = self._process.pid, self._process.kill, lambda: self._process.exitcode
        self.args, self.stderr = [script, *arguments], self._said

    @property
    def returncode(self):
        return self._process.exitcode

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def line(self, beginning):
        """Wait for the next line of its stderr that begins so."""
        while not (line := self._said.readline()).startswith(beginning):
            assert line or self.returncode is None
            time.sleep(0 if line else 0.02)
        return line

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.wait()

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        if self._texts is None:
            self._said.close()
            with self._folder:
                self._texts = [file.read_text() for file in self._files]
        return self.returncode

    def communicate(self, input=None, timeout=None):
        self.wait(timeout)
        return self._texts


def start(script, *arguments, environment=None, before=None):
    """The running process.

    Args:
      environment: variables of its own. If others than those of JAX and XLA are among them it begins with its imports,
        as a user's does.
      before: called in it before the script, if it is forked.
    """
    environment = environment or {}
    if all(name.startswith(("JAX_", "XLA_")) for name in environment):
        return Forked(script, arguments, environment, before)
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | environment
    command = [sys.executable, "-m", f"experiments.{script}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(script, *arguments, seconds=300, before=None, **environment):
    """Run a script to its end; returns (exit status, stdout, stderr)."""
    process = start(script, *arguments, environment=environment, before=before)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"{script} has not ended after {seconds} s: {process.communicate()[1][-2000:]}")
    return process.returncode, out, err


def mapped(function, *columns):
    """What a function returns for each row of arguments, in one process without the modes of the session."""
    with without(OWN), concurrent.futures.ProcessPoolExecutor(1, FORKS) as pool:
        return list(pool.map(function, *columns))


@contextlib.contextmanager
def without(names):
    """The process that is forked starts with the first script, and keeps the variables it starts with."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _run_here(script, arguments, files, environment, before, server):
    """What `python -m experiments.SCRIPT` does, in this process."""
    if script.startswith(("papers", "benchmarks.endurance")):
        vars(forkserver._forkserver).update(server, ensure_running=lambda: None)
        spawn.get_preparation_data = lambda name: {"name": name, "sys_path": sys.path}  # and not the script again
        subprocess.Popen = forked_if_ours(before)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=number - 1 or -1, closefd=False) for number in (1, 2))
    os.chdir(ROOT)
    sys.argv = [script, *arguments]
    os.environ |= environment
    for name in environment.keys() - {"XLA_FLAGS"}:  # JAX has read its variables when it was imported
        value = environment[name]
        jax.config.update(name.lower(), int(value) if value.isdecimal() else value)
    if before:
        before()
    try:
        runpy.run_module(f"experiments.{script}", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()


def forked_if_ours(before=None):
    """In place of subprocess.Popen: scripts that others start are forked too, and what is `before` them goes on."""
    popen = subprocess.Popen

    def start_one(command, *, env=None, **options):
        if command[1:2] != ["-m"] or not command[2].startswith("experiments."):
            return popen(command, env=env, **options)
        own = {name: value for name, value in (env or {}).items() if os.environ.get(name) != value}
        return Forked(command[2].removeprefix("experiments."), command[3:], own, before)

    return start_one


def read(run_dir):
    """The summary and the metrics of a run."""
    return json.loads((run_dir / "summary.json").read_text()), read_metrics(run_dir)


def read_metrics(run_dir, most=None):
    """The metrics of a run, of its first epochs only if so many are given."""
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()[:most]]


def without_seconds(metrics):
    """What two runs of the same flags share."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in metrics]


def rows_of_study(name, folder, arguments):
    """The rows of a script of experiments/papers run in `folder`, without their seconds."""
    path = folder.with_suffix(".json")
    status, _, err = run(f"papers.{name}", *arguments, f"--run_dir={folder}", f"--json={path}")
    assert status == 0, err
    return [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(path.read_text())["rows"]]


def assert_refused(outcome, *words, status=1):
    """An exit status, and one line that holds all the words."""
    found, out, err = outcome
    assert found == status and out == "", (found, out, err)
    assert len(err.splitlines()) == 1 and err.startswith("error: "), err
    for word in words:
        assert word in err
