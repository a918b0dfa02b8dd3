"""From a committed result file to a table in Markdown, with the machine that it was measured on."""

import json
import pathlib
from collections.abc import Sequence

from experiments.runtime.provenance import processor

RESULTS = pathlib.Path(__file__).parents[3] / "docs" / "results"


def read(name: str) -> dict:
    """The result file of this name."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine(result: dict) -> str:
    """The machine, the versions and the commit that a result comes from."""
    platform, versions, git = result["platform"], result["versions"], result["git"]
    parts = [processor(platform), f"Python {versions['python']}", f"JAX {versions['jax']}"]
    if git:  # it was measured in a checkout
        parts.append(f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}")
    return f"\n{', '.join(parts)}.\n"
