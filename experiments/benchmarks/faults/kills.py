"""A training run that is killed again and again, beside one that is left alone; and files of a run that are damaged.

Damaged files are read as the project reads them: damage must be detected, or change nothing.
"""

import contextlib
import io
import json
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.benchmarks.faults import differences, finish, start
from experiments.runtime import checkpoints, runs
from twolayer.command import cli
from twolayer.datasets import DataError, cache
from twolayer.datasets.prepared import digits

SPREAD = 1.5  # a signal comes until so many times what a start needs to its first checkpoint
PHASES = ("starting", "training", "writing a checkpoint", "finishing")
DETECTED, HARMLESS, USED = OUTCOMES = ("detected", "harmless", "silently used")
FLIPPED = 2 / 3  # of the damages are a flipped bit, the others a file cut short

Arrays = dict[str, np.ndarray]


class Life(NamedTuple):
    """A run from its first start to its end: how many starts, and what is not as in the run that was left alone."""

    starts: int
    differs: list[str]


class Kill(NamedTuple):
    """One signal: which, how long after the start, how many epochs had been logged, and what it met."""

    signal: str
    seconds: float
    epoch: int
    phase: str


def alone(flags: Sequence[str], place: pathlib.Path) -> float:
    """Train in `place` without interruption; returns the seconds to the first checkpoint.

    Raises:
      BadInput: the run fails, or ends without a checkpoint.
    """
    began, first = time.perf_counter(), None
    process = start(flags, place)
    while process.poll() is None:
        if first is None and checkpoints.newest_first(place / "run" / "checkpoints"):
            first = time.perf_counter() - began
        time.sleep(0.01)
    finish(process, "the run without interruption")
    if first is None:
        raise cli.BadInput("the run has no checkpoint to continue from; give more --epochs than --checkpoint_every")
    return first


def interrupted(
    flags: Sequence[str],
    place: pathlib.Path,
    whole: pathlib.Path,
    signals: Sequence[signal.Signals],
    until: float,
    rng: np.random.Generator,
    tick: Callable[[], object],
) -> tuple[list[Life], list[Kill]]:
    """Train in `place`, with a signal at a random moment of each start, then to the end.

    A run that ends before its signal is compared, and the next one takes the signal.

    Args:
      whole: where the same run was left alone.
      until: seconds after the start by which a signal has come.
      tick: called after each signal.

    Raises:
      BadInput: a start fails by itself.
    """
    lives, kills, starts = [], [], 1
    shutil.rmtree(place, ignore_errors=True)
    for number in signals:
        while (kill := _attempt(flags, place, number, rng.uniform(0, until))) is None:
            lives.append(Life(starts, differences(whole / "run", place / "run")))
            starts = 1
            shutil.rmtree(place)
        starts += 1
        kills.append(kill)
        tick()
    finish(start(flags, place), "the last start")
    return [*lives, Life(starts, differences(whole / "run", place / "run"))], kills


def _attempt(flags: Sequence[str], place: pathlib.Path, number: signal.Signals, moment: float) -> Kill | None:
    """Start the run and send the signal at this moment; None if it has ended before."""
    manifest = place / "run" / runs.MANIFEST
    before = _stamp(manifest)
    process = start(flags, place)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    _, said = process.communicate()
    if process.returncode == cli.DONE:
        return None
    if process.returncode not in (-number, cli.INTERRUPTED):
        raise cli.BadInput(f"a start failed by itself with status {process.returncode}: {said.strip()}")
    return Kill(number.name, round(moment, 3), len(runs.metrics_lines(place / "run")), _phase(place / "run", before))


def _phase(run: pathlib.Path, before: tuple[int, int] | None) -> str:
    """The phase in which a process ended; `before` is the stamp of its manifest when it began."""
    starting, training, writing, finishing = PHASES
    manifest = run / runs.MANIFEST
    if _stamp(manifest) == before or json.loads(manifest.read_text()).get("compile_seconds") is None:
        return starting
    if any(run.glob("params.npz")) or any(run.glob(".params.npz.*")):
        return finishing
    folder = run / "checkpoints"
    complete = checkpoints.newest_first(folder)
    return writing if any(path.is_dir() and path not in complete for path in folder.iterdir()) else training


def _stamp(path: pathlib.Path) -> tuple[int, int] | None:
    """Changes whenever the file is written anew."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def subjects(place: pathlib.Path) -> dict[str, tuple[list[pathlib.Path], Callable[[], Arrays | None]]]:
    """What a run in `place` has left: name -> (files, how they are read, which refuses damage or returns None)."""
    run, data = place / "run", place / "data" / "digits.npz"
    newest = checkpoints.newest_first(run / "checkpoints")[0]
    like = checkpoints.read(newest) or []
    files = [path for path in newest.rglob("*") if path.is_file()]
    return {
        "checkpoint": ([*files, newest.with_suffix(checkpoints.SUMS)], lambda: checkpoint(newest.parent, like)),
        "prepared data": ([data], lambda: prepared(data)),
        "params.npz": ([run / "params.npz"], lambda: runs.load_params(run)),
    }


def checkpoint(folder: pathlib.Path, like: list[np.ndarray]) -> Arrays | None:
    """The leaves that a run would continue from; None if it said that the newest are damaged."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        found = checkpoints.restore(folder, like)
    if found is None or "is damaged" in said.getvalue():
        return None
    return {str(i): leaf for i, leaf in enumerate(found)}


def prepared(path: pathlib.Path) -> Arrays:
    """The digits as they lie prepared on disk."""
    data = cache.read(path, "digits", digits.FORM)
    return {f"{part}_{field}": getattr(getattr(data, part), field) for part in cache.PARTS for field in "xy"}


def count(
    files: Sequence[pathlib.Path],
    read: Callable[[], Arrays | None],
    trials: int,
    rng: np.random.Generator,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, int]:
    """Damage files so many times and count the outcomes. Each damage meets one file, which is mended afterwards."""
    whole = _content(read() or {})
    files = sorted(path for path in files if path.stat().st_size)
    found: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for _ in range(trials):
        path = files[rng.integers(len(files))]
        content = path.read_bytes()
        path.write_bytes(damaged(content, rng))
        arrays = None
        with contextlib.suppress(DataError, cli.BadInput):
            arrays = read()
        path.write_bytes(content)
        found[DETECTED if arrays is None else HARMLESS if _content(arrays) == whole else USED] += 1
        tick()
    return found


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with a flipped bit, or cut short."""
    if rng.random() > FLIPPED:
        return content[: rng.integers(len(content))]
    broken = bytearray(content)
    broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
    return bytes(broken)


def _content(arrays: Arrays) -> dict[str, tuple]:
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}
