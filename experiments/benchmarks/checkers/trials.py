"""One check after another under a time limit, and what came of each."""

import importlib
import time
import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

from experiments.benchmarks.checkers import Answer, Checker, points
from experiments.benchmarks.verdicts import TimedOut, time_limit

TIMED_OUT, NOT_TRIED, RAISED = "timed out", "not tried", "raised"
# A checker that was too slow twice in a row is not waited for again in that setting: all derivations have its sizes.
PATIENCE = 2


class Trial(NamedTuple):
    """One derivation at one point. `verdict` is an Answer's or one of the three above; `note` is what was raised."""

    derivation: object
    verdict: str
    seconds: float | None = None
    answer: Answer | None = None
    note: str = ""


class Missing(Exception):
    """A library that is not installed; the message is what the row says."""


def load(checker: Checker, install: str) -> Callable:
    """The checker's function. Raises Missing."""
    module, name = checker.target.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in checker.packages:
            raise
        raise Missing(f"missing: {package} is not installed; {install}") from error


def run(check: Callable, derivations: Iterable, setting: str | None, seeds: Iterable[int], limit: float) -> list[Trial]:
    """Each derivation at each seed's point; setting None is for a checker that draws its own."""
    trials, slow = [], 0
    for seed in seeds:
        drawn = {}
        for derivation in derivations:
            if slow >= PATIENCE:
                trials.append(Trial(derivation, NOT_TRIED))
                continue
            loss = derivation.loss
            if setting and loss not in drawn:
                drawn[loss] = points.draw(setting, seed, loss)
            trials.append(once(check, derivation, drawn.get(loss), limit))
            slow = slow + 1 if trials[-1].verdict == TIMED_OUT else 0
    return trials


def once(check: Callable, derivation, point: points.Point | None, limit: float) -> Trial:
    """One check. What it raises is an outcome; wrong derivations raise for a living, and warn."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(action="ignore"), time_limit(limit):
            answer = check(derivation, point)
    except TimedOut:
        return Trial(derivation, TIMED_OUT, time.perf_counter() - start)
    except Exception as error:
        note = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return Trial(derivation, RAISED, time.perf_counter() - start, note=note)
    return Trial(derivation, answer.verdict, time.perf_counter() - start, answer)
