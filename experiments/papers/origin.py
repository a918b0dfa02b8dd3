"""Where a number comes from: how long it took, at which commits, on which devices. Knows no JAX."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping

from experiments.runtime import manifests
from experiments.runtime.files import read_json
from experiments.runtime.provenance import processor


@dataclasses.dataclass(frozen=True)
class Origin:
    """Of what one or several computations gave.

    Attributes:
      seconds: of all together.
      commits: with a "+" where files had been changed since.
      devices: in words.
    """

    seconds: float = 0.0
    commits: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def counted(self) -> "Origin":
        """The same for another row, without the seconds, which one row alone should have."""
        return dataclasses.replace(self, seconds=0.0)


def total(origins: Iterable[Origin]) -> Origin:
    """Of all of them."""
    parts = [Origin(), *origins]
    commits = frozenset().union(*(part.commits for part in parts))
    devices = frozenset().union(*(part.devices for part in parts))
    return Origin(sum(part.seconds for part in parts), commits, devices)


def of_cell(cell: Mapping) -> Origin:
    """Of a cell as `Study.cell` returns it."""
    return Origin(cell["seconds"], frozenset([cell["commit"]]), frozenset([cell["device"]]))


def of_run(run_dir: pathlib.Path, seconds: float) -> Origin:
    """Of a run directory: of every session that worked there.

    Raises:
      BadInput: its manifest is damaged.
    """
    manifest = read_json(run_dir / manifests.NAME, "platform", "devices")
    sessions = manifest.get("sessions") or [manifest]
    devices = (machine(manifest["platform"], session["devices"]) for session in sessions if session.get("devices"))
    return Origin(seconds, frozenset(map(commit, sessions)), frozenset(devices))


def commit(facts: Mapping) -> str:
    """Of a manifest or one of its sessions."""
    git = facts.get("git") or {}
    return git.get("commit", "unknown") + ("+" if git.get("dirty") else "")


def machine(platform: Mapping[str, object], devices: Iterable[str]) -> str:
    """The devices of a manifest in words, with the processor's name."""
    cpu = processor(platform)
    return ", ".join(sorted({cpu if device.startswith("cpu") else device for device in devices}))
