"""The run directory: everything a run leaves behind.

    manifest.json   flags, argv, commit, versions, devices, precision, PRNG, data SHA-256, status
    metrics.jsonl   one line per epoch
    summary.json    the outcome
    params.npz      W1, b1, W2, b2
    checkpoints/    what an interrupted run continues from
    figures/

The manifest is written first and its status changed last, so an unfinished run is seen as one.
"""

import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.cli import BadInput
from experiments.files import atomic, finite, write_json


@dataclasses.dataclass
class Run:
    """A run directory and its manifest."""

    path: pathlib.Path
    manifest: dict

    @property
    def status(self) -> str:
        """new, running, interrupted, diverged or done."""
        return self.manifest["status"]

    @property
    def checkpoints(self) -> pathlib.Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> pathlib.Path:
        return self.path / "figures"

    def create(self) -> None:
        """Make the folders.

        Raises:
          BadInput: the directory cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            for folder in (self.path, self.checkpoints, self.figures):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise BadInput(f"cannot write to --run_dir={self.path}: {error.strerror}") from error

    def _lock(self) -> None:
        """Held until this process ends, however it ends.

        Raises:
          BadInput: another process holds it, or has held it and finished the run since its manifest was read.
        """
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(directory)
            raise BadInput(f"another process works in --run_dir={self.path}; wait for it, or choose another") from None
        manifest = self.path / "manifest.json"
        if manifest.exists() and json.loads(manifest.read_text())["status"] in ("done", "diverged"):
            raise BadInput(f"--run_dir={self.path}: another process finished it meanwhile; see its summary.json")

    def set_status(self, status: str, **facts: object) -> None:
        """Write the manifest with a new status and more facts."""
        self.manifest |= {**facts, "status": status, "updated": _now()}
        write_json(self.path / "manifest.json", self.manifest)

    def metrics(self) -> list[dict]:
        """The epochs logged so far."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Append one line per epoch."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.writelines(json.dumps(finite(dict(row)), allow_nan=False) + "\n" for row in rows)

    def keep_metrics(self, epochs: int) -> list[dict]:
        """Drop all but the first `epochs` lines, so that a continued curve never forks; returns those kept."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True)[:epochs] if path.exists() else []
        with atomic(path) as file:
            file.writelines(lines)
        return [json.loads(line) for line in lines]

    def save_params(self, params: Mapping[str, np.ndarray]) -> str:
        """Write params.npz; returns the SHA-256 over the bytes of W1, b1, W2, b2 in this order."""
        with atomic(self.path / "params.npz", "wb") as file:
            np.savez(file, **params)
        return hashlib.sha256(b"".join(params[name].tobytes() for name in ("W1", "b1", "W2", "b2"))).hexdigest()

    def save_summary(self, summary: Mapping[str, object]) -> None:
        """Write summary.json."""
        write_json(self.path / "summary.json", summary)


class Follower(Run):
    """The run as a process sees it that leaves reading and writing to the first."""

    def create(self) -> None:
        """Nothing."""

    def set_status(self, status: str, **facts: object) -> None:
        """Keep them in memory."""
        self.manifest |= {**facts, "status": status}

    def metrics(self) -> list[dict]:
        """None."""
        return []

    def log(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Nothing."""

    def keep_metrics(self, epochs: int) -> list[dict]:
        """None."""
        return []

    def save_params(self, params: Mapping[str, np.ndarray]) -> str:
        """Nothing."""
        return ""

    def save_summary(self, summary: Mapping[str, object]) -> None:
        """Nothing."""


def find_run(path: pathlib.Path, flags: Mapping[str, object], ignore: Sequence[str] = ()) -> Run:
    """The run in `path`: the one that is there if it has these flags, else a new one. Nothing is written yet.

    Args:
      flags: what the run is a function of.
      ignore: flags that may differ between the two.

    Raises:
      BadInput: the directory holds another run or other things.
    """
    manifest_path = path / "manifest.json"
    if not manifest_path.exists():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadInput(f"--run_dir={path} exists and is not a run; choose another")
        return Run(path, {"status": "new", "flags": dict(flags), "created": _now()})
    try:
        manifest = json.loads(manifest_path.read_text())
        theirs, _ = manifest["flags"], manifest["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{manifest_path} is not a readable manifest; choose another --run_dir") from error
    differing = [name for name in flags if name not in ignore and theirs.get(name) != flags[name]]
    if differing:
        listed = ", ".join(f"--{name} is {theirs.get(name)} there and {flags[name]} here" for name in differing)
        raise BadInput(f"--run_dir={path} belongs to other flags ({listed}); choose another")
    return Run(path, manifest)


def default_path(flags: Mapping[str, object], ignore: Sequence[str] = ()) -> pathlib.Path:
    """A readable name for these flags with a hash of all of them: other flags, another directory."""
    relevant = {name: value for name, value in flags.items() if name not in ignore}
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:8]
    parts = (flags["dataset"], flags["loss"], flags["output"], f"K{flags['hidden']}", f"seed{flags['seed']}", digest)
    return pathlib.Path("runs") / "-".join(map(str, parts))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
