"""Prepared arrays on disk: one uncompressed .npz a data set, written whole or not at all, checked when read.

The file holds the six arrays of `dataset.named_arrays`, the data set's name, and the fingerprint.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from twolayer.atomic import atomic
from twolayer.datasets.dataset import PARTS, DataError, Dataset, Form, Split, assemble, named_arrays

log = logging.getLogger(__name__)

Splits = tuple[Split, Split, Split]
HOUR = 3600  # seconds


def data_folder(data_dir: str | os.PathLike | None) -> Path:
    """The folder of prepared arrays: data_dir, else $TWOLAYER_DATA_DIR, else ~/.cache/twolayer."""
    folder = data_dir or os.environ.get("TWOLAYER_DATA_DIR") or "~/.cache/twolayer"
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise DataError(f"there is no home folder for {folder}: give --data_dir") from error


def read_or_prepare(folder: Path, name: str, form: Form, prepare: Callable[[], Splits], source: str | None) -> Dataset:
    """Read `<folder>/<name>.npz`; if it is missing, prepare the data set and write it there.

    A corrupt file is replaced where a source at hand is named, and said so in the log.
    Otherwise it raises DataError: a download behind the user's back would hide a failing disk.
    A folder that cannot be written costs a line in the log, no more.

    Args:
      folder: of prepared data sets.
      form: what the data set must look like.
      prepare: makes the three splits.
      source: where from, if it is at hand; else None.
    """
    path = folder / f"{name}.npz"
    try:
        return read(path, name, form)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except DataError as error:
        if not source:
            raise DataError(f"{error}; delete it to download it again, or give --source_dir") from error
        log.warning("%s; preparing it again from %s", error, source)
    dataset = assemble(name, form, *prepare())
    try:
        write(path, dataset)
    except OSError as error:
        log.warning("%s could not be written and will be prepared again next time (%s)", path, error)
    return dataset


def read(path: Path, name: str, form: Form) -> Dataset:
    """Read one prepared data set and verify its content.

    Raises FileNotFoundError if there is none, DataError if it is damaged or another data set.
    """
    try:
        # Opened here, because np.load leaves a file that is no zip open.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            splits = [Split(file[f"{part}_x"], file[f"{part}_y"]) for part in PARTS]
            found, sha256 = str(file["name"]), str(file["sha256"])
        if found != name:
            raise DataError(f"it holds {found}, not {name}")
        dataset = assemble(name, form, *splits)
        if dataset.sha256 != sha256:
            raise DataError(f"its content has SHA-256 {dataset.sha256[:12]}, expected {sha256[:12]}")
    except (FileNotFoundError, NotADirectoryError):
        raise
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is corrupt or unreadable ({reason})") from error
    return dataset


def write(path: Path, dataset: Dataset) -> None:
    """Write one data set so that a reader, or a crash, sees all of it or none. Raises OSError.

    What a killed process has left of the same data set is removed once it is an HOUR old and nobody's work any more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(OSError):  # it has just been renamed, or is another's
            if time.time() - left.stat().st_mtime > HOUR:
                left.unlink()
    arrays = named_arrays(dataset.train, dataset.valid, dataset.test)
    with atomic(path, "wb") as file:
        np.savez(file, allow_pickle=False, name=dataset.name, sha256=dataset.sha256, **arrays)
