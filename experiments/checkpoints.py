"""Checkpoints: the whole state of a run, written by Orbax, with the SHA-256 of every file beside it, the last few kept.

Orbax writes a checkpoint whole or not at all, but loads arrays whose bits have changed without a word. So its files are
verified before it reads them, and one without its sums was not completed. A damaged one is reported and the one before
it is used: nothing is lost but the time in between. `sha256sum --check` understands the sums too. Of several processes
the first alone reads and writes.
"""

import contextlib
import hashlib
import pathlib
import shutil
import sys
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.cli import BadInput
from experiments.files import atomic

KEPT = 2  # a damaged one has another before it
SUMS = ".sha256"


def save(folder: pathlib.Path, name: str, state: PyTree, kept: int = KEPT) -> None:
    """Write the leaves of `state`, and remove all but the last `kept`.

    Args:
      name: of the checkpoint; names sort in the order of time.
      state: arrays, none of them empty.
    """
    content = {f"leaf{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    path = folder / name
    with _orbax() as orbax:
        orbax.save(path.absolute(), content, force=True)
    with atomic(_sums_of(path)) as file:
        file.write(_sums(path))
    complete = _newest_first(folder)
    for old in complete[kept:]:
        _sums_of(old).unlink()
    for other in folder.iterdir():  # the old ones, and what a killed process has left
        if other.is_dir() and other not in complete[:kept]:
            shutil.rmtree(other)


def restore(folder: pathlib.Path, like: PyTree, prefix: str = "") -> PyTree | None:
    """The newest state that is intact, in the structure of `like`; None if there is none. Damaged ones are reported.

    Args:
      prefix: of the names that count.

    Raises:
      BadInput: one holds a state of other shapes or types.
    """
    expected, structure = jax.tree.flatten(like)
    for path in _newest_first(folder):
        if not path.name.startswith(prefix):
            continue
        leaves = _read(path)
        if leaves is None:
            print(f"warning: the checkpoint {path} is damaged; going on from the one before it", file=sys.stderr)
            continue
        if [(a.shape, a.dtype) for a in leaves] != [(a.shape, a.dtype) for a in expected]:
            raise BadInput(f"the checkpoint {path} was written by another version; remove it to start again")
        return structure.unflatten(leaves)
    return None


def clear(folder: pathlib.Path) -> None:
    """Remove all checkpoints."""
    for path in _newest_first(folder):
        _sums_of(path).unlink()
        shutil.rmtree(path, ignore_errors=True)


def _newest_first(folder: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints that were completed."""
    return sorted((path.with_suffix("") for path in folder.glob(f"[!.]*{SUMS}")), reverse=True)


def _read(path: pathlib.Path) -> list[np.ndarray] | None:
    """The leaves, or None if a file is not as it was written."""
    try:
        if _sums_of(path).read_text() != _sums(path):
            return None
        with _orbax() as orbax:
            content = orbax.restore(path.absolute())
        return [content[name] for name in sorted(content)]
    except (OSError, ValueError):  # ValueError: the sums are no text any more
        return None


def _sums_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_suffix(SUMS)


def _sums(path: pathlib.Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(path.parent)}\n" for f in files)


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
