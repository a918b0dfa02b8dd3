"""What does an epoch cost, by width, by networks trained together, and by devices?

  python -m experiments.benchmarks.scaling --dataset=mnist --json=docs/results/scaling.json    10 minutes on 2 CPU cores

Every case is one epoch of SGD at batch 128 over the first --examples training images, by the function that the scripts
train with. All cases run in turns, --rounds times; the table has the medians, as time of a step and, for networks
together, of a step and network. Bytes and operations of a step are those on paper (docs/scaling.md).

Virtual devices of a CPU share its cores, so their rows show what splitting costs, not what more machines gain. There
are as many as JAX_NUM_CPU_DEVICES says.
Exit status: 0 done, 1 bad input.
"""

from absl import flags

from experiments.runtime import flags as training_flags
from twolayer.command import cli
from twolayer.command.files import writable, write_json

FLAGS = flags.FLAGS
for _name in ("dataset", "data_dir", "source_dir", "batch_size", "quiet"):
    flags.declare_key_flag(_name)
flags.DEFINE_integer("examples", None, "Training images of an epoch [6400, or all if there are fewer].", lower_bound=1)
flags.DEFINE_integer("rounds", 5, "Times each case runs; the median counts.", lower_bound=1)
flags.DEFINE_list("widths", ["32", "128", "512", "2048", "8192"], "Hidden units of one network.")
flags.DEFINE_list("networks", ["1", "2", "4", "8", "16", "32", "64", "128"], "Networks together.")
flags.DEFINE_list("stacked_widths", ["32", "128", "512"], "Hidden units of networks together.")
flags.DEFINE_list("meshes", ["hidden=2", "data=2"], "Meshes of one network of --split_width, split by /.")
flags.DEFINE_integer("split_width", 2048, "Hidden units of the network on several devices.", lower_bound=1)
flags.DEFINE_integer("most_units", 8192, "Hidden units of all networks together at most.", lower_bound=1)
flags.DEFINE_string("json", None, "Write the measurements here too.")


def main() -> int:
    """Flags to a table; returns the exit status."""
    json = writable(FLAGS.json) if FLAGS.json else None

    from tqdm import tqdm

    from experiments.benchmarks import timed_epochs
    from experiments.runtime import jobs
    from twolayer.command.provenance import provenance

    jobs.configure("float32")
    values = training_flags.values()
    data = jobs.load(values)
    jobs.check_targets(data, values["loss"])
    examples, most = FLAGS.examples or min(6400, len(data.train.x)), len(data.train.x)
    if not FLAGS.batch_size <= examples <= most:
        raise cli.BadInput(f"--examples={examples}: between --batch_size and the {most:,} of --dataset={data.name}")
    meshes = [text.replace("/", ",") for text in FLAGS.meshes]
    cases = timed_epochs.cases(
        widths=_integers("widths"),
        networks=_integers("networks"),
        stacked_widths=_integers("stacked_widths"),
        most_units=FLAGS.most_units,
        split_width=FLAGS.split_width,
        meshes=meshes,
    )
    for mesh in meshes:
        jobs.mesh_of({"mesh": mesh}, "hidden")  # refused before anything is measured
    bar = tqdm(cases, unit="program", disable=FLAGS.quiet)
    prepared = [timed_epochs.prepare(case, data, examples, FLAGS.batch_size) for case in bar]
    times: list[list[float]] = [[] for _ in cases]
    for _ in tqdm(range(FLAGS.rounds), unit="round", disable=FLAGS.quiet):
        for epoch, seconds in zip(prepared, times, strict=True):
            seconds.append(epoch())
    sizes = examples, FLAGS.batch_size
    rows = [timed_epochs.row(case, data, seconds, *sizes) for case, seconds in zip(cases, times, strict=True)]
    if json:
        chosen = {name: FLAGS[name].value for name in ("dataset", "examples", "batch_size", "rounds")}
        write_json(json, {"rows": rows, "flags": chosen, **provenance()})
    print(timed_epochs.text(rows))
    return cli.DONE


def _integers(name: str) -> list[int]:
    texts: list[str] = FLAGS[name].value or []
    if not all(text.isdecimal() and int(text) for text in texts):
        raise cli.BadInput(f"--{name}={','.join(texts)}: give positive integers")
    return [int(text) for text in texts]


if __name__ == "__main__":
    cli.run(main)
