"""A limit that holds whatever the user's code does: loop for ever, sleep, or swallow every exception."""

import contextlib
import faulthandler
import os
import pathlib
import signal
import threading
from collections.abc import Iterator

from twolayer.command import lines

GRACE = 2.0  # seconds between the limit and the last resort


@contextlib.contextmanager
def time_limit(seconds: float, path: pathlib.Path | None, status: int, clear: str = "") -> Iterator[None]:
    """End the process with `status` if the body takes longer, after one line that names the line of `path` it is in.

    An exception would not do: the code may catch it. So a thread waits and ends the process. C code that never lets
    another thread run holds up that one too; then the operating system's alarm kills the process a little later.

    `clear` is written first: what erases a status line.
    """
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            os.write(2, f"{clear}error: {_reason(seconds, path)}\n".encode())
            os._exit(status)

    threading.Thread(target=watch, daemon=True, name="time limit").start()
    with _last_resort(seconds + GRACE):
        try:
            yield
        finally:
            done.set()


def _reason(seconds: float, path: pathlib.Path | None) -> str:
    line = lines.current(path) or (path.name if path else None)
    where = f"{line.rstrip(':')}: " if line else ""
    return f"{where}not finished after {seconds:g} s; raise --time_limit if it needs longer"


@contextlib.contextmanager
def _last_resort(seconds: float) -> Iterator[None]:
    free = hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    if not free or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:  # not ours to use
        yield
        return
    faulthandler.dump_traceback_later(seconds, file=2)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
