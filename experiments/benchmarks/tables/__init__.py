"""The tables of README and docs/, each written from the committed result files in docs/results/.

A table is a function of results that returns a header, rows, and sentences to stand below; TABLES has them by name.
"""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

from experiments.runtime.tables import markdown
from twolayer.command.provenance import processor

RESULTS = pathlib.Path(__file__).parents[3] / "docs" / "results"
NOT_YET = "not measured yet"
TABLES: dict[str, Callable[[], str]] = {}


def table(*names: str, machine: int = 1, tables: dict[str, Callable[[], str]] = TABLES) -> Callable:
    """Register a function of the results of these names; where one is not there, the table says so.

    Args:
      machine: of how many results, from the first, the machine and the commit are told below.
    """

    def register(function: Callable) -> Callable[[], str]:
        @functools.wraps(function)
        def page() -> str:
            if not all((RESULTS / f"{name}.json").exists() for name in names):
                return f"{NOT_YET.capitalize()}.\n"
            results = [read(name) for name in names]
            header, rows, *said = function(*results)
            said = [text for text in said if text]
            return markdown(header, rows) + "".join(f"\n{text}\n" for text in [*said, *_conditions(results[:machine])])

        tables[function.__name__] = page
        return page

    return register


def read(name: str) -> dict:
    """The result file of this name."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def _conditions(results: Sequence[Mapping]) -> list[str]:
    return [conditions(result.get("provenance", result)) for result in results]


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
