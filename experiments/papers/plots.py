"""Figures of the published results: ours beside the paper's."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from experiments.papers.results import Row
from twolayer.figures import BLUE, DPI, GREY, PALE, RED, save


def beside_published(path: Path, rows: Sequence[Row]) -> None:
    """Each row's values as dots with their mean, and the published number where there is one."""
    figure = Figure((7.2, 1.0 + 0.3 * len(rows)), DPI, layout="constrained")
    axes = figure.subplots()
    for i, row in enumerate(rows):
        axes.plot(row.values, np.full(len(row.values), i), "o", color=BLUE, alpha=0.35, markersize=5, mew=0)
    means = [np.mean(row.values) for row in rows]
    axes.plot(means, range(len(rows)), "|", color=BLUE, markersize=13, mew=2.4, label="ours")
    published = [(row.published, i) for i, row in enumerate(rows) if row.published is not None]
    if published:
        axes.plot(*zip(*published, strict=True), "d", color=RED, markersize=6, mew=0, label="published")
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
    axes.set_xscale("log")
    _frame(axes, "Validation accuracy against data", "training images", "% right")
    save(figure, path)


def double_descent(path: Path, noise: Sequence[Row], losses: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Test loss against hidden units: with label noise beside the published curve, and with reused weights."""
    panels = [functools.partial(_noise, rows=noise)] * bool(noise) + [functools.partial(_reuse, losses=losses)] * bool(
        losses
    )
    figure = Figure((4.8 * len(panels), 3.6), DPI, layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:g}"[0] in "25" else "")
    save(figure, path)


def _noise(axes: Axes, rows: Sequence[Row]) -> None:
    widths = [row.facts["hidden"] for row in rows]
    means, spreads = zip(*(_mean_and_sd(row.values) for row in rows), strict=True)
    axes.errorbar(widths, means, spreads, color=BLUE, fmt="o-", markersize=4, label="ours, mean and sd")
    theirs = np.array([np.nan if row.published is None else row.published for row in rows])
    axes.plot(widths, theirs, "d", color=RED, markersize=5, label="published mean")
    _frame(axes, "Cross-entropy, a fifth of the labels anew", "hidden units", "test loss")


def _reuse(axes: Axes, losses: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    for kind, colour, label in (("reuse", RED, "from the narrower network"), ("fresh", BLUE, "from a random start")):
        means = [np.mean(values) for values in losses[kind].values()]
        axes.plot(list(losses[kind]), means, "o-", color=colour, markersize=4, label=label)
    _frame(axes, "Squared loss, true labels", "hidden units", "test loss")


def width(path: Path, rows: Sequence[Row]) -> None:
    """Training and test error against hidden units."""
    figure = Figure((5.6, 3.6), DPI, layout="constrained")
    axes = figure.subplots()
    widths = [row.facts["hidden"] for row in rows]
    means, spreads = zip(*(_mean_and_sd(row.values) for row in rows), strict=True)
    axes.errorbar(widths, means, spreads, color=RED, fmt="o-", markersize=4, label="test, mean and sd")
    axes.plot(widths, [row.facts["train_error"] for row in rows], "o-", color=BLUE, markersize=4, label="training")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    _frame(axes, "Wider than it must be", "hidden units", "error %")
    save(figure, path)


def memorisation(path: Path, rows: Sequence[Row]) -> None:
    """Training accuracy by epoch, for true and random labels; paler where the rate is not the usual one."""
    figure = Figure((5.6, 3.6), DPI, layout="constrained")
    axes = figure.subplots()
    for row in rows:
        colour, style = BLUE if row.row.startswith("cross") else RED, "-" if "random" in row.row else "--"
        for number, curve in enumerate(row.facts["curves"]):
            label = None if number else row.row
            alpha = 0.4 if "rate" in row.row else 1.0
            axes.plot(range(1, len(curve) + 1), curve, style, color=colour, alpha=alpha, label=label)
    _frame(axes, "Labels learnt by heart", "epoch", "training accuracy %")
    save(figure, path)


def bad_minima(path: Path, rows: Sequence[Row]) -> None:
    """The share of runs that fail against k, with its 99 % interval, beside the published one; n = k + 1 apart."""
    panels = [("As many units as the teacher", [row for row in rows if row.facts["units"] == row.facts["k"]])]
    panels.append(("One unit more", [row for row in rows if row.facts["units"] > row.facts["k"]]))
    panels = [(title, mine) for title, mine in panels if mine]
    figure = Figure((4.4 * len(panels), 3.4), DPI, layout="constrained")
    for axes, (title, mine) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        ks, shares = (np.array(numbers) for numbers in zip(*((r.facts["k"], r.values[0]) for r in mine), strict=True))
        tests = (stats.binomtest(r.facts["failures"], r.n).proportion_ci(0.99, "wilson") for r in mine)
        ends = 100 * np.array([tuple(interval) for interval in tests]).T
        away = np.maximum([shares - ends[0], ends[1] - shares], 0)
        axes.errorbar(ks, shares, away, fmt="o", color=BLUE, markersize=4, capsize=2, label="ours, 99 % interval")
        published = [np.nan if r.published is None else r.published for r in mine]
        axes.plot(ks, published, "_", color=RED, markersize=14, markeredgewidth=2, label="published")
        _frame(axes, title, "units of the teacher, k", "% of runs in a bad minimum")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    save(figure, path)


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; one value has no spread."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _frame(axes: Axes, title: str, x: str, y: str) -> None:
    """Draw what all axes have; called once everything in them is drawn and has its label."""
    axes.set_title(title, loc="left", fontsize=10, weight="bold")
    axes.set_xlabel(x, fontsize=9, color=GREY)
    axes.set_ylabel(y, fontsize=9, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color=PALE)
    axes.legend(frameon=False, fontsize=8)


def lazy(path: Path, cells: Mapping[float, Mapping]) -> None:
    """Test loss, at the end and at best, and the weights' relative change against tau; bands are one deviation."""
    tau = np.array([10**t for t in cells])
    figure = Figure((8.8, 3.4), DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name, colour, label in (
        (left, "test", BLUE, "at the end"),
        (left, "best", RED, "best on the way"),
        (right, "change", BLUE, "ours"),
    ):
        values = np.array([cell[name] for cell in cells.values()])
        mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
        axes.plot(tau, mean, "o-", color=colour, markersize=3, label=label)
        axes.fill_between(tau, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    right.plot(tau, mean[-1] * (tau / tau[-1]) ** -2.0, "--", color=GREY, linewidth=1, label="slope -2")
    right.set(yscale="log")
    _frame(left, "Test loss", "scale of the start, tau", "half the mean square")
    _frame(right, "Relative change of the weights", "scale of the start, tau", "||W - W0|| / ||W0||")
    left.set_xscale("log")
    right.set_xscale("log")
    save(figure, path)
