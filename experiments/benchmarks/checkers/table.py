"""From trials to rows, with what a reader of them must know, and from a result file to a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments import benchmarks
from experiments.benchmarks.checkers import ACCEPTED, CHECKERS, REJECTED, UNDECIDED, explanations
from experiments.benchmarks.checkers.trials import NOT_TRIED, RAISED, SETTINGS, TIMED_OUT, Trial
from experiments.runtime import tables

DESCRIBED = ("label", "rule", "where", "why")
SAID = ("located", "named", "listed", "misnamed")
OWN = "own"  # the setting of a checker that draws its own points

COUNTING = (
    "A trial is one derivation at one point. Killed: a wrong derivation was rejected, or the check could not run it "
    "and raised (counted in raised too). Alarms: the same for a right one. Undecided, timed out and not tried (after "
    "two time-outs in a row) are neither. Survivors were accepted at one point at least. A wrong derivation "
    "can have the right numbers at a point; a checker that accepts it there has read no more than it was shown."
)


def facts(checkers: Sequence[str], tried: Mapping[str, Sequence[Sequence]], seeds: int) -> dict[str, Any]:
    """Where the numbers come from, and what was compared: `tried` has the wrong and the right ones of each setting."""
    packages = sorted({package for name in checkers for package in CHECKERS[name].packages})
    return benchmarks.facts(*packages) | {
        "counting": COUNTING,
        "settings": [
            {
                "name": name,
                "text": "its own points" if name == OWN else SETTINGS[name].text,
                "seeds": 1 if name == OWN else seeds,
                "wrong": len(wrong),
                "right": len(right),
            }
            for name, (wrong, right) in tried.items()
        ],
        "checkers": [{"name": name, **{s: getattr(CHECKERS[name], s) for s in DESCRIBED}} for name in checkers],
    }


def row(name: str, setting: str, wrong: list[Trial], right: list[Trial], *, says: bool) -> dict[str, Any]:
    """One checker in one setting, for JSON. `says` is whether it names steps and causes, for which it is scored."""
    trials = [*wrong, *right]
    killed = [trial for trial in wrong if trial.verdict in (REJECTED, RAISED)]
    alarms = [trial for trial in right if trial.verdict in (REJECTED, RAISED)]
    raised = [trial for trial in trials if trial.verdict == RAISED]
    timed = [t.seconds for t in trials if t.verdict not in (NOT_TRIED, TIMED_OUT) and t.seconds is not None]
    kinds = sorted({trial.derivation.kind for trial in wrong})
    said: Mapping[str, int | None] = _said(wrong) if says else dict.fromkeys(SAID)
    return {
        "checker": name,
        "setting": setting,
        "wrong": len(wrong),
        "killed": len(killed),
        "killed_by_kind": {kind: [_of_kind(some, kind) for some in (killed, wrong)] for kind in kinds},
        "right": len(right),
        "alarms": len(alarms),
        "undecided": _count(trials, UNDECIDED),
        "timed_out": _count(trials, TIMED_OUT),
        "not_tried": _count(trials, NOT_TRIED),
        "raised": len(raised),
        "raised_first": raised[0].note if raised else None,
        **said,
        "seconds_median": float(np.median(timed)) if timed else None,
        "survivors": _ids(trial for trial in wrong if trial.verdict == ACCEPTED),
        "alarmed": _ids(alarms),
        "undecided_ids": _ids(trial for trial in trials if trial.verdict == UNDECIDED),
    }


def missing(name: str, setting: str, note: str) -> dict[str, str]:
    """The row of a checker whose library is not installed."""
    return {"checker": name, "setting": setting, "note": note}


def _said(wrong: list[Trial]) -> dict[str, int]:
    """Count the rejected by what was said: the step, the cause alone, it among others, a wrong one alone."""
    counts: dict[str, int] = dict.fromkeys(SAID, 0)
    for trial in wrong:
        if trial.verdict != REJECTED or trial.answer is None:
            continue
        accepted = trial.derivation.accepted
        offered = explanations(trial.answer.causes)
        fits = [_explains(causes, accepted.values()) for causes in offered]
        counts["located"] += trial.answer.where == next(iter(accepted))
        counts["named"] += fits == [True]
        counts["listed"] += any(fits)
        counts["misnamed"] += fits == [False] and offered != [{"unknown"}]
    return counts


def _explains(causes: set[str], accepted: Iterable[tuple[str, ...]]) -> bool:
    """Whether each mistake has one of its names among the causes, and each cause is the name of a mistake."""
    accepted = list(accepted)
    return all(causes & set(names) for names in accepted) and causes <= set().union(*accepted)


def table(result: dict) -> list[tuple[str, ...]]:
    """A header and a line for each checker, as text."""
    settings = [entry for entry in result["settings"] if entry["name"] != OWN]
    header = ("", *(entry["text"] for entry in settings), "says where", "says why", "seconds a check")
    return [header, *(_line(result, checker, settings) for checker in result["checkers"])]


def _line(result: dict, checker: dict, settings: list[dict]) -> tuple[str, ...]:
    rows = {found["setting"]: found for found in result["rows"] if found["checker"] == checker["name"]}
    cells = [_cell(rows.get(entry["name"], rows.get(OWN))) for entry in settings]
    said = checker["where"] or "does not report", checker["why"] or "does not report"
    seconds = [found["seconds_median"] for found in rows.values() if found.get("seconds_median") is not None]
    return (checker["label"], *cells, *_measured(said, rows.get(OWN)), _seconds(seconds))


def _cell(found: dict | None) -> str:
    if found is None:
        return "not run"
    if "note" in found:
        return found["note"]
    planned = found["wrong"] + found["right"]
    if planned and found["timed_out"] + found["not_tried"] == planned:
        return "timed out"
    fine = f" ({_percent(*found['killed_by_kind']['fine'])} of the fine)" if "fine" in found["killed_by_kind"] else ""
    text = f"{_percent(found['killed'], found['wrong'])} killed{fine}, {found['alarms']}/{found['right']} alarms"
    for what in ("undecided", "timed_out", "not_tried"):
        if found[what]:
            text += f", {found[what]} {what.replace('_', ' ')}"
    return text


def _measured(said: tuple[str, str], found: dict | None) -> tuple[str, str]:
    """What a checker says it can do, with how often it did."""
    if not found or found.get("located") is None:
        return said
    shares = (_percent(found[what], found["killed"] - found["raised"]) for what in ("located", "named"))
    where, why = (f"{text}: {share}" for text, share in zip(said, shares, strict=True))
    return where, f"{why}, {found['misnamed']} wrong names"


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{math.floor(1000 * part / whole) / 10:g} %" if whole else "-"


def _seconds(values: list[float]) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


def _of_kind(trials: Iterable[Trial], kind: str) -> int:
    return sum(trial.derivation.kind == kind for trial in trials)


def _count(trials: Iterable[Trial], verdict: str) -> int:
    return sum(trial.verdict == verdict for trial in trials)


def _ids(trials: Iterable[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.derivation.id for trial in trials))


def text(result: dict) -> str:
    """The table for a terminal."""
    header, *rows = table(result)
    return tables.text(header, rows)
