"""Files that are damaged, and read as the project reads them: damage must be detected, or change nothing."""

import contextlib
import io
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from experiments.runtime import checkpoints
from experiments.runtime.records import load_params
from twolayer.command.cli import BadInput
from twolayer.datasets import DataError, cache, digits

DETECTED, HARMLESS, USED = OUTCOMES = ("detected", "harmless", "silently used")
FLIPPED = 2 / 3  # of the damages are a flipped bit, the others a file cut short

Arrays = dict[str, np.ndarray]


def subjects(place: pathlib.Path) -> dict[str, tuple[list[pathlib.Path], Callable[[], Arrays | None]]]:
    """What a run in `place` has left: name -> (files, how they are read; None says that damage was detected)."""
    run, data = place / "run", place / "data" / "digits.npz"
    newest = checkpoints.newest_first(run / "checkpoints")[0]
    like = checkpoints.read(newest) or []
    files = [path for path in newest.rglob("*") if path.is_file()]
    return {
        "checkpoint": ([*files, newest.with_suffix(checkpoints.SUMS)], lambda: checkpoint(newest.parent, like)),
        "prepared data": ([data], lambda: prepared(data)),
        "params.npz": ([run / "params.npz"], lambda: params(run)),
    }


def checkpoint(folder: pathlib.Path, like: list[np.ndarray]) -> Arrays | None:
    """The leaves that a run would continue from; None if it said that the newest are damaged."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        found = checkpoints.restore(folder, like)
    if found is None or "is damaged" in said.getvalue():
        return None
    return {str(i): leaf for i, leaf in enumerate(found)}


def prepared(path: pathlib.Path) -> Arrays | None:
    """The digits as they lie prepared on disk, or None if they were refused."""
    try:
        data = cache.read(path, "digits", digits.FORM)
    except DataError:
        return None
    return {f"{part}_{field}": getattr(getattr(data, part), field) for part in cache.PARTS for field in "xy"}


def params(run: pathlib.Path) -> Arrays | None:
    """The parameters of a finished run, or None if they were refused."""
    try:
        return load_params(run)
    except BadInput:
        return None


def count(
    files: Sequence[pathlib.Path],
    read: Callable[[], Arrays | None],
    trials: int,
    rng: np.random.Generator,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, int]:
    """How many of so many damages had which outcome. Each meets one file, which is mended afterwards."""
    whole = _content(read() or {})
    files = sorted(path for path in files if path.stat().st_size)
    found: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for _ in range(trials):
        path = files[rng.integers(len(files))]
        content = path.read_bytes()
        path.write_bytes(damaged(content, rng))
        try:
            arrays = read()
        finally:
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
