"""Figures to look at after training: NumPy arrays in, one PNG out, the same bytes for the same input.

d inputs, K hidden units, C outputs or classes, n examples; sizes in inches; colours safe for all eyes.
`Figure` without pyplot needs no display or global state. Axes and text take the time: images share a mosaic.
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from twolayer.atomic import atomic

DPI, MAX_UNITS, MAX_MISTAKES, MAX_OUTPUTS, MAX_POINTS = 140, 100, 40, 4, 5000
BLUE, RED, GREY, PALE = "#0072B2", "#D55E00", "#606060", "#E6E6E6"
WHITE_TO_RED = LinearSegmentedColormap.from_list("", ["white", RED]).with_extremes(bad=PALE)
Images: TypeAlias = UInt8[np.ndarray, "n d"]
Outputs: TypeAlias = Float[np.ndarray, "n C"]
Labels: TypeAlias = Integer[np.ndarray, " n"]
Losses: TypeAlias = Float[np.ndarray, " n"]
Weights1: TypeAlias = Float[np.ndarray, "K d"]
Weights2: TypeAlias = Float[np.ndarray, "C K"]


def learning_curves(path: Path, metrics: list[dict]) -> None:
    """Losses, error % (if there are accuracies) and dead units; None, missing or not finite leaves a gap.

    Args:
      path: of the PNG, as in all figures here.
      metrics: a row for each epoch, as metrics.jsonl has them: epoch, train_loss, valid_loss, dead_hidden, ...
    """
    epochs = np.array([row["epoch"] for row in metrics])
    keys = "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "dead_hidden", "dead_outputs"
    values = np.array([[row.get(key) for row in metrics] for key in keys], float)
    loss, error, dead = values[:2], 100 * (1 - values[2:4]), values[4:]
    broken, best = ~np.isfinite(loss).all(axis=0), loss[1].argmin()
    title = f"Lowest validation loss {loss[1, best]:.3g}, epoch {epochs[best]}"
    panels = [(f"Loss not finite from epoch {epochs[broken.argmax()]}" if broken.any() else title, loss)]
    if np.isfinite(error).any():
        panels.append((f"Validation error {error[1, -1]:.3g} % at the end", error))
    panels.append(("Dead at the end: {:.0f} hidden, {:.0f} outputs".format(*dead[:, -1]), dead))
    figure = new_figure(4.0 * len(panels), 3.3)
    for i, (title, curves) in enumerate(panels):
        _draw_curves(new_axes(figure, 0.5 + 4.0 * i, 0.55, 2.75, 2.35, title), epochs, curves, curves is dead)
    save(figure, path)


def hidden_units(path: Path, W1: Weights1, image_shape: tuple, W2: Weights2 | None = None) -> None:
    """The weights into at most 100 hidden units as images, the largest outgoing ||W2[:, j]|| first.

    Args:
      image_shape: (height, width) of a row of W1.
      W2: decides the order; without it, that of W1.
    """
    order = np.arange(len(W1)) if W2 is None else largest_first(np.linalg.norm(W2.astype(float), axis=0))
    units = np.nan_to_num(W1[order[:MAX_UNITS]].astype(float)).reshape(-1, *image_shape)
    units /= np.maximum(np.abs(units).max(axis=(1, 2), keepdims=True), 1e-30)
    columns = len(units) if len(units) <= 5 else int(np.ceil(np.sqrt(len(units))))
    title = f"{len(units)} of {len(W1)} hidden units{'' if W2 is None else ', largest outgoing weight first'}"
    note = "incoming weights: red positive, blue negative; each unit on its own scale"
    figure, *_ = _mosaic_figure(units, columns, 0.0, title, note, cmap="RdBu_r", vmin=-1, vmax=1)
    save(figure, path)


def confusion_matrix(path: Path, labels: Labels, predictions: Labels, classes: int | list[str]) -> None:
    """Counts of (true, predicted) class; colour shows the mistakes alone.

    Args:
      classes: their names, or how many there are.
    """
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else classes
    C, longest = len(names), max(map(len, names))
    counts = np.zeros((C, C), int)
    np.add.at(counts, (labels, predictions), 1)
    totals, right = counts.sum(axis=1), np.diag(counts)
    n, wrong = totals.sum(), totals.sum() - right.sum()
    shares = np.where(np.eye(C), np.nan, counts / np.maximum(totals, 1)[:, None])
    shades = np.sqrt(shares / max(np.nanmax(shares), 1e-9))  # rare confusions show beside a lost class
    cell, left, bottom = np.clip(5 / C, 0.26, 0.8), 0.6 + 0.07 * longest, 0.55 + 0.06 * longest
    title = f"Error {100 * wrong / max(n, 1):.3g} %: {wrong:,} of {n:,} images"
    note = "colour: share of the true class (square-root scale); right: error of the class"
    figure = new_figure(left + C * cell + 0.75, bottom + C * cell + 0.85, title, note)
    axes = new_axes(figure, left, bottom, C * cell, C * cell)
    axes.pcolormesh(range(C), range(C), shades, cmap=WHITE_TO_RED, vmin=0, vmax=1, ec=PALE, linewidth=0.5)
    axes.set(xlim=(-0.5, C - 0.5), ylim=(C - 0.5, -0.5), xlabel="predicted class", ylabel="true class")
    axes.set_xticks(range(C), names, rotation=90 * (longest > 3))
    axes.set_yticks(range(C), names)
    axes.tick_params(length=0)
    centre = {"ha": "center", "va": "center", "fontsize": 8}
    for i, j in np.argwhere(counts) if C <= 20 else ():
        axes.text(j, i, str(counts[i, j]), color=GREY if i == j else "black", **centre)
    for i in np.flatnonzero(totals).tolist():
        axes.text(C - 0.3, i, f"{100 * (1 - right[i] / totals[i]):.1f} %", va="center", fontsize=8)
    for j in np.flatnonzero(counts.sum(axis=0) == 0).tolist():
        axes.axvspan(j - 0.5, j + 0.5, facecolor=BLUE, alpha=0.25)
        axes.text(j, (C - 1) / 2, "never predicted", rotation=90, color=BLUE, weight="bold", **centre)
    save(figure, path)


def worst_mistakes(
    path: Path, images: Images, labels: Labels, predictions: Labels, losses: Losses, image_shape: tuple
) -> None:
    """The at most 40 wrongly classified images with the largest loss, as "true → predicted" and the loss.

    Args:
      losses: of each image.
      image_shape: (height, width) of a row of `images`.
    """
    wrong = np.flatnonzero(labels != predictions)
    shown = wrong[largest_first(losses[wrong])][:MAX_MISTAKES]
    if not wrong.size:
        return save(new_figure(5.2, 0.5, f"No mistakes among {len(labels):,} images"), path)
    title = f"The {len(shown)} costliest of {len(wrong):,} mistakes among {len(labels):,} images"
    note, columns = "true → predicted class, and the loss of the image", min(len(shown), 8)
    tiles = images[shown].reshape(-1, *image_shape).astype(float)
    figure, axes, (height, width) = _mosaic_figure(tiles, columns, 0.3, title, note, cmap="gray_r", vmin=0)
    for tile, i in enumerate(shown):
        x, y = tile % columns * width, tile // columns * height + image_shape[0]
        axes.text(x, y, f"{labels[i]} → {predictions[i]}   {losses[i]:.3g}", fontsize=8, va="top")
    save(figure, path)


def regression_fit(path: Path, targets: Outputs, predictions: Outputs) -> None:
    """Predicted against true: R² of all outputs, and a panel for each of the at most four with the lowest."""
    targets, predictions = targets.astype(float), predictions.astype(float)
    scores = np.asarray(r_squared(targets, predictions, axis=0))
    shown = np.argsort(scores)[:MAX_OUTPUTS]
    title = f"R² = {r_squared(targets, predictions):z.3f} on {len(targets):,} examples"
    note = f"{len(shown)} of {len(scores)} outputs, lowest R² first; grey line: prediction = target"
    figure = new_figure(3.3 * len(shown) + 0.4, 4.0, title, note)
    for column, j in enumerate(shown):
        axes = new_axes(figure, 0.7 + 3.3 * column, 0.5, 2.6, 2.6, f"output {j}: R² = {scores[j]:z.3f}")
        points = np.stack([targets[:, j], predictions[:, j]])[:, :: -(-len(targets) // MAX_POINTS)]
        points = points[:, np.isfinite(points).all(axis=0)]
        ends = points.min(initial=0), points.max(initial=0)  # one range for both: a dead output looks flat
        axes.plot(*points, "o", color=BLUE, markersize=3, markeredgewidth=0, alpha=0.35)
        axes.plot(ends, ends, color=GREY, linewidth=1)
        axes.set(xlabel="target", ylabel="prediction")
    save(figure, path)


def largest_first(values: Losses) -> Integer[np.ndarray, " n"]:
    """Indices by falling value, NaN as infinity, ties in their own order."""
    return np.argsort(-np.nan_to_num(values, nan=np.inf, posinf=np.inf), kind="stable")


def mosaic(tiles: Float[np.ndarray, "n h w"], columns: int, gap: tuple) -> Float[np.ndarray, "H W"]:
    """The tiles row by row in one picture, each followed by `gap` NaN pixels below and to the right."""
    tiles = np.pad(tiles, ((0, -len(tiles) % columns), (0, gap[0]), (0, gap[1])), constant_values=np.nan)
    return np.vstack([np.hstack(list(tiles[i : i + columns])) for i in range(0, len(tiles), columns)])


def r_squared(targets: Outputs, predictions: Outputs, axis: int | None = None) -> float | np.ndarray:
    """1 - residual / total sum of squares; NaN if no target varies.

    Args:
      axis: 0 for each output by itself; None for all together.
    """
    residual = ((targets - predictions) ** 2).sum(axis)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis)
    return 1 - residual / np.where(total > 0, total, np.nan)


def _draw_curves(axes: Axes, epochs, curves, counts: bool) -> None:
    """Two curves labelled where they end; losses and errors that span a decade are logarithmic."""
    finite = np.isfinite(curves)
    low, high = curves[finite].min(initial=np.inf), curves[finite].max(initial=0)
    if not counts and 0 < 10 * low < high:
        axes.set_yscale("log", subs=())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    else:
        axes.set_ylim(-0.08 * (high or 1), 1.1 * (high or 1))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10), integer=counts))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10), integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=PALE)
    names = ("hidden", "outputs") if counts else ("train", "validation")
    ends = [y[seen][-1:].sum() for y, seen in zip(curves, finite, strict=True)]  # 0 for an empty curve
    for i, (y, seen) in enumerate(zip(curves, finite, strict=True)):
        if seen.any():  # the second curve is thinner, so that the first shows where both agree
            colour, marks = (BLUE, RED)[i], "o-" if seen.sum() <= 15 else "-"
            axes.plot(epochs, y, marks, color=colour, linewidth=(2.4, 1.4)[i], markersize=(5, 3)[i])
            style = {"va": "bottom" if i == np.argmax(ends) else "top", "color": colour, "fontsize": 9}
            axes.annotate(names[i], (epochs[seen][-1], ends[i]), (7, 0), textcoords="offset points", **style)


def new_figure(width: float, height: float, title: str = "", note: str = "") -> Figure:
    """An empty figure of these inches, with a title and a smaller line below it."""
    width = max(width, 5.2)
    figure = Figure((width, height), DPI)
    figure.text(0.15 / width, 1 - 0.12 / height, title, va="top", fontsize=11, weight="bold")
    figure.text(0.15 / width, 1 - 0.36 / height, note, va="top", fontsize=8.5, color=GREY)
    return figure


def new_axes(figure: Figure, left: float, bottom: float, width: float, height: float, title: str = "") -> Axes:
    """Axes placed in inches: no layout solver, and mosaics land on whole screen pixels."""
    W, H = figure.get_size_inches()
    axes = figure.add_axes((left / W, bottom / H, width / W, height / H))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_title(title, loc="left", fontsize=10, weight="bold")
    return axes


def _mosaic_figure(tiles, columns: int, room: float, title: str, note: str, **colours) -> tuple:
    """A figure of tiles some 0.8 wide, `room` for text below each; its axes and the pitch of its tiles."""
    zoom = max(1, round(0.8 * DPI / max(tiles.shape[1:])))  # whole, so that all image pixels look the same
    gap = int(np.ceil(room * DPI / zoom)) or 1, int(np.ceil(room * DPI / zoom / 2)) or 1
    picture = mosaic(tiles, columns, gap)
    height, width = (zoom * side / DPI for side in picture.shape)
    figure = new_figure(width + 0.2, height + 0.75, title, note)
    axes = new_axes(figure, 0.15, 0.1, width, height)
    axes.imshow(picture, interpolation="nearest", **colours)
    axes.set_axis_off()
    return figure, axes, np.add(tiles.shape[1:], gap)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG or a PDF, whole, the same bytes for the same figure."""
    own: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}, "metadata": {"Software": None}}
    if path.suffix == ".pdf":
        own = {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}}
    with atomic(path, "wb") as file:
        figure.savefig(file, format=path.suffix[1:], **own)
