"""What a reader of the numbers must know: machine, versions, settings, and the rule of each checker."""

import datetime
import importlib.metadata
import os
from collections.abc import Sequence

from experiments.benchmarks.checkers import CHECKERS, Checker, points, table
from twolayer.command.provenance import provenance


def facts(checkers: Sequence[str], tried: dict[str, Sequence[Sequence]], seeds: int) -> dict[str, object]:
    """Where the numbers come from, and what was compared: `tried` has the wrong and the right ones of each setting."""
    packages = sorted({package for name in checkers for package in CHECKERS[name].packages})
    found = provenance()
    found["versions"] |= {package: _version(package) for package in packages}
    return found | {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_average": os.getloadavg(),
        "counting": table.COUNTING,
        "settings": [
            {
                "name": name,
                "text": "its own points" if name == table.OWN else points.SETTINGS[name].text,
                "seeds": 1 if name == table.OWN else seeds,
                "wrong": len(wrong),
                "right": len(right),
            }
            for name, (wrong, right) in tried.items()
        ],
        "checkers": [_described(name, CHECKERS[name]) for name in checkers],
    }


def _described(name: str, checker: Checker) -> dict[str, object]:
    return {"name": name, "label": checker.label, "rule": checker.rule, "where": checker.where, "why": checker.why}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
