"""Measurements of this project. What they share is here: work in processes of its own, timed and within a limit."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from twolayer.command.cli import BadInput
from twolayer.command.provenance import now, provenance


def facts(*packages: str) -> dict[str, Any]:
    """Where the numbers of a measurement come from: provenance, the versions of these packages too, date and load."""
    return provenance(packages) | {"date": now(), "load_average": os.getloadavg()}


def flags_given() -> dict[str, Any]:
    """The flags of the script with their values."""
    return {flag.name: flag.value for flag in flags.FLAGS.flags_by_module_dict()[sys.argv[0]]}


def timed(call: Callable, *arguments: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def integers(flag: str, like: str) -> list[int]:
    """The positive integers that a flag lists; where it lists none or something else, BadInput says what is `like`."""
    texts: list[str] = flags.FLAGS[flag].value or []
    if not texts or not all(text.isdecimal() and int(text) for text in texts):
        raise BadInput(f"--{flag}={','.join(texts)}: give positive integers, like {like}")
    return [int(text) for text in texts]


class Ran(NamedTuple):
    """A script from the start of its process to its exit: seconds, those of the CPU, and what it said on stderr."""

    seconds: float
    cpu: float
    err: str


def ran(
    module: str,
    *arguments: str,
    python: Sequence[str] = (),
    folder: pathlib.Path | None = None,
    environment: Mapping[str, str] | None = None,
    limit: float = 3600,
) -> Ran:
    """Run `python -m experiments.<module>` to its end.

    Args:
      python: options of Python itself.
      folder: where it is run.
      environment: of the process, if not this one's.
      limit: seconds that it may take.

    Raises:
      BadInput: it fails, or does not end in time.
    """
    command = [sys.executable, *python, "-m", f"experiments.{module}", *arguments]
    before, began = os.times(), time.perf_counter()
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{' '.join(command[1:])} did not end in {limit:g} s") from None
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode:
        said = done.stderr.strip()[-300:]
        raise BadInput(f"{' '.join(command[1:])} ended with status {done.returncode}: {said}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Ran(seconds, used, done.stderr)


class TimedOut(BaseException):
    """Not an Exception, so that no derivation and no library catches it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimedOut inside when time is up. Only in the main thread, and on systems that have SIGALRM."""

    def stop(number: int, frame: object) -> None:
        raise TimedOut("not finished within the time limit")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    previous = signal.signal(signal.SIGALRM, stop)
    # Once more each second: a library can lose an exception that comes while it is in a callback.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
