"""A training session of one network: the loop, with all that a run writes and a person sees meanwhile.

At a terminal a person sees a bar; in a log, a line every so many seconds.
"""

import contextlib
import importlib.util
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from absl import flags as absl_flags
from tqdm import tqdm

from experiments.runtime import processes
from experiments.runtime.interrupts import Interrupts
from experiments.runtime.jobs import Job
from experiments.runtime.loop import Loop, Saving, leave, program_of, restored
from experiments.runtime.runs import Run
from twolayer import segments
from twolayer.command import cli
from twolayer.command.provenance import provenance

FLAGS = absl_flags.FLAGS
Sink = Callable[[list[dict]], None]  # takes the metrics of new epochs


def train(job: Job, run: Run, interrupts: Interrupts, flags: Mapping[str, Any], sink: Sink) -> segments.State:
    """Train to the end of the run, a divergence or a signal, continuing from the run's checkpoint if it has one.

    The metrics are on disk after every segment, the state as `Saving` says and at a signal.

    Args:
      flags: --checkpoint_every (None saves by time) and --checkpoints_kept.
      sink: where the metrics of all epochs go besides metrics.jsonl.

    Raises:
      BadInput: the checkpoint is of another version, or checkpoints or metrics are lost.
    """
    state = restored(run, job.state)
    epoch = int(state.epoch)
    sink(processes.first_does(lambda: _kept_metrics(run, epoch)) or [])
    run.begin({**provenance(), **job.facts, "compile_seconds": None}, epoch=epoch)
    began = time.perf_counter()
    program = interrupts.during(lambda: program_of(job))
    if program is None:
        leave(run, interrupts)
    run.set_status("running", compile_seconds=time.perf_counter() - began)

    with Progress(job.choices.epochs, epoch, "epoch") as progress:

        def log(state: segments.State, metrics: segments.Metrics, first: int, until: int, seconds: float) -> int:
            rows = _rows(job, metrics, first, int(state.epoch), seconds)
            run.log(rows)
            sink(rows)
            _show(progress, rows)
            return int(state.epoch)

        saving, kept = Saving(flags["checkpoint_every"]), flags["checkpoints_kept"]
        loop = Loop(run, interrupts, job, program, log, held=lambda state, _: state, saving=saving, kept=kept)
        state, ended = loop.carry_on(state, epoch)
    if not ended:
        run.set_status("interrupted")
    return state


def _kept_metrics(run: Run, epoch: int) -> list[dict]:
    """The metrics of the epochs that the checkpoint has; a signal has saved one, so without any it is lost."""
    if not epoch and run.status == "interrupted" and run.metrics():
        raise cli.BadInput(f"{run.checkpoints} has lost its checkpoints; put them back, or choose another --run_dir")
    return run.keep_metrics(epoch)


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


def _show(progress: "Progress", rows: list[dict]) -> None:
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
        raise cli.BadInput("--tensorboard needs tensorboardX; pip install -e '.[tensorboard]'")


@contextlib.contextmanager
def tensorboard(path: pathlib.Path, wanted: bool) -> Iterator[Sink]:
    """A sink that writes TensorBoard event files into `path`, if wanted; else it takes the metrics and does nothing."""
    if not wanted:
        yield lambda rows: None
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(path / "tensorboard")) as writer:

        def write(rows: list[dict]) -> None:
            for row in rows:
                for name, value in row.items():
                    if name != "epoch" and value is not None and math.isfinite(value):
                        writer.add_scalar(name, value, row["epoch"])

        yield write


@contextlib.contextmanager
def profile(path: pathlib.Path, wanted: bool) -> Iterator[None]:
    """Trace what runs inside, if wanted, into path/profile: for TensorBoard, and a .json.gz for Perfetto."""
    if not wanted:
        yield
        return
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
        raise cli.BadInput(f"--compile_cache={folder} cannot be made: {error.strerror}") from error
    mode = found.st_mode & 0o777
    if mode & 0o077 or found.st_uid != os.getuid():
        whose = f"is open to others (mode {mode:04o})" if mode & 0o077 else "belongs to another user"
        raise cli.BadInput(
            f"--compile_cache={folder} {whose}, and what lies there is run; "
            "chmod 700 one of your own, or name a folder that does not exist yet"
        )
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Progress:
    """Counts what is done and shows it, as --quiet and --log_seconds say, in the first process; for use in a `with`."""

    def __init__(self, total: int, done: int, unit: str) -> None:
        bar = processes.first() and not FLAGS.quiet and sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit=unit) if bar else None
        self._total, self._first, self._done, self._unit = total, done, done, unit
        self._every = FLAGS.log_seconds if processes.first() else math.inf
        self._began = self._said = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, more: int, shown: Mapping[str, Any]) -> None:
        """So many more are done; `shown` says how it goes."""
        self._done += more
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(more)
        elif time.monotonic() - self._said >= self._every and self._done > self._first:
            self._said = time.monotonic()
            print(self._line(shown), file=sys.stderr, flush=True)

    def _line(self, shown: Mapping[str, Any]) -> str:
        since = self._said - self._began
        left = since / (self._done - self._first) * (self._total - self._done)
        facts = "".join(f", {name} {value}" for name, value in shown.items())
        return f"{self._unit} {self._done:,} of {self._total:,}{facts}; {duration(since)} so far, {duration(left)} left"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
