"""What a run writes: its manifest, metrics.jsonl, a line for each epoch, and params.npz with its checksum.

The lines are JSON, in the order of the epochs. params.npz holds W1, b1, W2, b2; summary.json has the
SHA-256 of their bytes.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twolayer.atomic import atomic
from twolayer.command.cli import BadInput
from twolayer.command.files import finite

PARAMS = ("W1", "b1", "W2", "b2")


def save_params(path: pathlib.Path, params: Mapping[str, np.ndarray]) -> str:
    """Write params.npz into the run directory `path`; returns its params_sha256."""
    with atomic(path / "params.npz", "wb") as file:
        np.savez(file, allow_pickle=False, **params)
    return params_sha256(params)


def load_params(path: pathlib.Path) -> dict[str, np.ndarray]:
    """W1, b1, W2, b2 of the finished run in `path`, verified against the SHA-256 in its summary.

    Raises:
      BadInput: the run is not finished, or a file is missing or damaged.
    """
    try:
        summary = json.loads((path / "summary.json").read_text())
        if "groups" in summary:
            raise BadInput(f"{path} is a sweep of many networks; name a run of experiments.train")
        expected = summary["params_sha256"]
    except FileNotFoundError as error:
        raise BadInput(f"{path} is not a finished run: it has no summary.json") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path / 'summary.json'} is damaged: it names no params_sha256") from error
    file = path / "params.npz"
    try:
        # Opened here, because np.load leaves a file that is no zip open.
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            params = {name: content[name] for name in PARAMS}
    except FileNotFoundError as error:
        raise BadInput(f"{file} is missing") from error
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{file} is damaged or unreadable ({reason})") from error
    found = params_sha256(params)
    if found != expected:
        raise BadInput(f"{file} is damaged: it has SHA-256 {found[:12]}, and summary.json says {str(expected)[:12]}")
    return params


def params_sha256(params: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 over the bytes of W1, b1, W2, b2 in this order."""
    return hashlib.sha256(b"".join(params[name].tobytes() for name in PARAMS)).hexdigest()


METRICS = "metrics.jsonl"


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


def append_metrics(run_dir: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append a line for each: all of them, or none if they cannot be written. They outlast a power cut."""
    path = run_dir / METRICS
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


def keep_metrics(run_dir: pathlib.Path, epochs: int) -> list[dict]:
    """Drop all but the first `epochs` lines, so that a continued curve never forks; returns those kept.

    Raises:
      BadInput: some of these are missing or damaged.
    """
    path = run_dir / METRICS
    try:
        first = metrics_lines(run_dir)[:epochs]
        kept = [json.loads(line) for line in first]
        if len(kept) < epochs:
            raise ValueError(f"{len(kept)} of {epochs} epochs")
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}); put it back, or choose another --run_dir") from error
    with atomic(path) as file:
        file.writelines(first)
    return kept


MANIFEST = "manifest.json"


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
