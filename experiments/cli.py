"""How every script starts and ends: flags in, one clear line for bad input, an exit status others can rely on.

Status: 0 done; 1 wrong usage or bad input; 3 diverged; 75 interrupted and saved, run the same command again. A script
whose 1 is an answer, as `verify`, has another for bad input.
"""

import contextlib
import functools
import pathlib
import signal
import sys
from collections.abc import Callable, Iterator

from absl import app, flags, logging

DONE, BAD_INPUT, DIVERGED, INTERRUPTED = 0, 1, 3, 75


class BadInput(Exception):
    """What a user got wrong, in one line that says what to do about it."""


def run(main: Callable[[], int], refusal: int = BAD_INPUT) -> None:
    """Parse the flags, call `main` and exit with the status it returns, or with `refusal` if it raises BadInput."""
    logging.set_verbosity(logging.WARNING)  # JAX notes at INFO which accelerators it did not find
    parse = functools.partial(_parse, refusal)
    app.run(lambda argv: sys.exit(_call(main, refusal)), flags_parser=parse)


@contextlib.contextmanager
def bad_input(*errors: type[Exception]) -> Iterator[None]:
    """Turn these exceptions into BadInput. For the few lines that judge a user's input, not for whole programs."""
    try:
        yield
    except errors as error:
        raise BadInput(" ".join(str(error).split())) from error


class Interrupts:
    """Turns SIGTERM and SIGINT into a flag to look at between segments. A second signal acts at once, as usual."""

    def __init__(self) -> None:
        self.received: str | None = None

    def __enter__(self) -> "Interrupts":
        self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def tell(self, path: pathlib.Path) -> None:
        """Say that the run in `path` was saved because of the signal."""
        print(f"{self.received}: saved in {path}; repeat the command to continue", file=sys.stderr)

    def _note(self, number: int, frame: object) -> None:
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _call(main: Callable[[], int], refusal: int) -> int:
    try:
        return main()
    except BadInput as error:
        return _refuse(str(error), refusal)


def _parse(refusal: int, argv: list[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv[1:]):  # absl's own exits with 1, as if asking were a mistake
        print(f"{sys.modules['__main__'].__doc__}\nFlags:\n{flags.FLAGS.main_module_help()}")
        sys.exit(DONE)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(_refuse(str(error), refusal))
    if rest[1:]:
        sys.exit(_refuse(f"unexpected argument {rest[1]!r}: flags are written --name=value", refusal))
    return rest


def _refuse(reason: str, status: int) -> int:
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return status
