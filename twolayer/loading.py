"""A finished run of experiments.train, its directory being all that is needed: its parameters, and it as a `Result`.

Importing this imports no JAX: whether the parameters are whole is known without.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twolayer import own
from twolayer.datasets import mnist_family
from twolayer.datasets.dataset import DataError, Standard
from twolayer.datasets.prepared import digits
from twolayer.names import MNIST_FAMILY
from twolayer.settings import FLAG_OF, NAMES, SETTING_OF, Settings

if TYPE_CHECKING:  # it loads JAX
    from twolayer.result import Result

PARAMS = ("W1", "b1", "W2", "b2")


def load(run_dir: str | os.PathLike) -> "Result":
    """The network of a finished run with its metrics and settings; of one that a sweep has kept, without metrics.

    Mathematics of one's own is made from the text in the manifest, which is run as Python: load runs that you trust.

    Raises:
      DataError: the run is not finished, or a file is missing or damaged, in one line.
      TypeError: run_dir is no path.
    """
    if not isinstance(run_dir, str | os.PathLike):
        raise TypeError(f"run_dir is {type(run_dir).__name__}; give the directory of a finished run")
    from twolayer.network import Params
    from twolayer.result import Result

    path = Path(run_dir).expanduser()
    params: dict[str, Any] = load_params(path)
    summary, manifest = _json(path / "summary.json"), _json(path / "manifest.json")
    if "flags" not in manifest:
        raise DataError(f"{path} is no finished run of experiments.train")
    flags, log = manifest["flags"], path / "metrics.jsonl"
    about = manifest.get("data") or _known(flags["dataset"])
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    names = list(rows[0]) if rows else []
    metrics = {name: np.array([np.nan if row[name] is None else row[name] for row in rows]) for name in names}
    status = "stopped early" if summary.get("stopped_early") else summary["status"]
    regression = about.get("regression", flags["dataset"] == "teacher")
    labels = None if regression else labels_of(about.get("classes") or range(len(params["b2"])))
    standard = Standard(**{name: tuple(a) for name, a in about["standard"].items()}) if about.get("standard") else None
    settings, said = _settings(path, flags, manifest.get("own") or {}), tuple(about.get("said", ()))
    return Result(Params(**params), metrics, settings, status, labels, about["scale"], standard, said)


def load_params(run_dir: Path) -> dict[str, np.ndarray]:
    """W1, b1, W2, b2 of a finished run, verified against the SHA-256 in its summary.

    Raises:
      DataError: the run is not finished, or a file is missing or damaged, in one line.
    """
    summary, file = _json(run_dir / "summary.json"), run_dir / "params.npz"
    if "groups" in summary:
        raise DataError(f"{run_dir} is a sweep of many networks; name a run of experiments.train")
    if "params_sha256" not in summary:
        raise DataError(f"{run_dir / 'summary.json'} is damaged: it names no params_sha256")
    try:
        # Opened here, because np.load leaves a file that is no zip open.
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            params = {name: content[name] for name in PARAMS}
    except FileNotFoundError as error:
        raise DataError(f"{file} is missing") from error
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file} is damaged or unreadable ({reason})") from error
    found, expected = params_sha256(params), str(summary["params_sha256"])
    if found != expected:
        raise DataError(f"{file} is damaged: it has SHA-256 {found[:12]}, and summary.json says {expected[:12]}")
    return params


def params_sha256(params: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 over the bytes of W1, b1, W2, b2 in this order."""
    return hashlib.sha256(b"".join(params[name].tobytes() for name in PARAMS)).hexdigest()


def labels_of(classes: Any) -> np.ndarray:
    """The names of classes, as whole numbers where all of them are written so."""
    names = np.array([str(name) for name in classes])
    try:
        numbers = names.astype(np.int64)
    except ValueError:
        return names
    return numbers if (numbers.astype(str) == names).all() else names  # "007" is a name


def _settings(path: Path, flags: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> Settings:
    found = {name: flags[FLAG_OF.get(name, name)] for name in NAMES if FLAG_OF.get(name, name) in flags}
    for kind, one in texts.items():
        found[SETTING_OF.get(kind, kind)] = own.from_text(kind, one["reference"], one["text"]).entry
    try:
        return Settings(**found)
    except ValueError as error:
        raise DataError(f"{path / 'manifest.json'} is damaged: {error}") from error


def _known(dataset: str) -> dict[str, Any]:
    """The scale of the data of a run whose manifest does not tell it, as early ones."""
    if dataset == "digits":
        return {"scale": digits.FORM.scale}
    return {"scale": mnist_family.FORM.scale if dataset in MNIST_FAMILY else 1.0}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path.parent} is not a finished run: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or unreadable ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is damaged: it holds no object")
    return found
