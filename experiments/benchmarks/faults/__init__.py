"""The training script in processes of its own, which are ended from outside; and what two of its runs differ in."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from experiments.runtime import runs
from twolayer.command.cli import BadInput

ROOT = pathlib.Path(__file__).parents[3]


def start(
    flags: Sequence[str], place: pathlib.Path, data: pathlib.Path | None = None, **environment: str
) -> subprocess.Popen:
    """Train in `place`/run, with prepared data in `place`/data if nowhere else; returns the running process."""
    places = {"data_dir": data or place / "data", "run_dir": place / "run"}
    own = ("--quiet", *(f"--{flag}={path.absolute()}" for flag, path in places.items()))
    command = [sys.executable, "-m", "experiments.train", *flags, *own]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, **silent)


def finish(process: subprocess.Popen, what: str) -> None:
    """Wait until a run has ended by itself; where it fails, BadInput says so of `what`."""
    _, said = process.communicate()
    if process.returncode:
        raise BadInput(f"{what} failed: {said.strip() or process.returncode}")


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    """Compare two finished runs; returns what differs: parameters, their sum, metrics but for the seconds.

    Raises:
      BadInput: a run is not finished, or its parameters are damaged.
    """
    params = [runs.load_params(path) for path in (one, other)]
    found = {
        "params.npz": [{name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()} for arrays in params],
        "params_sha256": [json.loads((path / "summary.json").read_text())["params_sha256"] for path in (one, other)],
        runs.METRICS: [runs.without_seconds(runs.read_metrics(path)) for path in (one, other)],
    }
    return [name for name, (a, b) in found.items() if a != b]
