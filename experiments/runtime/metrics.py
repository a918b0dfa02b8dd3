"""metrics.jsonl: a line of JSON for each epoch of a run, in order."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from experiments.runtime.cli import BadInput
from experiments.runtime.files import atomic, finite

NAME = "metrics.jsonl"


def lines(run_dir: pathlib.Path) -> list[str]:
    """The lines as they stand; the last may be half of one where a process was killed."""
    path = run_dir / NAME
    return path.read_text().splitlines(keepends=True) if path.exists() else []


def read(run_dir: pathlib.Path) -> list[dict]:
    """The epochs logged so far."""
    return [json.loads(line) for line in lines(run_dir)]


def without_seconds(rows: Sequence[Mapping[str, object]]) -> list[dict]:
    """What two runs of the same flags have in common."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def append(run_dir: pathlib.Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Append a line for each: all of them, or none if they cannot be written. They outlast a power cut."""
    path = run_dir / NAME
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


def keep(run_dir: pathlib.Path, epochs: int) -> list[dict]:
    """Drop all but the first `epochs` lines, so that a continued curve never forks; returns those kept.

    Raises:
      BadInput: some of these are missing or damaged.
    """
    path = run_dir / NAME
    try:
        first = lines(run_dir)[:epochs]
        kept = [json.loads(line) for line in first]
        if len(kept) < epochs:
            raise ValueError(f"{len(kept)} of {epochs} epochs")
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}); put it back, or choose another --run_dir") from error
    with atomic(path) as file:
        file.writelines(first)
    return kept
