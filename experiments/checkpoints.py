"""A checkpoint: the whole state of a run in one .npz, verified when it is read."""

import hashlib
import pathlib
import zipfile

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.cli import BadInput
from experiments.files import atomic


def save(path: pathlib.Path, state: PyTree) -> None:
    """Write the leaves of `state` and their SHA-256, atomically."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    with atomic(path, "wb") as file:
        np.savez(file, sha256=_digest(leaves), **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})


def restore(path: pathlib.Path, like: PyTree) -> PyTree:
    """Read the state that `save` wrote, in the structure of `like`.

    Raises:
      BadInput: the file is damaged, or holds a state of other shapes or types.
    """
    expected, structure = jax.tree.flatten(like)
    try:
        with np.load(path, allow_pickle=False) as file:
            leaves = [file[f"leaf{i}"] for i in range(len(file.files) - 1)]
            intact = str(file["sha256"]) == _digest(leaves)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        intact = False
    if not intact:
        raise BadInput(f"the checkpoint {path} is damaged; remove it to start the run again from the beginning")
    if [(a.shape, a.dtype) for a in leaves] != [(a.shape, a.dtype) for a in expected]:
        raise BadInput(f"the checkpoint {path} was written by another version; remove it to start again")
    return structure.unflatten(leaves)


def _digest(leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(f"{leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
