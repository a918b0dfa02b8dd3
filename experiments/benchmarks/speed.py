"""How fast is an epoch, against what a user would pick instead, and against the limit that matrix products set?

  python -m experiments.benchmarks.speed                                      the embedded digits: a look, two minutes
  python -m experiments.benchmarks.speed --dataset=mnist --source_dir=DIR --json=docs/results/benchmark_cpu.json

The second is the measurement: 50,000 MNIST images, batches of 128, K = 32, 128 and 800 hidden units, about 8 minutes on
2 CPU cores, which must have nothing else to do. PyTorch's rows need pip install -e '.[bench]'.

Everyone trains the same network with the same loss, batches, order, plain SGD and float32, from the same start, on the
same cores. Before anything is timed, ten steps must agree with float64. Then everyone has a turn in each round: epochs
back to back, for half a second at least; a round's time is that of one of them. Our epoch includes drawing its order
and scaling the pixels; the others are given orders and scaled float32. Like the training script without weight decay
ours skips inputs that are zero on every image; the row "every input" does not. The limit is the sum of our own step's
matrix products, so it is as narrow as our step.

Many networks at once, 64 here, against one after the other and against torch.func.vmap; times are for one network:

  python -m experiments.benchmarks.speed --dataset=mnist --hidden=32 --peers=stack,torch_vmap --rounds=3

Expected on 2 cores of an AMD EPYC: the best PyTorch row takes 1.6, 1.4 and 1.3 times our epoch at K = 32, 128 and 800;
ours runs at 71 % of the rate at which its five matrix products run alone at K = 128, and at 84 % at K = 800.
"""

import sys
from typing import Any

from absl import flags

from experiments.benchmarks import facts, flags_given, integers
from experiments.benchmarks.peers import COMPETITORS, GEMMS, LIMIT, OURS, TOGETHER, problem, rounds
from experiments.benchmarks.peers.worker import threads
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.datasets import DataError, load

FLAGS = flags.FLAGS
KNOWN = COMPETITORS | TOGETHER
PEERS = [*(name for name in COMPETITORS if name != OURS), LIMIT]

flags.DEFINE_enum("dataset", "digits", ["digits", "mnist", "fashion_mnist", "kmnist"], "digits is embedded.")
flags.DEFINE_string("source_dir", None, "Folder with the four original .gz archives of an MNIST-family data set.")
flags.DEFINE_string("data_dir", None, "Where downloads go and prepared arrays are kept [~/.cache/twolayer].")
flags.DEFINE_list("hidden", ["32", "128", "800"], "Hidden units K, one table for each.")
flags.DEFINE_integer("batch_size", 128, "Examples a step.", lower_bound=1)
flags.DEFINE_float("learning_rate", 0.1, "Of plain SGD.", lower_bound=1e-6)
flags.DEFINE_enum("output", "relu", ["relu", "identity"], "Activation of the output: relu is the author's equation.")
flags.DEFINE_integer("seed", 0, "Decides the initial parameters and the data order.", lower_bound=0)
flags.DEFINE_integer("rounds", 10, "Turns of each competitor.", lower_bound=1)
flags.DEFINE_list("peers", PEERS, f"Who is timed beside us: some of {','.join((*PEERS, *TOGETHER))}.")
flags.DEFINE_string("json", "runs/benchmark.json", "Where the numbers go.")
flags.DEFINE_float("timeout", None, "Seconds that an answer may take [120, of torch.compile 300].", lower_bound=0)


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    hidden = integers("hidden", like="32,128")
    if FLAGS.peers:
        cli.check_known("peers", FLAGS.peers, (*PEERS, *TOGETHER))
    path = writable(FLAGS.json)
    with cli.bad_input(DataError, OSError):
        dataset = load(FLAGS.dataset, source_dir=FLAGS.source_dir, data_dir=FLAGS.data_dir)
    if FLAGS.batch_size > len(dataset.train.x):
        raise cli.BadInput(f"--batch_size={FLAGS.batch_size} is larger than the training set of {len(dataset.train.x)}")

    report = facts("torch") | {
        "threads": threads(),
        "data": {"name": dataset.name, "sha256": dataset.sha256},
        "flags": flags_given(),
        "cases": [],
    }
    for K in hidden:
        case = _case(dataset, K)
        report["cases"].append(case)
        print(f"\n{rounds.text(case)}", flush=True)
        write_json(path, report)
    right = all(row["epoch_s"] for case in report["cases"] for row in case["rows"] if row["name"] == OURS)
    return cli.DONE if right else 1


def _case(dataset, hidden: int) -> dict[str, Any]:
    """Everything measured for one width."""
    given: dict[str, Any] = {name: FLAGS[name].value for name in ("batch_size", "learning_rate", "output", "seed")}
    whole = problem.make(dataset, hidden, epochs=FLAGS.rounds + 1, **given)
    rows = [rounds.Row(name, entry) for name, entry in KNOWN.items() if name in (OURS, *FLAGS.peers)]
    limits = [rounds.Row(name, entry) for name, entry in GEMMS.items() if LIMIT in FLAGS.peers]

    def say(what: str) -> None:
        print(f"K = {hidden}: {what}", file=sys.stderr, flush=True)

    others = rounds.run(whole, rows, limits, rounds=FLAGS.rounds, timeout=FLAGS.timeout, say=say)
    examples, live = len(whole.x), len(whole.live)
    title = (
        f"{dataset.inputs}-{hidden}-{dataset.outputs}, output {whole.output}, batch {whole.batch_size}, "
        f"{examples} examples: {whole.steps} steps an epoch, {FLAGS.rounds} rounds, {live} live inputs"
    )
    sizes = {"hidden": hidden, "examples": examples, "steps": whole.steps, "live_inputs": live}
    return {"title": title} | sizes | rounds.summary(rows, limits, examples / whole.batch_size, others)


if __name__ == "__main__":
    cli.run(main)
