"""The tables of README and docs/, each written from the committed result files in docs/results/.

A table is laid out by a function of results that returns a header, rows, and sentences to stand below; TABLES has them
by name. The script that measures a result prints it in the same layout.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

from experiments.runtime import tables
from twolayer.command.provenance import processor

RESULTS = pathlib.Path(__file__).parents[3] / "docs" / "results"
NOT_YET = "not measured yet"
TABLES: dict[str, Callable[[], str]] = {}


@dataclasses.dataclass(frozen=True)
class Table:
    """A function of results, and the names of their files; a page tells the machine of the first `machine` of them."""

    layout: Callable[..., tuple]
    names: Sequence[str]
    machine: int

    def text(self, *results: Mapping) -> str:
        """For a terminal."""
        header, rows, *said = self.layout(*results)
        return "\n".join([tables.text(header, rows), *filter(None, said)])

    def __call__(self) -> str:
        """For a page, which says so where a result is not there."""
        if not all((RESULTS / f"{name}.json").exists() for name in self.names):
            return f"{NOT_YET.capitalize()}.\n"
        results = [read(name) for name in self.names]
        header, rows, *said = self.layout(*results)
        said += [conditions(result.get("provenance", result)) for result in results[: self.machine]]
        return tables.markdown(header, rows) + "".join(f"\n{text}\n" for text in filter(None, said))


def table(*names: str, machine: int = 1) -> Callable[[Callable[..., tuple]], Table]:
    """Make a table of the results of these names, and register it.

    Args:
      machine: of how many results, from the first, the machine and the commit are told below.
    """

    def register(layout: Callable[..., tuple]) -> Table:
        made = Table(layout, names, machine)
        TABLES[layout.__name__] = made
        return made

    return register


def read(name: str) -> dict:
    """The result file of this name."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def conditions(result: Mapping) -> str:
    """The machine, the versions and the commit that a result comes from."""
    platform, versions, git = result["platform"], result["versions"], result["git"]
    parts = [processor(platform), f"Python {versions['python']}", f"JAX {versions['jax']}"]
    if git:  # it was measured in a checkout
        parts.append(f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}")
    return f"{', '.join(parts)}."


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f} %"


def seconds(number: float) -> str:
    """Seconds to the millisecond."""
    return f"{number:.3f} s"
