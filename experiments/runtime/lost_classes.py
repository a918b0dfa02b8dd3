"""How many networks of a sweep have lost a class, cell by cell, and what to expect before the first step."""

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Num
from scipy import integrate, stats

from experiments.runtime import jobs, own_things, tables
from experiments.runtime.statistics import share
from experiments.runtime.sweep_tables import SHARES
from twolayer import datasets, network, training
from twolayer.evaluation import evaluate

CELL = ("init", "loss", "hidden", "learning_rate")
MOST_PAIRS = 1000  # images whose angles are averaged


def cells(networks: pa.Table) -> list[dict]:
    """For each cell: how many networks, how many diverged, and of the others how many lost something.

    lost_for_good: an output is zero on every training image; there its class has no gradient any more. not_predicted: a
    class is given to no test image, for this reason or another.
    """
    rows = sorted(networks.to_pylist(), key=lambda row: tuple(row[name] for name in CELL))
    found = []
    for key, members in itertools.groupby(rows, lambda row: tuple(row[name] for name in CELL)):
        members = list(members)
        good = [row for row in members if row["status"] != "diverged"]
        entry = dict(zip(CELL, key, strict=True)) | {"networks": len(members), "diverged": len(members) - len(good)}
        for name, column in SHARES.items():
            entry[name] = share(sum(row[column] > 0 for row in good), len(good))
        entry["test_accuracy"] = float(np.mean([row["test_accuracy"] for row in good])) if good else None
        found.append(entry)
    return found


def at_the_start(found: list[dict], data: datasets.Dataset, seeds: int, flags: Mapping[str, Any]) -> list[dict]:
    """Count the networks that have a dead output before any step, for each initialisation and width.

    Args:
      flags: of the networks, of which --init_scale, --output_bias, --activation and --precision count.
    """
    parameters, _, _ = jobs.PRECISIONS[flags["precision"]]
    own = {"output_bias": flags["output_bias"], "scale": flags["init_scale"], "dtype": jnp.dtype(parameters)}
    result, train = [], training.place(*data.train)
    for scheme, hidden in dict.fromkeys((cell["init"], cell["hidden"]) for cell in found):

        @jax.jit
        def dead(key: jax.Array, scheme: str = scheme, hidden: int = hidden) -> jax.Array:
            params = network.init(
                key, data.inputs, hidden, data.outputs, own_things.entry({"init": scheme}, "init"), **own
            )
            return evaluate(
                params, train.x, train.y, scale=data.scale, hidden_activation=own_things.entry(flags, "activation")
            ).dead_outputs

        counts = [int(dead(jobs.keys_of(seed)[0])) for seed in range(seeds)]
        result.append({"init": scheme, "hidden": hidden, "dead_output": share(sum(c > 0 for c in counts), seeds)})
    return result


def expected_dead(x: Num[np.ndarray, "n d"], outputs: int) -> float:
    """The lower estimate of P(some output dead) at the start, for Gaussian weights, no biases and many hidden units."""
    some = np.asarray(x, np.float64)[:: max(1, len(x) // MOST_PAIRS)]
    some = some / np.linalg.norm(some, axis=1, keepdims=True)
    angle = np.arccos(np.clip(some @ some.T, -1, 1))[np.triu_indices(len(some), 1)]
    rho = float(np.mean((np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi))
    return 1 - (1 - dead_probability(rho, len(x))) ** outputs


def dead_probability(rho: float, n: int) -> float:
    """P(n equally correlated standard normal numbers are all negative): an integral over what they share."""
    slope = np.sqrt(rho / (1 - rho))

    def at(u: float) -> float:
        return float(stats.norm.pdf(u) * np.exp(n * stats.norm.logcdf(-slope * u)))

    return float(integrate.quad(at, -12, 12, limit=400)[0])


def text(found: list[dict], start: list[dict], expected: float, note: str) -> str:
    """The cells for a terminal; `note` says what the intervals are over."""
    lines = ["share of networks with a dead output before the first step (95 % interval)"]
    lines += [f"  {e['init']:11} K = {e['hidden']:<5} {_share(e['dead_output'])}" for e in start]
    lines += [f"  Gaussian weights without biases, many hidden units: at least {expected:.3f}", ""]
    header = ("init", "loss", "K", "rate", "lost a class for good", "a class not predicted", "test accuracy")
    rows = []
    for cell in found:
        names = cell["init"], cell["loss"], str(cell["hidden"]), f"{cell['learning_rate']:.3g}"
        accuracy = "" if cell["test_accuracy"] is None else f"{cell['test_accuracy']:.4f}"
        rows.append((*names, *(_share(cell[name]) for name in SHARES), accuracy))
    return "\n".join([*lines, f"share of networks after training; {note}", tables.text(header, rows)])


def _share(entry: dict | None) -> str:
    if entry is None:
        return "all diverged"
    return f"{entry['share']:.3f} ({entry['interval'][0]:.3f} to {entry['interval'][1]:.3f})"
