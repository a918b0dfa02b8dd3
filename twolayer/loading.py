"""A finished run of experiments.train as a `Result`: its directory is all that is needed."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twolayer import own
from twolayer.datasets import mnist_family
from twolayer.datasets.dataset import DataError, Standard
from twolayer.datasets.prepared import digits
from twolayer.fitting import Result
from twolayer.names import MNIST_FAMILY
from twolayer.network import Params
from twolayer.settings import NAMES, Settings

FLAG_OF = {"hidden_size": "hidden", "hidden_activation": "activation"}  # settings whose flags are called otherwise


def load(run_dir: str | os.PathLike) -> Result:
    """The network of a finished run with its metrics and settings.

    Mathematics of one's own is made from the text in the manifest, which is run as Python: load runs that you trust.

    Raises:
      DataError: the run is not finished, or a file is missing or damaged, in one line.
    """
    path = Path(run_dir).expanduser()
    manifest, summary = _json(path / "manifest.json"), _json(path / "summary.json")
    if "flags" not in manifest or "params_sha256" not in summary:
        raise DataError(f"{path} is no finished run of experiments.train")
    params = _params(path, summary["params_sha256"])
    flags = manifest["flags"]
    about = manifest.get("data") or _known(flags["dataset"])
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    names = list(rows[0]) if rows else []
    metrics = {name: np.array([np.nan if row[name] is None else row[name] for row in rows]) for name in names}
    status = "stopped early" if summary.get("stopped_early") else summary["status"]
    regression = about.get("regression", flags["dataset"] == "teacher")
    labels = None if regression else labels_of(about.get("classes") or range(len(params.b2)))
    standard = Standard(**{name: tuple(a) for name, a in about["standard"].items()}) if about.get("standard") else None
    settings = _settings(flags, manifest.get("own") or {})
    return Result(params, metrics, settings, status, labels, about["scale"], standard, tuple(about.get("said", ())))


def labels_of(classes: Any) -> np.ndarray:
    """The names of classes, as whole numbers where all of them are such."""
    names = np.array([str(name) for name in classes])
    try:
        return names.astype(np.int64)
    except ValueError:
        return names


def _settings(flags: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> Settings:
    found = {name: flags[FLAG_OF.get(name, name)] for name in NAMES if FLAG_OF.get(name, name) in flags}
    for kind, one in texts.items():
        name = {flag: name for name, flag in FLAG_OF.items()}.get(kind, kind)
        found[name] = own.from_text(kind, one["reference"], one["text"]).entry
    return Settings(**found)


def _known(dataset: str) -> dict[str, Any]:
    """The scale of the data of a run whose manifest does not tell it, as early ones."""
    if dataset == "digits":
        return {"scale": digits.FORM.scale}
    return {"scale": mnist_family.FORM.scale if dataset in MNIST_FAMILY else 1.0}


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{path.parent} is not a finished run: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error


def _params(path: Path, sha256: str) -> Params:
    try:
        with open(path / "params.npz", "rb") as stream, np.load(stream, allow_pickle=False) as file:
            params = Params(*(file[name] for name in Params._fields))
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        raise DataError(f"{path / 'params.npz'} cannot be read ({' '.join(str(error).split())})") from error
    if hashlib.sha256(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in params)).hexdigest() != sha256:
        raise DataError(f"{path / 'params.npz'} is damaged: its SHA-256 is not that of the summary")
    return params
