"""Somebody's own data by name: FILE.npz, FILE.csv, FILE.parquet, sklearn:NAME, tfds:NAME."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twolayer.datasets.arrays import Options, Raw, from_arrays
from twolayer.datasets.columns import column_of, inputs_of, is_number, odd_one, said_of
from twolayer.datasets.dataset import DataError, Dataset
from twolayer.names import MNIST_FAMILY

KINDS = "FILE.npz, FILE.csv, FILE.parquet, sklearn:NAME or tfds:NAME"
SKLEARN = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
PARTS = ("train", "valid", "test")
DEFAULT = Options()


def load_own(
    name: str, *, target: str | None = None, options: Options = DEFAULT, data_dir: str | os.PathLike | None = None
) -> Dataset:
    """Read data of one of the KINDS.

    Args:
      target: the column of a table that is to be predicted, or several of a regression, "a,b".
      options: how the arrays become a data set.
      data_dir: where tensorflow-datasets keeps its own.

    Raises:
      DataError: data that is missing or cannot be used, in one line.
    """
    kind, colon, rest = name.partition(":")
    if target is not None and ((colon and kind in ("sklearn", "tfds")) or Path(name).suffix == ".npz"):
        raise DataError(f"the target {target!r} names a column of a table, and {name} has x and y; leave it out")
    if colon and kind == "sklearn":
        return from_arrays(name, _sklearn(rest), options)
    if colon and kind == "tfds":
        return from_arrays(name, _tfds(rest, data_dir), options)
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    return from_arrays(path.name, READERS[path.suffix](path, target), options)


def _npz(path: Path, target: str | None) -> Raw:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = dict(file)
    # zipfile, zlib, struct and numpy each have their own ways to fail on a damaged file.
    except Exception as error:
        raise DataError(f"{path} is no readable .npz of plain arrays ({_one_line(error)})") from error
    known = {"x", "y", *(f"{axis}_{part}" for axis in "xy" for part in PARTS[1:])}
    if not {"x", "y"} <= set(arrays) or set(arrays) - known:
        raise DataError(
            f"{path} holds {', '.join(arrays)}; wanted are x, y and, if you like, {', '.join(known - {*'xy'})}"
        )
    parts = {"train": (arrays["x"], arrays["y"])}
    for part in PARTS[1:]:
        there = [f"{axis}_{part}" in arrays for axis in "xy"]
        if any(there) != all(there):
            raise DataError(f"{path} has only one of x_{part} and y_{part}; both belong together")
        if all(there):
            parts[part] = arrays[f"x_{part}"], arrays[f"y_{part}"]
    return Raw(parts)


def _csv(path: Path, target: str | None) -> Raw:
    from pyarrow import ArrowInvalid, csv

    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    except (ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is no readable CSV with a header ({_one_line(error)})") from error
    if all(is_number(name) for name in table.column_names):
        raise DataError(
            f"{path} begins with numbers ({table.column_names[0]}, ...); a first line must name the columns"
        )
    return _of_table(path, table, target)


def _parquet(path: Path, target: str | None) -> Raw:
    from pyarrow import ArrowInvalid, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is no readable Parquet file ({_one_line(error)})") from error
    return _of_table(path, table, target)


READERS: dict[str, Callable[[Path, str | None], Raw]] = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}


def _of_table(path: Path, table, target: str | None) -> Raw:
    """X and y of a pyarrow table: columns of names become one column for each name."""
    there = table.column_names
    wanted = target.split(",") if target else []
    absent = [name for name in wanted if name not in there]
    if not wanted or absent:
        problem = f"there is no column {absent[0]!r}" if absent else "no column is named to be predicted"
        raise DataError(f"{path}: {problem}; name the target, one of {', '.join(there)}")
    if len(set(there)) < len(there) or not set(there) - set(wanted):
        raise DataError(f"{path} has a column name twice, or no other column than the target")
    if not table.num_rows:
        raise DataError(f"{path} has a header and no rows")
    targets = [_column(path, table, name) for name in wanted]
    if len(targets) > 1 and any(column.dtype.kind not in "iufb" for column in targets):
        raise DataError(f"{path}: several targets must all be numbers")
    columns = {name: _column(path, table, name) for name in there if name not in wanted}
    kinds = tuple(column_of(path, name, values) for name, values in columns.items())
    inputs = [array for kind in kinds for array in inputs_of(kind, columns[kind.name])]
    names = [name for kind in kinds for name in ([f"{kind.name}={one}" for one in kind.categories] or [kind.name])]
    odd = [odd_one(name, values) for name, values in (*columns.items(), *zip(wanted, targets, strict=True))]
    said = [*said_of(kinds), *(line for line in odd if line)]
    y = targets[0] if len(targets) == 1 else np.stack(targets, axis=1)
    return Raw({"train": (np.stack(inputs, axis=1), y)}, names, kinds, tuple(wanted), said)


def _column(path: Path, table, name: str) -> np.ndarray:
    """One column as numbers, or as names."""
    column = table.column(name)
    if column.null_count:
        row = next(i for i, value in enumerate(column.to_pylist()) if value is None)
        raise DataError(f"{path} has a missing value in row {row + 1}, column {name!r}; fill it or leave it out")
    values = column.to_numpy()
    if values.dtype.kind in "iufb":
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise DataError(f"{path} has {values[row]} in row {row + 1}, column {name!r}; fill it or leave it out")
        return values
    if not all(isinstance(value, str) for value in values):
        raise DataError(f"{path}: column {name!r} is of {column.type}, neither numbers nor names; leave it out")
    return values.astype(str)


def _sklearn(name: str) -> Raw:
    if name not in SKLEARN:
        raise DataError(f"scikit-learn ships no data set {name!r} here; choose one of: {', '.join(SKLEARN)}")
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(f"sklearn:{name} needs scikit-learn ({error}): install it") from error
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Raw({"train": (x, y)})


def _tfds(name: str, data_dir: str | os.PathLike | None) -> Raw:
    """Images or features with labels, by tensorflow-datasets, without TensorFlow where its data source can do that."""
    if name in MNIST_FAMILY:
        raise DataError(f"--dataset={name} reads this one without TensorFlow; leave out tfds:")
    try:
        import tensorflow_datasets as tfds

        source = tfds.data_source(name, data_dir=data_dir and Path(data_dir).expanduser())
    # TFDS, its file readers, requests and the file system each have their own errors.
    except Exception as error:
        raise DataError(
            f"tfds:{name} cannot be had ({_one_line(error)[:200]}): check the name, the network, and that"
            " pip install array_record tensorflow has been done where TFDS asks for it, or give the data as FILE.npz"
        ) from error
    names = {"train": "train", "validation": "valid", "test": "test"}
    found: Any = source  # a dictionary of parts, as none is asked for
    parts = {names[part]: _records(name, list(rows)) for part, rows in found.items() if part in names}
    if "train" not in parts:
        raise DataError(f"tfds:{name} has no part called train; give the data as FILE.npz")
    return Raw(parts)


def _records(name: str, rows: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    key = next((key for key in ("image", "features") if rows and key in rows[0]), None)
    if key is None or "label" not in rows[0]:
        raise DataError(f"tfds:{name} has no image or features with a label; give the data as FILE.npz")
    try:
        x = np.stack([_flat(row[key]) for row in rows])
    except ValueError as error:
        raise DataError(f"tfds:{name} has examples of different shapes; give them as FILE.npz of one shape") from error
    return x, np.array([row["label"] for row in rows])


def _flat(value: object) -> np.ndarray:
    """One example: an image as it is, features in the order of their names."""
    return np.array([value[name] for name in sorted(value)]).ravel() if isinstance(value, dict) else np.asarray(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
