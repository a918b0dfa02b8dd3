"""The tables of a sweep, and the networks that it keeps.

Parts are written as they are finished, then one table of epochs, one of networks, and their summary. --keep=best:5
keeps the parameters of chosen networks, each in a folder that is a finished run of its own, so that
`experiments.predict --run_dir` and `experiments.train --start_from` take one of them like any run:

    kept/00012/   manifest.json (its flags), summary.json (its figures and params_sha256), params.npz
"""

import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from experiments.runtime import tables
from experiments.runtime.runs import MANIFEST, Run, save_params
from twolayer import statistics
from twolayer.atomic import atomic
from twolayer.command.cli import BadInput
from twolayer.command.files import finite, write_json
from twolayer.loading import PARAMS
from twolayer.network import Params
from twolayer.statistics import SOURCES

NAMES = ("epochs", "networks")
SCORES = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")
COUNTS = (
    "train_dead_hidden",
    "train_dead_outputs",
    "test_dead_outputs",
    "test_lost_classes",
)  # most are 0: no interval
RESOLUTION = {"valid_accuracy": "validated_on", "test_accuracy": "tested_on"}  # accuracy -> number of its examples
# Shares of networks: an output is zero on every training example, and its class can never be predicted; or a class is
# given to no test example, whatever the reason, which a run that is cut short has too.
SHARES = {"lost_for_good": "train_dead_outputs", "not_predicted": "test_lost_classes"}


def is_done(run: Run, index: int) -> bool:
    """Whether a part has been finished."""
    return all(path.exists() for path in _paths(run, index))


def write_part(run: Run, index: int, epochs: pa.Table, networks: pa.Table) -> None:
    """Write both tables of a part, whole."""
    for path, table in zip(_paths(run, index), (epochs, networks), strict=True):
        path.parent.mkdir(exist_ok=True)
        _write(path, table)


def join(run: Run, parts: int) -> tuple[pa.Table, pa.Table]:
    """The tables of all parts, in the order of the networks; written as epochs.parquet and networks.parquet.

    If the parts are gone, because the sweep is finished, the joined tables as they stand.

    Raises:
      BadInput: a part is damaged.
    """
    joined = []
    for kind, name in enumerate(NAMES):
        whole = run.path / f"{name}.parquet"
        if whole.exists() and not (run.path / "parts").exists():
            joined.append(_read(whole))
            continue
        read = [_read(_paths(run, index)[kind]) for index in range(parts)]
        order = [("network", "ascending")] + ([("epoch", "ascending")] if kind == 0 else [])
        table = pa.concat_tables(read, promote_options="permissive").sort_by(order)
        _write(whole, table)
        joined.append(table)
    return joined[0], joined[1]


def summarise(networks: pa.Table, axes: Sequence[str], output: str) -> list[dict]:
    """Summarise each combination of the swept choices and numbers: how many networks, how they ended, their figures.

    What only makes networks differ (SOURCES: seeds) is what the figures are over. Networks that diverged are counted
    and have no figures. Losses behind a ReLU on the output have an interval of the median (`twolayer.statistics`).

    Args:
      output: the output activation, where it is not swept.
    """
    rows, names = networks.to_pylist(), [name for name in axes if name not in SOURCES]
    sources = [name for name in axes if name in SOURCES]

    groups: dict[tuple, list[dict]] = {}  # in the order of the axes, which is that of the networks
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    found = []
    for members in groups.values():
        good = [row for row in members if row["status"] != "diverged"]
        levels = {name: [row[name] for row in good] for name in sources}
        entry = {name: members[0][name] for name in names}
        entry |= {"networks": len(members), "diverged": len(members) - len(good)}
        for name in SCORES:
            examples = good[0][RESOLUTION[name]] if good and name in RESOLUTION else None
            step = 1 / examples if examples else 0.0
            skewed = name.endswith("loss") and members[0].get("output", output) == "relu"
            of = "median" if skewed else "mean"
            entry[name] = statistics.figures([row[name] for row in good], levels, step, of)
        for name in COUNTS:
            entry[name] = statistics.figures([row[name] for row in good], levels)
            if entry[name]:
                entry[name]["interval"] = None
        for name, column in SHARES.items():
            classes = bool(good) and np.isfinite(good[0]["test_accuracy"])
            entry[name] = statistics.share(sum(row[column] > 0 for row in good), len(good)) if classes else None
        found.append(entry)
    return found


def table(summary: Sequence[Mapping], axes: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The summary as a header and rows of cells: a row for each group."""
    names = [name for name in axes if name not in SOURCES]
    accuracy = not any(entry["test_loss"] and not entry["test_accuracy"] for entry in summary)
    shown = "test_accuracy" if accuracy else "test_loss"
    of = " or ".join(sorted({entry[shown].get("of", "mean") for entry in summary if entry[shown]})) or "mean"
    header = [*names, "networks", "diverged", shown, "sd", f"95 % interval of the {of}"]
    header += ["lost a class for good", "a class not predicted"] * accuracy
    return header, [_cells(entry, names, shown, accuracy) for entry in summary]


def write_summary(run: Run, summary: Sequence[Mapping], axes: Sequence[str], networks: pa.Table) -> None:
    """Write networks.csv, and the summary: summary.csv and summary.parquet (all figures), summary.tex (the table)."""
    with atomic(run.path / "networks.csv", "wb") as file:
        pyarrow.csv.write_csv(networks, file)
    flat = pa.Table.from_pylist([_flat(entry) for entry in summary])
    with atomic(run.path / "summary.csv", "wb") as file:
        pyarrow.csv.write_csv(flat, file)
    _write(run.path / "summary.parquet", flat)
    with atomic(run.path / "summary.tex") as file:
        file.write(tables.latex(*table(summary, axes)))


def text(summary: Sequence[Mapping], axes: Sequence[str], varies: Mapping[str, bool]) -> str:
    """The summary for a terminal: a line a group, and what its intervals are over."""
    return f"{tables.text(*table(summary, axes))}\n{statistics.said(varies)}"


def _cells(entry: Mapping, names: Sequence[str], shown: str, accuracy: bool) -> list[str]:
    cells = [f"{entry[name]:g}" if isinstance(entry[name], float) else str(entry[name]) for name in names]
    cells += [str(entry["networks"]), str(entry["diverged"])]
    figure = entry[shown]
    if figure is None:
        return cells + ["-"] * (3 + 2 * accuracy)
    between = " to ".join(f"{end:.4f}" for end in figure["interval"] or ())
    cells += [
        f"{statistics.centre(figure):.4f}",
        "-" if figure["sd"] is None else f"{figure['sd']:.4f}",
        between or "-",
    ]
    return cells + [tables.share(entry[name]) for name in SHARES if accuracy]


def _flat(entry: Mapping) -> dict[str, Any]:
    """One level of names: test_accuracy_mean, test_accuracy_low, ..."""
    found: dict[str, Any] = {}
    for name, value in entry.items():
        if name not in (*SCORES, *COUNTS, *SHARES):
            found[name] = value
            continue
        figures = value or {}
        low, high = figures.get("interval") or (None, None)
        inner = ("n", "count", "share") if name in SHARES else ("n", "mean", "sd")
        found |= {f"{name}_{part}": figures.get(part) for part in inner}
        if name in SCORES:
            found |= {f"{name}_median": figures.get("quantiles", {}).get("0.5"), f"{name}_of": figures.get("of")}
        found |= {} if name in COUNTS else {f"{name}_low": low, f"{name}_high": high}
    return found


def _paths(run: Run, index: int) -> tuple:
    return tuple(run.path / "parts" / f"{index:05d}.{kind}.parquet" for kind in NAMES)


def _write(path, table: pa.Table) -> None:
    with atomic(path, "wb") as file:
        pq.write_table(table, file, write_page_checksum=True)


def _read(path) -> pa.Table:
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} is damaged; remove it to train its networks again") from error


def parse_keep(text: str | None) -> tuple[str, int] | None:
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


def write_params(run: Run, index: int, networks: pa.Table, params: Params, rule: tuple[str, int]) -> None:
    """Write the parameters of those networks of a part that may be chosen.

    Args:
      params: of the networks, in the order of the table.
    """
    rows = chosen(networks, rule)
    path = _params_path(run, index)
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
        with np.load(_params_path(run, index), allow_pickle=False) as content:
            here = {int(number): i for i, number in enumerate(content["network"])}
            for number in here.keys() & wanted.keys():
                arrays = {name: content[name][here[number]] for name in PARAMS}
                _write_network(run, wanted[number], arrays, flags)
    return list(wanted)


def _write_network(run: Run, row: Mapping, arrays: Mapping[str, np.ndarray], flags: Mapping[str, Any]) -> None:
    folder = run.path / "kept" / f"{row['network']:05d}"
    folder.mkdir(parents=True)
    own = {name: row.get(name, value) for name, value in flags.items()}
    shared = {name: run.manifest[name] for name in ("git", "versions", "data", "data_sha256") if name in run.manifest}
    write_json(folder / MANIFEST, {"status": "done", "flags": own, **shared})
    summary: Any = finite(dict(row))
    write_json(folder / "summary.json", {**summary, "params_sha256": save_params(folder, arrays)})


def _params_path(run: Run, index: int) -> pathlib.Path:
    return run.path / "parts" / f"{index:05d}.params.npz"
