"""One job of several processes: who belongs to it, what they agree on, and what happens when one is lost.

All processes run the same script with the same flags, each with devices of its own; together they are one mesh. Only
the first writes. Slurm, Open MPI and TPU pods are detected by JAX from their environment; elsewhere
--coordinator_address, --num_processes and --process_id say who is who.

A process that is lost takes its part of the network along, so the others end too, and the last checkpoint holds: at
once if its connection breaks, within HEARTBEAT seconds if it is silent. JAX may then abort the process that it runs in,
which is why the work is done by a child whose end is put into words here.
Everything that they agree on is the same with one process. JAX is imported where it is used: a finished run answers
without.
"""

import contextlib
import faulthandler
import hashlib
import json
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from experiments.runtime.runs import Run
from twolayer.command import cli

if TYPE_CHECKING:  # it loads JAX, and a finished run answers without
    from jaxtyping import PyTree

Result = TypeVar("Result")

HEARTBEAT = 30  # seconds of silence after which a process counts as lost
GRACE = 5  # seconds in which the others find the same bad input by themselves
PATIENCE = 300  # seconds to wait for all processes at the end
QUIET = 10  # seconds of them that pass before it is said

# What tells of a job of several processes, before JAX is loaded: the environment, and how many it speaks of. Slurm's
# count stands in the batch script's environment too; only that of a step, which srun starts, means this process.
COUNTED = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")
LISTED = ("TPU_WORKER_HOSTNAMES",)

# Flags that each process may have its own of.
OWN = ("data_dir", "source_dir", "quiet", "compile_cache")

# What JAX says when a connection has broken, in errors of several types.
CONNECTION = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "Barrier", "barrier")


def several(flags: Mapping[str, Any]) -> bool:
    """Whether this is one process of several, as --distributed says or the environment.

    Raises:
      BadInput: the flags contradict each other.
    """
    named = [name for name in ("coordinator_address", "num_processes", "process_id") if flags[name] is not None]
    if flags["distributed"] == "off":
        if named:
            raise cli.BadInput(f"--{named[0]} is for several processes, and --distributed=off for one; drop either")
        return False
    if named and len(named) < 3:
        raise cli.BadInput("--coordinator_address, --num_processes and --process_id go together; give all three")
    if named and not flags["process_id"] < flags["num_processes"]:
        raise cli.BadInput(f"--process_id={flags['process_id']} must be below --num_processes={flags['num_processes']}")
    port = (flags["coordinator_address"] or "").rpartition(":")[2]
    if named and not (port.isdecimal() and 0 < int(port) < 2**16):
        raise cli.BadInput(f"--coordinator_address={flags['coordinator_address']} needs a port: HOST:PORT")
    if flags["distributed"] == "on" or named:
        return True
    counted = [name for name in COUNTED if name != "SLURM_NTASKS" or "SLURM_STEP_NODELIST" in os.environ]
    counts = [int(os.environ[name]) for name in counted if os.environ.get(name, "").isdecimal()]
    counts += [len(os.environ.get(name, "").split(",")) for name in LISTED]
    return max(counts) > 1


def one_run(flags: Mapping[str, Any], find: Callable[[], Run]) -> Run:
    """The run that `find` finds; if there are several processes, that of the first, which the others follow.

    Raises:
      BadInput: as `find`.
    """
    if not several(flags):
        return find()
    run = first_does(find)
    path, manifest = json.loads(told(json.dumps((str(run.path), run.manifest)) if run else ""))
    return run or Run(pathlib.Path(path), manifest, writes=False)


def supervised(main: Callable[[], int], flags: Mapping[str, Any]) -> int:
    """The exit status of `main`, which joins the other processes of the job if there are any.

    Then `main` runs in a child: signals are passed on to it, and if JAX aborts it because another process was lost,
    that is said in one line, with the status of a run to repeat.
    """
    if not several(flags):
        return main()
    kept, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # so that a terminal's Ctrl-C comes once, through the parent
        os.close(held)
        faulthandler.disable()  # an abort by JAX is put into words by the parent
        threading.Thread(target=_end_with_parent, args=(kept,), daemon=True).start()
        return _joined(main, flags)
    os.close(kept)

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in cli.signals():
        signal.signal(number, pass_on)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended >= 0:
        return ended
    if ended == -signal.SIGABRT:
        return _lost("JAX lost contact with another process of the job, or could not reach it")
    if -ended in cli.signals():
        _tell(cli.STOPPED)
        return cli.INTERRUPTED
    return 128 - ended


def _joined(main: Callable[[], int], flags: Mapping[str, Any]) -> int:
    """`main` as one of several processes."""
    import jax

    # Signals are ours: they are heard between segments, by all processes together.
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # JAX waits where Python is deaf.
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in cli.signals()}
    waiting = threading.Timer(QUIET, _tell, (f"waiting for the other processes, at most {flags['start_timeout']} s",))
    waiting.daemon = True
    waiting.start()
    try:
        jax.distributed.initialize(
            flags["coordinator_address"],
            flags["num_processes"],
            flags["process_id"],
            heartbeat_timeout_seconds=HEARTBEAT,
            initialization_timeout=flags["start_timeout"],
            shutdown_timeout_seconds=PATIENCE,
        )
    except (ValueError, RuntimeError) as error:
        raise cli.BadInput(
            f"cannot join the other processes ({' '.join(str(error).split())[:200]}); "
            "give --coordinator_address=HOST:PORT --num_processes --process_id, or --distributed=off"
        ) from error
    finally:
        waiting.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        _check_same_flags()
        status = main()
        jax.distributed.shutdown()
        return status
    except BaseException as error:
        status = _status_of(error)
    sys.stdout.flush()
    os._exit(status)  # at once: a normal end would wait for the others


def _check_same_flags() -> None:
    """Raise BadInput unless all processes were given the same flags, places on each machine aside."""
    from jax.experimental import multihost_utils

    from experiments.runtime import flags as training_flags

    lines = training_flags.as_file().splitlines()
    own = [line for line in lines if line.lstrip("-").removeprefix("no").partition("=")[0] not in OWN]
    digest = np.frombuffer(hashlib.sha256("\n".join(own).encode()).digest(), np.uint8)
    everyone = multihost_utils.process_allgather(digest)
    if (everyone != everyone[0]).any():
        raise cli.BadInput("the processes of this job were given different flags; start all with the same")


def _status_of(error: BaseException) -> int:
    """The exit status after an error in one of several processes; says what it was."""
    if isinstance(error, cli.BadInput):
        cli.refuse(str(error), cli.BAD_INPUT)
        if first():  # it takes the others along when it leaves, and they would speak of a lost process
            time.sleep(GRACE)
        return cli.BAD_INPUT
    # JAX raises its own errors as RuntimeError, ValueError and others, by the kind of the status.
    if isinstance(error, KeyboardInterrupt):
        _tell(cli.STOPPED)
        return cli.INTERRUPTED
    if any(word in str(error) for word in CONNECTION):
        return _lost("another process of the job was lost")
    sys.excepthook(type(error), error, error.__traceback__)
    return cli.BAD_INPUT


def _lost(reason: str) -> int:
    _tell(f"error: {reason}; what was saved is intact: repeat the command on all to continue")
    return cli.INTERRUPTED


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _end_with_parent(kept: int) -> None:
    os.read(kept, 1)  # returns when the parent's end of the pipe is closed, which is when it has ended
    os._exit(128 + signal.SIGKILL)


def first() -> bool:
    """Whether this is the process that writes."""
    import jax

    return jax.process_index() == 0


def first_does(work: Callable[[], Result]) -> Result | None:
    """Let the first process do the work; None on the others; what it refuses, all refuse. Call it on every process.

    Raises:
      BadInput: as `work`.
    """
    refusal, result = "", None
    if first():
        try:
            result = work()
        except cli.BadInput as error:
            refusal = str(error)
    if refusal := told(refusal):
        raise cli.BadInput(refusal)
    return result


def told(text: str) -> str:
    """Send a text of the first process to all. Call it on every process."""
    own = np.frombuffer(text.encode(errors="surrogateescape"), np.uint8)  # a path need not be UTF-8
    size = int(firsts(np.int64(len(own))))
    return firsts(np.resize(own, size)).tobytes().decode(errors="surrogateescape") if size else ""


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process. Call it on every process."""
    import jax

    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def firsts(tree: "PyTree") -> "PyTree":
    """Send arrays of the first process to all, which have such of the same shapes. Call it on every process."""
    import jax

    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    def of_first(leaf: np.ndarray) -> np.ndarray:
        # As bytes: JAX sends a sum of what the first has and zeros, and -0.0 + 0.0 is 0.0.
        own = np.ascontiguousarray(leaf)
        sent = multihost_utils.broadcast_one_to_all(np.frombuffer(own.tobytes(), np.uint8))
        return np.frombuffer(np.asarray(sent).tobytes(), own.dtype).reshape(np.shape(leaf))

    return jax.tree.map(of_first, tree)


def fetch(tree: "PyTree") -> "PyTree":
    """Gather the arrays of all devices as NumPy arrays on every process. Call it on every process."""
    import jax

    def whole(leaf: jax.Array) -> np.ndarray:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    from jax.experimental import multihost_utils

    return jax.tree.map(whole, tree)
