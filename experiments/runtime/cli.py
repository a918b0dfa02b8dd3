"""How every script starts and ends: flags in, one clear line for bad input, an exit status others can rely on.

Status: 0 done; 1 wrong usage or bad input; 3 diverged; 75 interrupted and saved, run the same command again. A script
whose 1 is an answer, as `verify`, has another for bad input.
"""

import contextlib
import functools
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from absl import app, flags, logging

Result = TypeVar("Result")

DONE, BAD_INPUT, DIVERGED, INTERRUPTED = 0, 1, 3, 75
PATIENCE = 2.0  # seconds that a program may go on after a signal; then what was saved before it counts
STOPPED = "interrupted; repeat the command"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SAME = 0.5  # seconds within which two signals are one
LOOK = 0.1  # seconds between two looks at a script that another carries out: a terminal's Ctrl-C stays one signal


class BadInput(Exception):
    """What a user got wrong, in one line that says what to do about it."""


def run(main: Callable[[], int], refusal: int = BAD_INPUT) -> None:
    """Parse the flags, call `main` and exit with the status it returns, or with `refusal` if it raises BadInput."""
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = open(os.devnull, "w")
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
    """Turns SIGTERM, SIGINT and SIGHUP into a flag to look at between segments.

    A second signal ends the process at once, unless it comes within SAME seconds: a launcher may signal a whole process
    tree, whose parents pass it on.
    """

    def __init__(self) -> None:
        self.received: str | None = None

    def __enter__(self) -> "Interrupts":
        nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        heard = [number for number in SIGNALS if number != signal.SIGHUP or not nohup]
        self._previous = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def during(self, work: Callable[[], Result], patience: float = PATIENCE) -> Result | None:
        """What `work` returns; None if a signal has come and it fails, or takes longer than `patience` seconds then.

        It runs in another thread, because Python hears signals in this one, and not while a program runs on a device.
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
            if self.received and not ended.wait(patience):
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


def _call(main: Callable[[], int], refusal: int) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):  # while there is nothing to save
        signal.signal(number, _stop)
    status = 128 + signal.SIGPIPE  # where a reader of the output has seen enough
    try:
        status = main()
        sys.stdout.flush()
    except BadInput as error:
        return refuse(str(error), refusal)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)  # a normal end crashes if a library was half imported
    except BrokenPipeError:
        _say_no_more()
    except (AssertionError, RuntimeError) as error:
        if not _lacks_a_platform(error):
            raise
        return refuse(_no_platform(error), refusal)
    return status


def _stop(number: int, frame: object) -> None:
    """End the program, by an exception so that nothing is left half-written; Python may lose it, as in a destructor."""
    end = threading.Timer(PATIENCE, os._exit, (INTERRUPTED,))
    end.daemon = True
    end.start()
    raise KeyboardInterrupt


def _lacks_a_platform(error: BaseException) -> bool:
    """Whether JAX has no device of the kind that JAX_PLATFORMS asks for."""
    if not os.environ.get("JAX_PLATFORMS"):
        return False
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return bool(frames) and frames[-1].endswith("xla_bridge.py")


def _no_platform(error: BaseException) -> str:
    wanted = os.environ["JAX_PLATFORMS"]
    extras = {"cuda": "cuda12", "gpu": "cuda12", "tpu": "tpu"}
    install = f", or pip install 'jax[{extras[wanted]}]'" if wanted in extras else ""
    return f"JAX_PLATFORMS={wanted}, and JAX finds no such device here; unset it to take what there is{install}"


def _say_no_more() -> None:
    """What is still to be printed goes nowhere, so that the end of the process does not stumble over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(refusal: int, argv: list[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv[1:]):  # absl's own exits with 1, as if asking were a mistake
        try:
            print(f"{sys.modules['__main__'].__doc__}\nFlags:\n{flags.FLAGS.main_module_help()}", flush=True)
        except BrokenPipeError:
            _say_no_more()
        sys.exit(DONE)
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, UnicodeDecodeError) as error:  # the second of a --flagfile that is no text
        sys.exit(refuse(str(error), refusal))
    for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0]):  # absl's bounds let nan through
        if isinstance(flag.value, float) and not math.isfinite(flag.value):
            sys.exit(refuse(f"flag --{flag.name}={flag.value}: must be a finite number", refusal))
    if rest[1:]:
        sys.exit(refuse(f"unexpected argument {rest[1]!r}: flags are written --name=value", refusal))
    return rest


def refuse(reason: str, status: int) -> int:
    """Say in one line why not, and return the status."""
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return status


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
        status = INTERRUPTED if stop() else 128 - status
    return status, errors
