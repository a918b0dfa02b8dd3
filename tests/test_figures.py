"""Figures: whole PNG files with the same bytes every time, and drawings that say what the arrays say."""

import copy
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from ml_dtypes import bfloat16
from PIL import Image
from sklearn.metrics import r2_score

from twolayer import figures

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 10, 500)
PREDICTIONS = np.where(RNG.random(500) < 0.8, LABELS, RNG.integers(0, 10, 500))
IMAGES = RNG.integers(0, 256, (500, 64), dtype=np.uint8)
LOSSES = RNG.exponential(size=500).astype(np.float32)
W1, W2 = RNG.normal(size=(128, 64)).astype(np.float32), RNG.normal(size=(10, 128)).astype(np.float32)
TARGETS = RNG.normal(size=(200, 6))
GUESSES = TARGETS + RNG.normal(size=6) * RNG.normal(size=(200, 6))


def epochs(n, **changes):
    """Metrics of n epochs of a run that goes well, with some columns changed."""
    columns = {
        "train_loss": 1 / np.arange(1, n + 1),
        "valid_loss": 1.1 / np.arange(1, n + 1),
        "train_accuracy": 1 - 0.3 / np.arange(1, n + 1),
        "valid_accuracy": 1 - 0.4 / np.arange(1, n + 1),
        "dead_hidden": np.arange(n),
        "dead_outputs": np.zeros(n, int),
    } | changes
    return [{"epoch": i + 1, **{name: column[i] for name, column in columns.items()}} for i in range(n)]


CASES = {
    "curves": (figures.learning_curves, epochs(20)),
    "one epoch": (figures.learning_curves, epochs(1)),
    "nothing finite": (figures.learning_curves, epochs(1, train_loss=[np.nan], valid_loss=[np.inf])),
    "diverged": (figures.learning_curves, epochs(3, train_loss=[1, 1e30, np.nan], valid_loss=[1, 9, None])),
    "no accuracy": (figures.learning_curves, epochs(2, train_accuracy=[None] * 2, valid_accuracy=[None] * 2)),
    "units": (figures.hidden_units, W1, (8, 8), W2),
    "oblong units": (figures.hidden_units, W1[:7], (4, 16)),
    "three units": (figures.hidden_units, W1[:3], (8, 8), W2[:, :3]),
    "dead unit": (figures.hidden_units, 0 * W1[:1], (8, 8)),
    "diverged units": (figures.hidden_units, np.float32([[np.nan] * 4, [np.inf] * 4]), (2, 2), W2[:, :2]),
    "bfloat16 units": (figures.hidden_units, W1.astype(bfloat16), (8, 8), W2.astype(bfloat16)),
    "confusion": (figures.confusion_matrix, LABELS, PREDICTIONS, 10),
    "names": (figures.confusion_matrix, LABELS, PREDICTIONS, [f"class {i}" for i in range(10)]),
    "two classes": (figures.confusion_matrix, LABELS % 2, PREDICTIONS % 2, 2),
    "dead class": (figures.confusion_matrix, LABELS % 2, 0 * LABELS, 2),
    "no confusion": (figures.confusion_matrix, LABELS, LABELS, 10),
    "many classes": (figures.confusion_matrix, LABELS.astype(np.uint8), PREDICTIONS, 26),
    "mistakes": (figures.worst_mistakes, IMAGES, LABELS, PREDICTIONS, LOSSES, (8, 8)),
    "no mistakes": (figures.worst_mistakes, IMAGES, LABELS, LABELS, LOSSES, (8, 8)),
    "empty image": (figures.worst_mistakes, 0 * IMAGES[:1], LABELS[:1], LABELS[:1] + 1, LOSSES[:1], (8, 8)),
    "bfloat16 losses": (figures.worst_mistakes, IMAGES, LABELS, PREDICTIONS, LOSSES.astype(bfloat16), (8, 8)),
    "one output": (figures.regression_fit, TARGETS[:, :1], GUESSES[:, :1]),
    "six outputs": (figures.regression_fit, TARGETS, GUESSES),
    "diverged fit": (figures.regression_fit, TARGETS[:, :2], np.full((200, 2), np.nan)),
    "bfloat16 fit": (figures.regression_fit, TARGETS.astype(np.float32), GUESSES.astype(bfloat16)),
}


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Calls a figure function and returns the Figure it would have saved."""
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))

    def draw(function, *arguments):
        function(tmp_path / "figure.png", *arguments)
        return kept.pop()

    return draw


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CASES)
def test_every_case_is_one_png_and_leaves_its_arguments_alone(name, tmp_path):
    function, *arguments = CASES[name]
    before = copy.deepcopy(arguments)
    function(tmp_path / "figure.png", *arguments)
    np.testing.assert_equal(arguments, before)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    with Image.open(tmp_path / "figure.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) >= 70 and max(picture.size) < 2000
        assert set(picture.info) == {"dpi"}


@pytest.mark.parametrize("name", ["curves", "units", "dead class", "mistakes", "one output"])
def test_the_same_arguments_give_the_same_bytes(name, tmp_path):
    function, *arguments = CASES[name]
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        function(path, *arguments)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_failed_drawing_leaves_the_old_figure_and_nothing_else(monkeypatch, tmp_path):
    def savefig(self, file, **_):
        file.write(b"half a pict")
        raise OSError("disk full")

    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", savefig)
    with pytest.raises(OSError, match="disk full"):
        figures.learning_curves(path, epochs(3))
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"] and path.read_bytes() == b"old"


def test_importing_needs_neither_pyplot_nor_jax():
    code = "import sys, twolayer.figures; sys.exit(bool({'matplotlib.pyplot', 'jax'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_curves_have_a_panel_each_and_labels(draw):
    figure = draw(figures.learning_curves, epochs(20))
    assert len(figure.axes) == 3
    assert {"train", "validation", "hidden", "outputs"} <= set(texts(figure))
    assert figure.axes[0].get_title(loc="left") == "Lowest validation loss 0.055, epoch 20"
    assert figure.axes[1].get_title(loc="left") == "Validation error 2 % at the end"
    assert figure.axes[2].get_title(loc="left") == "Dead at the end: 19 hidden, 0 outputs"
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), 30 / np.arange(1, 21))


def test_no_error_panel_for_a_regression(draw):
    rows = [{k: v for k, v in row.items() if "accuracy" not in k} for row in epochs(5)]
    assert len(draw(figures.learning_curves, rows).axes) == 2


def test_divergence_is_named_and_its_epochs_are_on_the_axis(draw):
    figure = draw(figures.learning_curves, epochs(4, valid_loss=[1, 2, None, np.nan]))
    assert figure.axes[0].get_title(loc="left") == "Loss not finite from epoch 3"
    assert figure.axes[0].get_xlim()[1] > 4


@pytest.mark.parametrize("last, scale", [(0.5, "linear"), (0.05, "log"), (0, "linear"), (np.nan, "linear")])
def test_losses_are_logarithmic_once_they_span_a_decade(draw, last, scale):
    loss = draw(figures.learning_curves, epochs(2, train_loss=[1, last], valid_loss=[1, last])).axes[0]
    assert loss.get_yscale() == scale


def test_few_epochs_have_markers_and_many_have_none(draw):
    for n, marker in ((1, "o"), (15, "o"), (16, "None")):
        figure = draw(figures.learning_curves, epochs(n))
        assert {line.get_marker() for axes in figure.axes for line in axes.lines} == {marker}


@pytest.mark.parametrize("n", [1, 2, 3, 20, 500])
def test_epoch_ticks_are_whole_numbers(draw, n):
    axes = draw(figures.learning_curves, epochs(n)).axes[0]
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


def test_labels_of_curves_that_end_together_do_not_overlap(draw):
    figure = draw(figures.learning_curves, epochs(3, train_loss=[3, 2, 1], valid_loss=[3, 2, 1]))
    figure.draw_without_rendering()
    for axes in figure.axes:
        first, second = (label.get_window_extent() for label in axes.texts)
        assert max(first.y0, second.y0) >= min(first.y1, second.y1) - 1e-6


def test_the_strongest_unit_comes_first_on_its_own_scale(draw):
    picture = np.asarray(draw(figures.hidden_units, W1, (8, 8), W2).axes[0].images[0].get_array())
    order = sorted(range(128), key=lambda j: -np.linalg.norm(W2[:, j]))
    assert picture.shape == (90, 90)
    for tile in (0, 1, 10, 99):
        row, column = divmod(tile, 10)
        unit = W1[order[tile]].astype(float)
        shown = picture[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
        np.testing.assert_allclose(shown, (unit / abs(unit).max()).reshape(8, 8))


def test_image_pixels_are_whole_screen_pixels(tmp_path):
    checks = np.indices((9, 9)).sum(axis=0) % 2 * 2.0 - 1
    figures.hidden_units(tmp_path / "unit.png", checks.reshape(1, 81), (9, 9))
    with Image.open(tmp_path / "unit.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    zoom, top, left = 12, 91, 21
    unit = pixels[top : top + 9 * zoom, left : left + 9 * zoom].reshape(9, zoom, 9, zoom, 3)
    assert (unit == unit[:, :1, :, :1]).all()
    assert len(np.unique(unit[:, 0, :, 0].reshape(-1, 3), axis=0)) == 2


@pytest.mark.parametrize("n", [1, 4, 5, 9])
def test_mosaic_puts_tiles_row_by_row_with_gaps(n):
    tiles = RNG.random((n, 2, 3))
    picture = figures.mosaic(tiles, columns=4, gap=(2, 1))
    assert picture.shape == (-(-n // 4) * 4, 16)
    for tile in range(n):
        y, x = tile // 4 * 4, tile % 4 * 4
        np.testing.assert_array_equal(picture[y : y + 2, x : x + 3], tiles[tile])
    assert np.isfinite(picture).sum() == tiles.size


def test_largest_first_puts_nan_and_infinity_before_all_and_keeps_ties():
    values = np.array([1.0, np.nan, 3.0, -np.inf, 1.0, np.inf])
    assert figures.largest_first(values).tolist() == [1, 5, 2, 0, 4, 3]


def test_confusion_cells_count_and_the_margin_holds_the_errors(draw):
    figure = draw(figures.confusion_matrix, LABELS, PREDICTIONS, 10)
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    for i in range(10):
        row = [np.sum((i == LABELS) & (j == PREDICTIONS)) for j in range(10)]
        assert [int(cells.get((j, i), 0)) for j in range(10)] == row
        assert cells[9.7, i] == f"{100 * (1 - row[i] / sum(row)):.1f} %"
    wrong = (LABELS != PREDICTIONS).sum()
    assert f"Error {wrong / 5:.3g} %: {wrong} of 500 images" in texts(figure)


def test_the_diagonal_has_no_colour_and_the_worst_confusion_the_strongest(draw):
    labels, predictions = np.array([0] * 90 + [1] * 10), np.array([0] * 85 + [1] * 5 + [1] * 8 + [0] * 2)
    shades = draw(figures.confusion_matrix, labels, predictions, 2).axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shades, np.nan), [[np.nan, np.sqrt(5 / 90 / 0.2)], [1, np.nan]])


def test_classes_never_predicted_are_marked_and_only_these(draw):
    predictions = np.where(np.isin(PREDICTIONS, [3, 7]), 0, PREDICTIONS)
    marks = [
        text.get_position()[0]
        for text in draw(figures.confusion_matrix, LABELS, predictions, 10).axes[0].texts
        if text.get_text() == "never predicted"
    ]
    assert marks == [3, 7]
    assert "never predicted" not in texts(draw(figures.confusion_matrix, LABELS, PREDICTIONS, 10))


def test_a_class_without_images_has_no_error(draw):
    figure = draw(figures.confusion_matrix, np.array([0, 0, 1]), np.array([0, 1, 1]), ["cat", "dog", "emu"])
    assert sum(text.endswith(" %") for text in texts(figure)) == 2


def test_mistakes_are_shown_costliest_first_and_only_mistakes(draw):
    losses = np.where(LABELS == PREDICTIONS, 1000, LOSSES)
    figure = draw(figures.worst_mistakes, IMAGES, LABELS, PREDICTIONS, losses, (8, 8))
    wrong = sorted(np.flatnonzero(LABELS != PREDICTIONS), key=lambda i: -losses[i])
    captions = [f"{LABELS[i]} → {PREDICTIONS[i]}   {losses[i]:.3g}" for i in wrong[:40]]
    assert [text.get_text() for text in figure.axes[0].texts] == captions
    assert f"The 40 costliest of {len(wrong)} mistakes among 500 images" in texts(figure)
    first = np.asarray(figure.axes[0].images[0].get_array())[:8, :8]
    np.testing.assert_array_equal(first, IMAGES[wrong[0]].reshape(8, 8))


def test_no_mistakes_is_said(draw):
    figure = draw(figures.worst_mistakes, IMAGES, LABELS, LABELS, LOSSES, (8, 8))
    assert "No mistakes among 500 images" in texts(figure)


def test_r_squared_is_that_of_scikit_learn():
    each, together = figures.r_squared(TARGETS, GUESSES, axis=0), figures.r_squared(TARGETS, GUESSES)
    np.testing.assert_allclose(each, r2_score(TARGETS, GUESSES, multioutput="raw_values"))
    np.testing.assert_allclose(together, r2_score(TARGETS, GUESSES, multioutput="variance_weighted"))


def test_r_squared_of_perfect_mean_and_constant():
    assert (figures.r_squared(TARGETS, TARGETS, axis=0) == 1).all()
    means = np.broadcast_to(TARGETS.mean(axis=0), TARGETS.shape)
    np.testing.assert_allclose(figures.r_squared(TARGETS, means, axis=0), 0, atol=1e-12)
    assert np.isnan(figures.r_squared(np.ones((5, 2)), np.zeros((5, 2)), axis=0)).all()


def test_fit_shows_the_worst_outputs_with_equal_ranges(draw):
    figure = draw(figures.regression_fit, TARGETS, GUESSES)
    scores = r2_score(TARGETS, GUESSES, multioutput="raw_values")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"output {j}: R² = {scores[j]:.3f}" for j in np.argsort(scores)[:4]]
    for axes in figure.axes:
        np.testing.assert_allclose(axes.get_xlim()[0], axes.get_ylim()[0], rtol=0.2)
        line = axes.lines[1]
        np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())


def test_a_dead_output_looks_flat(draw):
    axes = draw(figures.regression_fit, TARGETS[:, :1], 0 * TARGETS[:, :1]).axes[0]
    assert axes.get_ylim()[1] > TARGETS[:, 0].max()
