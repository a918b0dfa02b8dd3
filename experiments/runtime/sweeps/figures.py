"""Figures of a sweep: curves with bands, and a heat map of two swept numbers. One PNG each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from experiments.runtime.figures import BLUE, DPI, PALE, RED, save

MOST_GROUPS = 8
MOST_LABELS = 24  # of an axis of the heat map, which grows no further
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
BAND = (0.25, 0.75)


def curves(path: Path, epochs: pa.Table, axes: Sequence[str]) -> None:
    """Validation error (loss for real targets) by epoch: the median of each group and its quartiles.

    A group has the same swept values but for the seed; of more than eight, those of the best medians are drawn.
    """
    columns = {name: epochs.column(name).to_numpy(zero_copy_only=False) for name in epochs.column_names}
    names = [name for name in axes if name != "seed"]
    accuracy = np.isfinite(columns["valid_accuracy"]).any()
    values = 100 * (1 - columns["valid_accuracy"]) if accuracy else columns["valid_loss"]
    groups: dict[str, dict[int, list[float]]] = {}
    for i, value in enumerate(values):
        key = ", ".join(f"{name} {_short(columns[name][i])}" for name in names)
        groups.setdefault(key or "all networks", {}).setdefault(int(columns["epoch"][i]), []).append(value)
    found = sorted(groups.items(), key=lambda group: np.nanmedian(group[1][max(group[1])]))
    figure = Figure(figsize=(6.4, 4.0), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    positive = True
    for (key, of_epoch), colour in zip(found[:MOST_GROUPS], COLOURS, strict=False):
        at = sorted(of_epoch)
        low, middle, high = np.array([np.nanquantile(of_epoch[epoch], (BAND[0], 0.5, BAND[1])) for epoch in at]).T
        positive &= bool((middle > 0).all())
        axis.plot(at, middle, color=colour, label=key, lw=1.6)
        axis.fill_between(at, low, high, color=colour, alpha=0.2, lw=0)
    left_out = f" ({len(found) - MOST_GROUPS} worse groups left out)" if len(found) > MOST_GROUPS else ""
    axis.set_title(f"Median and quartiles{left_out}", loc="left", fontsize=10)
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation error %" if accuracy else "validation loss")
    if accuracy and positive:
        axis.set_yscale("log")
    axis.legend(fontsize=8, frameon=False)
    save(figure, path)


def heat_map(path: Path, summary: list[dict], x: str, y: str) -> None:
    """The mean test accuracy (loss for real targets) of each pair of swept values; grey where all diverged."""
    accuracy = any(entry["test_accuracy"] for entry in summary)
    shown = "test_accuracy" if accuracy else "test_loss"
    xs, ys = (sorted({entry[name] for entry in summary}) for name in (x, y))
    cells: dict[tuple, list[float]] = {}
    for entry in summary:
        if entry[shown]:
            cells.setdefault((entry[y], entry[x]), []).append(entry[shown]["mean"])
    grid = np.array([[np.mean(cells[b, a]) if (b, a) in cells else np.nan for a in xs] for b in ys])
    size = 2.2 + 0.6 * min(len(xs), MOST_LABELS), 1.6 + 0.5 * min(len(ys), MOST_LABELS)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor(PALE)
    image = axis.imshow(grid, cmap="viridis" if accuracy else "viridis_r", aspect="auto", origin="lower")
    every_x, every_y = (-(-len(values) // MOST_LABELS) for values in (xs, ys))
    axis.set_xticks(range(0, len(xs), every_x), [_short(value) for value in xs[::every_x]], rotation=45)
    axis.set_yticks(range(0, len(ys), every_y), [_short(value) for value in ys[::every_y]])
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_title(f"mean {shown.replace('_', ' ')}", loc="left", fontsize=10)
    figure.colorbar(image, ax=axis)
    save(figure, path)


def lost_classes(path: Path, cells: list[dict]) -> None:
    """The share of networks that have lost a class, with its interval; a panel a loss, a colour a width."""
    losses, widths, inits, rates = (
        list(dict.fromkeys(cell[name] for cell in cells)) for name in ("loss", "hidden", "init", "learning_rate")
    )
    figure = Figure(figsize=(1.2 + 4.2 * len(losses), 3.6), dpi=DPI, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(losses), sharey=True))
    for axis, loss in zip(panels, losses, strict=True):
        for i, width in enumerate(widths):
            for j, rate in enumerate(sorted(rates)):
                mine = [c for c in cells if (c["loss"], c["hidden"], c["learning_rate"]) == (loss, width, rate)]
                mine = [c for c in mine if c["lost_class"]]
                offset = (i * len(rates) + j - (len(widths) * len(rates) - 1) / 2) * 0.8 / (len(widths) * len(rates))
                at = [inits.index(c["init"]) + offset for c in mine]
                share = np.array([c["lost_class"]["share"] for c in mine])
                low, high = np.array([c["lost_class"]["interval"] for c in mine]).reshape(-1, 2).T
                label = f"K = {width}" if j == 0 and axis is panels[0] else None
                error = np.clip([share - low, high - share], 0, None)
                axis.errorbar(at, share, error, fmt="o", ms=3, lw=1, color=COLOURS[i % len(COLOURS)], label=label)
        axis.set_xticks(range(len(inits)), inits, rotation=30)
        axis.set_title(loss.replace("_", "-"), loc="left", fontsize=10)
        axis.set_ylim(-0.02, 1.02)
    panels[0].set_ylabel("share that has lost a class")
    panels[0].legend(fontsize=8, frameon=False)
    figure.supxlabel("initialisation; from left to right in each group: rising learning rate", fontsize=9)
    save(figure, path)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)
