"""Where --json and --report go: known to be writable before the work starts, written whole afterwards."""

import os
import pathlib
import tempfile

from experiments.runtime.cli import BadInput


def check(flag: str, name: str | None, taken: list[pathlib.Path]) -> pathlib.Path | None:
    """The absolute path of an output, None if not asked for; `taken` are the files that it must not replace.

    Raises:
      BadInput: it is no place for a file, or is one of `taken`.
    """
    if name is None:
        return None
    if not name or os.path.isdir(name):
        raise BadInput(f"--{flag}={name} is a directory; name a file in it")
    if os.path.exists(name) and not os.path.isfile(name):
        raise BadInput(f"--{flag}={name} is not a regular file")
    if os.path.realpath(name) in map(os.path.realpath, taken):
        raise BadInput(f"--{flag}={name} is another file of this command")
    path = pathlib.Path(name).absolute()  # the derivation may change the working directory
    try:
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.").close()
    except OSError as error:
        raise BadInput(f"--{flag}={name} cannot be written: {error.strerror or error}") from error
    return path
