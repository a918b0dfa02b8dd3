"""Which results there are, what each takes, how far it has got, and the tables of docs/results.md. Knows no JAX."""

import ast
import dataclasses
import pathlib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping

from experiments.papers.results import rows_of
from experiments.runtime import runs as run_directory
from experiments.runtime import tables
from twolayer.command.cli import BadInput

ROOT = pathlib.Path(__file__).parent.parent.parent
RESULTS = ROOT / "docs" / "results"
RUNS = pathlib.Path("runs/papers")
UNITS = {"s": 1, "min": 60, "h": 3600}


@dataclasses.dataclass(frozen=True)
class Paper:
    """A script of this folder: its question, and the minutes that it takes on two CPU cores.

    Attributes:
      whole: how many rows it has if nothing is left out.
    """

    name: str
    question: str
    minutes: float
    whole: int

    def result(self, results: pathlib.Path = RESULTS) -> pathlib.Path:
        """The result file."""
        return results / f"{self.name}.json"

    def rows(self, results: pathlib.Path = RESULTS) -> list[dict]:
        """The rows of the result file; none if there is none.

        Raises:
          BadInput: the file is damaged.
        """
        return rows_of(self.result(results))

    def _measured(self, results: pathlib.Path) -> list[dict]:
        """The rows that were measured at the published scale."""
        return [row for row in self.rows(results) if "scaled" not in row]

    def missing(self, results: pathlib.Path = RESULTS) -> bool:
        """Whether some of its rows have not been measured at the published scale."""
        return len(self._measured(results)) < self.whole

    def status(self, results: pathlib.Path = RESULTS, runs: pathlib.Path = RUNS) -> str:
        """What has been measured, in a few words."""
        rows = self._measured(results)
        if rows:
            misses = sum(row.get("met") is False for row in rows)
            some = f"{len(rows)} of {self.whole} rows" if len(rows) < self.whole else f"all {len(rows)} rows"
            return some + (f", {misses} missed" if misses else "")
        return "begun" if (runs / self.name / run_directory.MANIFEST).exists() else "not run"


def _papers(folder: pathlib.Path) -> Iterator[Paper]:
    """The scripts that have a PAPER, the short ones first. It is read as text, because the scripts load JAX."""
    found = []
    for path in sorted(folder.glob("*.py")):
        match = re.search(r"^PAPER = (\{.*?\})$", path.read_text(), re.MULTILINE | re.DOTALL)
        if match:
            facts = ast.literal_eval(match[1])
            found.append(Paper(path.stem, facts["question"], facts["minutes"], facts["rows"]))
    yield from sorted(found, key=lambda paper: paper.minutes)


PAPERS = tuple(_papers(pathlib.Path(__file__).parent))


def text(results: pathlib.Path = RESULTS, runs: pathlib.Path = RUNS) -> str:
    """A line for each result."""
    lines = [(p.name, f"{p.minutes:.0f}", p.status(results, runs), p.question) for p in PAPERS]
    return tables.text(("", "minutes", "status", "question"), lines)


def seconds(text: str) -> float:
    """Seconds of --budget.

    Raises:
      BadInput: it is not a number with a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)(s|min|h)", text)
    if not found:
        raise BadInput(f"--budget={text} is not understood; write it like 45s, 60min or 2h")
    return float(found[1]) * UNITS[found[2]]


HEADER = ("", "published", "ours", "sd", "n", "unit", "wanted", "reached")


def laid_out(name: str, form: str, results: pathlib.Path = RESULTS) -> str:
    """The rows of a paper as text, Markdown, CSV or LaTeX.

    Raises:
      BadInput: no such paper, or nothing of it has been measured.
    """
    paper = next((paper for paper in PAPERS if paper.name == name), None)
    if paper is None:
        raise BadInput(f"--paper={name} is not known; there are {', '.join(paper.name for paper in PAPERS)}")
    if not (rows := paper.rows(results)):
        raise BadInput(f"{paper.result(results)} has no rows yet; run python -m experiments.papers.{name} first")
    return tables.FORMS[form](HEADER, [_cells(row) for row in rows])


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
    return tables.markdown(HEADER, [_cells(row) for row in rows]) + where


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


def others() -> str:
    """The tables of the papers that have no place of their own in docs/results.md."""
    page = (ROOT / "docs" / "results.md").read_text()
    without = [paper for paper in PAPERS if f"<!-- table: {paper.name} -->" not in page]
    return "".join(f"\n## {paper.name}\n\n{paper.question}\n\n{table(paper)}" for paper in without)


TABLES: dict[str, Callable[[], str]] = {paper.name: (lambda paper=paper: table(paper)) for paper in PAPERS}
TABLES |= {"misses": misses, "others": others}
