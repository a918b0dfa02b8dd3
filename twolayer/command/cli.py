"""How every script starts and ends: flags in, one clear line for bad input, an exit status others can rely on.

Status: 0 done; 1 wrong usage or bad input; 3 diverged; 75 interrupted and saved, run the same command again. A script
whose 1 is an answer, as `verify`, has another for bad input.
"""

import contextlib
import functools
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence

from absl import app, flags, logging

DONE, BAD_INPUT, DIVERGED, INTERRUPTED = 0, 1, 3, 75
PATIENCE = 2.0  # seconds that a program may go on after a signal; then what was saved before it counts
STOPPED = "interrupted; repeat the command"


class BadInput(Exception):
    """A mistake of the user, in one line that says what to do about it."""


def run(main: Callable[[], int], refusal: int = BAD_INPUT, module: str = "__main__") -> None:
    """Parse the flags, call `main` and exit with the status it returns.

    Args:
      main: the script.
      refusal: the status if it raises BadInput, or a flag is wrong.
      module: the name of the module whose docstring and flags --help shows.
    """
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = open(os.devnull, "w")
    logging.set_verbosity(logging.WARNING)  # JAX notes at INFO which accelerators it did not find
    parse = functools.partial(_parse, refusal, module)
    app.run(lambda argv: sys.exit(_call(main, refusal)), flags_parser=parse)


@contextlib.contextmanager
def bad_input(*errors: type[Exception]) -> Iterator[None]:
    """Turn these exceptions into BadInput. For the few lines that judge a user's input, not for whole programs."""
    try:
        yield
    except errors as error:
        raise BadInput(" ".join(str(error).split())) from error


def check_known(flag: str, given: Sequence[str], known: Collection[str]) -> None:
    """Raise BadInput unless the names that a flag lists are some of those known."""
    unknown = sorted(set(given) - set(known))
    if unknown or not given:
        raise BadInput(f"--{flag}: {''.join(unknown[:1])!r} is not known; choose from: {', '.join(known)}")


def signals() -> list[signal.Signals]:
    """Those that end a script in order: SIGTERM, SIGINT, and SIGHUP unless nohup has it ignored."""
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if nohup else [signal.SIGHUP])]


def _call(main: Callable[[], int], refusal: int) -> int:
    for number in signals():  # while there is nothing to save
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
    """Send what is still to be printed nowhere, so that the end of the process does not stumble over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(refusal: int, module: str, argv: list[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv[1:]):  # absl's own exits with 1, as if asking were a mistake
        try:
            defined = flags.FLAGS.module_help(sys.argv[0] if module == "__main__" else module)
            print(f"{sys.modules[module].__doc__}\nFlags:\n{defined}", flush=True)
        except BrokenPipeError:
            _say_no_more()
        sys.exit(DONE)
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, UnicodeDecodeError) as error:  # the second of a --flagfile that is no text
        sys.exit(refuse(str(error), refusal))
    for flag in flags.FLAGS.get_key_flags_for_module(module):  # absl's bounds let nan through
        if isinstance(flag.value, float) and not math.isfinite(flag.value):
            sys.exit(refuse(f"flag --{flag.name}={flag.value}: must be a finite number", refusal))
    if rest[1:]:
        sys.exit(refuse(f"unexpected argument {rest[1]!r}: flags are written --name=value", refusal))
    return rest


def refuse(reason: str, status: int) -> int:
    """Say in one line why not, and return the status."""
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return status
