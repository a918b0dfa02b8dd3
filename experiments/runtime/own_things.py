"""What people bring along in a file: mathematics, FILE.py:NAME for a name, and data; as the flags say it."""

import functools
from collections.abc import Mapping
from typing import Any

from twolayer import datasets, own, settings
from twolayer.command.cli import BadInput, bad_input
from twolayer.loading import FLAG_OF
from twolayer.names import is_own_data
from twolayer.settings import Settings

OF_DATA = ("task", "standardize", "valid_share", "test_share", "split_seed")


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


def settings_of(flags: Mapping[str, Any]) -> Settings:
    """The settings of a run. A flag that is not there is at its default.

    Raises:
      BadInput: as `entry`.
    """
    names = {name: FLAG_OF.get(name, name) for name in settings.NAMES}
    return Settings(**{
        name: entry(flags, flag) if flag in own.FORMS else flags[flag] for name, flag in names.items() if flag in flags
    })  # fmt: skip


def checked(flags: Mapping[str, Any], outputs: int) -> dict[str, dict[str, str]]:
    """What is brought along in files, each checked: flag -> reference, SHA-256, text and the verdict. For the manifest.

    Raises:
      BadInput: an entry is wrong, or cannot be computed.
    """
    from experiments.runtime import derivatives

    found = {}
    for kind in own.FORMS:
        if own.is_own(flags.get(kind)):
            one = _loaded(kind, flags[kind])
            verdict = derivatives.check(kind, one, outputs)
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
    given = {name: flags[name] for name in OF_DATA if flags.get(name) is not None}
    target = flags.get("target")
    if not is_own_data(flags["dataset"]):
        named = [*given, *(["target"] if target else [])]
        if named:
            raise BadInput(f"--{named[0]} has no effect on --dataset={flags['dataset']}; it is for one's own data")
        return {}
    with bad_input(datasets.DataError):
        return {"target": target, "options": datasets.Options(**given)}


def facts_of(data: datasets.Dataset) -> dict[str, Any]:
    """What a manifest keeps of the data, so that the run can be used: names of classes, standardisation, scale."""
    names = ("name", "inputs", "outputs", "scale", "image_shape", "regression", "classes", "said")
    facts = {name: getattr(data, name) for name in names}
    return facts | {"standard": data.standard and data.standard._asdict()}


def told(data: datasets.Dataset, found: Mapping[str, Mapping[str, str]]) -> str:
    """Lines on what was understood; empty where nothing was brought along."""
    lines = [f"{data.name}: {'; '.join(data.said)}"] if data.said else []
    return "\n".join((*lines, *(one["verdict"] for one in found.values())))
