"""A script that another script carries out, and that hears of its signals."""

import signal
import subprocess
from collections.abc import Callable, Sequence

from experiments.runtime.cli import INTERRUPTED

# Seconds between two questions whether to stop: less than cli.SAME, so that a terminal's Ctrl-C is one signal.
LOOK = 0.1


def carry_out(command: Sequence[str], stop: Callable[[], bool], **pipes: object) -> tuple[int, str | None]:
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
        status = INTERRUPTED if stop() else 128 - status
    return status, errors
