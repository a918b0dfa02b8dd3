"""The files that a command reads and writes, and their locks."""

import fcntl
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Sequence

from twolayer.atomic import atomic
from twolayer.command.cli import BadInput


def writable(
    name: str, flag: str = "json", *, taken: Sequence[pathlib.Path] = (), make_folder: bool = True
) -> pathlib.Path:
    """The absolute path of a file to write, which a flag names. What is wrong with it is said now, not after the work.

    Args:
      taken: files of the command, which it must not replace.
      make_folder: make its folder, if there is none.

    Raises:
      BadInput: it is no place for a file, or is one of `taken`.
    """
    if not name or os.path.isdir(name):
        raise BadInput(f"--{flag}={name} is a directory; name a file in it")
    if os.path.exists(name) and not os.path.isfile(name):  # renaming would put a file in the place of a device
        raise BadInput(f"--{flag}={name} is not a regular file")
    if os.path.realpath(name) in map(os.path.realpath, taken):
        raise BadInput(f"--{flag}={name} is another file of this command")
    path = pathlib.Path(name).absolute()  # the work may change the working directory
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.").close()
    except OSError as error:
        raise BadInput(f"--{flag}={name} cannot be written: {error.strerror or error}") from error
    return path


def write_json(path: pathlib.Path, value: object) -> None:
    """Write `value` as indented JSON, atomically. Numbers that are not finite become null: JSON has none."""
    with atomic(path) as file:
        json.dump(finite(value), file, indent=2, allow_nan=False)
        file.write("\n")


def read_json(path: pathlib.Path, *names: str) -> dict:
    """The object in a JSON file, which must have these names.

    Raises:
      BadInput: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text())
        missing = [name for name in names if name not in value]
        if not isinstance(value, dict) or missing:
            raise ValueError(f"it has no {missing[0]}" if missing else "it holds no object")
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{path} is damaged ({error}); remove it and repeat the command") from error
    return value


def finite(value: object) -> object:
    """`value` with null for each number in it that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


LOCK = ".lock"


class Lock:
    """The lock of a directory, or with another name of a file in it; `take` takes it.

    It is on a file of its own, because other machines of a network file system do not see a lock on a directory.
    """

    def __init__(self, folder: pathlib.Path, name: str = LOCK) -> None:
        self._path = folder / name
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
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False
