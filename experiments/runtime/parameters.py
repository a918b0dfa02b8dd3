"""params.npz of a run: W1, b1, W2, b2, and the checksum by which they are known."""

import hashlib
import json
import pathlib
from collections.abc import Mapping

import numpy as np

from experiments.runtime.cli import BadInput
from experiments.runtime.files import atomic

PARAMS = ("W1", "b1", "W2", "b2")


def save_params(path: pathlib.Path, params: Mapping[str, np.ndarray]) -> str:
    """Write params.npz into the run directory `path`; returns its params_sha256."""
    with atomic(path / "params.npz", "wb") as file:
        np.savez(file, **params)
    return params_sha256(params)


def load_params(path: pathlib.Path) -> dict[str, np.ndarray]:
    """W1, b1, W2, b2 of the finished run in `path`, verified against the SHA-256 in its summary.

    Raises:
      BadInput: the run is not finished, or a file is missing or damaged.
    """
    try:
        summary = json.loads((path / "summary.json").read_text())
        if "groups" in summary:
            raise BadInput(f"{path} is a sweep of many networks; name a run of experiments.train")
        expected = summary["params_sha256"]
    except FileNotFoundError as error:
        raise BadInput(f"{path} is not a finished run: it has no summary.json") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path / 'summary.json'} is damaged: it names no params_sha256") from error
    file = path / "params.npz"
    try:
        # Opened here, because np.load leaves a file that is no zip open.
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            params = {name: content[name] for name in PARAMS}
    except FileNotFoundError as error:
        raise BadInput(f"{file} is missing") from error
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{file} is damaged or unreadable ({reason})") from error
    found = params_sha256(params)
    if found != expected:
        raise BadInput(f"{file} is damaged: it has SHA-256 {found[:12]}, and summary.json says {str(expected)[:12]}")
    return params


def params_sha256(params: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 over the bytes of W1, b1, W2, b2 in this order."""
    return hashlib.sha256(b"".join(params[name].tobytes() for name in PARAMS)).hexdigest()
