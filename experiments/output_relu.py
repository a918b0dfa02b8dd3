"""With a ReLU on the output, how often is a class lost for good?

  python -m experiments.output_relu                         digits, 1,000 seeds a cell
  python -m experiments.output_relu --dataset=mnist --inits=he,alive --widths=128 --rates=1 --epochs=3

The author's network has a ReLU on its output too (eq. 1a). Hidden activations are not negative, so a row of W2 tends to
give one sign on all images; an output that is zero on all of them has no gradient, and its class is lost. For each
initialisation, loss, width and learning rate this trains many seeds, each with an order of the data of its own, and
counts the networks that have lost a class for good: with an output that is zero on every training image. Those that
give a class to no test image are counted beside them; most of these only have not learnt it yet. 95 % intervals of the
shares are Wilson's. --share trains all on the same batches, which the intervals then leave out.

Beside it stands what to expect before the first step. For Gaussian W1 without biases and many hidden units the outputs
Z2(x_1), ..., Z2(x_n) of a class are Gaussian, with the correlations of the arc-cosine kernel (Cho & Saul 2009, eq. 6):

    rho_ij = (sin t + (pi - t) cos t) / pi,   t the angle between x_i and x_j

If all were equal to their mean rho, Z2_i = sqrt(rho) u + sqrt(1 - rho) v_i with independent standard normal u, v_i, and

    P(dead) = integral phi(u) Phi(-sqrt(rho / (1 - rho)) u)^n du,    P(some output dead) = 1 - (1 - P(dead))^C

The images of one class are more alike than that, so n is effectively smaller and P(dead) larger: a lower estimate.

The same command again continues; everything is in --run_dir, the numbers in its cells.json.
Exit status: 0 done, 1 bad input, 75 interrupted and saved.
"""

import contextlib
import pathlib

from absl import flags

from experiments.runtime import flags as training_flags
from twolayer.command import cli
from twolayer.command.files import writable, write_json

FLAGS = flags.FLAGS
IGNORED = ("init", "loss", "hidden", "learning_rate", "seed", "output", "order_seed")  # what the cells vary, or fix
SHARED_ORDER = 0  # the order_seed of --share
ABSENT = (*training_flags.OF_ONE_RUN, "dry_run")
for _name in training_flags.names():
    if _name not in (*ABSENT, *IGNORED):
        flags.declare_key_flag(_name)
INITS = ["he", "alive", "lecun", "glorot", "ntk", "mean_field"]
flags.DEFINE_list("inits", INITS, "Initialisations.")
flags.DEFINE_list("losses", ["cross_entropy", "quadratic"], "Losses.")
flags.DEFINE_list("widths", ["32", "128"], "Hidden units.")
flags.DEFINE_list("rates", ["0.3", "1", "3"], "Learning rates, in units of the optimiser's own.")
flags.DEFINE_integer("seeds", 1000, "Networks in each cell.", lower_bound=2)
flags.DEFINE_bool("share", False, "All networks of a cell see the same batches.")
flags.DEFINE_string("json", None, "Write the cells here too.")
FLAGS.set_default("epochs", 10)


def main() -> int:
    """Flags to an exit status, as one process or as one of several."""
    from experiments.runtime import processes

    return processes.supervised(_study, training_flags.values())


def _study() -> int:
    """Flags to a table of cells; returns the exit status."""
    alone = training_flags.given(ABSENT)
    if alone:
        raise cli.BadInput(f"--{alone} belongs to experiments.train; this script has none")
    changed = training_flags.given(IGNORED)
    if changed:
        raise cli.BadInput(f"--{changed} is what this script varies or fixes; see --inits, --losses, --widths, --rates")
    if FLAGS.dataset == "teacher":
        raise cli.BadInput("--dataset=teacher has no classes to lose; take one of images")
    for name in ("inits", "losses", "widths"):
        if not FLAGS[name].value:
            raise cli.BadInput(f"--{name} is empty; give at least one, or leave it out for the default")
    path = pathlib.Path(FLAGS.run_dir or f"runs/output_relu-{FLAGS.dataset}")
    json = writable(FLAGS.json) if FLAGS.json else None

    from experiments.runtime import axes, own_things, processes, runs, stack_jobs, stack_session

    own = own_things.optimizer(FLAGS.optimizer).learning_rate
    rates = [repr(own * number) for number in _rates()]
    swept = {"init": FLAGS.inits, "loss": FLAGS.losses, "hidden": FLAGS.widths, "learning_rate": rates}
    named = [axes.Axis(name, tuple(values)) for name, values in swept.items()]
    texts = axes.points([*named, axes.Axis("seed", tuple(map(str, range(FLAGS.seeds))))], None)
    values = training_flags.values() | {"cells": swept, "seeds": FLAGS.seeds, "share": FLAGS.share}
    values |= {"order_seed": SHARED_ORDER if FLAGS.share else None}
    own = (path, values, (*training_flags.PLACES, *IGNORED[:-1]), training_flags.as_file())
    run = processes.one_run(values, lambda: runs.find_run(*own))
    plan = stack_jobs.plan(values, texts, manifest=run.manifest, shared=FLAGS.share, check=_check_classes)
    run.check_data(plan.facts["data_sha256"])
    programs = stack_session.Programs()
    with run.writing():
        if run.status != "done" and not stack_session.carry_out(run, plan, programs):
            return cli.INTERRUPTED
        if processes.first():
            _finish(run, plan.of(plan.parts[0]).whole, len(plan.parts), json)
    return cli.DONE


def _check_classes(data) -> None:
    if data.regression:
        raise cli.BadInput(
            f"--dataset={FLAGS.dataset} has real targets, and no classes to lose; take a target of classes, or add"
            " --task=classes where they are whole numbers"
        )


def _finish(run, data, parts: int, json: pathlib.Path | None) -> None:
    from experiments.runtime import lost_classes, sweep_tables
    from experiments.runtime.session import duration
    from twolayer import statistics

    _, networks = sweep_tables.join(run, parts)
    seconds = float(sum(networks["seconds"].to_pylist()))
    cells = lost_classes.cells(networks)
    flags_used = {name: value for name, value in run.manifest["flags"].items() if name not in training_flags.PLACES}
    start = lost_classes.at_the_start(cells, data, FLAGS.seeds, flags_used)
    expected = lost_classes.expected_dead(data.train.x, data.outputs)
    result = {"cells": cells, "start": start, "expected_at_the_start": expected, "training_seconds": seconds}
    result["varies"] = statistics.varying(["seed"], shared=FLAGS.share, order_seed=None)
    note = statistics.said(result["varies"])
    measured = ("argv", "git", "versions", "platform", "environment")  # where it was trained, not where it is told
    result |= {"flags": flags_used, **{name: run.manifest[name] for name in measured}}
    for target in (run.path / "cells.json", *([json] if json else [])):
        write_json(target, result)
    if FLAGS.figures:
        named = f"{FLAGS.dataset}, {FLAGS.seeds:,} networks a cell, {FLAGS.epochs} epochs; {note}"
        lost_classes.draw(run.figures / "lost_classes.png", cells, named)
    run.set_status("done")
    run.tidy()
    print(lost_classes.text(cells, start, expected, note))
    print(f"{len(networks)} networks in {duration(seconds)} of training; {run.path}")


def _rates() -> list[float]:
    with contextlib.suppress(ValueError):
        rates = [float(text) for text in FLAGS.rates]
        if rates and all(0 < rate < 1e6 for rate in rates):
            return rates
    raise cli.BadInput(f"--rates={','.join(FLAGS.rates)}: give positive numbers")


if __name__ == "__main__":
    cli.run(main)
