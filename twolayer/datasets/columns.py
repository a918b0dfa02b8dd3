"""The input columns of a table: found in the one that is trained on, and by name in one to predict from."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from twolayer.datasets.dataset import Column, DataError

MOST_CATEGORIES = 100  # of one column of text
TRUTHS = {"true": 1.0, "false": 0.0}  # as pyarrow reads a CSV


class Examples(NamedTuple):
    """Examples to predict from.

    Attributes:
      x: as `inputs_of` has them.
      ignored: columns of the file that are no inputs.
    """

    x: Float[np.ndarray, "n d"]
    ignored: tuple[str, ...] = ()


def column_of(where: object, name: str, values: Shaped[np.ndarray, " n"]) -> Column:
    """The form of a column of numbers or of text.

    Raises:
      DataError: text of too many different values.
    """
    if values.dtype.kind in "iufb":
        return Column(name, truth=values.dtype.kind == "b")
    categories = tuple(np.unique(values).tolist())
    if len(categories) > MOST_CATEGORIES:
        why = f"; {odd}" if (odd := odd_one(name, values)) else ""
        raise DataError(f"{where}: column {name!r} has {len(categories)} different names{why}; leave it out")
    return Column(name, categories)


def odd_one(name: str, values: Shaped[np.ndarray, " n"]) -> str | None:
    """What makes text of a column most of whose cells are numbers; None of other columns."""
    if values.dtype.kind in "iufb":
        return None
    numbers = [is_number(value) for value in values.tolist()]
    if 2 * sum(numbers) <= len(numbers) or all(numbers):
        return None
    row = numbers.index(False)
    return f"most cells of {name} are numbers, and row {row + 1} has {str(values[row])!r}"


def inputs_of(column: Column, values: Shaped[np.ndarray, " n"]) -> list[Float[np.ndarray, " n"]]:
    """The inputs that a column gives: its numbers, or one for each category."""
    if not column.categories:
        return [values.astype(np.float64)]
    return [(values == category).astype(np.float64) for category in column.categories]


def said_of(columns: Sequence[Column]) -> list[str]:
    """The line that tells which columns became categories, if any did."""
    found = [f"{one.name} ({len(one.categories)} values)" for one in columns if one.categories]
    return [f"categories: {', '.join(found)}"] if found else []


def read_examples(path: Path, columns: Sequence[Column]) -> Examples:
    """The inputs in a .csv or .parquet, its columns taken by name.

    A CSV without a header has the columns in the order of the training.

    Raises:
      DataError: a column or a cell is missing or of another kind, in one line.
      OSError: the file cannot be read.
    """
    names, rows = (_parquet if path.suffix.lower() == ".parquet" else _csv)(path, columns)
    wanted = [column.name for column in columns]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; the network takes {_listed(wanted)}")
    twice = next((name for name in wanted if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has the column {twice!r} twice")
    if not rows:
        raise DataError(f"{path} has no rows")
    found = []
    for column in columns:
        place = names.index(column.name)
        cells = [row[place] for row in rows]
        found += inputs_of(column, np.array(list(_checked(path, column, cells))))
    return Examples(np.stack(found, axis=1).astype(np.float32), tuple(n for n in names if n not in wanted))


def _csv(path: Path, columns: Sequence[Column]) -> tuple[list[str], list[Sequence]]:
    """Names of the columns, and the cells in rows."""
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in csv.reader(file) if line]
    wanted = [column.name for column in columns]
    header = not lines or _is_header(lines[0], columns)
    names = lines[0] if lines and header else wanted
    for number, line in enumerate(lines, 1):
        if len(line) != len(names):
            other = f"the header {len(names)}" if header else f"the network takes {len(names)}: {_listed(names)}"
            raise DataError(f"{path}: line {number} has {len(line)} cells; {other}")
    return names, [*lines[header:]]


def _is_header(line: Sequence[str], columns: Sequence[Column]) -> bool:
    if {column.name for column in columns} & set(line):
        return True
    example = len(line) == len(columns) and all(_fits(*pair) for pair in zip(line, columns, strict=True))
    return not example and not any(is_number(cell) for cell in line)


def _fits(cell: str, column: Column) -> bool:
    return _value(cell, column) is not None


def _parquet(path: Path, columns: Sequence[Column]) -> tuple[list[str], list[Sequence]]:
    from pyarrow import ArrowInvalid, parquet

    try:
        table = parquet.read_table(path)
    except ArrowInvalid as error:
        raise DataError(f"{path} is no readable Parquet file ({' '.join(str(error).split())})") from error
    return table.column_names, [*zip(*(column.to_pylist() for column in table.columns), strict=True)]


def _checked(path: Path, column: Column, cells: Sequence[Any]) -> Iterator[Any]:
    """Each cell as a number, or as one of the categories."""
    for row, cell in enumerate(cells, 1):
        value = _value(cell, column)
        if value is None:
            at = f"{path}: row {row}, column {column.name!r}, has"
            if cell is None or cell == "":
                raise DataError(f"{at} no value")
            if column.categories:
                raise DataError(f"{at} {cell!r}, which training had not; it had {_listed(column.categories)}")
            raise DataError(f"{at} {cell!r}, which is no number")
        if isinstance(value, float) and not np.isfinite(np.float32(value)):
            raise DataError(f"{path}: row {row}, column {column.name!r}, has {cell}, which is not finite")
        yield value


def _value(cell: Any, column: Column) -> str | float | None:
    """What a cell says; None where it is not of its column."""
    if column.categories:
        return cell if cell in column.categories else None
    if column.truth and isinstance(cell, str) and cell.lower() in TRUTHS:
        return TRUTHS[cell.lower()]
    return float(cell) if is_number(cell) else None


def is_number(cell: Any) -> bool:
    """Whether this is a number, or text that says one."""
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
