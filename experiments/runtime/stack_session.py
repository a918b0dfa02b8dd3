"""Training a sweep part by part: what is done is on disk, and a signal costs no more than a segment."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from experiments.runtime import checkpoints, processes, sweep_tables
from experiments.runtime.interrupts import Interrupts
from experiments.runtime.loop import LONGEST_SEGMENT, Loop, Saving, compiled, leave, restored
from experiments.runtime.outcome import best_epoch
from experiments.runtime.runs import Run
from experiments.runtime.session import Progress
from experiments.runtime.stack_jobs import Part, Plan, StackJob, prepare
from twolayer import devices, segments, sweeps, training
from twolayer.command.cli import BadInput
from twolayer.command.provenance import provenance
from twolayer.evaluation import Evaluation
from twolayer.network import Params
from twolayer.training import Examples, Numbers

STATUSES = {segments.RUNNING: "done", segments.DIVERGED: "diverged", segments.STOPPED_EARLY: "stopped early"}


class Programs:
    """The compiled segment and the test of each group of parts; counts the compilations.

    Args:
      shared: whether all networks of a part see the same batches.
      keep: the rule by which parameters are kept, as `sweep_tables.parse_keep` gives it.
    """

    def __init__(self, shared: bool, keep: tuple[str, int] | None = None):
        self.shared, self.keep, self.compilations, self._known = shared, keep, 0, {}

    def of(self, part: Part, job: StackJob) -> tuple[jax.stages.Compiled, Callable]:
        """The segment and the test for a part; compiled for the first part of its group."""
        if part.group not in self._known:
            segment = sweeps.make_segment(job.choices, LONGEST_SEGMENT, shared=self.shared)
            arguments = (job.state, jnp.int32(0), jnp.int32(0), job.order_key, job.numbers, job.train, job.valid)
            score = jax.jit(_score(job), out_shardings=devices.everywhere(job.mesh))
            self._known = {part.group: (compiled(segment, job.mesh, *arguments), score)}
            self.compilations += 1
        return self._known[part.group]


def carry_out(
    run: Run, plan: Plan, programs: Programs, *, show: Callable[[int, int, str], Progress]
) -> Programs | None:
    """Train what a plan says and is not on disk yet; None if a signal came first, after saying how to go on.

    Args:
      programs: none of them compiled yet.
      show: (network-epochs in all, done before, what is counted) -> the progress to show.

    Raises:
      BadInput: the directory cannot be written, or another process works in it; a checkpoint is of another version.
    """
    processes.first_does(run.create)
    if run.manifest.get("part_sizes", sizes := plan.facts["part_sizes"]) != sizes:
        raise BadInput(f"--run_dir={run.path}: another process has begun this sweep meanwhile; repeat the command")
    run.begin({**provenance(), **plan.facts, "networks": plan.networks, "parts": len(plan.parts)})
    with Interrupts() as interrupts:
        _train(run, plan, interrupts, programs, show)
        if run.status == "interrupted":
            if processes.first():
                interrupts.tell(run.path)
            return None
    return programs


def _train(run: Run, plan: Plan, interrupts: Interrupts, programs: Programs, show: Callable) -> None:
    """All parts that are not on disk yet, each to its end or to a signal."""
    done = processes.firsts(np.array([sweep_tables.is_done(run, part.index) for part in plan.parts]))
    todo = [part for part, there in zip(plan.parts, done, strict=True) if not there]
    total, left = (sum(part.real * part.flags["epochs"] for part in some) for some in (plan.parts, todo))
    with show(total, total - left, "network-epoch") as progress:
        for part in todo:
            if processes.any_of(interrupts.received is not None) or not _train_part(
                run, part, plan, programs, interrupts, progress
            ):
                run.set_status("interrupted")
                break


def _train_part(
    run: Run, part: Part, plan: Plan, programs: Programs, interrupts: Interrupts, progress: Progress
) -> bool:
    """Whether the part was finished; if not, it is saved."""
    job = prepare(part, plan, programs.shared)
    both = interrupts.during(lambda: programs.of(part, job))
    if both is None:
        leave(run, interrupts)
    segment, score = both
    state, history, begun, spent = _resumed(run, part, job)
    progress.update(part.real * begun, {})

    def program(state: segments.State, first: int, until: int) -> tuple[segments.State, segments.Metrics]:
        return segment(state, jnp.int32(first), jnp.int32(until), job.order_key, job.numbers, job.train, job.valid)

    def log(state: segments.State, metrics: segments.Metrics, first: int, until: int, seconds: float) -> int:
        nonlocal spent
        spent += seconds
        for column, values in zip(jax.tree.leaves(history), jax.tree.leaves(processes.fetch(metrics)), strict=True):
            column[first:until] = values[: until - first]
        progress.update(part.real * (until - first), _shown(part, history.valid_loss[until - 1]))
        return until

    def held(state: segments.State, epoch: int) -> tuple:
        return np.int32(epoch), np.float64(spent), state, history

    loop = Loop(run, interrupts, program, log, held, Saving(), prefix=f"{part.index:05d}-")
    state, ended = loop.carry_on(state, begun, job.choices.epochs)
    if not ended:
        return False
    rows = _rows(part, job, state, history, score, spent, _engine(part, programs.shared))
    params = processes.fetch(segments.final_params(state)) if programs.keep else None
    if processes.first():
        if params is not None and programs.keep:
            sweep_tables.write_params(run, part.index, rows[1], params, programs.keep)
        sweep_tables.write_part(run, part.index, *rows)
        checkpoints.clear(run.checkpoints)
    return True


def _engine(part: Part, shared: bool) -> str:
    """How the networks of a part got their gradients."""
    return f"{'one product for all networks' if shared else 'mapped over networks'}, {part.flags['gradient']}"


def _shown(part: Part, losses: Any) -> dict[str, Any]:
    finite = losses[np.isfinite(losses)]
    return {"part": part.index, "valid": f"{np.median(finite):.4f}" if len(finite) else "diverged"}


def _resumed(run: Run, part: Part, job: StackJob) -> tuple[segments.State, segments.Metrics, int, float]:
    """State, metrics, epoch and training time of this part's checkpoint, if there is one; else the start."""
    segment = sweeps.make_segment(job.choices, job.choices.epochs, shared=job.order_key.ndim == 0)
    of_all = jax.eval_shape(
        segment, job.state, jnp.int32(0), jnp.int32(0), job.order_key, job.numbers, job.train, job.valid
    )[1]
    history = jax.tree.map(np.asarray, segments.filler_of(of_all))
    like = np.int32(0), np.float64(0), job.state, history
    epoch, seconds, state, found = restored(run, like, f"{part.index:05d}-")
    return state, jax.tree.map(np.array, found), int(epoch), float(seconds)


def _score(job: StackJob) -> Callable:
    """(params of N networks, their numbers, test and training examples) -> both evaluations of each."""

    def one(params: Params, numbers: Numbers, *data: Examples) -> tuple[Evaluation, ...]:
        return tuple(training.score(job.choices, params, examples, numbers) for examples in data)

    return jax.vmap(one, in_axes=(0, 0, None, None))


def _rows(
    part: Part,
    job: StackJob,
    state: segments.State,
    history: segments.Metrics,
    score: Callable,
    seconds: float,
    engine: str,
) -> tuple[pa.Table, pa.Table]:
    """(a row for each network and epoch, a row for each network). Time is shared evenly within a part."""
    with jax.set_mesh(job.mesh):
        test, train = processes.fetch(score(segments.final_params(state), job.numbers, job.test, job.train))
    epoch, status = processes.fetch((state.epoch, state.status))
    handed = epoch if state.best is None else processes.fetch(state.best[2])
    ended, at = epoch[: part.real].tolist(), handed[: part.real].tolist()
    of_epoch = np.concatenate([np.arange(n) for n in ended]).astype(int)
    of_network = np.repeat(np.arange(part.real), ended)
    numbers = np.array(part.networks)
    swept = {name: [point[name] for point in part.points] for name in part.points[0]}
    epochs = {"network": numbers[of_network]}
    epochs |= {name: [values[i] for i in of_network] for name, values in swept.items()}
    epochs |= {"epoch": of_epoch + 1}
    epochs |= {name: column[of_epoch, of_network] for name, column in history.columns().items()}
    networks = {"network": numbers[: part.real]}
    networks |= {name: values[: part.real] for name, values in swept.items()}
    networks |= {
        "engine": [engine] * part.real,
        "status": [STATUSES[int(number)] for number in status[: part.real]],
        "epochs": ended,
        "best_epoch": [best_epoch(np.asarray(history.valid_loss)[:n, i]) for i, n in enumerate(ended)],
        "params_epoch": at,
    }
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        networks[name] = [getattr(history, name)[n - 1, i] if n else np.nan for i, n in enumerate(at)]
    networks |= {f"train_{name}": getattr(train, name)[: part.real] for name in ("dead_hidden", "dead_outputs")}
    networks |= {f"test_{name}": column[: part.real] for name, column in test._asdict().items()}
    sizes = {"validated_on": len(job.valid.x), "tested_on": len(job.test.x)}
    networks |= {name: np.full(part.real, size) for name, size in sizes.items()}
    networks |= {"seconds": np.full(part.real, seconds / part.real)}
    return pa.table(epochs), pa.table(networks)
