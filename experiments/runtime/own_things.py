"""What people bring along in a file: mathematics, FILE.py:NAME for a name, and data; as the flags say it.

Mathematics is verified (twolayer/verification/entries.py) before a run begins.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from twolayer import datasets, own, settings, updates
from twolayer.command.cli import BadInput, bad_input
from twolayer.names import OF_OWN_DATA, is_own_data


@functools.cache  # a file is read once, so that all programs of a process have the same entry
def _loaded(kind: str, reference: str) -> own.Own:
    with bad_input(ValueError):
        return own.load(kind, reference)


def entry(flags: Mapping[str, Any], kind: str) -> Any:
    """The value of a flag, or the entry that it names in a file.

    Raises:
      BadInput: the file or the entry cannot be used.
    """
    return _loaded(kind, flags[kind]).entry if own.is_own(flags[kind]) else flags[kind]


def settings_of(flags: Mapping[str, Any]) -> settings.Settings:
    """The settings of a run. A flag that is not there is at its default.

    Raises:
      BadInput: as `entry`.
    """
    names = {name: settings.FLAG_OF.get(name, name) for name in settings.NAMES}
    return settings.Settings(**{
        name: entry(flags, flag) if flag in own.FORMS else flags[flag] for name, flag in names.items() if flag in flags
    })  # fmt: skip


def optimizer(name: str) -> updates.Direction:
    """The optimiser of a name, or of a file."""
    return updates.find("optimizer", entry({"optimizer": name}, "optimizer"))


def checked(flags: Mapping[str, Any], data: datasets.Dataset) -> dict[str, dict[str, str]]:
    """Check what is brought along in files; returns flag -> reference, SHA-256, text and the verdict. For the manifest.

    Raises:
      BadInput: an entry is not proved right, or cannot be computed.
    """
    found = {}
    for kind in (kind for kind in own.FORMS if own.is_own(flags.get(kind))):
        from twolayer.verification.entries import NotRight, verify_entry  # which few need

        one = _loaded(kind, flags[kind])
        try:
            said = verify_entry(kind, one.entry, outputs=data.outputs, regression=data.regression)
        except NotRight as error:
            raise BadInput(f"--{kind}={one.reference} {error}; the run does not begin") from error
        verdict = f"--{kind}={one.reference} is right: {said}"
        found[kind] = {"reference": one.reference, "sha256": one.sha256, "verdict": verdict, "text": one.text}
    return found


def check_same(manifest: Mapping[str, Any], found: Mapping[str, Mapping[str, str]], path: object) -> None:
    """Raise BadInput if the run was begun with other texts in these files."""
    for kind, one in (manifest.get("own") or {}).items():
        if kind in found and found[kind]["sha256"] != one["sha256"]:
            raise BadInput(
                f"--run_dir={path} was begun with another text of --{kind}={one['reference']}; its own is in the"
                " manifest; put it back, or choose another --run_dir"
            )


def data_arguments(flags: Mapping[str, Any]) -> dict[str, Any]:
    """target and options for datasets.load.

    Raises:
      BadInput: they are given beside a data set that has its own.
    """
    given = {name: flags[name] for name in OF_OWN_DATA if flags.get(name) is not None}
    target = flags.get("target")
    if not is_own_data(flags["dataset"]):
        named = [*given, *(["target"] if target else [])]
        if named:
            raise BadInput(f"--{named[0]} has no effect on --dataset={flags['dataset']}; it is for one's own data")
        return {}
    with bad_input(datasets.DataError):
        return {"target": target, "options": datasets.Options(**given)}


def tell(data: Iterable[datasets.Dataset], found: Mapping[str, Mapping[str, str]]) -> None:
    """Print what was understood of data and mathematics that were brought along."""
    for one in data:
        if one.said:
            print(f"{one.name}: {'; '.join(one.said)}", flush=True)
    for one in found.values():
        print(one["verdict"], flush=True)
