"""Signals as a flag to look at between segments, and commands that are told of them."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twolayer.command import cli

Result = TypeVar("Result")

SAME = 0.5  # seconds within which two signals are one
LOOK = 0.1  # seconds between two looks at a script that another carries out: a terminal's Ctrl-C stays one signal


class Interrupts:
    """Turns SIGTERM, SIGINT and SIGHUP into a flag to look at between segments.

    A second signal ends the process at once, unless it comes within SAME seconds: a launcher may signal a whole process
    tree, whose parents pass it on.
    """

    def __init__(self) -> None:
        self.received: str | None = None

    def __enter__(self) -> "Interrupts":
        self._previous = {number: signal.signal(number, self._note) for number in cli.signals()}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def during(self, work: Callable[[], Result], patience: float | None = None) -> Result | None:
        """What `work` returns; None if a signal has come and it fails, or takes longer than `patience` seconds then.

        They are cli.PATIENCE if not given. It runs in another thread, because Python hears signals in this one, and not
        while a program runs on a device.
        """
        results: list[Result] = []
        errors: list[BaseException] = []
        ended = threading.Event()

        def call() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)
            ended.set()

        threading.Thread(target=call, daemon=True).start()
        while not ended.wait(0.5):
            if self.received and not ended.wait(cli.PATIENCE if patience is None else patience):
                return None
        if results:
            return results[0]
        if self.received:  # another process of the job may have left before this one
            return None
        raise errors[0]

    def tell(self, path: pathlib.Path, saved: str = "saved") -> None:
        """Say that the run in `path` was saved because of the signal, or what else of it."""
        cause = self.received or "another process got a signal"
        print(f"{cause}: {saved} in {path}; repeat the command to continue", file=sys.stderr)

    def _note(self, number: int, frame: object) -> None:
        if self.received is None:
            self.received, self._since = signal.Signals(number).name, time.monotonic()
        elif time.monotonic() - self._since > SAME:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(128 + number)  # the first process of a container survives that


def carry_out(command: Sequence[str], stop: Callable[[], bool], **pipes: Any) -> tuple[int, str | None]:
    """Exit status and standard error, if that is a pipe, of a command that gets SIGTERM once `stop()` is true.

    One that ends by that signal before it listens for it was interrupted too; the status of another signal is 128 and
    its number, as in a shell.
    """
    told = False
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=LOOK)
                    break
                except subprocess.TimeoutExpired:
                    if stop() and not told:
                        process.send_signal(signal.SIGTERM)
                        told = True
        finally:
            process.kill()  # if this process is ended by an error
    status = process.returncode
    if status < 0:
        status = cli.INTERRUPTED if stop() else 128 - status
    return status, errors
