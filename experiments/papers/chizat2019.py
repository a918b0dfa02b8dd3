"""Does a two-layer network learn by turning its units, or stay where it starts, as its initial scale grows?

  python -m experiments.papers.chizat2019                                           9 scales, 10 trials each
  python -m experiments.papers.chizat2019 --log_taus=-1,0.4,1 --trials=3 --steps=2000        less

Chizat, Oyallon & Bach, "On lazy training in differentiable programming", NeurIPS 2019, with the numbers of the authors'
test_vs_scale.jl. Inputs uniform on the unit sphere of R^100, 1,000 to train and 1,000 to test; a teacher of 3 units
of norm 1 with outputs +1 or -1; a student of 50 units without biases, both layers N(0, 1) times tau, the second half of
the units the first with the opposite output, so that the student starts as 0. Full-batch gradient descent on half the
mean square, 10,000 steps of min(10, 0.1 / tau^2), float64, for tau = 10^t. A trial has the same data, teacher and
directions at each tau. The authors stored no numbers; their grid of 33 scales is --log_taus=-2.2,-2.1,...,1.

The network, its loss and its gradient are the package's, closed_form(loss="quadratic", output="identity"). Its biases
start at 0 and their gradients are dropped, because the paper's network has none.

What is expected. The output is quadratic in the scale of the weights, so tau^2 is the paper's alpha. As it grows the
model turns into its linearisation at the start, and the weights' relative change falls like tau^-2: the slope of its
logarithm, fitted over tau > 1, is -2: that is the theory's number. The published figure has a low test loss where tau
is small and a high one where it is large; at tau = 10 we ask for five times that at 0.1. And at the largest tau the
trained network predicts on the test inputs what its linearisation (jax.linearize) predicts after the same steps, within
1 % in the Euclidean norm.

A scale takes two to three minutes of a core of an AMD EPYC, all of them with the linearisation 22 minutes. Ours (10
trials): slope -1.999 +- 0.001. The mean loss at 10 is 1.9 +- 0.1 times that at 0.1 and 68 times that at 10^-2.2: tau =
0.1 is on the way from one to the other, its weights move by 0.36 of their norm. From the linearised model: 0.6 +- 0.5
%, 1.7 % in the worst trial, and 2e-6 or less in the two trials in which no unit changes sign on a training input.
"""

import dataclasses
import math
import statistics

from absl import flags

from experiments.papers import study
from experiments.papers.results import Origin, Row
from twolayer.command import cli

PAPER = {"question": "When does a network train without moving its weights?", "minutes": 25, "rows": 3}
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(study)
GRID = ["-2.2", "-1.4", "-1", "-0.6", "-0.2", "0.2", "0.4", "0.7", "1"]
flags.DEFINE_list("log_taus", GRID, "Scales of the start, as logarithms to base 10.")
flags.DEFINE_integer("trials", 10, "Draws of data, teacher and start, all in one program.", lower_bound=2)
flags.DEFINE_integer("steps", 10_000, "Of gradient descent, a multiple of 100.", lower_bound=100)
flags.DEFINE_integer("inputs", 100, "d.", lower_bound=2)
flags.DEFINE_integer("hidden", 50, "Units of the student, an even number.", lower_bound=2)
flags.DEFINE_integer("examples", 1000, "To train, and as many to test.", lower_bound=2)
flags.DEFINE_integer("seed", 0, "Of all draws.", lower_bound=0, upper_bound=2**31 - 1)
TINY = 1e-300  # for a logarithm, where all units died at once and no weight moves
OWN = ("trials", "steps", "inputs", "hidden", "examples", "seed")


def main() -> int:
    """Flags to the rows; returns the exit status."""
    taus = _log_taus()
    if FLAGS.steps % 100:
        raise cli.BadInput(f"--steps={FLAGS.steps}: give a multiple of 100")
    if FLAGS.hidden % 2:
        raise cli.BadInput(f"--hidden={FLAGS.hidden}: give an even number, for the two halves that cancel")
    return study.main("chizat2019", OWN, lambda work: _rows(work, taus))


def _log_taus() -> list[float]:
    texts = FLAGS.log_taus
    try:
        found = sorted({float(text) for text in texts})
        if not found or len(found) < len(texts) or not all(-6 <= t <= 3 for t in found):
            raise ValueError
    except ValueError as error:
        raise cli.BadInput(f"--log_taus={','.join(texts)}: give different numbers from -6 to 3") from error
    return found


def _rows(work: study.Study, log_taus: list[float]) -> list[Row]:
    cells = {t: work.cell(f"tau{t:g}", lambda t=t: _cell(t, linear=False)) for t in log_taus}
    largest = log_taus[-1]
    linear = work.cell(f"linear{largest:g}", lambda: _cell(largest, linear=True))
    rows = [*_slope(cells), *_contrast(cells)]
    away = [_distance(a, b) for a, b in zip(cells[largest]["outputs"], linear["outputs"], strict=True)]
    facts = {
        "tau": 10**largest,
        "flips": cells[largest]["flips"],
        "linear_test_loss": linear["test"],
        "test_loss": cells[largest]["test"],
    }
    name, unit = "distance to the linearised model", "of the predictions, relative"
    met, of_both = max(away) <= 0.01, Origin.total(map(Origin.of_cell, (linear, cells[largest])))
    of_both = dataclasses.replace(of_both, seconds=linear["seconds"])
    rows.append(Row("chizat2019", name, None, away, unit, of_both, facts, bar="at most 0.01 in each trial", met=met))
    if FLAGS.figures:
        from experiments.papers import plots

        plots.lazy(work.run.figures / "chizat2019.png", cells)
    return study.judged(rows, "log_taus", "steps", "inputs", "hidden", "examples", "seed", least=("trials",))


def _slope(cells: dict[float, dict]) -> list[Row]:
    """Slope of log relative change against log tau, over tau > 1, trial by trial."""
    large = [t for t in cells if t > 0]
    if len(large) < 2:
        return []
    changes = zip(*([math.log10(max(c, TINY)) for c in cells[t]["change"]] for t in large), strict=True)
    slopes = [statistics.linear_regression(large, trial).slope for trial in changes]
    facts = {"taus": [10**t for t in large], "change": {f"{t:g}": cell["change"] for t, cell in cells.items()}}
    of_all = Origin.total(map(Origin.of_cell, cells.values()))
    name, unit = "slope of the weight change", "d log / d log tau"
    met = abs(statistics.fmean(slopes) + 2) <= 0.1
    return [Row("chizat2019", name, -2, slopes, unit, of_all, facts, bar="-2, by 0.1 at most", met=met)]


def _contrast(cells: dict[float, dict]) -> list[Row]:
    """Lazy against not: the test losses at tau = 10 and 0.1."""
    if not {1.0, -1.0} <= set(cells):
        return []
    lazy, rich = cells[1.0], cells[-1.0]
    ratios = [a / b for a, b in zip(lazy["test"], rich["test"], strict=True)]
    facts = {"test_loss_at_10": lazy["test"], "test_loss_at_0.1": rich["test"]}
    facts["test_loss"] = {f"{t:g}": cell["test"] for t, cell in cells.items()}
    name, unit = "test loss at 10 over test loss at 0.1", "mean of the ratios"
    met = statistics.fmean(ratios) >= 5 and min(lazy["test"]) > max(rich["test"])
    bar, of_both = "at least 5, and all trials apart", Origin.total(map(Origin.of_cell, (lazy, rich))).counted()
    return [Row("chizat2019", name, None, ratios, unit, of_both, facts, bar=bar, met=met)]


def _distance(a: list[float], b: list[float]) -> float:
    size = math.hypot(*b)
    return math.dist(a, b) / size if size else math.inf


def _cell(log_tau: float, linear: bool) -> dict:
    """All trials at one scale: losses, the weights' change, and the outputs on the test inputs."""
    import jax

    from experiments.papers import lazy

    with jax.enable_x64(True):
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(FLAGS.seed), i))(jax.numpy.arange(FLAGS.trials))
        sizes = lazy.Sizes(FLAGS.inputs, FLAGS.hidden, FLAGS.examples)
        result = lazy.trials(keys, 10.0**log_tau, sizes, FLAGS.steps, linear)
        return {name: value.tolist() for name, value in result._asdict().items()}


if __name__ == "__main__":
    cli.run(main)
