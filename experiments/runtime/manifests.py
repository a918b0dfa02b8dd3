"""manifest.json of a run directory, and whether the run in it is the one that is wanted."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from experiments.runtime.cli import BadInput

NAME = "manifest.json"


def read(run_dir: pathlib.Path) -> dict:
    """The manifest of the run.

    Raises:
      BadInput: it cannot be read, or lacks flags or status.
    """
    try:
        manifest = json.loads((run_dir / NAME).read_text())
        if not (isinstance(manifest["flags"], dict) and isinstance(manifest["status"], str)):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{run_dir / NAME} is not a readable manifest; choose another --run_dir") from error
    return manifest


def check_flags(manifest: Mapping, flags: Mapping[str, object], ignore: Sequence[str], run_dir: pathlib.Path) -> None:
    """Raise BadInput if the run was begun with other flags than these, but for those to `ignore`."""
    theirs = manifest["flags"]
    differing = [name for name in flags if name not in ignore and theirs.get(name) != flags[name]]
    if differing:
        listed = ", ".join(f"--{name} is {theirs.get(name)} there and {flags[name]} here" for name in differing)
        raise BadInput(f"--run_dir={run_dir} belongs to other flags ({listed}); choose another")
