"""A row of a result file: a published number beside ours."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from experiments.papers.origin import Origin


@dataclasses.dataclass(frozen=True)
class Row:
    """One published number beside ours.

    Attributes:
      paper: as in the name of the result file.
      row: what was measured.
      published: the number of the paper; None where nobody has published one.
      values: ours, one for each seed or repetition.
      unit: of both.
      origin: where ours come from. Seconds that several rows share are those of the first.
      facts: anything else that a reader wants to know, by name.
      beside: the same, of the published number and how ours compares.
      bar: what ours should reach, in words.
      met: whether it does; None where there is no bar.
      n: how many runs or repetitions ours is of, if not one for each value.
    """

    paper: str
    row: str
    published: float | None
    values: Sequence[float]
    unit: str
    origin: Origin = dataclasses.field(default_factory=Origin)
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    bar: str = ""
    met: bool | None = None
    beside: Mapping[str, object] = dataclasses.field(default_factory=dict)
    n: int | None = None

    def scaled(self, flags: Mapping[str, object]) -> "Row":
        """The row of an experiment that these flags make another one than the published."""
        facts = {**self.facts, "scaled": dict(flags)}
        return dataclasses.replace(self, published=None, bar="", met=None, beside={}, facts=facts)

    def as_dict(self) -> dict[str, object]:
        """The row as the result file has it."""
        finite = all(map(math.isfinite, self.values))
        spread = statistics.stdev(self.values) if len(self.values) > 1 and finite else None
        origin = {"commit": ", ".join(sorted(self.origin.commits)) or None}
        origin |= {"device": ", ".join(sorted(self.origin.devices))}
        numbers = {"ours": statistics.fmean(self.values), "sd": spread, "n": self.n or len(self.values)}
        whole = {"paper": self.paper, "row": self.row, "published": self.published, **numbers, "unit": self.unit}
        judged = {"bar": self.bar, "met": self.met} if self.bar else {}
        known = origin | whole | judged | {"seconds": self.origin.seconds, "values": list(self.values)}
        others = {**self.facts, **self.beside}
        if twice := known.keys() & others.keys():
            raise ValueError(f"facts of {self.row!r} would replace {', '.join(sorted(twice))}")
        return known | others


def text(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as a table to read: published, ours with spread and n."""
    lines = [f"{'':36} {'published':>10} {'ours':>10} {'sd':>8} {'n':>5}  {'unit':24} wanted"]
    for row in rows:
        published, spread = (f"{v:.4g}" if v is not None else "" for v in (row["published"], row["sd"]))
        numbers = f"{published:>10} {row['ours']:>10.4g} {spread:>8} {row['n']:>5}"
        reached = f" {row['bar']}: {'reached' if row['met'] else 'MISSED'}" if row.get("bar") else ""
        lines.append(f"{row['row']:36} {numbers}  {row['unit']:24}{reached}".rstrip())
    return "\n".join(lines)
