"""Checkpoints: the whole state of a run, each in one .npz with the SHA-256 of its content, the last few kept.

Each is written whole or not at all. When one is read its content is verified; a damaged one is reported and the one
before it is used, so nothing is lost but the time in between.
"""

import hashlib
import pathlib
import sys

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.cli import BadInput
from experiments.files import atomic

KEPT = 2  # a damaged one has another before it


def save(folder: pathlib.Path, name: str, state: PyTree) -> None:
    """Write the leaves of `state`, and remove all but the last few. Names sort in the order of time."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    with atomic(folder / f"{name}.npz", "wb") as file:
        np.savez(file, sha256=_digest(leaves), **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()


def restore(folder: pathlib.Path, like: PyTree, prefix: str = "") -> PyTree | None:
    """The newest state that is intact, in the structure of `like`; None if there is none. Damaged ones are reported.

    Args:
      prefix: of the names that count.

    Raises:
      BadInput: a file holds a state of other shapes or types.
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
        path.unlink()


def _newest_first(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob("*.npz"), reverse=True)


def _read(path: pathlib.Path) -> list[np.ndarray] | None:
    """The leaves, or None if the file is not as it was written."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            leaves = [file[f"leaf{i}"] for i in range(len(file.files) - 1)]
            return leaves if str(file["sha256"]) == _digest(leaves) else None
    except Exception:  # zip, zlib, NumPy's header parser and the file system each have their own
        return None


def _digest(leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(f"{leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
