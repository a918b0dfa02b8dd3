"""One process to a directory: a file in it that is locked until the process ends, however it ends."""

import fcntl
import os
import pathlib

LOCK = ".lock"


class Lock:
    """The lock of a directory; `take` takes it.

    It is on a file, because a lock on a directory is not seen by the other machines of a network file system.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._path = folder / LOCK
        self._file: int | None = None  # open, which holds the lock

    @property
    def taken(self) -> bool:
        """Whether this process has taken it."""
        return self._file is not None

    def take(self) -> None:
        """Take it, or raise BlockingIOError where another process has it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise
        self._file = handle

    def in_place(self) -> bool:
        """Whether the file that was taken is still the one in the directory: nobody removed or renamed it."""
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False
