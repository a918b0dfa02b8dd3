"""Two processes on this machine that are one job: the result of one process, and no survivor that waits for ever."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

from experiments.benchmarks.faults import differences, finish, start
from twolayer.command import cli

MESH = "--mesh=hidden=2"
LOSSES = tuple((process, number) for number in (signal.SIGKILL, signal.SIGSTOP) for process in (0, 1))
PATIENCE = 120.0  # seconds for a start, and for the end of the survivor
MINUTE = 60.0  # seconds in which a survivor must have ended


@dataclasses.dataclass(frozen=True)
class Loss:
    """One process that got a signal, and what became of the other.

    Attributes:
      process: 0 is the first, which writes.
      seconds: from the signal to the end of the other; None if it did not end.
      status, said: the other's exit status and its last line.
      differs: what is not as in the run without a signal, once the command was repeated.
    """

    process: int
    signal: str
    seconds: float | None
    status: int | None
    said: str
    differs: list[str]

    @property
    def ended_well(self) -> bool:
        """Whether the other ended in time and said why, and nothing was lost."""
        in_time = self.seconds is not None and self.seconds < MINUTE and self.status == cli.INTERRUPTED
        return in_time and bool(self.said) and not self.differs


def together(flags: Sequence[str], place: pathlib.Path) -> list[str]:
    """Train with one process and two devices, and with two processes; returns what differs between the results.

    Raises:
      BadInput: a run fails.
    """
    with _running([_start([*flags, MESH], place / "one", devices=2)]) as alone:
        finish(alone[0], "a run on two devices")
    _finish_both(flags, place / "two")
    return differences(place / "one" / "run", place / "two" / "run")


def lost(flags: Sequence[str], place: pathlib.Path, whole: pathlib.Path, process: int, number: signal.Signals) -> Loss:
    """Train with two processes of which one gets a signal after its first checkpoint; then repeat the command.

    Args:
      whole: where the same was trained without a signal.

    Raises:
      BadInput: a run fails by itself.
    """
    with _both(flags, place) as both:
        _until_checkpoint(place / "run", both)
        survivor, pid = both[1 - process], both[process].pid
        worker = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])  # which does the work
        os.kill(worker, number)
        began, seconds, said = time.perf_counter(), None, ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, said = survivor.communicate(timeout=PATIENCE)
            seconds = time.perf_counter() - began
        status = survivor.returncode
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)  # one that is stopped does not end with its parent
    _finish_both(flags, place)
    told = [line for line in said.splitlines() if line.startswith("error: ")]
    return Loss(
        process, number.name, seconds, status, told[-1] if told else "", differences(whole / "run", place / "run")
    )


@contextlib.contextmanager
def _running(processes: list[subprocess.Popen]) -> Iterator[list[subprocess.Popen]]:
    """Kill all of the processes at the end."""
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            if process.stderr:
                process.stderr.close()
            process.wait()


def _both(flags: Sequence[str], place: pathlib.Path) -> contextlib.AbstractContextManager[list[subprocess.Popen]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"--coordinator_address=127.0.0.1:{free.getsockname()[1]}"
    job = [*flags, MESH, address, "--num_processes=2"]
    return _running([_start([*job, f"--process_id={number}"], place, devices=1) for number in range(2)])


def _start(flags: Sequence[str], place: pathlib.Path, devices: int) -> subprocess.Popen:
    return start([*flags, "--nofigures"], place, place.parent / "data", JAX_NUM_CPU_DEVICES=str(devices))


def _finish_both(flags: Sequence[str], place: pathlib.Path) -> None:
    with _both(flags, place) as both:
        for process in both:
            finish(process, "a run of two processes")


def _until_checkpoint(run: pathlib.Path, both: Sequence[subprocess.Popen]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(run.glob("checkpoints/*.sha256")):
        if any(process.poll() is not None for process in both) or time.monotonic() > deadline:
            raise cli.BadInput("a run of two processes ended by itself, or has no checkpoint; give more --epochs")
        time.sleep(0.01)
