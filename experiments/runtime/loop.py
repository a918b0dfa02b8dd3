"""The training loop that a run and a part of a sweep share: segments, signals, checkpoints.

A segment is one compiled program of several epochs. Between two of them progress is shown, signals are heard, and what
is due is saved.
"""

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from experiments.runtime import checkpoints, jobs, processes
from experiments.runtime.interrupts import Interrupts
from experiments.runtime.runs import Run
from twolayer import devices, segments
from twolayer.command import cli

LONGEST_SEGMENT = 100  # epochs
CHECKPOINT_SECONDS = 10.0  # from one checkpoint to the next, at least, if nobody says how many epochs
CHECKPOINT_SHARE = 0.1  # of the time that they take, at most


@dataclasses.dataclass
class Pace:
    """How many epochs the next segment should have, so that progress is shown and signals are heard in between."""

    seconds: float = 0.25  # that a segment should last
    epoch_seconds: float | None = None  # what an epoch took last time

    def epochs(self) -> int:
        """Epochs of the next segment, the same in all processes."""
        known = self.epoch_seconds
        own = np.int32(1 if known is None else np.clip(self.seconds / max(known, 1e-9), 1, LONGEST_SEGMENT))
        return int(processes.firsts(own))

    def slow(self) -> bool:
        """Whether an epoch may outlast the patience after a signal."""
        long = self.epoch_seconds is None or self.epoch_seconds > cli.PATIENCE / 3
        return processes.any_of(long)


@dataclasses.dataclass
class Saving:
    """When the next checkpoint is due: after so many epochs if the user says how many, else by time.

    By time it waits CHECKPOINT_SECONDS, and so much longer that writing takes no more than CHECKPOINT_SHARE.
    """

    every: int | None = None  # epochs
    cost: float = 0.0  # seconds that the last one took
    last: float = dataclasses.field(default_factory=time.monotonic)

    def next_epoch(self, epoch: int) -> int | None:
        """The epoch not to train beyond, if epochs decide."""
        return None if self.every is None else (epoch // self.every + 1) * self.every

    def due(self, epoch: int) -> bool:
        """Whether to save after this epoch; the same in all processes."""
        if self.every is not None:
            return epoch % self.every == 0
        wait = max(CHECKPOINT_SECONDS, self.cost / CHECKPOINT_SHARE)
        return processes.any_of(time.monotonic() - self.last >= wait)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Time the writing of a checkpoint, in a `with`."""
        began = time.monotonic()
        yield
        self.last = time.monotonic()
        self.cost = self.last - began


@dataclasses.dataclass
class Loop:
    """Segments of epochs until the end, a divergence or a signal. A run and a part of a sweep differ in its fields.

    Attributes:
      program: the compiled segment.
      log: (state, metrics, first, until, seconds) -> the epoch that was reached; keeps and shows the metrics.
      held: (state, epoch) -> what a checkpoint holds.
      saving: when it is time for a checkpoint.
      prefix: of the checkpoints' names.
      kept: how many checkpoints.
    """

    run: Run
    interrupts: Interrupts
    job: jobs.Job
    program: jax.stages.Compiled
    log: Callable[[segments.State, segments.Metrics, int, int, float], int]
    held: Callable[[segments.State, int], PyTree]
    saving: Saving
    prefix: str = ""
    kept: int = checkpoints.KEPT

    def carry_on(self, state: segments.State, epoch: int) -> tuple[segments.State, bool]:
        """Train from `epoch` on; returns the state, and whether it is the last: if not, a signal came and it is saved.

        A signal in the midst of a segment that is too long to wait for ends the process.
        """
        pace, epochs = Pace(), self.job.choices.epochs
        while epoch < epochs and (processes.fetch(state.status) == segments.RUNNING).any():
            if processes.any_of(self.interrupts.received is not None):
                self._save(state, epoch)
                return state, False
            first, until = epoch, min(epoch + pace.epochs(), self.saving.next_epoch(epoch) or epochs, epochs)
            copy = None  # of the state as it is now: its arrays are given away with the next segment
            if pace.slow():
                copy = self.held(jax.tree.map(np.array, processes.fetch(state)), epoch)
            began = time.perf_counter()
            arguments = self.job.arguments(state, first, until)
            done = self.interrupts.during(lambda given=arguments: jax.block_until_ready(self.program(*given)))
            if done is None:
                leave(self.run, self.interrupts, f"{self.prefix}{epoch:08d}", copy, self.kept)
            state, metrics = done
            seconds = time.perf_counter() - began
            pace.epoch_seconds = seconds / (until - first)
            epoch = self.log(state, metrics, first, until, seconds)
            if first < epoch < epochs and self.saving.due(epoch):
                with self.saving.saving():
                    self._save(state, epoch)
        return state, True

    def _save(self, state: segments.State, epoch: int) -> None:
        save(self.run, f"{self.prefix}{epoch:08d}", self.held(processes.fetch(state), epoch), self.kept)


def program_of(job: jobs.Job) -> jax.stages.Compiled:
    """The segment of a job, compiled for its `arguments`.

    Raises:
      BadInput: as `compiled`.
    """
    return compiled(job.segment(LONGEST_SEGMENT), job.mesh, *job.arguments(job.state, 0, 0))


def compiled(segment: Callable, mesh: Mesh, state: segments.State, *others: PyTree) -> jax.stages.Compiled:
    """A segment (state, *others) -> (state, metrics), compiled for these arguments; the state stays on its devices.

    Raises:
      BadInput: a device has less memory than the program takes.
    """
    places = jax.tree.map(lambda leaf: leaf.sharding, state), devices.everywhere(mesh)
    # The state is donated: each segment overwrites the one before in place.
    program = jax.jit(segment, donate_argnums=0, out_shardings=places)
    with jax.set_mesh(mesh):
        found = program.lower(state, *others).compile()
    jobs.check_fits(devices.bytes_of_program(found), "training and validation", mesh)
    return found


def restored(run: Run, state: PyTree, prefix: str = "") -> PyTree:
    """`state`, or what the run's newest checkpoint has in its place: arrays of devices on the same devices.

    Args:
      prefix: of the checkpoints that count.

    Raises:
      BadInput: the checkpoint is of another version.
    """
    found = processes.first_does(lambda: checkpoints.restore(run.checkpoints, state, prefix))
    if not processes.firsts(np.array(found is not None)):
        return state
    host = processes.firsts(found if processes.first() else jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), state))
    return jax.tree.map(
        lambda new, old: devices.put(new, old.sharding) if isinstance(old, jax.Array) else new, host, state
    )


def save(run: Run, name: str, state: PyTree, kept: int) -> None:
    """A checkpoint, by the process that writes."""
    if processes.first():
        checkpoints.save(run.checkpoints, name, state, kept)


def leave(run: Run, interrupts: Interrupts, name: str = "", state: PyTree = None, kept: int = 1) -> NoReturn:
    """End this process in the midst of a program, after a checkpoint of the state before it, if one is given."""
    if state is not None:
        save(run, name, state, kept)
    run.set_status("interrupted")
    if processes.first():
        interrupts.tell(run.path, "saved" if state is not None else "what was saved before is")
    sys.stdout.flush()
    os._exit(cli.INTERRUPTED)  # a normal end would wait for the program
