"""The folder for compiled programs. What lies there is run, so nobody else may write there."""

import os
import pathlib

from experiments.runtime.cli import BadInput


def use(folder: str | None) -> None:
    """Keep compiled programs in `folder` and take them from there, if one is named. A new one is made with mode 0700.

    Raises:
      BadInput: it is open to others, or cannot be made.
    """
    if folder is None:
        return
    path = pathlib.Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
    except OSError as error:
        raise BadInput(f"--compile_cache={folder} cannot be made: {error.strerror}") from error
    mode = found.st_mode & 0o777
    if mode & 0o077 or found.st_uid != os.getuid():
        whose = f"is open to others (mode {mode:04o})" if mode & 0o077 else "belongs to another user"
        raise BadInput(
            f"--compile_cache={folder} {whose}, and what lies there is run; "
            "chmod 700 one of your own, or name a folder that does not exist yet"
        )
    import jax

    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
