"""Published numbers beside ours: where a number comes from, a row, and the result file of a study. Knows no JAX."""

import contextlib
import dataclasses
import fcntl
import math
import os
import pathlib
import shlex
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from experiments.runtime import runs, tables
from twolayer.command.cli import BadInput
from twolayer.command.files import read_json, write_json
from twolayer.command.provenance import processor, provenance


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a number comes from: how long it took, at which commits, on which devices.

    Attributes:
      seconds: of all its computations together.
      commits: with a "+" where files had been changed since.
      devices: in words.
    """

    seconds: float = 0.0
    commits: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def counted(self) -> "Origin":
        """The same for another row, without the seconds, which one row alone should have."""
        return dataclasses.replace(self, seconds=0.0)

    @classmethod
    def total(cls, origins: Iterable["Origin"]) -> "Origin":
        """Merge several; seconds add up."""
        parts = [cls(), *origins]
        commits = frozenset().union(*(part.commits for part in parts))
        devices = frozenset().union(*(part.devices for part in parts))
        return cls(sum(part.seconds for part in parts), commits, devices)

    @classmethod
    def of_cell(cls, cell: Mapping) -> "Origin":
        """The origin of a cell as `Study.cell` returns it."""
        return cls(cell["seconds"], frozenset([cell["commit"]]), frozenset([cell["device"]]))

    @classmethod
    def of_run(cls, run_dir: pathlib.Path, seconds: float) -> "Origin":
        """The origin of a run directory: every session that worked there.

        Raises:
          BadInput: its manifest is damaged.
        """
        manifest = read_json(run_dir / runs.MANIFEST, "platform", "devices")
        sessions = manifest.get("sessions") or [manifest]
        of_session = (session["devices"] for session in sessions if session.get("devices"))
        devices = (machine_of(manifest["platform"], devices) for devices in of_session)
        return cls(seconds, frozenset(map(commit_of, sessions)), frozenset(devices))


def commit_of(facts: Mapping) -> str:
    """The commit of a manifest or of one of its sessions."""
    git = facts.get("git") or {}
    return git.get("commit", "unknown") + ("+" if git.get("dirty") else "")


def machine_of(platform: Mapping[str, Any], devices: Iterable[str]) -> str:
    """The devices of a manifest in words, with the processor's name."""
    cpu = processor(platform)
    return ", ".join(sorted({cpu if device.startswith("cpu") else device for device in devices}))


@dataclasses.dataclass(frozen=True)
class Row:
    """One published number beside ours.

    Attributes:
      paper: as in the name of the result file.
      row: what was measured.
      published: the number of the paper; None where nobody has published one.
      values: ours, one for each seed or repetition.
      unit: of both.
      origin: where ours come from. Seconds that several rows share are those of the first.
      facts: anything else that a reader wants to know, by name.
      beside: the same, of the published number and how ours compares.
      bar: what ours should reach, in words.
      met: whether it does; None where there is no bar.
      n: how many runs or repetitions ours is of, if not one for each value.
    """

    paper: str
    row: str
    published: float | None
    values: Sequence[float]
    unit: str
    origin: Origin = dataclasses.field(default_factory=Origin)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    bar: str = ""
    met: bool | None = None
    beside: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    n: int | None = None

    def scaled(self, flags: Mapping[str, Any]) -> "Row":
        """The row of an experiment that these flags make another one than the published."""
        facts = {**self.facts, "scaled": dict(flags)}
        return dataclasses.replace(self, published=None, bar="", met=None, beside={}, facts=facts)

    def as_dict(self) -> dict[str, Any]:
        """The row as the result file has it."""
        finite = all(map(math.isfinite, self.values))
        spread = statistics.stdev(self.values) if len(self.values) > 1 and finite else None
        origin = {"commit": ", ".join(sorted(self.origin.commits)) or None}
        origin |= {"device": ", ".join(sorted(self.origin.devices))}
        numbers = {"ours": statistics.fmean(self.values), "sd": spread, "n": self.n or len(self.values)}
        whole = {"paper": self.paper, "row": self.row, "published": self.published, **numbers, "unit": self.unit}
        judged = {"bar": self.bar, "met": self.met} if self.bar else {}
        known = origin | whole | judged | {"seconds": self.origin.seconds, "values": list(self.values)}
        others = {**self.facts, **self.beside}
        if twice := known.keys() & others.keys():
            raise ValueError(f"facts of {self.row!r} would replace {', '.join(sorted(twice))}")
        return known | others


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table to read: published, ours with spread and n."""
    return tables.text(("", "published", "ours", "sd", "n", "unit", "wanted"), [_cells(row) for row in rows])


def _cells(row: Mapping) -> tuple[str, ...]:
    published, ours, spread = ("" if v is None else f"{v:.4g}" for v in (row["published"], row["ours"], row["sd"]))
    reached = f"{row['bar']}: {'reached' if row['met'] else 'MISSED'}" if row.get("bar") else ""
    return row["row"], published, ours, spread, str(row["n"]), row["unit"], reached


PLACES = ("run_dir", "json", "source_dir", "data_dir", "quiet", "figures")


def result(rows: Sequence[Row]) -> dict[str, Any]:
    """What the result file holds."""
    facts, command = provenance(), command_line()
    listed = [{"command": command, **row.as_dict()} for row in rows]
    return {"rows": listed, **facts, "argv": [facts["argv"][0], *_given()]}


def merge(target: pathlib.Path, new: Mapping[str, Any]) -> None:
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
