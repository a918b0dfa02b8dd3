"""What a person sees while networks train: a bar at a terminal; in a log, a line every so many seconds."""

import functools
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from absl import flags
from tqdm import tqdm

from experiments.runtime import processes


class Progress:
    """Counts what is done. For use in a `with`, which ends the line of the bar.

    Args:
      total: how many there are.
      done: how many were done before.
      unit: what is counted, in the singular.
      quiet: no bar, even at a terminal.
      log_seconds: from one line to the next where there is no bar; None writes nothing at all.
    """

    def __init__(self, total: int, done: int, unit: str, *, quiet: bool, log_seconds: float | None) -> None:
        bar = not quiet and log_seconds is not None and sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit=unit) if bar else None
        self._total, self._first, self._done, self._unit = total, done, done, unit
        self._every, self._began = log_seconds, time.monotonic()
        self._said = self._began

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, more: int, shown: Mapping[str, Any]) -> None:
        """So many more are done; `shown` says how it goes."""
        self._done += more
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(more)
        elif self._every is not None and time.monotonic() - self._said >= self._every and self._done > self._first:
            self._said = time.monotonic()
            print(self._line(shown), file=sys.stderr, flush=True)

    def _line(self, shown: Mapping[str, Any]) -> str:
        since = self._said - self._began
        left = since / (self._done - self._first) * (self._total - self._done)
        facts = "".join(f", {name} {value}" for name, value in shown.items())
        return f"{self._unit} {self._done:,} of {self._total:,}{facts}; {duration(since)} so far, {duration(left)} left"


def of_flags() -> Callable[[int, int, str], Progress]:
    """(total, done, unit) -> the progress as --quiet and --log_seconds want it, of the first process only."""
    options = {name: flags.FLAGS[name].value for name in ("quiet", "log_seconds")}
    return functools.partial(Progress, **options | ({} if processes.first() else {"log_seconds": None}))


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
