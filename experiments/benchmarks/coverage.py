"""How often do the intervals of sweep tables cover what they are for? Simulated on distributions that were observed.

  python -m experiments.benchmarks.coverage

Trains populations of networks on the digits, each with a start and an order of its own, and takes each as the truth.
From it n networks are drawn, again and again, and the share of intervals is counted that cover the population's mean:
Student's t as `twolayer.statistics` has it, and the percentile bootstrap that stood there before. Intervals
of shares are judged exactly, by a sum over the binomial distribution, at the observed shares of networks that have lost
a class.

Where few networks of a population have lost an output, their losses decide its mean, and a sample without one of them
knows nothing of that. So the same is counted among the networks that have kept their outputs (`kept`), and how many
times as wide an interval must be to cover with the rest (`widening`), whoever draws the sample: no function of a sample
without a lost network can tell a population that has some from one that has none (Bahadur & Savage 1956).

Beside it: what networks that share one order do not know. From a table of starts by orders one order is drawn, and the
interval over its starts is held against the mean over all orders. Writes docs/results/coverage.json. About a minute on
2 CPU cores; a second run with the same --populations trains nothing.
"""

import contextlib
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

from experiments.runtime import tables
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
MIXED = ("kept", "without_lost", "widening", "kept_if_widened")  # where some have lost an output
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
    order = [_order_row(rng, figure, n, crossed) for figure, n in itertools.product(FIGURES, SIZES)]
    result = {"nominal": NOMINAL, "wanted": WANTED, "means": rows, "shares": shares, "one_order": order}
    write_json(target, {**result, **provenance()})
    print(_text(rows, shares, order))
    return cli.DONE


def _networks(run_dir: pathlib.Path, *arguments: str) -> dict[str, np.ndarray]:
    """The columns of networks.parquet of a sweep."""
    command = [sys.executable, "-m", "experiments.sweep", *COMMON, *arguments, f"--run_dir={run_dir}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != cli.DONE:
        raise cli.BadInput(f"{' '.join(command[1:])} failed: {done.stderr[-300:]}")
    table = pq.read_table(run_dir / "networks.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _mean_row(rng: np.random.Generator, name: str, figure: str, n: int, networks: dict) -> dict:
    """Coverage of the mean of n networks by both kinds of interval, and among those that have kept their outputs."""
    values, resolution, truth = networks[figure], _resolution(figure, networks), networks[figure].mean()
    drawn = rng.choice(values, (FLAGS.draws, n))
    off = _off(drawn, truth, resolution)
    resampled = [np.quantile(rng.choice(s, (FLAGS.resamples, n)).mean(axis=1), (0.025, 0.975)) for s in drawn]
    bootstrap = np.mean([_covers(ends, truth) for ends in resampled])
    row = {"population": name, "figure": figure, "n": n, "t": float(np.mean(off <= 1)), "bootstrap": float(bootstrap)}
    row |= {"mean": float(truth), "sd": float(values.std(ddof=1)), "skewness": float(stats.skew(values))}
    kept = values[networks["train_dead_outputs"] == 0]
    if len(values) / 2 < len(kept) < len(values):
        of_kept = _off(rng.choice(kept, (FLAGS.draws, n)), kept.mean(), resolution)
        widening = float(np.quantile(off, WANTED))
        row |= {"kept": float(np.mean(of_kept <= 1)), "without_lost": (len(kept) / len(values)) ** n}
        row |= {"widening": widening, "kept_if_widened": float(np.mean(of_kept <= widening))}
    return row


def _resolution(figure: str, networks: dict) -> float:
    return 1 / networks["tested_on"][0] if figure == "test_accuracy" else 0.0


def _off(samples: np.ndarray, truth: float, resolution: float) -> np.ndarray:
    """How far the mean of each sample is from the truth, in units of half its interval."""
    found = []
    for sample in samples:
        mean, (low, high) = sample.mean(), statistics.mean_interval(sample, {}, resolution) or (0.0, 0.0)
        found.append(abs(truth - mean) / max(high - mean if truth > mean else mean - low, 1e-300))
    return np.array(found)


def _share_row(name: str, n: int, networks: dict) -> dict:
    """Coverage of the share of networks that have lost a class for good, exactly."""
    p = float((networks["train_dead_outputs"] > 0).mean())
    chance = stats.binom.pmf(np.arange(n + 1), n, p)
    ends = [(statistics.share(count, n) or {})["interval"] for count in range(n + 1)]
    covered = sum(c for c, interval in zip(chance, ends, strict=True) if _covers(interval, p))
    return {"population": name, "n": n, "share": p, "wilson": float(covered)}


def _order_row(rng: np.random.Generator, figure: str, n: int, networks: dict) -> dict:
    """Coverage of the mean over starts and orders by n starts of one order, and by n starts crossed with n orders.

    `kept`: of the second, had no network lost an output; it then has the mean of its start and order.
    """
    starts, orders = networks["seed"], networks["order_seed"]
    table, lost = (np.zeros((starts.max() + 1, orders.max() + 1), dtype) for dtype in (float, bool))
    table[starts, orders], lost[starts, orders] = networks[figure], networks["train_dead_outputs"] > 0
    others = np.where(lost, np.nan, table)
    usual = np.nanmean(others, axis=1)[:, None] + np.nanmean(others, axis=0)[None, :] - np.nanmean(others)
    resolution = _resolution(figure, networks)
    levels = {"seed": np.repeat(np.arange(n), n), "order_seed": np.tile(np.arange(n), n)}
    hits: dict[str, list[bool]] = {"one_order": [], "crossed": [], "kept": []}
    for _ in range(FLAGS.draws // 2):
        rows, columns = (rng.integers(0, size, n) for size in table.shape)
        alone = statistics.mean_interval(table[rows, columns[0]], {}, resolution)
        hits["one_order"].append(_covers(alone, table.mean()))
        for name, one in (("crossed", table), ("kept", np.where(lost, usual, table))):
            interval = statistics.mean_interval(one[np.ix_(rows, columns)].ravel(), levels, resolution)
            hits[name].append(_covers(interval, one.mean()))
    return {"figure": figure, "n": n} | {name: float(np.mean(found)) for name, found in hits.items()}


def _covers(interval: Any, truth: float) -> bool:
    low, high = interval
    return bool(low <= truth <= high)


def _text(rows: list[dict], shares: list[dict], order: list[dict]) -> str:
    """Three tables."""
    means = [(r["population"], r["figure"], str(r["n"]), *_shown(r, "t", "bootstrap", *MIXED)) for r in rows]
    lost = [(r["population"], str(r["n"]), *_shown(r, "share", "wilson")) for r in shares]
    both = [(r["figure"], str(r["n"]), *_shown(r, "one_order", "crossed", "kept")) for r in order]
    parts = [
        tables.text(("coverage of the mean", "", "n", "t", "bootstrap", *MIXED), means),
        tables.text(("coverage of the share that lost a class", "n", "share", "Wilson"), lost),
        tables.text(("coverage over starts and orders", "n", "one order", "crossed", "kept"), both),
    ]
    return "\n\n".join(parts)


def _shown(row: dict, *names: str) -> tuple[str, ...]:
    return tuple(f"{row[name]:.3f}" if name in row else "" for name in names)


if __name__ == "__main__":
    cli.run(main)
