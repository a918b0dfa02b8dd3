"""How many networks of a sweep have lost a class, and what to expect before the first step: for output_relu.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Num
from scipy import integrate, stats

from experiments.runtime import own_things, sweep_tables, tables
from experiments.runtime.sweep_figures import COLOURS, save_both
from twolayer import datasets, fitting, network, training
from twolayer.evaluation import evaluate
from twolayer.figures import GREY, PALE, new_axes, new_figure
from twolayer.precisions import PRECISIONS
from twolayer.statistics import share

CELL = ("init", "loss", "hidden", "learning_rate")
MOST_PAIRS = 1000  # images whose angles are averaged


def cells(networks: pa.Table) -> list[dict]:
    """For each cell: how many networks, how many diverged, and of the others how many lost something.

    lost_for_good: an output is zero on every training image; there its class has no gradient any more. not_predicted: a
    class is given to no test image, for this reason or another.
    """
    names, found = (*CELL, "networks", "diverged", *sweep_tables.SHARES), []
    for entry in sweep_tables.summarise(networks, CELL, "relu"):
        accuracy = entry["test_accuracy"]
        found.append({name: entry[name] for name in names} | {"test_accuracy": accuracy and accuracy["mean"]})
    return sorted(found, key=lambda cell: tuple(cell[name] for name in CELL))


def at_the_start(found: list[dict], data: datasets.Dataset, seeds: int, flags: Mapping[str, Any]) -> list[dict]:
    """Count the networks that have a dead output before any step, for each initialisation and width.

    Args:
      flags: of the networks, of which --init_scale, --output_bias, --activation and --precision count.
    """
    dtype = jnp.dtype(PRECISIONS[flags["precision"]].parameters)
    own = {"output_bias": flags["output_bias"], "scale": flags["init_scale"], "dtype": dtype}
    scoring = {"scale": data.scale, "hidden_activation": own_things.entry(flags, "activation")}
    result, train = [], training.place(*data.train)
    for scheme, hidden in dict.fromkeys((cell["init"], cell["hidden"]) for cell in found):
        init = own_things.entry({"init": scheme}, "init")

        @jax.jit
        def dead(key: jax.Array, init: Any = init, hidden: int = hidden) -> jax.Array:
            params = network.init(key, data.inputs, hidden, data.outputs, init, **own)
            return evaluate(params, train.x, train.y, **scoring).dead_outputs

        counts = [int(dead(fitting.keys_of(seed)[0])) for seed in range(seeds)]
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
    """P(n standard normal numbers, each pair correlated by rho, are all negative): an integral over what they share."""
    slope = np.sqrt(rho / (1 - rho))

    def at(u: float) -> float:
        return float(stats.norm.pdf(u) * np.exp(n * stats.norm.logcdf(-slope * u)))

    return float(integrate.quad(at, -12, 12, limit=400)[0])


def text(found: list[dict], start: list[dict], expected: float, note: str) -> str:
    """The cells for a terminal; `note` says what the intervals are over."""
    lines = ["share of networks with a dead output before the first step (95 % interval)"]
    lines += [f"  {e['init']:11} K = {e['hidden']:<5} {tables.share(e['dead_output'])}" for e in start]
    lines += [f"  Gaussian weights without biases, many hidden units: at least {expected:.3f}", ""]
    header = ("init", "loss", "K", "rate", "lost a class for good", "a class not predicted", "test accuracy")
    rows = []
    for cell in found:
        names = cell["init"], cell["loss"], str(cell["hidden"]), f"{cell['learning_rate']:.3g}"
        shares = (tables.share(cell[name]) if cell[name] else "all diverged" for name in sweep_tables.SHARES)
        accuracy = "" if cell["test_accuracy"] is None else f"{cell['test_accuracy']:.4f}"
        rows.append((*names, *shares, accuracy))
    return "\n".join([*lines, f"share of networks after training; {note}", tables.text(header, rows)])


def draw(path: Path, found: Sequence[Mapping], note: str) -> None:
    """The share of networks that have lost a class for good, and of those that give one to no test image.

    A panel a loss, a colour a width; in each group of an initialisation the learning rate rises from left to right.
    """
    losses, widths, inits, rates = (
        list(dict.fromkeys(cell[name] for cell in found)) for name in ("loss", "hidden", "init", "learning_rate")
    )
    panel, space = 0.55 * len(inits) + 0.9, 1.0
    width = 0.8 + (panel + space) * len(losses)
    figure = new_figure(width, 4.3, "Share of networks that have lost a class", note)
    slots = [(width, rate) for width in widths for rate in sorted(rates)]
    for i, loss in enumerate(losses):
        axis = new_axes(figure, 0.8 + (panel + space) * i, 1.1, panel, 2.3, loss.replace("_", "-"))
        for j, slot in enumerate(slots):
            mine = [c for c in found if (c["loss"], c["hidden"], c["learning_rate"]) == (loss, *slot)]
            offset = (j - (len(slots) - 1) / 2) * 0.8 / len(slots)
            colour = COLOURS[widths.index(slot[0]) % len(COLOURS)]
            for name, filled in (("lost_for_good", True), ("not_predicted", False)):
                kept = [c for c in mine if c[name]]
                at = [inits.index(c["init"]) + offset for c in kept]
                share = np.array([c[name]["share"] for c in kept])
                low, high = np.array([c[name]["interval"] for c in kept]).reshape(-1, 2).T
                marks = {"fmt": "o", "ms": 3.5, "lw": 1, "color": colour, "mfc": colour if filled else "white"}
                axis.errorbar(at, share, np.clip([share - low, high - share], 0, None), **marks)
        axis.set_xticks(range(len(inits)), inits, rotation=30, ha="right")
        axis.set(ylim=(-0.03, 1.03), xlim=(-0.6, len(inits) - 0.4))
        axis.grid(axis="y", color=PALE)
    for k, hidden in enumerate(widths):
        figure.text(0.15 / width + 0.75 * k / width, 0.04, f"K = {hidden}", color=COLOURS[k % len(COLOURS)], fontsize=9)
    marks = "filled: its output is zero on every training image; hollow: given to no test image"
    figure.text((0.3 + 0.75 * len(widths)) / width, 0.04, marks, color=GREY, fontsize=8)
    save_both(figure, path)
