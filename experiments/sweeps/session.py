"""Training a sweep part by part: what is done is on disk, and a signal costs no more than a segment."""

import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import PyTree
from tqdm import tqdm

from experiments import checkpoints
from experiments.cli import Interrupts
from experiments.provenance import provenance
from experiments.runs import Run
from experiments.session import segment_length
from experiments.sweeps import tables
from experiments.sweeps.jobs import Part, Plan, StackJob, prepare
from twolayer import datasets, segments, sweeps
from twolayer.evaluation import evaluate

CHECKPOINT_SECONDS = 30.0
STATUSES = {segments.RUNNING: "done", segments.DIVERGED: "diverged", segments.STOPPED_EARLY: "stopped early"}


class Programs:
    """The compiled segment and the test of each group of parts; counts the compilations."""

    def __init__(self, shared: bool):
        self.shared, self.compilations, self._known = shared, 0, {}

    def of(self, part: Part, job: StackJob, length: int) -> tuple[Callable, Callable]:
        """The segment and the test for a part; compiled for the first part of its group."""
        if part.group not in self._known:
            segment = jax.jit(sweeps.make_segment(job.choices, length, shared=self.shared), donate_argnums=0)
            arguments = (job.state, jnp.int32(0), job.order_key, job.numbers, job.train, job.valid)
            self._known = {part.group: (segment.lower(*arguments).compile(), jax.jit(_score(job)))}
            self.compilations += 1
        return self._known[part.group]


def carry_out(run: Run, plan: Plan, *, shared: bool, quiet: bool) -> Programs | None:
    """Train what a plan says and is not on disk yet; None if a signal came first, after saying how to go on.

    Raises:
      BadInput: the directory cannot be written, or another process works in it; a checkpoint is of another version.
    """
    run.create()
    run.set_status("running", **provenance(), **plan.facts, networks=plan.networks, parts=len(plan.parts))
    with Interrupts() as interrupts:
        programs = _train(run, plan.parts, plan.data, interrupts, shared, quiet)
        if run.status == "interrupted":
            interrupts.tell(run.path)
            return None
    return programs


def _train(
    run: Run, parts: Sequence[Part], data: datasets.Dataset, interrupts: Interrupts, shared: bool, quiet: bool
) -> Programs:
    """All parts that are not on disk yet, each to its end or to a signal."""
    programs = Programs(shared)
    todo = [part for part in parts if not tables.is_done(run, part.index)]
    total = sum(part.real * part.flags["epochs"] for part in parts)
    done = total - sum(part.real * part.flags["epochs"] for part in todo)
    with tqdm(total=total, initial=done, unit="network-epoch", disable=quiet) as progress:
        for part in todo:
            if not _train_part(run, part, data, programs, interrupts, progress):
                run.set_status("interrupted")
                break
    return programs


def _train_part(
    run: Run, part: Part, data: datasets.Dataset, programs: Programs, interrupts: Interrupts, progress: tqdm
) -> bool:
    """Whether the part was finished; if not, it is saved."""
    job = prepare(part, data, programs.shared)
    epochs, length = job.choices.epochs, segment_length(job.train, job.state.params)
    segment, score = programs.of(part, job, length)
    state, history, epoch, seconds = _resumed(run, part, job)
    progress.update(part.real * epoch)
    saved = time.monotonic()
    while epoch < epochs:
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(
            segment(state, jnp.int32(epoch), job.order_key, job.numbers, job.train, job.valid)
        )
        new = min(length, epochs - epoch)
        for column, values in zip(history, metrics, strict=True):
            column[epoch : epoch + new] = np.asarray(values)[:new]
        epoch += new
        seconds += time.perf_counter() - began
        progress.update(part.real * new)
        progress.set_postfix({"part": part.index, "valid": f"{np.nanmedian(history.valid_loss[epoch - 1]):.4f}"})
        if epoch < epochs and (interrupts.received or time.monotonic() - saved > CHECKPOINT_SECONDS):
            whole = np.int32(epoch), np.float64(seconds), state, history
            checkpoints.save(run.checkpoints, f"{part.index:05d}-{epoch:08d}", whole)
            saved = time.monotonic()
            if interrupts.received:
                return False
    tables.write_part(run, part.index, *_rows(part, job, state, history, score, seconds))
    checkpoints.clear(run.checkpoints)
    return not interrupts.received


def _resumed(run: Run, part: Part, job: StackJob) -> tuple[segments.State, segments.Metrics, int, float]:
    """State, metrics, epoch and training time of this part's checkpoint, if there is one; else the start."""
    shape = (job.choices.epochs, len(part.networks))
    kinds = dict.fromkeys(("dead_hidden", "dead_outputs", "lost_classes"), np.int32)
    dtype = np.dtype(job.numbers.learning_rate.dtype)
    history = segments.Metrics(*(np.zeros(shape, kinds.get(name, dtype)) for name in segments.Metrics._fields))
    like: PyTree = (np.int32(0), np.float64(0), job.state, history)
    found = checkpoints.restore(run.checkpoints, like, prefix=f"{part.index:05d}-")
    if found is None:
        return job.state, history, 0, 0.0
    epoch, seconds, state, kept = found
    return state, segments.Metrics(*(np.array(column) for column in kept)), int(epoch), float(seconds)


def _score(job: StackJob) -> Callable:
    """(params of N networks, test examples) -> the evaluation of each."""
    options = {"scale": job.choices.scale, "loss": job.choices.loss, "output": job.choices.output}
    return jax.vmap(lambda params, test: evaluate(params, test.x, test.y, **options), in_axes=(0, None))


def _rows(
    part: Part, job: StackJob, state: segments.State, history: segments.Metrics, score: Callable, seconds: float
) -> tuple[pa.Table, pa.Table]:
    """(a row for each network and epoch, a row for each network). Time is shared evenly within a part."""
    test = score(segments.final_params(state), job.test)
    kept = [np.asarray(state.epoch)[i] for i in range(part.real)]
    of_epoch = np.concatenate([np.arange(n) for n in kept]).astype(int)
    of_network = np.repeat(np.arange(part.real), kept)
    numbers = np.array(part.networks)
    swept = {name: [point[name] for point in part.points] for name in part.points[0]}
    epochs = {"network": numbers[of_network]}
    epochs |= {name: [values[i] for i in of_network] for name, values in swept.items()}
    epochs |= {"epoch": of_epoch + 1}
    epochs |= {name: column[of_epoch, of_network] for name, column in history._asdict().items()}
    networks = {"network": numbers[: part.real]}
    networks |= {name: values[: part.real] for name, values in swept.items()}
    networks |= {
        "status": [STATUSES[int(status)] for status in np.asarray(state.status)[: part.real]],
        "epochs": kept,
        "valid_loss": [history.valid_loss[n - 1, i] if n else np.nan for i, n in enumerate(kept)],
        "valid_accuracy": [history.valid_accuracy[n - 1, i] if n else np.nan for i, n in enumerate(kept)],
    }
    networks |= {f"test_{name}": np.asarray(column)[: part.real] for name, column in test._asdict().items()}
    networks |= {"seconds": np.full(part.real, seconds / part.real)}
    return pa.table(epochs), pa.table(networks)
