"""The result file of a study: its rows, each with the command, commit and machine it comes from. Knows no JAX."""

import contextlib
import fcntl
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence

from absl import flags

from experiments.papers.rows import Row
from experiments.runtime.cli import BadInput
from experiments.runtime.files import read_json, write_json
from experiments.runtime.provenance import provenance

PLACES = ("run_dir", "json", "source_dir", "data_dir", "quiet", "figures")


def result(rows: Sequence[Row]) -> dict[str, object]:
    """What the result file holds."""
    facts, command = provenance(), command_line()
    listed = [{"command": command, **row.as_dict()} for row in rows]
    return {"rows": listed, **facts, "argv": [facts["argv"][0], *_given()]}


def merge(target: pathlib.Path, new: Mapping[str, object]) -> None:
    """Write the result to the file; rows of another name that it has are kept, in their places.

    Raises:
      BadInput: the file is damaged or cannot be written, or has a row at the published scale and the new one is not.
    """
    try:
        with _alone(target.parent):
            theirs, ours = ({row["row"]: row for row in rows} for rows in (rows_of(target), new["rows"]))
            for name in theirs.keys() & ours.keys():
                if "scaled" in ours[name] and "scaled" not in theirs[name]:
                    raise BadInput(f"--json={target} has {name!r} at the published scale; choose another file")
            write_json(target, {**new, "rows": list((theirs | ours).values())})
    except OSError as error:
        raise BadInput(f"cannot write --json={target}: {error.strerror}; repeat the command") from error


def rows_of(target: pathlib.Path) -> list[dict]:
    """The rows of a result file; none if there is none.

    Raises:
      BadInput: the file is damaged.
    """
    if not target.exists():
        return []
    rows = read_json(target, "rows")["rows"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "row" in row for row in rows):
        raise BadInput(f"{target} is damaged (its rows have no names); remove it and repeat the command")
    return rows


def command_line() -> str:
    """The command that was given, without the places of this machine."""
    return shlex.join(("python", "-m", f"experiments.papers.{pathlib.Path(sys.argv[0]).stem}", *_given()))


def _given() -> list[str]:
    """The flags that were given, as they are written, but for places."""
    known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return [flag.serialize() for flag in known if flag.present and flag.name not in PLACES]


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """One process at a time; another waits the moment that it takes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
