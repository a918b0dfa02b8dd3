"""Files that are whole or not there at all. Imports nothing of this package."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import IO

UNFINISHED = ".*.tmp"  # what a killed process leaves of a file


@contextlib.contextmanager
def atomic(path: pathlib.Path, mode: str = "w") -> Iterator[IO]:
    """Write `path` under another name and rename it when complete, so no reader ever sees half of it.

    Args:
      path: of the file; a link stays one.
      mode: "w" for text, "wb" for bytes.
    """
    path = pathlib.Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 is for secrets, these are results
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _sync_folder(folder: pathlib.Path) -> None:
    """So that the new name outlasts a power cut too, where the file system knows how."""
    handle = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(handle)
    os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
