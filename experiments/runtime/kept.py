"""--keep=best:5: the parameters of chosen networks of a sweep, each in a folder that is a finished run of its own.

    kept/00012/   manifest.json (its flags), summary.json (its figures and params_sha256), params.npz

So `experiments.predict --run_dir` and `experiments.train --start_from` take one of them like any run. As the parts of a
sweep are finished, each leaves those of its networks that may still be chosen.
"""

import pathlib
import re
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.runtime.records import PARAMS, save_params
from experiments.runtime.runs import MANIFEST, Run
from twolayer.command.cli import BadInput
from twolayer.command.files import atomic, finite, write_json
from twolayer.network import Params

RULES = ("all", "best", "first")


def parse(text: str | None) -> tuple[str, int] | None:
    """all, best:N or first:N as a rule and how many; None keeps none.

    Raises:
      BadInput: it is none of these.
    """
    if not text:
        return None
    if text == "all":
        return "all", 2**31
    match = re.fullmatch(r"(best|first):([1-9]\d{0,8})", text)
    if not match:
        raise BadInput(f"--keep={text} is not understood; write all, best:5 (by validation loss) or first:5")
    return match[1], int(match[2])


def chosen(networks: pa.Table, rule: tuple[str, int]) -> list[int]:
    """Rows of the table of networks that are kept: the first, or those of the lowest validation loss, best first."""
    kind, most = rule
    rows = range(len(networks))
    if kind == "best":
        loss = networks["valid_loss"].to_numpy()
        good = np.array([status != "diverged" for status in networks["status"].to_pylist()]) & np.isfinite(loss)
        rows = [i for i in np.argsort(loss, kind="stable").tolist() if good[i]]
    return list(rows)[:most]


def write_part(run: Run, index: int, networks: pa.Table, params: Params, rule: tuple[str, int]) -> None:
    """Write the parameters of those networks of a part that may be chosen.

    Args:
      params: of the networks, in the order of the table.
    """
    rows = chosen(networks, rule)
    path = _path(run, index)
    path.parent.mkdir(exist_ok=True)
    numbers = np.array(networks["network"].to_pylist(), np.int64)[rows]
    with atomic(path, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            network=numbers,
            **{name: np.asarray(leaf)[rows] for name, leaf in params._asdict().items()},
        )


def collect(run: Run, parts: int, networks: pa.Table, flags: Mapping[str, Any], rule: tuple[str, int]) -> list[int]:
    """Write the folders of the chosen networks, from what the parts have left; returns their numbers, best first.

    Args:
      flags: of a training run, as the sweep has them.
    """
    rows = networks.to_pylist()
    wanted = {rows[i]["network"]: rows[i] for i in chosen(networks, rule)}
    shutil.rmtree(run.path / "kept", ignore_errors=True)
    for index in range(parts):
        with np.load(_path(run, index), allow_pickle=False) as content:
            here = {int(number): i for i, number in enumerate(content["network"])}
            for number in here.keys() & wanted.keys():
                arrays = {name: content[name][here[number]] for name in PARAMS}
                _write(run, wanted[number], arrays, flags)
    return list(wanted)


def _write(run: Run, row: Mapping, arrays: Mapping[str, np.ndarray], flags: Mapping[str, Any]) -> None:
    folder = run.path / "kept" / f"{row['network']:05d}"
    folder.mkdir(parents=True)
    own = {name: row.get(name, value) for name, value in flags.items()}
    shared = {name: run.manifest[name] for name in ("git", "versions", "data", "data_sha256") if name in run.manifest}
    write_json(folder / MANIFEST, {"status": "done", "flags": own, **shared})
    summary: Any = finite(dict(row))
    write_json(folder / "summary.json", {**summary, "params_sha256": save_params(folder, arrays)})


def _path(run: Run, index: int) -> pathlib.Path:
    return run.path / "parts" / f"{index:05d}.params.npz"
