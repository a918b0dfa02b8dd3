"""The experiment scripts as a user runs them: in a process of their own, without the modes of the test session."""

import atexit
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

ROOT = pathlib.Path(__file__).parent.parent
OWN = ("JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES")  # precision and devices of the session

# Importing the libraries takes longer than most scripts work: they are forked from a process that has them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["jax", "optax", "sklearn.datasets", "pyarrow.parquet", "matplotlib.figure", "twolayer.segments"]
)


class Forked:
    """A running script, with what its tests need of `subprocess.Popen`."""

    def __init__(self, script, arguments):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [pathlib.Path(self._folder.name) / name for name in ("out", "err")]
        for file in self._files:
            file.touch()
        self._said = self._files[1].open()
        self._process = FORKS.Process(target=_run_here, args=(script, arguments, self._files))
        with _without(OWN):
            self._process.start()
        self.pid, self.kill, self.poll = self._process.pid, self._process.kill, lambda: self._process.exitcode

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

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)

    def communicate(self, timeout=None):
        self.wait(timeout)
        self._said.close()
        with self._folder:
            return [file.read_text() for file in self._files]


def start(script, *arguments, environment=None):
    """The running process; with variables of its own it begins with its imports, as a user's does."""
    if not environment:
        return Forked(script, arguments)
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | environment
    command = [sys.executable, "-m", f"experiments.{script}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(script, *arguments, seconds=300, **environment):
    """Run a script to its end; returns (exit status, stdout, stderr)."""
    process = start(script, *arguments, environment=environment)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@contextlib.contextmanager
def _without(names):
    """The process that is forked starts with the first script, and keeps the variables it starts with."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _run_here(script, arguments, files):
    """What `python -m experiments.SCRIPT` does, in this process."""
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=number - 1 or -1, closefd=False) for number in (1, 2))
    os.chdir(ROOT)
    sys.argv = [script, *arguments]
    try:
        runpy.run_module(f"experiments.{script}", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()


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
