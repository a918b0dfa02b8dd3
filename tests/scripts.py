"""The experiment scripts as a user runs them: in a process of their own, without the modes of the test session."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
OWN = ("JAX_ENABLE_X64", "XLA_FLAGS", "JAX_NUM_CPU_DEVICES")  # precision and devices of the session


def start(script, *arguments, environment=(), **options):
    """The running process."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | dict(environment)
    command = [sys.executable, "-m", f"experiments.{script}", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes, **options)


def run(script, *arguments, seconds=300, **environment):
    """Run a script to its end; returns (exit status, stdout, stderr)."""
    process = start(script, *arguments, environment=environment)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


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
