"""The run directory: everything a run leaves behind.

    manifest.json   flags, argv, commit, versions, devices, precision, PRNG, data SHA-256, status, sessions
    flags.txt       the flags again, for --flagfile: with another --run_dir they repeat the run
    metrics.jsonl   a line of JSON for each epoch, in their order
    summary.json    the outcome, and the SHA-256 of the parameters
    params.npz      W1, b1, W2, b2
    checkpoints/    what an interrupted run continues from
    figures/
    .lock           held by the process that works here

The manifest is written first and its status changed last, so an unfinished run is seen as one.
"""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl.flags import FLAGS

from twolayer import loading
from twolayer.atomic import UNFINISHED, atomic
from twolayer.command.cli import BadInput, bad_input
from twolayer.command.files import LOCK, Lock, finite, write_json
from twolayer.command.provenance import now
from twolayer.datasets.dataset import DataError

MANIFEST, METRICS = "manifest.json", "metrics.jsonl"
GONE = "; repeat the command to begin again, or put it back to continue"
INTACT = "; what was saved is intact: make room, or mend what is wrong, and repeat the command to continue"


@dataclasses.dataclass
class Run:
    """A run directory and its manifest; and the flags of a new one as the lines of a file.

    Of several processes the first alone `writes`: to the others there are no metrics, and nothing is written.
    """

    path: pathlib.Path
    manifest: dict
    flagfile: str = ""
    ignore: Sequence[str] = ()  # flags that may change when a run is continued
    writes: bool = True

    def __post_init__(self) -> None:
        self._lock = Lock(self.path)
        self.checkpoints, self.figures = self.path / "checkpoints", self.path / "figures"

    @property
    def status(self) -> str:
        """new, running, interrupted, diverged or done."""
        return self.manifest["status"]

    def create(self, again: bool = False) -> None:
        """Make the directory with its manifest, then the flags and the folders; remove what a killed process has left.

        Args:
          again: work in it even if it is finished.

        Raises:
          BadInput: the directory cannot be written, or another process works in it.
        """
        if not self.writes:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take(again)
            tempfile.TemporaryFile(dir=self.path).close()
            for unfinished in self.path.rglob(UNFINISHED):
                unfinished.unlink()
            if not (self.path / MANIFEST).exists():  # first of all: without it nobody knows that this is a run
                write_json(self.path / MANIFEST, self.manifest)
            if self.flagfile and not (self.path / "flags.txt").exists():
                with atomic(self.path / "flags.txt") as file:
                    file.write(self.flagfile)
            for folder in (self.checkpoints, self.figures):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            if self._lock.taken and isinstance(error, FileNotFoundError):  # removed meanwhile
                raise
            raise BadInput(f"cannot write to --run_dir={self.path}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what the system refuses to write into one line that says what to do, in a `with`.

        Raises:
          BadInput: the disk is full, the directory was removed, or the like.
        """
        try:
            yield
        except BrokenPipeError:  # of the output, not of the directory
            raise
        except OSError as error:
            if self._present() and not isinstance(error, FileNotFoundError):
                raise BadInput(f"cannot write to --run_dir={self.path}: {error.strerror or error}{INTACT}") from error
            # Orbax makes the folders again that it writes to; another's directory has more in it.
            if self.path.is_dir() and {path.name for path in self.path.iterdir()} <= {self.checkpoints.name}:
                shutil.rmtree(self.path, ignore_errors=True)
            raise BadInput(f"--run_dir={self.path} was removed or renamed while the run went on{GONE}") from error

    def tidy(self) -> None:
        """Remove what a finished run has no use for: empty folders, and the parts whose rows stand in the tables."""
        shutil.rmtree(self.path / "parts", ignore_errors=True)
        for folder in (self.checkpoints, self.figures):
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()

    def _present(self) -> bool:
        """Whether the directory is the one that was locked, with its manifest; true where none was locked."""
        return not self._lock.taken or (self._lock.in_place() and (self.path / MANIFEST).exists())

    def _check_present(self) -> None:
        if not self._present():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    def _take(self, again: bool) -> None:
        """Take the lock, and look at the manifest once more.

        Raises:
          BadInput: another process holds it; or has held it since the manifest was read, and finished the run, or begun
            one with other flags.
        """
        try:
            self._lock.take()
        except BlockingIOError:
            raise BadInput(f"another process works in --run_dir={self.path}; wait for it, or choose another") from None
        if not (self.path / MANIFEST).exists():
            return
        manifest = read_manifest(self.path)
        if not again and manifest["status"] in ("done", "diverged"):
            raise BadInput(f"--run_dir={self.path}: another process finished it meanwhile; see its summary.json")
        check_flags(manifest, self.manifest["flags"], self.ignore, self.path)
        self.manifest = manifest

    def check_data(self, sha256: str) -> None:
        """Raise BadInput if the run was begun on data with another checksum."""
        begun = self.manifest.get("data_sha256", sha256)
        if begun != sha256:
            raise BadInput(
                f"--run_dir={self.path} was begun on other data (SHA-256 {begun[:12]} there, {sha256[:12]} here); "
                "use the same --data_dir, or choose another --run_dir"
            )

    def set_status(self, status: str, **facts: Any) -> None:
        """Write the manifest with a new status and more facts."""
        self._check_present()
        self.manifest |= {**facts, "status": status, "updated": now()}
        if self.writes:
            write_json(self.path / MANIFEST, self.manifest)

    def begin(self, facts: Mapping[str, Any], **where: Any) -> None:
        """Write that a process begins to work here. `sessions` lists all that did, the other facts are the last one's.

        Args:
          where: at which epoch, or the like.
        """
        if "data_sha256" in facts:  # again: another process may have begun the run meanwhile
            self.check_data(facts["data_sha256"])
        session = {"began": now(), **where, **{name: facts.get(name) for name in ("argv", "git", "devices")}}
        self.set_status("running", **facts, sessions=[*self.manifest.get("sessions", []), session])

    def metrics(self) -> list[dict]:
        """The epochs logged so far."""
        return read_metrics(self.path) if self.writes else []

    def log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append epochs to the metrics: all of them, or none if they cannot be written. They outlast a power cut."""
        if not self.writes:
            return
        self._check_present()
        path = self.path / METRICS
        size = path.stat().st_size if path.exists() else 0
        try:
            with open(path, "a") as file:
                file.writelines(json.dumps(finite(dict(row)), allow_nan=False) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(path, size)
            raise

    def keep_metrics(self, epochs: int) -> list[dict]:
        """Drop all but the first `epochs`, so that a continued curve never forks; returns those kept.

        Raises:
          BadInput: some of these are missing or damaged.
        """
        path = self.path / METRICS
        try:
            first = metrics_lines(self.path)[:epochs]
            kept = [json.loads(line) for line in first]
            if len(kept) < epochs:
                raise ValueError(f"{len(kept)} of {epochs} epochs")
        except ValueError as error:
            raise BadInput(f"{path} is damaged ({error}); put it back, or choose another --run_dir") from error
        with atomic(path) as file:
            file.writelines(first)
        return kept

    def save_params(self, params: Mapping[str, np.ndarray]) -> str:
        """Write params.npz; returns its params_sha256."""
        self._check_present()
        return save_params(self.path, params) if self.writes else ""

    def save_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json."""
        self._check_present()
        if self.writes:
            write_json(self.path / "summary.json", summary)


def metrics_lines(run_dir: pathlib.Path) -> list[str]:
    """The lines of metrics.jsonl as they stand; the last may be half of one where a process was killed."""
    path = run_dir / METRICS
    return path.read_text().splitlines(keepends=True) if path.exists() else []


def read_metrics(run_dir: pathlib.Path) -> list[dict]:
    """The epochs logged so far."""
    return [json.loads(line) for line in metrics_lines(run_dir)]


def without_seconds(rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    """Metrics without their seconds: what two runs of the same flags have in common."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def save_params(run_dir: pathlib.Path, params: Mapping[str, np.ndarray]) -> str:
    """Write params.npz; returns its params_sha256."""
    with atomic(run_dir / "params.npz", "wb") as file:
        np.savez(file, allow_pickle=False, **params)
    return loading.params_sha256(params)


def load_params(run_dir: pathlib.Path) -> dict[str, np.ndarray]:
    """`loading.load_params`, which raises BadInput here."""
    with bad_input(DataError):
        return loading.load_params(run_dir)


def read_manifest(run_dir: pathlib.Path) -> dict:
    """The manifest of the run.

    Raises:
      BadInput: it cannot be read, or lacks flags or status.
    """
    try:
        manifest = json.loads((run_dir / MANIFEST).read_text())
        if not (isinstance(manifest["flags"], dict) and isinstance(manifest["status"], str)):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{run_dir / MANIFEST} is not a readable manifest; choose another --run_dir") from error
    return manifest


def find_run(path: pathlib.Path, flags: Mapping[str, Any], ignore: Sequence[str] = (), flagfile: str = "") -> Run:
    """The run in `path`: the one that is there if it has these flags, else a new one. Nothing is written yet.

    Args:
      flags: what the run is a function of.
      ignore: flags that may differ between the two.
      flagfile: the same as the lines of a file, to keep beside the manifest.

    Raises:
      BadInput: the directory holds another run or other things.
    """
    try:
        new = not (path / MANIFEST).exists()
        left = {path / LOCK, *path.glob(f".manifest.json{UNFINISHED}")}  # by a process that is killed at once
        empty = not path.exists() or (path.is_dir() and set(path.iterdir()) <= left)
    except OSError as error:
        raise BadInput(f"cannot read --run_dir={path}: {error.strerror}; choose another") from error
    if new and not empty:
        raise BadInput(f"--run_dir={path} exists and is not a run; choose another")
    manifest = {"status": "new", "flags": dict(flags), "created": now()} if new else read_manifest(path)
    check_flags(manifest, flags, ignore, path)
    return Run(path, manifest, flagfile, ignore)


def check_flags(manifest: Mapping, flags: Mapping[str, Any], ignore: Sequence[str], run_dir: pathlib.Path) -> None:
    """Raise BadInput if the run was begun with other flags than these, but for those to `ignore`.

    A flag that the manifest does not know has been added to the script since; the run has its default.
    """
    theirs = {name: FLAGS[name].default if name in FLAGS else None for name in flags} | manifest["flags"]
    differing = [name for name in flags if name not in ignore and theirs.get(name) != flags[name]]
    if differing:
        listed = ", ".join(f"--{name} is {theirs.get(name)} there and {flags[name]} here" for name in differing)
        raise BadInput(f"--run_dir={run_dir} belongs to other flags ({listed}); choose another")
