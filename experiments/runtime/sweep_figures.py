"""Figures of a sweep, each as PNG and PDF: curves, a metric against a swept number, heat maps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from twolayer.figures import BLUE, PALE, RED, new_axes, new_figure, save
from twolayer.statistics import SOURCES, centre

MOST_GROUPS = 8
MOST_LABELS = 24  # of an axis of the heat map, which grows no further
MOST_PANELS = 4
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
BAND = (0.25, 0.75)
DECADE = 10
LINE = 0.19  # inches from one line of a legend to the next


def curves(path: Path, epochs: pa.Table, axes: Sequence[str], note: str) -> None:
    """Validation error (loss for real targets) by epoch: the median of each group and its quartiles.

    A group has the same swept choices and numbers; of more than eight, those of the best medians are drawn. The legend
    is in the order of the axes.

    Args:
      path: of the PNG; the PDF lies beside it.
      note: what the networks of a group differ in.
    """
    columns = {name: epochs.column(name).to_numpy(zero_copy_only=False) for name in epochs.column_names}
    names = [name for name in axes if name not in SOURCES]
    accuracy = np.isfinite(columns["valid_accuracy"]).any()
    values = 100 * (1 - columns["valid_accuracy"]) if accuracy else columns["valid_loss"]
    groups: dict[tuple, dict[int, list[float]]] = {}
    for i, value in enumerate(values):
        key = tuple(columns[name][i] for name in names)
        groups.setdefault(key, {}).setdefault(int(columns["epoch"][i]), []).append(value)
    last = {key: np.nanmedian(of_epoch[max(of_epoch)]) for key, of_epoch in groups.items()}
    best = sorted(last, key=last.__getitem__)[:MOST_GROUPS]
    drawn = in_order([key for key in groups if key in best])
    which = f"the {MOST_GROUPS} best of {len(groups)} groups" if len(groups) > MOST_GROUPS else ""
    figure, axis = _figure_with_legend(f"Median and quartiles{which and ' of '}{which}", note, len(drawn), bool(names))
    everything = []
    for key, colour in zip(drawn, COLOURS, strict=False):
        at = sorted(groups[key])
        low, middle, high = np.array([np.nanquantile(groups[key][e], (BAND[0], 0.5, BAND[1])) for e in at]).T
        everything += [low, middle, high]
        axis.plot(at, middle, "o-" if len(at) <= 15 else "-", ms=3, color=colour, label=label(names, key), lw=1.6)
        axis.fill_between(at, low, high, color=colour, alpha=0.2, lw=0)
    axis.set(xlabel="epoch", ylabel="validation error %" if accuracy else "validation loss")
    axis.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10), integer=True, min_n_ticks=1))
    _scale_y(axis, np.concatenate(everything))
    _legend(axis, bool(names))
    save_both(figure, path)


def against(path: Path, summary: Sequence[Mapping], x: str, others: Sequence[str], note: str) -> None:
    """Test error (loss for real targets) against a swept number: means or medians, with their intervals if any.

    Args:
      x: the swept number.
      others: the other swept choices and numbers: a colour for each of their combinations, at most eight.
    """
    metric, of = _metric(summary)
    groups: dict[tuple, list[tuple]] = {}
    for entry in summary:
        if entry[metric]:
            middle = centre(entry[metric])
            low, high = sorted(map(of, entry[metric]["interval"] or (middle, middle)))
            point = entry[x], of(middle), low, high
            groups.setdefault(tuple(entry[name] for name in others), []).append(point)
    drawn = in_order([*groups])[:MOST_GROUPS]
    left_out = f"; {len(groups) - len(drawn)} more groups are left out" if len(groups) > len(drawn) else ""
    figure, axis = _figure_with_legend(f"{_name(metric)} by {x}", note + left_out, len(drawn), bool(others))
    shown = []
    for key, colour in zip(drawn, COLOURS, strict=False):
        at, mean, low, high = np.array(sorted(groups[key]), float).T
        shown += [low[low > 0], mean, high]
        error = np.clip([mean - low, high - mean], 0, None)
        alone = not error.any() and len(at) > MOST_GROUPS  # random draws: a cloud of single networks
        style = {"fmt": "o" if alone else "o-", "ms": 3.5, "lw": 1.4, "elinewidth": 1, "capsize": 2}
        axis.errorbar(at, mean, error, color=colour, label=label(others, key), **style)
    axis.set(xlabel=x, ylabel=_name(metric))
    _scale_x(axis, np.array(sorted({entry[x] for entry in summary}), float))
    _scale_y(axis, np.concatenate(shown) if shown else np.zeros(0))
    _legend(axis, bool(others))
    save_both(figure, path)


def heat_map(path: Path, summary: Sequence[Mapping], x: str, y: str, others: Sequence[str] = ()) -> None:
    """The mean test error (loss for real targets) of each pair of swept numbers, with its value; grey: all diverged.

    Colours are by the logarithm, so that the good cells, which differ by a fraction, are told apart too. A panel for
    each combination of the `others`.
    """
    metric, of = _metric(summary)
    xs, ys = (sorted({entry[name] for entry in summary}) for name in (x, y))
    panels = in_order([*{tuple(entry[name] for name in others) for entry in summary}])
    grids = {key: np.full((len(ys), len(xs)), np.nan) for key in panels}
    for entry in summary:
        if entry[metric]:
            key = tuple(entry[name] for name in others)
            grids[key][ys.index(entry[y]), xs.index(entry[x])] = of(entry[metric]["mean"])
    width, height = 0.62 * min(len(xs), MOST_LABELS), 0.4 * min(len(ys), MOST_LABELS)
    shown = panels[:MOST_PANELS]
    more = f"; {len(panels) - len(shown)} more panels are left out" if len(panels) > len(shown) else ""
    note = "mean of each cell; colours by its logarithm; grey: all networks diverged" + more
    step = width + 1.0
    figure = new_figure(0.9 + step * len(shown), height + 1.75, _name(metric), note)
    scale = _logarithmic(np.concatenate([grid.ravel() for grid in grids.values()]))
    for i, key in enumerate(shown):
        axis = new_axes(figure, 0.95 + step * i, 0.8, width, height, label(others, key) if others else "")
        _draw_cells(axis, grids[key], scale)
        _label_cells(axis, xs, ys)
        axis.set(xlabel=x, ylabel=y if i == 0 else "")
    save_both(figure, path)


def in_order(keys: Sequence[tuple]) -> list[tuple]:
    """Keys of groups as their axes have them: numbers by size, names as they came."""
    columns = list(zip(*keys, strict=True))
    numeric = [all(isinstance(value, int | float | np.number) for value in column) for column in columns]

    def rank(key: tuple) -> list:
        places = zip(key, columns, numeric, strict=True)
        return [value if number else column.index(value) for value, column, number in places]

    return sorted(keys, key=rank)


def label(names: Sequence[str], key: Sequence[object]) -> str:
    """A group in a legend."""
    return ", ".join(f"{name} {_short(value)}" for name, value in zip(names, key, strict=True)) or "all networks"


def save_both(figure: Figure, path: Path) -> None:
    """Write the PNG, and a PDF beside it."""
    save(figure, path)
    save(figure, path.with_suffix(".pdf"))


def _metric(summary: Sequence[Mapping]) -> tuple[str, Callable[[float], float]]:
    """The column to show, and what is shown of its values: the error of an accuracy in per cent, else the loss."""
    if any(entry["test_accuracy"] for entry in summary):
        return "test_accuracy", lambda accuracy: 100 * (1 - accuracy)
    return "test_loss", lambda loss: loss


def _name(metric: str) -> str:
    return "test error %" if metric == "test_accuracy" else "test loss"


def _figure_with_legend(title: str, note: str, lines: int, legend: bool) -> tuple[Figure, Axes]:
    height = max(2.9, LINE * lines)
    figure = new_figure(7.6 if legend else 5.6, height + 1.3, title, note)
    return figure, new_axes(figure, 0.75, 0.55, 4.2, height)


def _legend(axis: Axes, wanted: bool) -> None:
    axis.grid(axis="y", color=PALE)
    if wanted:
        axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.02))


def _scale_y(axis: Axes, values: np.ndarray) -> None:
    """Logarithmic where positive values span a decade; ticks are plain numbers."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > DECADE * finite.min():
        axis.set_yscale("log", subs=())
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    else:
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axis.yaxis.set_major_formatter("{x:g}")


def _scale_x(axis: Axes, values: np.ndarray) -> None:
    if len(values) > 1 and values[0] > 0 and values[-1] >= DECADE * values[0]:
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    if len(values) <= MOST_GROUPS:
        axis.xaxis.set_major_locator(FixedLocator(values.tolist()))
    axis.xaxis.set_major_formatter(lambda value, _: _short(float(value)))


def _logarithmic(values: np.ndarray) -> Normalize:
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if not len(positive) or positive.max() == positive.min():
        return Normalize(0, max(1e-9, known.max(initial=0)))
    return LogNorm(positive.min(), positive.max(), clip=True)


def _draw_cells(axis: Axes, grid: np.ndarray, scale: Normalize) -> None:
    axis.set_facecolor(PALE)
    floor = (scale.vmin or 0) if isinstance(scale, LogNorm) else 0
    image = axis.imshow(np.maximum(grid, floor), cmap="viridis", norm=scale, aspect="auto", origin="lower")
    if max(grid.shape) > MOST_LABELS:
        axis.figure.colorbar(image, ax=axis)
        return
    for j, i in np.argwhere(np.isfinite(grid)):
        shade = float(np.asarray(scale(max(grid[j, i], floor))))
        style = {"ha": "center", "va": "center", "fontsize": 8, "color": "black" if shade > 0.55 else "white"}
        axis.text(i, j, f"{grid[j, i]:.3g}", **style)


def _label_cells(axis: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    every_x, every_y = (-(-len(values) // MOST_LABELS) for values in (xs, ys))
    axis.set_xticks(range(0, len(xs), every_x), [_short(value) for value in xs[::every_x]], rotation=45)
    axis.set_yticks(range(0, len(ys), every_y), [_short(value) for value in ys[::every_y]])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)
