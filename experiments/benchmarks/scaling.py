"""What does an epoch cost, by width, by networks trained together, and by devices?

  python -m experiments.benchmarks.scaling --dataset=mnist --json=docs/results/scaling.json    10 minutes on 2 CPU cores

Every case is one epoch of SGD at batch 128 over the first --examples training images, by the function that the scripts
train with. All cases run in turns, --rounds times; the table has the medians, as time of a step and, for networks
together, of a step and network. Bytes and operations of a step are those on paper (docs/scaling.md).

Virtual devices of a CPU share its cores, so their rows show what splitting costs, not what more machines gain. There
are as many as JAX_NUM_CPU_DEVICES says.
Exit status: 0 done, 1 bad input.
"""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from absl import flags
from tqdm import tqdm

from experiments.benchmarks import integers, timed
from experiments.benchmarks.tables import speed
from experiments.runtime import flags as training_flags
from experiments.runtime import jobs
from twolayer import datasets, devices, fitting, sweeps, training
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance
from twolayer.settings import Settings

SGD = Settings(optimizer="sgd", learning_rate=0.1, schedule="constant", warmup_epochs=0)
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


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed: `networks` of `hidden` units each, on `mesh`."""

    kind: str  # width, networks or devices
    hidden: int
    networks: int = 1
    mesh: str | None = None


def main() -> int:
    """Flags to a table; returns the exit status."""
    json = writable(FLAGS.json) if FLAGS.json else None
    jobs.configure("float32")
    values = training_flags.values()
    data = jobs.load(values)
    jobs.check_targets(data, values["loss"])
    examples, most = FLAGS.examples or min(6400, len(data.train.x)), len(data.train.x)
    if not FLAGS.batch_size <= examples <= most:
        raise cli.BadInput(f"--examples={examples}: between --batch_size and the {most:,} of --dataset={data.name}")
    data = datasets.first(data, examples)
    meshes = [text.replace("/", ",") for text in FLAGS.meshes]
    cases = _cases(meshes)
    for mesh in meshes:
        jobs.mesh_of({"mesh": mesh}, "hidden")  # refused before anything is measured
    bar = tqdm(cases, unit="program", disable=FLAGS.quiet)
    prepared = [prepare(case, data, FLAGS.batch_size) for case in bar]
    times: list[list[float]] = [[] for _ in cases]
    for _ in tqdm(range(FLAGS.rounds), unit="round", disable=FLAGS.quiet):
        for epoch, seconds in zip(prepared, times, strict=True):
            seconds.append(epoch())
    sizes = examples, FLAGS.batch_size
    rows = [row(case, data, seconds, *sizes) for case, seconds in zip(cases, times, strict=True)]
    chosen = {name: FLAGS[name].value for name in ("dataset", "examples", "batch_size", "rounds")}
    result = {"rows": rows, "flags": chosen, **provenance()}
    if json:
        write_json(json, result)
    for table in (speed.scaling_width, speed.scaling_networks, speed.scaling_devices):
        print(table.text(result), end="\n\n")
    return cli.DONE


def _cases(meshes: Sequence[str]) -> list[Case]:
    """What is compared, without stacks of more than --most_units hidden units."""
    names = "widths", "stacked_widths", "networks"
    widths, stacked, networks = (integers(name, like="32,128") if FLAGS[name].value else [] for name in names)
    found = [Case("width", hidden) for hidden in widths]
    found += [Case("networks", K, N) for K in stacked for N in networks if N * K <= FLAGS.most_units]
    return found + [Case("devices", FLAGS.split_width, mesh=mesh) for mesh in (None, *meshes)]


def prepare(case: Case, data: datasets.Dataset, batch_size: int) -> Callable[[], float]:
    """Compile and warm up; returns a function that runs an epoch and returns its seconds.

    Raises:
      BadInput: there are not so many devices, or sizes that cannot be split over them.
    """
    one = dataclasses.replace(SGD, hidden_size=case.hidden, batch_size=batch_size)
    choices, stacked = fitting.choices_of(one, data), case.kind == "networks"
    draws = [fitting.draw_of(dataclasses.replace(one, seed=seed), "float32") for seed in range(case.networks)]
    mesh = jobs.mesh_of({"mesh": case.mesh}, "hidden")
    with cli.bad_input(ValueError):
        state, numbers = jobs.first_state(choices, one, data, fitting.stacked(draws) if stacked else draws[0], mesh)
    everywhere, epoch = devices.everywhere(mesh), (sweeps if stacked else training).make_epoch(choices)
    train = training.place(*data.train, skip_idle=True, where=everywhere)
    index, key = devices.put((jnp.int32(0), fitting.keys_of(0)[1]), everywhere)
    places = jax.tree.map(lambda leaf: leaf.sharding, state[:2])
    with jax.set_mesh(mesh):
        program = jax.jit(epoch, donate_argnums=(0, 1), out_shardings=(*places, everywhere, everywhere))
        compiled = program.lower(*state[:2], index, key, numbers, train).compile()
    held = list(state[:2])

    def run() -> None:
        held[0], held[1], *metrics = compiled(*held, index, key, numbers, train)
        jax.block_until_ready((held, metrics))

    run()
    return lambda: timed(run)


def row(case: Case, data: datasets.Dataset, seconds: Sequence[float], examples: int, batch_size: int) -> dict:
    """One row: the measured time of a step beside its operations and bytes on paper; of a stack, for one network."""
    d, C, K, m = data.inputs, data.outputs, case.hidden, batch_size
    steps = -(-examples // m)
    each = [number / steps / case.networks for number in seconds]
    flops, parameters = 2 * m * (2 * d * K + 3 * K * C), K * d + K + C * K + C
    step = statistics.median(each)
    return {
        **dataclasses.asdict(case),
        "step_us": 1e6 * step,
        "spread_us": [1e6 * min(each), 1e6 * max(each)],
        "flops": flops,
        "gflops_per_second": flops / step / 1e9,
        # float32: parameters read twice (forward, update), gradient written and read, parameters written; the images
        # of a batch as bytes; Z1, O1 and dZ1 written and read.
        "bytes": 4 * 5 * parameters + m * d + 4 * 6 * m * K,
    }


if __name__ == "__main__":
    cli.run(main)
