"""Training a sweep part by part: what is done is on disk, and a signal costs no more than a segment."""

from collections.abc import Callable

import jax
import numpy as np
import pyarrow as pa

from experiments.runtime import checkpoints, processes, sweep_tables
from experiments.runtime.interrupts import Interrupts
from experiments.runtime.jobs import Job
from experiments.runtime.loop import Loop, Saving, leave, program_of, restored
from experiments.runtime.outcome import best_epoch
from experiments.runtime.runs import Run
from experiments.runtime.session import Progress
from experiments.runtime.stack_jobs import Part, Plan, prepare
from twolayer import devices, segments, training
from twolayer.command.cli import BadInput
from twolayer.command.provenance import provenance
from twolayer.evaluation import Evaluation
from twolayer.fitting import STATUSES
from twolayer.network import Params


class Programs:
    """The compiled segment and the test of each group of parts; counts the compilations.

    Args:
      keep: the rule by which parameters are kept, as `sweep_tables.parse_keep` gives it.
    """

    def __init__(self, keep: tuple[str, int] | None = None):
        self.keep, self.compilations, self._known = keep, 0, {}

    def of(self, part: Part, job: Job) -> tuple[jax.stages.Compiled, Callable]:
        """The segment and the test for a part; compiled for the first part of its group."""
        if part.group not in self._known:
            score = jax.jit(_score(job), out_shardings=devices.everywhere(job.mesh))
            self._known = {part.group: (program_of(job), score)}
            self.compilations += 1
        return self._known[part.group]


def carry_out(run: Run, plan: Plan, programs: Programs) -> bool:
    """Train what a plan says and is not on disk yet; false if a signal came first, after saying how to go on.

    Args:
      programs: none of them compiled yet.

    Raises:
      BadInput: the directory cannot be written, or another process works in it; a checkpoint is of another version.
    """
    processes.first_does(run.create)
    if run.manifest.get("part_sizes", sizes := plan.facts["part_sizes"]) != sizes:
        raise BadInput(f"--run_dir={run.path}: another process has begun this sweep meanwhile; repeat the command")
    run.begin({**provenance(), **plan.facts, "networks": plan.networks, "parts": len(plan.parts)})
    done = processes.firsts(np.array([sweep_tables.is_done(run, part.index) for part in plan.parts]))
    todo = [part for part, there in zip(plan.parts, done, strict=True) if not there]
    total, left = (sum(part.real * part.flags["epochs"] for part in some) for some in (plan.parts, todo))
    with Interrupts() as interrupts:
        with Progress(total, total - left, "network-epoch") as progress:

            def goes_on(part: Part) -> bool:
                signalled = processes.any_of(interrupts.received is not None)
                return not signalled and _train_part(run, part, plan, programs, interrupts, progress)

            ended = all(map(goes_on, todo))
        if not ended:
            run.set_status("interrupted")
            if processes.first():
                interrupts.tell(run.path)
    return ended


def _train_part(
    run: Run, part: Part, plan: Plan, programs: Programs, interrupts: Interrupts, progress: Progress
) -> bool:
    """Whether the part was finished; if not, it is saved."""
    job = prepare(part, plan)
    both = interrupts.during(lambda: programs.of(part, job))
    if both is None:
        leave(run, interrupts)
    program, score = both
    state, history, begun, spent = _resumed(run, part, job)
    progress.update(part.real * begun, {})

    def log(state: segments.State, metrics: segments.Metrics, first: int, until: int, seconds: float) -> int:
        nonlocal spent
        spent += seconds
        for column, values in zip(jax.tree.leaves(history), jax.tree.leaves(processes.fetch(metrics)), strict=True):
            column[first:until] = values[: until - first]
        losses = history.valid_loss[until - 1]
        shown = f"{np.median(losses[np.isfinite(losses)]):.4f}" if np.isfinite(losses).any() else "diverged"
        progress.update(part.real * (until - first), {"part": part.index, "valid": shown})
        return until

    def held(state: segments.State, epoch: int) -> tuple:
        return np.int32(epoch), np.float64(spent), state, history

    loop = Loop(run, interrupts, job, program, log, held, Saving(), prefix=f"{part.index:05d}-")
    state, ended = loop.carry_on(state, begun)
    if not ended:
        return False
    rows = _rows(part, job, state, history, score, spent)
    params = processes.fetch(segments.final_params(state)) if programs.keep else None
    if processes.first():
        if params is not None and programs.keep:
            sweep_tables.write_params(run, part.index, rows[1], params, programs.keep)
        sweep_tables.write_part(run, part.index, *rows)
        checkpoints.clear(run.checkpoints)
    return True


def _resumed(run: Run, part: Part, job: Job) -> tuple[segments.State, segments.Metrics, int, float]:
    """State, metrics, epoch and training time of this part's checkpoint, if there is one; else the start."""
    of_all = jax.eval_shape(job.segment(job.choices.epochs), *job.arguments(job.state, 0, 0))[1]
    history = jax.tree.map(np.asarray, segments.filler_of(of_all))
    like = np.int32(0), np.float64(0), job.state, history
    epoch, seconds, state, found = restored(run, like, f"{part.index:05d}-")
    return state, jax.tree.map(np.array, found), int(epoch), float(seconds)


def _score(job: Job) -> Callable:
    """(params of N networks, their numbers, test and training examples) -> both evaluations of each."""

    def one(params: Params, numbers: training.Numbers, *data: training.Examples) -> tuple[Evaluation, ...]:
        return tuple(training.score(job.choices, params, examples, numbers) for examples in data)

    return jax.vmap(one, in_axes=(0, 0, None, None))


def _rows(
    part: Part, job: Job, state: segments.State, history: segments.Metrics, score: Callable, seconds: float
) -> tuple[pa.Table, pa.Table]:
    """(a row for each network and epoch, a row for each network). Time is shared evenly within a part."""
    with jax.set_mesh(job.mesh):
        test, train = processes.fetch(score(segments.final_params(state), job.numbers, job.test, job.train))
    epoch, status = processes.fetch((state.epoch, state.status))
    handed = epoch if state.best is None else processes.fetch(state.best[2])
    swept = {name: [point[name] for point in part.points] for name in part.points[0]}
    losses = np.asarray(history.valid_loss)
    size, product = len(part.networks), "one product for all networks" if job.shared else "mapped over networks"
    networks = {"network": np.array(part.networks), **swept, "engine": [f"{product}, {part.flags['gradient']}"] * size}
    networks |= {
        "status": [STATUSES[int(number)] for number in status],
        "epochs": epoch.tolist(),
        "best_epoch": [best_epoch(losses[:n, i]) for i, n in enumerate(epoch)],
        "params_epoch": handed.tolist(),
    }
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        networks[name] = [getattr(history, name)[n - 1, i] if n else np.nan for i, n in enumerate(handed)]
    networks |= {f"train_{name}": getattr(train, name) for name in ("dead_hidden", "dead_outputs")}
    networks |= {f"test_{name}": column for name, column in test._asdict().items()}
    of_all = {"validated_on": len(job.valid.x), "tested_on": len(job.data.test.x), "seconds": seconds / part.real}
    networks |= {name: np.full(size, value) for name, value in of_all.items()}

    ended = epoch[: part.real]
    of_epoch = np.concatenate([np.arange(n) for n in ended]).astype(int)
    of_network = np.repeat(np.arange(part.real), ended)
    epochs = {"network": networks["network"][of_network]}
    epochs |= {name: [values[i] for i in of_network] for name, values in swept.items()} | {"epoch": of_epoch + 1}
    epochs |= {name: column[of_epoch, of_network] for name, column in history.columns().items()}
    return pa.table(epochs), pa.table(networks).slice(0, part.real)  # without those that fill it up
