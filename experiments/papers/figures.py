"""Figures of the published results: ours beside the paper's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.figures import BLUE, DPI, GREY, PALE, RED, save
from experiments.papers.study import Row


def beside_published(path: Path, rows: Sequence[Row]) -> None:
    """Each row's values as dots with their mean, and the published number where there is one."""
    figure = Figure((7.2, 1.0 + 0.3 * len(rows)), DPI, layout="constrained")
    axes = figure.subplots()
    for i, row in enumerate(rows):
        first = i == 0
        axes.plot(row.values, np.full(len(row.values), i), "o", color=BLUE, alpha=0.35, markersize=5, mew=0)
        axes.plot(np.mean(row.values), i, "|", color=BLUE, markersize=13, mew=2.4, label="ours" if first else None)
        if row.published is not None:
            axes.plot(row.published, i, "d", color=RED, markersize=6, mew=0, label="published" if first else None)
    axes.set_yticks(range(len(rows)), [row.row for row in rows])
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=rows[0].unit)
    axes.grid(axis="x", color=PALE)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def distorted_digits(path: Path, panels: Sequence[tuple[str, Float[np.ndarray, "n H W"]]]) -> None:
    """A row of images for each kind of distortion, with its name."""
    n, H, _ = panels[0][1].shape
    figure = Figure((1.4 + 0.6 * n, 0.2 + 0.6 * len(panels)), DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.block([list(images) for _, images in panels]), cmap="gray_r", vmin=0, vmax=255)
    axes.set_yticks([H * (i + 0.5) - 0.5 for i in range(len(panels))], [name for name, _ in panels])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    save(figure, path)


def learning_curve(
    path: Path, published: Mapping[int, float], ours: Mapping[str, Mapping[int, Sequence[float]]]
) -> None:
    """Accuracy in percent over the number of training examples: published, and the networks of each kind of ours."""
    figure = Figure((5.6, 3.6), DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot(list(published), list(published.values()), "d-", color=RED, markersize=5, mew=0, label="published")
    for (kind, values), color in zip(ours.items(), (BLUE, GREY), strict=True):
        if values:
            means = [np.mean(some) for some in values.values()]
            axes.plot(list(values), means, "-", color=color, label=f"ours, {kind}")
        for size, some in values.items():
            axes.plot(np.full(len(some), size), some, "o", color=color, alpha=0.4, markersize=4, mew=0)
    axes.set(xscale="log", xlabel="training images", ylabel="% validation")
    axes.grid(color=PALE)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def double_descent(path: Path, noise: Sequence[Row], losses: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Test loss against hidden units: with label noise beside the published curve, and with reused weights."""
    figure = Figure((9.0, 3.6), DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    if noise:
        widths = [row.facts["hidden"] for row in noise]
        means, spreads = zip(*((np.mean(row.values), np.std(row.values)) for row in noise), strict=True)
        left.errorbar(widths, means, spreads, color=BLUE, fmt="o-", markersize=4, label="ours, mean and sd")
        theirs = [(row.facts["hidden"], row.published) for row in noise if row.published is not None]
        left.plot(*zip(*theirs, strict=True), "d", color=RED, markersize=5, label="published mean")
    for kind, colour, label in (("reuse", RED, "from the narrower network"), ("fresh", BLUE, "from a random start")):
        if losses:
            right.plot(list(losses[kind]), [np.mean(v) for v in losses[kind].values()], "o-", color=colour, label=label)
    for axes, title in ((left, "Cross-entropy, a fifth of the labels anew"), (right, "Squared loss, true labels")):
        axes.set_title(title, loc="left", fontsize=10, weight="bold")
        axes.set(xlabel="hidden units", ylabel="test loss", xscale="log")
        axes.grid(color=PALE)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def width(path: Path, rows: Sequence[Row]) -> None:
    """Training and test error against hidden units."""
    figure = Figure((5.6, 3.6), DPI, layout="constrained")
    axes = figure.subplots()
    widths = [row.facts["hidden"] for row in rows]
    means, spreads = zip(*((np.mean(row.values), np.std(row.values)) for row in rows), strict=True)
    axes.errorbar(widths, means, spreads, color=RED, fmt="o-", markersize=4, label="test, mean and sd")
    axes.plot(widths, [row.facts["train_error"] for row in rows], "o-", color=BLUE, markersize=4, label="training")
    axes.set(xlabel="hidden units", ylabel="error %", xscale="log")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(color=PALE)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def memorisation(path: Path, rows: Sequence[Row]) -> None:
    """Training accuracy by epoch, for true and random labels."""
    figure = Figure((5.6, 3.6), DPI, layout="constrained")
    axes = figure.subplots()
    for row in rows:
        colour, style = BLUE if row.row.startswith("cross") else RED, "-" if "random" in row.row else "--"
        for number, curve in enumerate(row.facts["curves"]):
            label = None if number else row.row
            axes.plot(range(1, len(curve) + 1), curve, style, color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="training accuracy %")
    axes.grid(color=PALE)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
