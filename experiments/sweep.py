"""Train many networks in one program: over seeds, rates, scales, and most flags of a training run.

  python -m experiments.sweep --sweep=seed=0:32                                     32 seeds on the embedded digits
  python -m experiments.sweep --sweep=seed=0:16 '--sweep=learning_rate=logspace(-3,-1,5)' --hidden=32
  python -m experiments.sweep '--sweep=learning_rate=loguniform(1e-4,1e-1)' --samples=64     random, log-uniform
  python -m experiments.sweep --sweep=loss=cross_entropy,quadratic --sweep=output=relu,identity --sweep=seed=0:8

VALUES are a list a,b,c; a range a:b or a:b:step; linspace(a,b,n); logspace(a,b,n), from 10^a to 10^b; and, --samples
times, uniform(a,b) or loguniform(a,b), from a to b. Any flag of a training run can vary but --precision and places,
that of the data too (dataset, train_examples, label_noise, ...). seed, learning_rate, weight_decay, momentum,
init_scale, output_bias and teacher_noise vary within one compiled program, and init, label noise and order_seed need
none of their own; another choice has one.
All networks see the same batches in the order of --order_seed, 0 unless given, and their first layers are one matrix
product. Intervals then leave the data order out, and say so; --noshare gives each network the order of its seed. A row
is what `experiments.train` gives with the same flags, --order_seed among them, up to rounding.

The directory has epochs.parquet (a row for each network and epoch), networks.parquet and .csv, the summary over what
was repeated (seeds) as .json, .csv, .parquet and .tex (mean, sd, quantiles, Student's t interval; shares of networks
with Wilson's), figures as .png and .pdf, and manifest.json. --keep=best:5 keeps the parameters of networks, --measure
what else to look at. The same command again continues an interrupted sweep. A network that diverges is reported.
Exit status: 0 done, 1 bad input, 75 interrupted and saved.
"""

import itertools
import pathlib
import time

from absl import flags

from experiments.runtime import axes, processes, runs
from experiments.runtime import flags as training_flags
from twolayer.command import cli
from twolayer.command.files import read_json, write_json

STARTED = time.perf_counter()
FLAGS = flags.FLAGS
for _name in training_flags.names():
    if _name not in training_flags.OF_ONE_RUN:
        flags.declare_key_flag(_name)
flags.DEFINE_multi_string("sweep", None, "NAME=VALUES; may be given several times.")
flags.DEFINE_integer("samples", None, "Points to draw where an axis is random.", lower_bound=1)
flags.DEFINE_bool("share", True, "All networks see the same batches, which intervals then leave out.")
flags.DEFINE_string(
    "keep", None, "Networks whose parameters to keep: all, best:N by validation loss, or first:N [none]."
)
flags.DEFINE_integer("together", None, "Networks to train at once [what suits the device].", lower_bound=1)

PLACES = (*training_flags.PLACES, "together")


def main() -> int:
    """Flags to an exit status, as one process or as one of several."""
    return processes.supervised(_sweep, training_flags.values())


def _sweep() -> int:
    """Flags to a directory of tables; returns the exit status."""
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
    values = training_flags.values() | {name: FLAGS[name].value for name in ("sweep", "samples", "share", "keep")}
    if FLAGS.share and values["order_seed"] is None:
        values["order_seed"] = 0
    path = pathlib.Path(FLAGS.run_dir) if FLAGS.run_dir else training_flags.default_path(values, PLACES, kind="sweep")
    run = processes.one_run(values, lambda: runs.find_run(path, values, PLACES, training_flags.as_file()))
    if run.status == "done":
        _tell_again(run, swept)
        return cli.DONE

    from experiments.runtime import dry_run, own_things, stack_jobs, stack_session, sweep_tables

    keep = sweep_tables.parse_keep(FLAGS.keep)
    plan = stack_jobs.plan(values, texts, FLAGS.together, run.manifest, FLAGS.share)
    run.check_data(plan.facts["data_sha256"])
    programs = stack_session.Programs(keep)
    own_things.check_same(run.manifest, plan.facts["own"], run.path)
    if processes.first():
        own_things.tell((data.whole for data in plan.data.values()), plan.facts["own"])
    if FLAGS.dry_run:
        dry_run.tell(lambda: _outlook(plan, programs))
        return cli.DONE
    with run.writing():
        if not stack_session.carry_out(run, plan, programs):
            return cli.INTERRUPTED
        if processes.first():
            _finish(run, swept, len(plan.parts), programs)
    return cli.DONE


def _outlook(plan, programs) -> str:
    """What the sweep would take: a paragraph for each program, of which the memory is that of one part."""
    from experiments.runtime import dry_run, stack_jobs

    paragraphs = []
    for _, same in itertools.groupby(plan.parts, key=lambda part: part.group):
        parts = list(same)
        first, networks = parts[0], sum(part.real for part in parts)
        values = {name: dict.fromkeys(part.flags[name] for part in parts) for name in first.points[0]}
        numbers = axes.NUMBERS if plan.shared else (*axes.NUMBERS, "order_seed")
        choices = [f"{name}={','.join(map(str, some))}" for name, some in values.items() if name not in numbers]
        job = stack_jobs.prepare(first, plan)
        size = f"{networks} networks in {len(parts)} part{'s' * (len(parts) != 1)} of {len(first.networks)}; a part:"
        outlook = dry_run.outlook(job, lambda first=first, job=job: programs.of(first, job)[0], len(parts))
        paragraphs.append("\n".join([" ".join((*choices, size)), outlook]))
    return "\n\n".join(paragraphs)


def _finish(run, swept: list[axes.Axis], parts: int, programs) -> None:
    from experiments.runtime import sweep_tables
    from twolayer import statistics

    names = [axis.name for axis in swept]
    epochs, networks = sweep_tables.join(run, parts)
    summary = sweep_tables.summarise(networks, names, FLAGS.output)
    seconds = time.perf_counter() - STARTED
    engines = sorted(set(networks["engine"].to_pylist()))
    varies = statistics.varying(names, shared=FLAGS.share, order_seed=FLAGS.order_seed)
    facts = {"engine": "; ".join(engines), "compilations": programs.compilations, "seconds": seconds}
    facts |= {"networks": len(networks), "varies": varies}
    sweep_tables.write_summary(run, summary, names, networks)
    if programs.keep:
        flags_of_run = {name: run.manifest["flags"][name] for name in training_flags.names()}
        facts["kept"] = sweep_tables.collect(run, parts, networks, flags_of_run, programs.keep)
    write_json(run.path / "summary.json", {"groups": summary, **facts})
    if FLAGS.figures:
        _draw(run.figures, epochs, summary, swept, varies)
    run.set_status("done")
    run.tidy()
    print(_text(run, summary, names, facts))


def _draw(folder: pathlib.Path, epochs, summary: list[dict], swept: list[axes.Axis], varies: dict[str, bool]) -> None:
    from experiments.runtime import sweep_figures
    from twolayer import statistics

    names, note = [axis.name for axis in swept], statistics.said(varies)
    if len(epochs):  # an epoch has been finished
        sweep_figures.curves(folder / "curves.png", epochs, names, statistics.differ(varies))
    chosen = [name for name in names if name not in statistics.SOURCES]
    numeric = [name for name in chosen if all(isinstance(entry[name], int | float) for entry in summary)]
    for x in numeric:
        sweep_figures.against(folder / f"{x}.png", summary, x, [name for name in chosen if name != x], note)
    grid = [axis.name for axis in swept if axis.name in numeric and not axis.draw]
    if len(grid) >= 2:
        x, y = grid[:2]
        sweep_figures.heat_map(folder / "heat_map.png", summary, x, y, [n for n in chosen if n not in (x, y)])


def _text(run, summary: list[dict], names: list[str], facts: dict) -> str:
    from experiments.runtime import sweep_tables

    lost = sum(entry["lost_for_good"]["count"] for entry in summary if entry["lost_for_good"])
    lines = [sweep_tables.text(summary, names, facts["varies"])]
    if lost:
        lines.append(
            f"warning: {lost} of {facts['networks']} networks have an output that is zero on every training example, "
            "and can never predict its class; --init=alive without --output_bias, or a smaller --learning_rate"
        )
    if "kept" in facts:
        lines.append(f"kept, best first: {', '.join(f'kept/{number:05d}' for number in facts['kept'][:10])}")
    compiled = f"{facts['compilations']} compilation{'s' * (facts['compilations'] != 1)}"
    return "\n".join([*lines, f"{facts['networks']} networks, {compiled}, {facts['seconds']:.1f} s; {run.path}"])


def _tell_again(run, swept: list[axes.Axis]) -> None:
    summary = read_json(run.path / "summary.json", "groups", "varies", "compilations", "seconds", "networks")
    print(_text(run, summary["groups"], [axis.name for axis in swept], summary))
    print(f"{run.path} is done already; choose another --run_dir to train again")


if __name__ == "__main__":
    cli.run(main)
