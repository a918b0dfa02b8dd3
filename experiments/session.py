"""A training session: the compiled segment in a loop, with all that a run writes and a person sees meanwhile."""

import math
import time
from collections.abc import Callable

import jax
import numpy as np
from tqdm import tqdm

from experiments import checkpoints
from experiments.cli import Interrupts
from experiments.jobs import Job
from experiments.provenance import provenance
from experiments.runs import Run
from experiments.sinks import Sink
from twolayer import segments
from twolayer.network import Params
from twolayer.training import Examples

# Floating-point operations in a segment. Between segments progress is shown and signals are heard, so one should last
# about a tenth of a second on a CPU; small data sets put many epochs into it.
SEGMENT_FLOPS = 2e10
LONGEST_SEGMENT = 25  # epochs


def train(
    job: Job, run: Run, interrupts: Interrupts, *, checkpoint_every: int, quiet: bool, sinks: list[Sink]
) -> segments.State:
    """Train to the end of the run, a divergence or a signal, continuing from the run's checkpoint if it has one.

    The metrics are on disk after every segment, the state after every `checkpoint_every` epochs and at a signal.

    Raises:
      BadInput: the checkpoint is of another version.
    """
    state = checkpoints.restore(run.checkpoints, job.state) or job.state
    epoch, epochs = int(state.epoch), job.choices.epochs
    kept = run.keep_metrics(epoch)
    for sink in sinks:
        sink(kept)
    length = segment_length(job.train, job.state.params)
    segment, compile_seconds = _compile(job, state, length)
    run.set_status("running", **provenance(), **job.facts, segment_epochs=length, compile_seconds=compile_seconds)

    with tqdm(total=epochs, initial=epoch, unit="epoch", disable=quiet) as progress:
        while epoch < epochs and int(state.status) == segments.RUNNING:
            if interrupts.received:
                checkpoints.save(run.checkpoints, f"{epoch:08d}", state)
                run.set_status("interrupted")
                break
            began, last = time.perf_counter(), epoch
            state, metrics = jax.block_until_ready(segment(state, job.order_key, job.numbers, job.train, job.valid))
            seconds = time.perf_counter() - began
            epoch = int(state.epoch)
            rows = _rows(job, metrics, last, epoch, seconds)
            run.log(rows)
            for sink in sinks:
                sink(rows)
            _show(progress, rows)
            if epoch // checkpoint_every > last // checkpoint_every and epoch < epochs:
                checkpoints.save(run.checkpoints, f"{epoch:08d}", state)
    return state


def _compile(job: Job, state: segments.State, length: int) -> tuple[Callable, float]:
    began = time.perf_counter()
    # The state is donated: each segment overwrites the one before in place.
    program = jax.jit(segments.make_segment(job.choices, length), donate_argnums=0)
    compiled = program.lower(state, job.order_key, job.numbers, job.train, job.valid).compile()
    return compiled, time.perf_counter() - began


def segment_length(train: Examples, params: Params) -> int:
    """Epochs between two looks at progress and signals, of one network or of a stack."""
    n, d = train.x.shape
    *networks, C, K = params.W2.shape
    return int(np.clip(SEGMENT_FLOPS / (math.prod(networks) * n * (4 * d * K + 6 * K * C)), 1, LONGEST_SEGMENT))


def _rows(job: Job, metrics: segments.Metrics, last: int, epoch: int, seconds: float) -> list[dict]:
    """One dict per epoch trained; an epoch that diverged has none. Time is shared evenly within a segment."""
    steps = -(-len(job.train.x) // job.choices.batch_size)
    columns = {name: np.asarray(column).tolist() for name, column in metrics._asdict().items()}
    return [
        {
            "epoch": last + i + 1,
            "step": (last + i + 1) * steps,
            **{name: column[i] for name, column in columns.items()},
            "seconds": seconds / (epoch - last),
        }
        for i in range(epoch - last)
    ]


def _show(progress: tqdm, rows: list[dict]) -> None:
    if not rows:
        return
    row = rows[-1]
    shown = {"loss": f"{row['train_loss']:.4f}", "valid": f"{row['valid_loss']:.4f}"}
    if np.isfinite(row["valid_accuracy"]):
        shown["accuracy"] = f"{row['valid_accuracy']:.4f}"
    shown["dead"] = f"{row['dead_hidden']}+{row['dead_outputs']}"
    progress.set_postfix(shown, refresh=False)
    progress.update(len(rows))
