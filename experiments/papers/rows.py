"""A row of a result file: a published number beside ours."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Row:
    """One published number beside ours.

    Attributes:
      paper: as in the name of the result file.
      row: what was measured.
      published: the number of the paper; None where nobody has published one.
      values: ours, one for each seed or repetition.
      unit: of both.
      seconds: that ours took in all.
      facts: anything else that a reader wants to know, by name.
      bar: what ours should reach, in words.
      met: whether it does; None where there is no bar.
    """

    paper: str
    row: str
    published: float | None
    values: Sequence[float]
    unit: str
    seconds: float
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    bar: str = ""
    met: bool | None = None

    def as_dict(self) -> dict[str, object]:
        """The row as the result file has it."""
        spread = statistics.stdev(self.values) if len(self.values) > 1 else None
        numbers = {"ours": statistics.fmean(self.values), "sd": spread, "n": len(self.values)}
        whole = {"paper": self.paper, "row": self.row, "published": self.published, **numbers, "unit": self.unit}
        judged = {"bar": self.bar, "met": self.met} if self.bar else {}
        return whole | judged | {"seconds": self.seconds, "values": list(self.values), **self.facts}


def text(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as a table to read: published, ours with spread and n."""
    lines = [f"{'':36} {'published':>10} {'ours':>10} {'sd':>8} {'n':>5}  unit"]
    for row in rows:
        published, spread = (f"{v:.4g}" if v is not None else "" for v in (row["published"], row["sd"]))
        lines.append(f"{row['row']:36} {published:>10} {row['ours']:>10.4g} {spread:>8} {row['n']:>5}  {row['unit']}")
    return "\n".join(lines)
