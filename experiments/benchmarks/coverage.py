"""How often do the intervals of sweep tables cover what they are for? Simulated on distributions that were observed.

  python -m experiments.benchmarks.coverage

Trains populations of networks on the digits, each with a start and an order of its own, and takes each as the truth.
From it n networks are drawn, again and again, and the share of intervals is counted that cover the population's mean,
or its median where the interval is of that: those of `twolayer.statistics`, and beside them Student's t and the
percentile bootstrap of the mean. Intervals of shares are judged exactly, by a sum over the binomial distribution, at
the observed shares of networks that have lost a class.

Beside it: what networks that share one order do not know. From a table of starts by orders one order is drawn, and the
interval over its starts is held against the mean over all orders. Writes docs/results/coverage.json. About a minute on
2 CPU cores; a second run with the same --populations trains nothing.
"""

import contextlib
import itertools
import pathlib
import tempfile

import numpy as np
import pyarrow.parquet as pq
from absl import flags
from scipy import stats

from experiments.benchmarks import ran
from experiments.benchmarks.tables import results
from twolayer import statistics
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_integer("networks", 500, "Networks in each population.", lower_bound=10)
flags.DEFINE_integer("starts", 25, "Starts, and orders, of the table of both.", lower_bound=5)
flags.DEFINE_integer("draws", 4000, "Samples drawn from a population.", lower_bound=10)
flags.DEFINE_integer("resamples", 300, "Of the bootstrap.", lower_bound=10)
flags.DEFINE_string("populations", None, "Where the sweeps stay [nowhere].")
flags.DEFINE_string("json", "docs/results/coverage.json", "Where the result goes.")

SIZES = (3, 5, 10, 30)
NOMINAL, WANTED = 0.95, 0.93
COMMON = ("--hidden=32", "--learning_rate=0.01", "--quiet", "--nofigures")
POPULATIONS = {
    "digits, alive": (),
    "digits, he": ("--init=he", "--output_bias=0", "--epochs=10"),
    "digits, quadratic, identity": ("--loss=quadratic", "--output=identity", "--epochs=10"),
    "digits, 2 epochs": ("--epochs=2",),
}
RELU = ("digits, alive", "digits, he", "digits, 2 epochs")  # the output; there intervals of losses are of the median
FIGURES = ("test_accuracy", "test_loss", "valid_loss", "train_loss")


def main() -> int:
    """Train, simulate, print and write."""
    target = writable(FLAGS.json)
    with contextlib.ExitStack() as stack:
        folder = FLAGS.populations or stack.enter_context(tempfile.TemporaryDirectory())
        populations = {}
        for i, (name, arguments) in enumerate(POPULATIONS.items()):
            seeds = f"--sweep=seed=0:{FLAGS.networks}"
            populations[name] = _networks(pathlib.Path(folder) / str(i), seeds, "--noshare", *arguments)
        axes = (f"--sweep=seed=0:{FLAGS.starts}", f"--sweep=order_seed=0:{FLAGS.starts}")
        crossed = _networks(pathlib.Path(folder) / "crossed", *axes)
    rng = np.random.default_rng(0)
    rows = [
        _mean_row(rng, name, figure, n, networks)
        for (name, networks), figure, n in itertools.product(populations.items(), FIGURES, SIZES)
    ]
    shares = [_share_row(name, n, networks) for (name, networks), n in itertools.product(populations.items(), SIZES)]
    order = [_order_row(rng, n, crossed) for n in SIZES]
    result = {"nominal": NOMINAL, "wanted": WANTED, "means": rows, "shares": shares, "one_order": order}
    write_json(target, {**result, **provenance()})
    print(results.coverage.text(result))
    return cli.DONE


def _networks(run_dir: pathlib.Path, *arguments: str) -> dict[str, np.ndarray]:
    """The columns of networks.parquet of a sweep."""
    ran("sweep", *COMMON, *arguments, f"--run_dir={run_dir}")
    table = pq.read_table(run_dir / "networks.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _mean_row(rng: np.random.Generator, name: str, figure: str, n: int, networks: dict) -> dict:
    """Coverage by the interval that is printed, if one is, and of the mean by Student's t and by the bootstrap."""
    values, resolution = networks[figure], _resolution(figure, networks)
    of = "median" if name in RELU and figure.endswith("loss") else "mean"
    mean, truth = values.mean(), np.median(values) if of == "median" else values.mean()
    drawn = rng.choice(values, (FLAGS.draws, n))
    resampled = [np.quantile(rng.choice(s, (FLAGS.resamples, n)).mean(axis=1), (0.025, 0.975)) for s in drawn]
    printed = [(statistics.figures(s, None, resolution, of) or {})["interval"] for s in drawn]
    row = {"population": name, "figure": figure, "n": n, "of": of, "printed": _share_of(printed, truth)}
    row |= {"t": _share_of([statistics.mean_interval(s, {}, resolution) for s in drawn], mean)}
    row |= {"bootstrap": _share_of(resampled, mean)}
    return row | {"mean": float(mean), "sd": float(values.std(ddof=1)), "skewness": float(stats.skew(values))}


def _resolution(figure: str, networks: dict) -> float:
    return 1 / networks["tested_on"][0] if figure == "test_accuracy" else 0.0


def _share_of(intervals: list, truth: float, weights: np.ndarray | None = None) -> float | None:
    """The share of intervals that cover, of equal weight or of these; None where none is printed."""
    if intervals[0] is None:
        return None
    low, high = np.transpose(intervals)
    return float(np.average((low <= truth) & (truth <= high), weights=weights))


def _share_row(name: str, n: int, networks: dict) -> dict:
    """Coverage of the share of networks that have lost a class for good, exactly."""
    p = float((networks["train_dead_outputs"] > 0).mean())
    chance = stats.binom.pmf(np.arange(n + 1), n, p)
    ends = [(statistics.share(count, n) or {})["interval"] for count in range(n + 1)]
    return {"population": name, "n": n, "share": p, "wilson": _share_of(ends, p, chance)}


def _order_row(rng: np.random.Generator, n: int, networks: dict) -> dict:
    """Coverage of the mean accuracy over starts and orders by n starts of one order, and by n starts with n orders."""
    starts, orders = networks["seed"], networks["order_seed"]
    table = np.zeros((starts.max() + 1, orders.max() + 1))
    table[starts, orders] = networks["test_accuracy"]
    resolution = _resolution("test_accuracy", networks)
    levels = {"seed": np.repeat(np.arange(n), n), "order_seed": np.tile(np.arange(n), n)}
    found: dict[str, list] = {"one_order": [], "crossed": []}
    for _ in range(FLAGS.draws // 2):
        rows, columns = (rng.integers(0, size, n) for size in table.shape)
        found["one_order"].append(statistics.mean_interval(table[rows, columns[0]], {}, resolution))
        found["crossed"].append(statistics.mean_interval(table[np.ix_(rows, columns)].ravel(), levels, resolution))
    return {"n": n} | {name: _share_of(intervals, table.mean()) for name, intervals in found.items()}


if __name__ == "__main__":
    cli.run(main)
