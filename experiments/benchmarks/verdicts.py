"""Verdicts one after another: each within a time limit, in a process of its own, and shown when it is there."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

MARKS = {True: "yes", False: "no", None: "-"}


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


def judged(
    judge: Callable[..., dict], tasks: Iterable[tuple], processes: int, columns: Sequence[str], width: int
) -> list[dict]:
    """The row that `judge` makes of each task, in their order, printed as it comes.

    Args:
      judge: makes a row of the arguments that a task is.
      tasks: what there is to judge.
      processes: how many work at a time. Each task has a fresh one, so that its seconds are those of a command.
      columns: what is printed of a row.
      width: of the first column.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    with ProcessPoolExecutor(processes, context, max_tasks_per_child=1) as pool:
        futures = [pool.submit(judge, *task) for task in tasks]
        print(_line(columns, width))
        for future in futures:
            rows.append(future.result())
            print(_line([_word(rows[-1].get(column)) for column in columns], width), flush=True)
    return rows


def _word(value: object) -> str:
    return MARKS[value] if value is None or isinstance(value, bool) else str(value)


def _line(words: Sequence[str], width: int) -> str:
    return "  ".join([words[0].ljust(width), *(word.ljust(9) for word in words[1:])])
