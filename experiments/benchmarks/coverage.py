"""How often do the intervals of sweep tables cover what they are for? Simulated on distributions that were observed.

  python -m experiments.benchmarks.coverage

Trains populations of networks on the digits, each with a start and an order of its own, and takes each as the truth.
From it n networks are drawn, again and again, and the share of intervals is counted that cover the population's mean:
Student's t as `experiments.runtime.statistics` has it, and the percentile bootstrap that stood there before. Intervals
of shares are judged exactly, by a sum over the binomial distribution, at the observed shares of networks that have lost
a class.

Beside it: what networks that share one order do not know. From a table of starts by orders one order is drawn, and the
interval over its starts is held against the mean over all orders; and the seconds of a network with shared batches and
without. Writes docs/results/coverage.json. About a minute on 2 CPU cores.
"""

import itertools
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from absl import flags
from scipy import stats

from experiments.runtime import statistics, tables
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_integer("networks", 500, "Networks in each population.", lower_bound=10)
flags.DEFINE_integer("starts", 25, "Starts, and orders, of the table of both.", lower_bound=5)
flags.DEFINE_integer("draws", 2000, "Samples drawn from a population.", lower_bound=10)
flags.DEFINE_integer("resamples", 300, "Of the bootstrap.", lower_bound=10)
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
FIGURES = ("test_accuracy", "test_loss", "valid_loss", "train_loss")


def main() -> int:
    """Train, simulate, print and write."""
    target = writable(FLAGS.json)
    with tempfile.TemporaryDirectory() as folder:
        populations = {}
        for i, (name, arguments) in enumerate(POPULATIONS.items()):
            seeds = f"--sweep=seed=0:{FLAGS.networks}"
            populations[name] = _networks(pathlib.Path(folder) / str(i), seeds, "--noshare", *arguments)
        axes = (f"--sweep=seed=0:{FLAGS.starts}", f"--sweep=order_seed=0:{FLAGS.starts}")
        crossed = _networks(pathlib.Path(folder) / "crossed", *axes)
        shared = _networks(pathlib.Path(folder) / "shared", f"--sweep=seed=0:{FLAGS.networks}")
    rng = np.random.default_rng(0)
    rows = [
        _mean_row(rng, name, figure, n, networks)
        for (name, networks), figure, n in itertools.product(populations.items(), FIGURES, SIZES)
    ]
    shares = [_share_row(name, n, networks) for (name, networks), n in itertools.product(populations.items(), SIZES)]
    order = [_order_row(rng, figure, n, crossed) for figure, n in itertools.product(FIGURES, SIZES)]
    seconds = {"shared": _seconds(shared), "own": _seconds(populations["digits, alive"])}
    result = {"nominal": NOMINAL, "wanted": WANTED, "means": rows, "shares": shares, "one_order": order}
    write_json(target, {**result, "seconds_a_network": seconds, **provenance()})
    print(_text(rows, shares, order, seconds))
    return cli.DONE


def _networks(run_dir: pathlib.Path, *arguments: str) -> dict[str, np.ndarray]:
    """The columns of networks.parquet of a sweep."""
    command = [sys.executable, "-m", "experiments.sweep", *COMMON, *arguments, f"--run_dir={run_dir}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != cli.DONE:
        raise cli.BadInput(f"{' '.join(command[1:])} failed: {done.stderr[-300:]}")
    table = pq.read_table(run_dir / "networks.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _seconds(networks: dict[str, np.ndarray]) -> float:
    return float(networks["seconds"].mean())


def _mean_row(rng: np.random.Generator, name: str, figure: str, n: int, networks: dict) -> dict:
    """Coverage of the mean of n networks by both kinds of interval."""
    values = networks[figure]
    resolution = 1 / networks["tested_on"][0] if figure == "test_accuracy" else 0.0
    drawn = rng.choice(values, (FLAGS.draws, n))
    truth = values.mean()
    t = np.mean([_covers(statistics.mean_interval(sample, {}, resolution), truth) for sample in drawn])
    resampled = [np.quantile(rng.choice(s, (FLAGS.resamples, n)).mean(axis=1), (0.025, 0.975)) for s in drawn]
    bootstrap = np.mean([_covers(ends, truth) for ends in resampled])
    row = {"population": name, "figure": figure, "n": n, "t": float(t), "bootstrap": float(bootstrap)}
    return row | {"mean": float(truth), "sd": float(values.std(ddof=1)), "skewness": float(stats.skew(values))}


def _share_row(name: str, n: int, networks: dict) -> dict:
    """Coverage of the share of networks that have lost a class for good, exactly."""
    p = float((networks["train_dead_outputs"] > 0).mean())
    chance = stats.binom.pmf(np.arange(n + 1), n, p)
    ends = [(statistics.share(count, n) or {})["interval"] for count in range(n + 1)]
    covered = sum(c for c, interval in zip(chance, ends, strict=True) if _covers(interval, p))
    return {"population": name, "n": n, "share": p, "wilson": float(covered)}


def _order_row(rng: np.random.Generator, figure: str, n: int, networks: dict) -> dict:
    """Coverage of the mean over starts and orders by n starts of one order, and by n starts crossed with n orders."""
    starts, orders = networks["seed"], networks["order_seed"]
    table = np.full((starts.max() + 1, orders.max() + 1), np.nan)
    table[starts, orders] = networks[figure]
    truth, resolution = table.mean(), 1 / networks["tested_on"][0] if figure == "test_accuracy" else 0.0
    alone, crossed = [], []
    for _ in range(FLAGS.draws // 2):
        rows, columns = (rng.integers(0, size, n) for size in table.shape)
        alone.append(_covers(statistics.mean_interval(table[rows, columns[0]], {}, resolution), truth))
        levels = {"seed": np.repeat(np.arange(n), n), "order_seed": np.tile(np.arange(n), n)}
        both = table[np.ix_(rows, columns)].ravel()
        crossed.append(_covers(statistics.mean_interval(both, levels, resolution), truth))
    return {"figure": figure, "n": n, "one_order": float(np.mean(alone)), "crossed": float(np.mean(crossed))}


def _covers(interval: Any, truth: float) -> bool:
    low, high = interval
    return bool(low <= truth <= high)


def _text(rows: list[dict], shares: list[dict], order: list[dict], seconds: dict) -> str:
    """Three tables and the seconds."""
    means = [(r["population"], r["figure"], str(r["n"]), f"{r['t']:.3f}", f"{r['bootstrap']:.3f}") for r in rows]
    lost = [(r["population"], str(r["n"]), f"{r['share']:.3f}", f"{r['wilson']:.3f}") for r in shares]
    both = [(r["figure"], str(r["n"]), f"{r['one_order']:.3f}", f"{r['crossed']:.3f}") for r in order]
    own, shared = (1000 * seconds[name] for name in ("own", "shared"))
    parts = [
        tables.text(("coverage of the mean", "", "n", "t", "bootstrap"), means),
        tables.text(("coverage of the share that lost a class", "n", "share", "Wilson"), lost),
        tables.text(("coverage over starts and orders", "n", "one order", "crossed"), both),
        f"{shared:.1f} ms a network with shared batches, {own:.1f} ms with an order of its own",
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    cli.run(main)
