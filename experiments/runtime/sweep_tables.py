"""The tables of a sweep: parts as they are finished, then one table of epochs, one of networks, and their summary."""

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from experiments.runtime import tables
from experiments.runtime.cli import BadInput
from experiments.runtime.files import atomic
from experiments.runtime.runs import Run

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CONFIDENCE, RESAMPLES = 0.95, 2000
AT_ONCE = 10**7  # resampled numbers in memory
SUMMARISED = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "test_dead_outputs", "test_lost_classes")


def is_done(run: Run, index: int) -> bool:
    """Whether a part has been finished."""
    return all(path.exists() for path in _paths(run, index))


def write_part(run: Run, index: int, epochs: pa.Table, networks: pa.Table) -> None:
    """Write both tables of a part, whole."""
    for path, table in zip(_paths(run, index), (epochs, networks), strict=True):
        path.parent.mkdir(exist_ok=True)
        with atomic(path, "wb") as file:
            pq.write_table(table, file, write_page_checksum=True)


def join(run: Run, parts: int) -> tuple[pa.Table, pa.Table]:
    """The tables of all parts, in the order of the networks; written as epochs.parquet and networks.parquet.

    Raises:
      BadInput: a part is damaged.
    """
    joined = []
    for kind, name in enumerate(("epochs", "networks")):
        found = [_read(_paths(run, index)[kind]) for index in range(parts)]
        order = [("network", "ascending")] + ([("epoch", "ascending")] if kind == 0 else [])
        table = pa.concat_tables(found, promote_options="permissive").sort_by(order)
        with atomic(run.path / f"{name}.parquet", "wb") as file:
            pq.write_table(table, file, write_page_checksum=True)
        joined.append(table)
    return joined[0], joined[1]


def summarise(networks: pa.Table, axes: Sequence[str]) -> list[dict]:
    """For each combination of the swept values but the seed: how many networks, how they ended, and their figures.

    Each figure has its mean, standard deviation, quantiles, and a bootstrap interval of the mean (percentile, 2,000
    resamples). Networks that diverged are counted and have no figures.
    """
    rows, names = networks.to_pylist(), [name for name in axes if name != "seed"]

    def key(row: dict) -> tuple:
        return tuple((row[name] is not None, row[name]) for name in names)

    found = []
    for _, members in itertools.groupby(sorted(rows, key=key), key):
        members = list(members)
        good = [row for row in members if row["status"] != "diverged"]
        entry = {name: members[0][name] for name in names}
        entry |= {"networks": len(members), "diverged": len(members) - len(good)}
        entry |= {name: _figures([row[name] for row in good]) for name in SUMMARISED}
        found.append(entry)
    return found


def text(summary: list[dict], axes: Sequence[str]) -> str:
    """The summary for a terminal: a line a group."""
    names = [name for name in axes if name != "seed"]
    accuracy = not any(entry["test_loss"] and not entry["test_accuracy"] for entry in summary)
    shown = "test_accuracy" if accuracy else "test_loss"
    header = (*names, "networks", "diverged", shown, "sd", "95 % interval of the mean", "lost classes")
    lines = []
    for entry in summary:
        figure, lost = entry[shown], entry["test_lost_classes"]
        cells = [f"{entry[name]:g}" if isinstance(entry[name], float) else str(entry[name]) for name in names]
        cells += [str(entry["networks"]), str(entry["diverged"])]
        if figure is None:
            cells += ["-"] * 4
        else:
            between = " to ".join(f"{end:.4f}" for end in figure["interval"] or ())
            spread = "-" if figure["sd"] is None else f"{figure['sd']:.4f}"
            cells += [f"{figure['mean']:.4f}", spread, between or "-", f"{lost['mean']:.3g}"]
        lines.append(tuple(cells))
    return tables.text(header, lines)


def _figures(values: list[float | None]) -> dict | None:
    """None where there is no finite value, as for the accuracy of a regression."""
    numbers = np.array([value for value in values if value is not None and np.isfinite(value)], float)
    if not len(numbers):
        return None
    mean, alone = float(numbers.mean()), len(numbers) == 1
    interval = None if alone else (mean, mean)
    if not (numbers == numbers[0]).all():
        options = {"confidence_level": CONFIDENCE, "n_resamples": RESAMPLES, "method": "percentile", "rng": 0}
        result = stats.bootstrap((numbers,), np.mean, batch=max(1, AT_ONCE // len(numbers)), **options)
        interval = tuple(map(float, result.confidence_interval))
    return {
        "n": len(numbers),
        "mean": mean,
        "sd": None if alone else float(numbers.std(ddof=1)),
        "interval": interval,
        "quantiles": dict(zip(map(str, QUANTILES), np.quantile(numbers, QUANTILES).tolist(), strict=True)),
    }


def _paths(run: Run, index: int) -> tuple:
    return tuple(run.path / "parts" / f"{index:05d}.{kind}.parquet" for kind in ("epochs", "networks"))


def _read(path) -> pa.Table:
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} is damaged; remove it to train its networks again") from error
