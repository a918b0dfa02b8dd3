"""A training session: the compiled segment in a loop, with all that a run writes and a person sees meanwhile."""

import contextlib
import dataclasses
import functools
import importlib.util
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from experiments.runtime import checkpoints, cli, jobs, processes
from experiments.runtime.cli import BadInput, Interrupts
from experiments.runtime.jobs import Job
from experiments.runtime.progress import Progress
from experiments.runtime.provenance import provenance
from experiments.runtime.runs import Run
from twolayer import devices, segments

LONGEST_SEGMENT = 100  # epochs
CHECKPOINT_SECONDS = 10.0  # from one to the next, at least
CHECKPOINT_SHARE = 0.1  # of the time, at most


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
        """Around the writing of one."""
        began = time.monotonic()
        yield
        self.last = time.monotonic()
        self.cost = self.last - began


Sink = Callable[[list[dict]], None]  # takes the metrics of new epochs: where they go besides metrics.jsonl


@dataclasses.dataclass
class Pace:
    """How many epochs the next segment should have, so that progress is shown and signals are heard in between."""

    seconds: float = 0.25  # that a segment should last
    epoch_seconds: float | None = None  # what an epoch took last time

    def epochs(self) -> int:
        """Of the next segment, the same in all processes."""
        known = self.epoch_seconds is not None
        own = np.int32(np.clip(self.seconds / max(self.epoch_seconds, 1e-9), 1, LONGEST_SEGMENT) if known else 1)
        return int(processes.firsts(own))

    def slow(self) -> bool:
        """Whether an epoch may outlast the patience after a signal."""
        long = self.epoch_seconds is None or self.epoch_seconds > cli.PATIENCE / 3
        return processes.any_of(long)


@dataclasses.dataclass
class Loop:
    """Segments of epochs until the end, a divergence or a signal. A run and a part of a sweep differ in its fields.

    Attributes:
      program: (state, first, until) -> (state, metrics): the compiled segment, from one epoch to another.
      log: (state, metrics, first, until, seconds) -> the epoch that was reached; keeps and shows the metrics.
      held: (state, epoch) -> what a checkpoint holds.
      saving: when it is time for a checkpoint.
      prefix: of the checkpoints' names.
      kept: how many checkpoints.
    """

    run: Run
    interrupts: Interrupts
    program: Callable[[segments.State, int, int], tuple[segments.State, segments.Metrics]]
    log: Callable[[segments.State, segments.Metrics, int, int, float], int]
    held: Callable[[segments.State, int], PyTree]
    saving: Saving
    prefix: str = ""
    kept: int = checkpoints.KEPT

    def carry_on(self, state: segments.State, epoch: int, epochs: int) -> tuple[segments.State, bool]:
        """Train from `epoch` on; returns the state, and whether it is the last: if not, a signal came and it is saved.

        A signal in the midst of a segment that is too long to wait for ends the process.
        """
        pace = Pace()
        while epoch < epochs and (processes.fetch(state.status) == segments.RUNNING).any():
            if processes.any_of(self.interrupts.received is not None):
                self._save(state, epoch)
                return state, False
            first, until = epoch, min(epoch + pace.epochs(), self.saving.next_epoch(epoch) or epochs, epochs)
            copy = self.held(host_copy(state), epoch) if pace.slow() else None
            began = time.perf_counter()
            segment = functools.partial(self.program, state, first, until)
            done = self.interrupts.during(lambda segment=segment: jax.block_until_ready(segment()))
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


def train(
    job: Job,
    run: Run,
    interrupts: Interrupts,
    *,
    checkpoint_every: int | None,
    kept: int,
    show: Callable[[int, int, str], Progress],
    sinks: list[Sink],
) -> segments.State:
    """Train to the end of the run, a divergence or a signal, continuing from the run's checkpoint if it has one.

    The metrics are on disk after every segment, the state as `Saving` says and at a signal.

    Args:
      checkpoint_every: epochs; None saves by time.
      show: (epochs in all, done before, what is counted) -> the progress to show.

    Raises:
      BadInput: the checkpoint is of another version, or checkpoints or metrics are lost.
    """
    state = restored(run, job.state)
    epoch, epochs = int(state.epoch), job.choices.epochs
    before = processes.first_does(lambda: _kept_metrics(run, epoch)) or []
    for sink in sinks:
        sink(before)
    run.begin({**provenance(), **job.facts, "compile_seconds": None}, epoch=epoch)
    began = time.perf_counter()
    segment = interrupts.during(lambda: program_of(job, state))
    if segment is None:
        leave(run, interrupts)
    run.set_status("running", compile_seconds=time.perf_counter() - began)

    with show(epochs, epoch, "epoch") as progress:

        def log(state: segments.State, metrics: segments.Metrics, first: int, until: int, seconds: float) -> int:
            rows = _rows(job, metrics, first, int(state.epoch), seconds)
            run.log(rows)
            for sink in sinks:
                sink(rows)
            _show(progress, rows)
            return int(state.epoch)

        loop = Loop(
            run,
            interrupts,
            lambda state, _, until: segment(state, jnp.int32(until), job.order_key, job.numbers, job.train, job.valid),
            log,
            held=lambda state, _: state,
            saving=Saving(checkpoint_every),
            kept=kept,
        )
        state, ended = loop.carry_on(state, epoch, epochs)
    if not ended:
        run.set_status("interrupted")
    return state


def _kept_metrics(run: Run, epoch: int) -> list[dict]:
    """The metrics of the epochs that the checkpoint has; a signal has saved one, so without any it is lost."""
    if not epoch and run.status == "interrupted" and run.metrics():
        raise cli.BadInput(f"{run.checkpoints} has lost its checkpoints; put them back, or choose another --run_dir")
    return run.keep_metrics(epoch)


def program_of(job: Job, state: segments.State) -> jax.stages.Compiled:
    """The compiled segment of one network.

    Raises:
      BadInput: as `compiled`.
    """
    arguments = (jnp.int32(0), job.order_key, job.numbers, job.train, job.valid)
    return compiled(segments.make_segment(job.choices, LONGEST_SEGMENT), job.mesh, state, *arguments)


def compiled(segment: Callable, mesh: Mesh, state: segments.State, *others: PyTree) -> jax.stages.Compiled:
    """A segment of one network or of a stack, compiled for these arguments; the state stays on its devices.

    Raises:
      BadInput: a device has less memory than the program takes.
    """
    places = jax.tree.map(lambda leaf: leaf.sharding, state), devices.everywhere(mesh)
    # The state is donated: each segment overwrites the one before in place.
    program = jax.jit(segment, donate_argnums=0, out_shardings=places)
    with jax.set_mesh(mesh):
        found = program.lower(state, *others).compile()
    jobs.check_fits(jobs.bytes_of_program(found), "training and validation", mesh)
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


def host_copy(state: PyTree) -> PyTree:
    """The state as it is now: the arrays themselves are given away with the next segment."""
    return jax.tree.map(np.array, processes.fetch(state))


def leave(run: Run, interrupts: Interrupts, name: str = "", state: PyTree = None, kept: int = 1) -> None:
    """End this process in the midst of a program; `state`, from before it, is saved if there is one."""
    if state is not None:
        save(run, name, state, kept)
    run.set_status("interrupted")
    if processes.first():
        interrupts.tell(run.path, "saved" if state is not None else "what was saved before is")
    sys.stdout.flush()
    os._exit(cli.INTERRUPTED)  # a normal end would wait for the program


def _rows(job: Job, metrics: segments.Metrics, last: int, epoch: int, seconds: float) -> list[dict]:
    """One dict per epoch trained; an epoch that diverged has none. Time is shared evenly within a segment."""
    steps = -(-len(job.train.x) // job.choices.batch_size)
    columns = {name: np.asarray(column).tolist() for name, column in metrics.columns().items()}
    return [
        {
            "epoch": last + i + 1,
            "step": (last + i + 1) * steps,
            **{name: column[i] for name, column in columns.items()},
            "seconds": seconds / (epoch - last),
        }
        for i in range(epoch - last)
    ]


def _show(progress: Progress, rows: list[dict]) -> None:
    if not rows:
        return
    row = rows[-1]
    shown = {"loss": f"{row['train_loss']:.4f}", "valid": f"{row['valid_loss']:.4f}"}
    if np.isfinite(row["valid_accuracy"]):
        shown["accuracy"] = f"{row['valid_accuracy']:.4f}"
    shown["dead"] = f"{row['dead_hidden']} hidden + {row['dead_outputs']} outputs"
    progress.update(len(rows), shown)


def check_tensorboard(tensorboard: bool) -> None:
    """Raise BadInput if the library is wanted that writes TensorBoard event files, and is not installed."""
    if tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise BadInput("--tensorboard needs tensorboardX; pip install -e '.[tensorboard]'")


@contextlib.contextmanager
def tensorboard(path: pathlib.Path, wanted: bool) -> Iterator[list[Sink]]:
    """A sink that writes TensorBoard event files into `path`, if one is wanted."""
    if not wanted:
        yield []
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(path / "tensorboard")) as writer:

        def write(rows: list[dict]) -> None:
            for row in rows:
                for name, value in row.items():
                    if name != "epoch" and value is not None and math.isfinite(value):
                        writer.add_scalar(name, value, row["epoch"])

        yield [write]


@contextlib.contextmanager
def profile(path: pathlib.Path, wanted: bool) -> Iterator[None]:
    """Trace what runs inside, if wanted, into path/profile: for TensorBoard, and a .json.gz for Perfetto."""
    if not wanted:
        yield
        return
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # its events of every Python call take ten times longer than the training
    with jax.profiler.trace(str(path / "profile"), create_perfetto_trace=True, profiler_options=options):
        yield


def use_compile_cache(folder: str | None) -> None:
    """Keep compiled programs in `folder` and take them from there, if one is named. A new one is made with mode 0700.

    Raises:
      BadInput: it is open to others, or cannot be made.
    """
    if folder is None:
        return
    path = pathlib.Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
    except OSError as error:
        raise BadInput(f"--compile_cache={folder} cannot be made: {error.strerror}") from error
    mode = found.st_mode & 0o777
    if mode & 0o077 or found.st_uid != os.getuid():
        whose = f"is open to others (mode {mode:04o})" if mode & 0o077 else "belongs to another user"
        raise BadInput(
            f"--compile_cache={folder} {whose}, and what lies there is run; "
            "chmod 700 one of your own, or name a folder that does not exist yet"
        )
    import jax

    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
