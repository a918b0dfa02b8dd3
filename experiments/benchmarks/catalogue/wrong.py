"""WRONG and EQUIVALENT: every mistake in every setting where it can be made."""

from experiments.benchmarks.catalogue import equivalent, fine, forwards, layers, residuals, shapes
from experiments.benchmarks.catalogue.base import LOSSES, OUTPUTS
from experiments.benchmarks.catalogue.entry import Entry, Mistake, entries

COARSE = (*residuals.MISTAKES, *layers.MISTAKES, *forwards.MISTAKES)
MISTAKES: tuple[Mistake, ...] = (*COARSE, *fine.MISTAKES, *shapes.MISTAKES)

# Everything as rows with the mean; the sum and the other two layouts with half of the settings each.
SETTINGS = (
    *((loss, output, "mean", "rows") for loss in LOSSES for output in OUTPUTS),
    ("cross_entropy", "identity", "sum", "rows"),
    ("quadratic", "relu", "sum", "rows"),
    ("cross_entropy", "relu", "mean", "columns"),
    ("quadratic", "identity", "mean", "columns"),
    ("cross_entropy", "identity", "mean", "loop"),
    ("quadratic", "relu", "mean", "loop"),
)

WRONG: tuple[Entry, ...] = tuple(entries(MISTAKES, SETTINGS))
EQUIVALENT: tuple[Entry, ...] = tuple(entries(equivalent.MISTAKES, SETTINGS))
