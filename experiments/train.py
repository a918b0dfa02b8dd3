"""Train y = ReLU(W2 ReLU(W1 x + b1) + b2) with either loss, by hand-derived back-propagation or by jax.grad.

  python -m experiments.train                               the embedded digits, a few seconds
  python -m experiments.train --dataset=mnist --epochs=10   MNIST: 97.9 % in about 9 s on 2 CPU cores
  python -m experiments.train --dataset=teacher --loss=quadratic --output=identity   synthetic regression

The run goes to a directory of its own: manifest.json, metrics.jsonl, summary.json, params.npz and figures. The same
command again continues an interrupted run; a finished one says so.
Exit status: 0 done, 1 bad input, 3 diverged, 75 interrupted and saved.
"""

import pathlib
import sys
import time
from typing import Any

from absl import flags

from experiments.runtime import flags as training_flags
from experiments.runtime.interrupts import Interrupts
from twolayer.command import cli

STARTED = time.perf_counter()
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(training_flags)


def main() -> int:
    """Flags to an exit status, as one process or as one of several."""
    from experiments.runtime import processes

    values = training_flags.values()
    return processes.supervised(lambda: _train(values), values)


def _train(values: dict[str, Any]) -> int:
    """Flags to a run directory; returns the exit status."""
    # Imports stand where they are first needed: --help, bad flags and finished runs answer without loading JAX.
    from experiments.runtime import processes, runs

    path = pathlib.Path(FLAGS.run_dir) if FLAGS.run_dir else training_flags.default_path(values, training_flags.PLACES)
    own = (path, values, training_flags.PLACES, training_flags.as_file())

    def find() -> runs.Run:
        run = runs.find_run(*own)
        if run.status in ("done", "diverged"):
            runs.load_params(path)  # is it all there?
        return run

    run = processes.one_run(values, find)
    if run.status in ("done", "diverged"):
        print(f"{run.path} is {run.status} already; see its summary.json, or choose another --run_dir")
        return cli.DONE if run.status == "done" else cli.DIVERGED

    from experiments.runtime import jobs, outcome, own_things, session

    session.use_compile_cache(FLAGS.compile_cache)
    if FLAGS.figures and not FLAGS.dry_run and processes.first():
        outcome.import_figures()
    job = jobs.prepare(values)
    run.check_data(job.data.sha256)
    own_things.check_same(run.manifest, job.facts["own"], run.path)
    if processes.first():
        own_things.tell([job.data], job.facts["own"])
    if FLAGS.dry_run:
        from experiments.runtime import dry_run, loop

        dry_run.tell(lambda: dry_run.outlook(job, lambda: loop.program_of(job)))
        return cli.DONE
    with run.writing():
        return _carry_out(job, run, values)


def _carry_out(job, run, values: dict[str, Any]) -> int:
    """The run from where it stands to its end or to a signal; returns the exit status."""
    from experiments.runtime import outcome, processes, session

    first = processes.first()
    session.check_tensorboard(FLAGS.tensorboard)
    processes.first_does(run.create)
    with (
        Interrupts() as interrupts,
        session.tensorboard(run.path, FLAGS.tensorboard and first) as tensorboard,
        session.profile(run.path, FLAGS.profile and first),
    ):
        state = session.train(job, run, interrupts, values, tensorboard)
        if run.status == "interrupted":
            if first:
                interrupts.tell(run.path)
            return cli.INTERRUPTED
        summary = outcome.finish(job, run, state, draw=FLAGS.figures and interrupts.received is None)
    if summary["status"] == "diverged" and FLAGS.debug_nans:
        summary["first_non_finite"] = outcome.diagnose(job, state)
    summary["sessions"] = len(run.manifest["sessions"])  # the seconds of compiling, and in all, are the last one's
    summary["seconds"] = {
        "compile": run.manifest["compile_seconds"],
        "train": sum(row["seconds"] for row in run.metrics()),
        "total": time.perf_counter() - STARTED,
    }
    run.save_summary(summary)
    run.set_status(summary["status"])
    if not first:
        return cli.DONE if summary["status"] == "done" else cli.DIVERGED
    run.tidy()
    hidden = job.state.params.W2.shape[1]
    print("\n".join([_closing_line(summary, hidden, run.path), *(f"warning: {s}" for s in summary["warnings"])]))
    if FLAGS.profile:
        print(f"profile: {run.path / 'profile'}; its .json.gz opens at ui.perfetto.dev, all of it in TensorBoard")
    return _status(summary)


def _closing_line(summary: dict, hidden: int, path: pathlib.Path) -> str:
    accuracy = summary["test_accuracy"]
    result = f"test loss {summary['test_loss']:.4f}" + ("" if accuracy is None else f", test accuracy {accuracy:.4f}")
    seconds, kept, epochs = summary["seconds"], summary["params_epoch"], f"{summary['epochs']} epochs"
    epochs += f", of which the parameters after {kept} are kept" * (kept < summary["epochs"])
    dead = summary["train_dead_hidden"]
    epochs += f", {dead} of {hidden} hidden units dead" * (dead > 0)
    times = f"{seconds['train']:.1f} s training"
    last = f"{seconds['compile']:.1f} s compiling, {seconds['total']:.1f} s in all"
    times += f", {last}" if summary["sessions"] == 1 else f" in {summary['sessions']} sessions, of this one {last}"
    return f"{result} after {epochs}; {times}; {path}"


def _status(summary: dict) -> int:
    if summary["status"] != "diverged":
        return cli.DONE
    from experiments.runtime import outcome

    epoch, first = summary["epochs"], summary.get("first_non_finite")
    at = f" at step {first['step']}: {first['quantity']}" if first else ""
    kept, advice = summary["params_epoch"], outcome.divergence_advice(training_flags.values())
    print(
        f"diverged: epoch {epoch + 1} became non-finite{at}; the parameters after epoch {kept} are saved; {advice}",
        file=sys.stderr,
    )
    return cli.DIVERGED


if __name__ == "__main__":
    cli.run(main)
