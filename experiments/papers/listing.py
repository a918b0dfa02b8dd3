"""Which results there are, what each takes, and how far it has got. Knows no JAX."""

import dataclasses
import pathlib
import re

from experiments.papers.results import rows_of
from experiments.runtime import manifests
from experiments.runtime.cli import BadInput

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
        """Of the result file; none if there is none.

        Raises:
          BadInput: the file is damaged.
        """
        return rows_of(self.result(results))

    def _measured(self, results: pathlib.Path) -> list[dict]:
        """At the published scale."""
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
        return "begun" if (runs / self.name / manifests.NAME).exists() else "not run"


PAPERS = (
    Paper("safran2018", "How often does gradient descent end in a bad minimum of a ReLU teacher?", 30, 29),
    Paper("chizat2019", "When does a network train without moving its weights?", 25, 3),
    Paper("nielsen2015", "The book's sigmoid network, both losses, and its learning curve", 60, 41),
    Paper("neyshabur2015", "Does the test error fall beyond the width that fits the training set?", 30, 12),
    Paper("zhang2017", "Can it learn random labels by heart?", 140, 5),
    Paper("doubledescent", "Where is the peak of double descent, and what makes it?", 180, 16),
    Paper("simard2003", "784-800-10 on distorted images, both losses and outputs", 460, 12),
)


def text(results: pathlib.Path = RESULTS, runs: pathlib.Path = RUNS) -> str:
    """A line for each result."""
    lines = [f"{'':14} {'minutes':>7}  {'status':26} question"]
    for paper in PAPERS:
        lines.append(f"{paper.name:14} {paper.minutes:>7.0f}  {paper.status(results, runs):26} {paper.question}")
    return "\n".join(lines)


def seconds(text: str) -> float:
    """What --budget says.

    Raises:
      BadInput: it is not a number with a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)(s|min|h)", text)
    if not found:
        raise BadInput(f"--budget={text} is not understood; write it like 45s, 60min or 2h")
    return float(found[1]) * UNITS[found[2]]
