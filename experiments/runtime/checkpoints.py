"""Checkpoints: the whole state of a run, written by Orbax, with the SHA-256 of every file beside it, the last few kept.

Orbax writes a checkpoint whole or not at all, but loads arrays whose bits have changed without a word. So its files are
verified before it reads them, and one without its sums was not completed. A damaged one is reported and the one before
it is used: nothing is lost but the time in between. `sha256sum --check` understands the sums too. Of several processes
the first alone reads and writes.
"""

import contextlib
import errno
import hashlib
import os
import pathlib
import re
import shutil
import sys
import time
from collections.abc import Iterator

import jax
import numpy as np
from absl import logging
from jaxtyping import PyTree

from twolayer.atomic import atomic
from twolayer.command.cli import BadInput

KEPT = 2  # a damaged one has another before it
SUMS = ".sha256"
STRAGGLERS = 5  # tenths of a second that writes may outlive one that failed


def save(folder: pathlib.Path, name: str, state: PyTree, kept: int = KEPT) -> None:
    """Write the leaves of `state`, and remove all but the last `kept`. One that is there and intact is left as it is.

    Those of a later time are removed too: the run would have gone on from them if they were not damaged.

    Args:
      name: of the checkpoint; names sort in the order of time.
      state: arrays, none of them empty.

    Raises:
      OSError: it cannot be written. Those that are there stay, and nothing is left of this one.
    """
    content = {f"leaf{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    path = folder / name
    if not folder.is_dir():  # Orbax would make it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if _intact(path):
        return
    try:
        with _errors_of_the_system(), _orbax() as orbax:
            orbax.save(path.absolute(), content, force=True)
        with atomic(_sums_of(path)) as file:
            file.write(_sums(path))
    except OSError:
        for _ in range(STRAGGLERS):  # that make their folders again
            with contextlib.suppress(OSError):
                _remove_all_but(folder, [old for old in newest_first(folder) if old != path])
            time.sleep(0.1)
        raise
    complete = newest_first(folder)
    keep = [old for old in complete if old.name <= name][:kept]
    for old in set(complete) - set(keep):
        _sums_of(old).unlink()
    _remove_all_but(folder, keep)


def restore(folder: pathlib.Path, like: PyTree, prefix: str = "") -> PyTree | None:
    """The newest state that is intact, in the structure of `like`; None if there is none. Damaged ones are reported.

    Args:
      prefix: of the names that count.

    Raises:
      BadInput: one holds a state of other shapes or types, or the system does not let it be read.
    """
    expected, structure = jax.tree.flatten(like)
    damaged = False
    for path in _readable(folder):
        if not path.name.startswith(prefix):
            continue
        with _what_is_refused(path):
            leaves = read(path)
        if leaves is None:
            damaged = True
            print(f"warning: the checkpoint {path} is damaged; going on from the one before it", file=sys.stderr)
            continue
        if [(a.shape, a.dtype) for a in leaves] != [(a.shape, a.dtype) for a in expected]:
            raise BadInput(f"the checkpoint {path} was written by another version; remove it to start again")
        return structure.unflatten(leaves)
    if damaged:
        print(f"warning: no intact checkpoint is left in {folder}; starting again", file=sys.stderr)
    return None


def clear(folder: pathlib.Path) -> None:
    """Remove all checkpoints."""
    for path in newest_first(folder):
        _sums_of(path).unlink()
        shutil.rmtree(path, ignore_errors=True)


def newest_first(folder: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints that were completed."""
    return sorted((path.with_suffix("") for path in folder.glob(f"[!.]*{SUMS}")), reverse=True)


def read(path: pathlib.Path) -> list[np.ndarray] | None:
    """The leaves of one checkpoint, or None if a file is not as it was written.

    Raises:
      OSError: the system refuses to read it, which does not mean that it is damaged.
    """
    if not _intact(path):
        return None
    try:
        with _orbax() as orbax:
            content = orbax.restore(path.absolute())
        return [content[name] for name in sorted(content)]
    except (OSError, ValueError):
        return None


def _intact(path: pathlib.Path) -> bool:
    """Whether a checkpoint was completed, and every file is as it was written; raises OSError if it may not be read."""
    try:
        return _sums_of(path).read_text() == _sums(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):  # ValueError: no text any more
        return False


def _remove_all_but(folder: pathlib.Path, complete: list[pathlib.Path]) -> None:
    """Remove the old ones, and what was not completed."""
    for other in folder.iterdir():
        if other.is_dir() and other not in complete:
            shutil.rmtree(other)


@contextlib.contextmanager
def _errors_of_the_system() -> Iterator[None]:
    """Turn what Orbax raises when the system refuses, a ValueError from C++, into the OSError behind it.

    Meanwhile it keeps its own account of it, many pages from several threads, to itself.
    """
    verbosity, hook = logging.get_verbosity(), sys.unraisablehook
    logging.set_verbosity(logging.FATAL)
    sys.unraisablehook = _without_stragglers
    try:
        yield
    except ValueError as error:
        code = re.search(r"os_error_code='(\d+)'", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number) if code else str(error).splitlines()[0][:100]) from error
    logging.set_verbosity(verbosity)  # after an error it stays quiet: writes that were under way may still end
    sys.unraisablehook = hook


def _without_stragglers(report: "sys.UnraisableHookArgs") -> None:
    """Python's own report of an error that nobody can catch, but not of writes that outlive the one that failed."""
    if not (isinstance(report.exc_value, RuntimeError) and str(report.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(report)


def _sums_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_suffix(SUMS)


def _sums(path: pathlib.Path) -> str:
    found = os.walk(path, onerror=_refused)  # a glob would pass over what it may not read
    files = sorted(pathlib.Path(folder) / name for folder, _, names in found for name in names)
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(path.parent)}\n" for f in files)


def _refused(error: OSError) -> None:
    raise error


def _readable(folder: pathlib.Path) -> list[pathlib.Path]:
    """`newest_first`, but raises BadInput for a folder that may not be read, which that passes over."""
    with _what_is_refused(folder), contextlib.suppress(FileNotFoundError):
        os.listdir(folder)
    return newest_first(folder)


@contextlib.contextmanager
def _what_is_refused(path: pathlib.Path) -> Iterator[None]:
    """Turn what the system refuses to read into BadInput: going on without it would overwrite it."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot read {error.filename or path}: {error.strerror}; mend that and repeat the command"
        ) from error


@contextlib.contextmanager
def _orbax() -> Iterator:
    """A checkpointer that this process uses alone, whatever others there are."""
    import orbax.checkpoint as ocp  # a quarter of a second, and not needed to finish a short run

    own = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(), active_processes={jax.process_index()}, barrier_sync_key_prefix="first"
    )
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=own)
    with ocp.Checkpointer(handler, multiprocessing_options=own) as checkpointer:
        yield checkpointer
