"""The tables of docs/results.md: a row for each published number, from the committed result files."""

import pathlib
import shlex
from collections.abc import Callable, Mapping

from experiments.benchmarks.tables.pages import markdown
from experiments.papers.listing import PAPERS, RESULTS, Paper

HEADER = ("", "published", "ours", "sd", "n", "unit", "wanted", "reached")


def table(paper: Paper, results: pathlib.Path = RESULTS) -> str:
    """Published numbers beside ours; misses are said to be misses."""
    rows = paper.rows(results)
    if not rows:
        return f"Not measured yet: `python -m experiments.papers.{paper.name}`, about {paper.minutes:.0f} minutes.\n"
    minutes = sum(row["seconds"] for row in rows) / 60
    commands = dict.fromkeys(_of_all_rows(row["command"]) for row in rows)
    devices = dict.fromkeys(row["device"] for row in rows)
    listed = "; ".join(f"`{command}`" for command in commands)
    where = f"\n{listed}. {'; '.join(devices)}; {minutes:.0f} minutes, summed over what ran side by side.\n"
    return markdown(HEADER, [_cells(row) for row in rows]) + where


def _of_all_rows(command: str) -> str:
    """The command without the rows that it was for: the result file has these."""
    return shlex.join(part for part in shlex.split(command) if not part.startswith("--rows=") and part != "--nofigures")


def _cells(row: Mapping) -> tuple[str, ...]:
    reached = {True: "yes", False: "**no**", None: ""}[row.get("met")]
    reached += ", second attempt" * ("earlier_attempt" in row)
    numbers = (_short(row["published"]), _short(row["ours"]), _short(row["sd"], 2), str(row["n"]))
    return row["row"], *numbers, row["unit"], row.get("bar", ""), reached


def _short(number: float | None, digits: int = 4) -> str:
    return "" if number is None else f"{number:.{digits}g}"


def misses(results: pathlib.Path = RESULTS) -> str:
    """How many of the rows with a bar reach it, over all papers."""
    judged = [(paper, row) for paper in PAPERS for row in paper.rows(results) if row.get("met") is not None]
    missed = [f"{paper.name}: {row['row']}" for paper, row in judged if not row["met"]]
    listed = f" Missed: {'; '.join(missed)}." if missed else ""
    return f"{len(judged) - len(missed)} of {len(judged)} bars are reached.{listed}\n"


TABLES: dict[str, Callable[[], str]] = {paper.name: (lambda paper=paper: table(paper)) for paper in PAPERS}
TABLES["misses"] = misses
