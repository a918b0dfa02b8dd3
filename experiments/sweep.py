"""Train many networks in one program: over seeds, rates, scales, and most flags of a training run.

  python -m experiments.sweep --sweep=seed=0:32                                     32 seeds on the embedded digits
  python -m experiments.sweep --sweep=seed=0:16 '--sweep=learning_rate=logspace(-3,-1,5)' --hidden=32
  python -m experiments.sweep '--sweep=learning_rate=loguniform(1e-4,1e-1)' --samples=64     random, log-uniform
  python -m experiments.sweep --sweep=loss=cross_entropy,quadratic --sweep=output=relu,identity --sweep=seed=0:8

VALUES are a list a,b,c; a range a:b or a:b:step; linspace(a,b,n); logspace(a,b,n), from 10^a to 10^b; and, --samples
times, uniform(a,b) or loguniform(a,b), from a to b. seed, learning_rate, weight_decay, momentum, init_scale,
output_bias and teacher_noise vary within one compiled program; any other flag is a choice with a program of its own,
but for what makes the data (dataset, label_noise, ...), precision and order_seed, which are the same for all.
All networks see the same batches in the order of --order_seed, 0 unless given, and their first layers are one matrix
product; --noshare gives each the order of its seed. A row is what `experiments.train` gives with the same flags,
--order_seed among them, up to rounding.

The directory has epochs.parquet (a row for each network and epoch), networks.parquet, summary.json (mean, sd, quantiles
and bootstrap intervals over the seeds, which of a few seeds are too narrow), figures and manifest.json. The same
command again continues an interrupted sweep. A network that diverges is reported; the others go on.
Exit status: 0 done, 1 bad input, 75 interrupted and saved.
"""

import itertools
import pathlib
import time

from absl import flags

from experiments.runtime import axes, cli
from experiments.runtime import flags as training_flags
from experiments.runtime.files import write_json

STARTED = time.perf_counter()
FLAGS = flags.FLAGS
for _name in training_flags.names():
    if _name not in training_flags.OF_ONE_RUN:
        flags.declare_key_flag(_name)
flags.DEFINE_multi_string("sweep", None, "NAME=VALUES; may be given several times.")
flags.DEFINE_integer("samples", None, "Points to draw where an axis is random.", lower_bound=1)
flags.DEFINE_bool("share", True, "All networks see the same batches.")
flags.DEFINE_integer("together", None, "Networks to train at once [what suits the device].", lower_bound=1)

PLACES = (*training_flags.PLACES, "together")


def main() -> int:
    """Flags to an exit status, as one process or as one of several."""
    from experiments.runtime import supervision

    return supervision.supervised(_sweep, training_flags.values())


def _sweep() -> int:
    """Flags to a directory of tables; returns the exit status."""
    from experiments.runtime import runs, supervision

    alone = training_flags.given(training_flags.OF_ONE_RUN)
    if alone:
        raise cli.BadInput(f"--{alone} belongs to experiments.train; a sweep has none")
    if not FLAGS.sweep:
        raise cli.BadInput("nothing to sweep over; add --sweep=seed=0:32, for one")
    swept = [axes.parse(text) for text in FLAGS.sweep]
    own = set(training_flags.names()) - set(PLACES)
    fixed = training_flags.given([axis.name for axis in swept if axis.name in own])
    if fixed:
        raise cli.BadInput(f"--{fixed} is given beside --sweep={fixed}=...; leave one of them out")
    texts = axes.points(swept, FLAGS.samples, FLAGS.seed)
    values = training_flags.values() | {name: FLAGS[name].value for name in ("sweep", "samples", "share")}
    if FLAGS.share and values["order_seed"] is None:
        values["order_seed"] = 0
    path = pathlib.Path(FLAGS.run_dir) if FLAGS.run_dir else runs.default_path(values, PLACES)
    run = supervision.one_run(values, lambda: runs.find_run(path, values, PLACES, training_flags.as_file()))
    if run.status == "done":
        print(f"{run.path} is done already; see its summary.json, or choose another --run_dir")
        return cli.DONE

    from experiments.runtime import processes, progress, stack_jobs, stack_session

    plan = stack_jobs.plan(values, texts, FLAGS.together, run.manifest)
    run.check_data(plan.data.sha256)
    if FLAGS.dry_run:
        print(_outlook(plan))
        return cli.DONE
    with run.writing():
        programs = stack_session.carry_out(run, plan, shared=FLAGS.share, show=progress.of_flags())
        if programs is None:
            return cli.INTERRUPTED
        if processes.first():
            _finish(run, swept, len(plan.parts), programs.compilations)
    return cli.DONE


def _outlook(plan) -> str:
    """What the sweep would take: a paragraph for each program, of which the memory is that of one part."""
    from experiments.runtime import stack_jobs, stack_session
    from experiments.runtime.dry_run import describe

    paragraphs, programs = [], stack_session.Programs(FLAGS.share)
    for _, same in itertools.groupby(plan.parts, key=lambda part: part.group):
        parts = list(same)
        first, networks = parts[0], sum(part.real for part in parts)
        choices = [f"{name}={value}" for name, value in first.points[0].items() if name not in axes.NUMBERS]
        job = stack_jobs.prepare(first, plan, FLAGS.share)
        size = f"{networks} networks in {len(parts)} part{'s' * (len(parts) != 1)} of {len(first.networks)}; a part:"
        paragraphs.append(
            "\n".join([" ".join((*choices, size)), describe(job, programs.of(first, job)[0], FLAGS.share)])
        )
    return "\n\n".join(paragraphs)


def _finish(run, swept: list[axes.Axis], parts: int, compilations: int) -> None:
    from experiments.runtime import sweep_tables

    names = [axis.name for axis in swept]
    epochs, networks = sweep_tables.join(run, parts)
    summary = sweep_tables.summarise(networks, names)
    seconds = time.perf_counter() - STARTED
    engines = sorted(set(networks["engine"].to_pylist()))
    facts = {"engine": "; ".join(engines), "compilations": compilations, "seconds": seconds}
    write_json(run.path / "summary.json", {"groups": summary, **facts})
    if FLAGS.figures:
        from experiments.runtime import figures

        if len(epochs):  # an epoch has been finished
            figures.curves(run.figures / "curves.png", epochs, names)
        numeric = [axis.name for axis in swept if axis.name in axes.NUMBERS and axis.name != "seed" and not axis.draw]
        if len(numeric) == 2:
            figures.heat_map(run.figures / "heat_map.png", summary, *numeric)
    run.set_status("done")
    print(sweep_tables.text(summary, names))
    programs = f"{compilations} compilation{'s' * (compilations != 1)}"
    print(f"{len(networks)} networks, {programs}, {seconds:.1f} s; {run.path}")


if __name__ == "__main__":
    cli.run(main)
