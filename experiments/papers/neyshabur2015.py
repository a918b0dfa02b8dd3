"""Does the test error go on falling when a network is made wider than it must be to fit its training set?

  python -m experiments.papers.neyshabur2015                       K = 4 ... 4096
  python -m experiments.papers.neyshabur2015 --widths=4,16,64,256 --seeds=1 --epochs=10

Neyshabur, Tomioka & Srebro, In Search of the Real Inductive Bias, ICLR workshop 2015, figure 1: one hidden layer of K
ReLUs on MNIST, softmax cross-entropy, no regularisation. The paper has curves and no table, and its set-up is told here
from memory: from K = 64 or so the training error is zero, and the test error goes on falling. That is the question; the
set-up below is ours.

Here: 784-K-10, SGD with momentum 0.9, rate 0.2 and a cosine schedule, 25 epochs, batch 128, the first 50,000 images.
Test errors are those after the last epoch, training errors the mean over its batches as they were trained on. The rows
say by how much the test error at the largest K lies below that at the first K that fits the training set, and give the
error at each K, for which there is no published number. Three networks of each width leave two degrees of freedom: 3
standard errors of their fall are a p-value of 0.1 alone, and what the 10,000 test images add is left out.

All widths take 22 minutes of a core of an AMD EPYC. Ours: 1.87 +- 0.08 % at K = 128, the first that fits, and 1.52 +-
0.01 % at 4096.
"""

import math
import statistics

from absl import flags

from experiments.papers import networks, study
from experiments.papers.results import Origin, Row
from twolayer.command import cli

PAPER = {"question": "Does the test error fall beyond the width that fits the training set?", "minutes": 30, "rows": 12}
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(study)
WIDTHS = "4,8,16,32,64,128,256,512,1024,2048,4096".split(",")
flags.DEFINE_list("widths", WIDTHS, "Hidden units.")
flags.DEFINE_integer("seeds", 3, "Networks of each width.", lower_bound=1)
flags.DEFINE_integer("epochs", 25, "Of each network.", lower_bound=1)
flags.DEFINE_integer("examples", 50000, "Of the training set.", lower_bound=1)

RECIPE = (
    *("--dataset=mnist", "--output=identity", "--loss=cross_entropy", "--init=he", "--nofigures"),
    *("--optimizer=momentum", "--learning_rate=0.2", "--schedule=cosine"),
)


def main() -> int:
    """Flags to rows."""
    widths = study.whole_numbers("widths")
    if not widths:
        raise cli.BadInput("--widths is empty: nothing to do")
    return study.main("neyshabur2015", ("epochs", "examples"), lambda work: _rows(work, widths))


def _rows(work: study.Study, widths: list[int]) -> list[Row]:
    rows = [_width(work, width) for width in widths]
    if FLAGS.figures:
        from experiments.papers import plots

        plots.width(work.run.figures / "neyshabur2015.png", rows)
    usual = [row for row in rows if "scaled" not in row.facts]
    fall = [_fall(usual)] if len(usual) == len(WIDTHS) else []  # of all widths, or it says nothing
    return study.judged([*rows, *fall], "epochs", "examples", least=("seeds",))


def _width(work: study.Study, K: int) -> Row:
    """The test errors at one width."""
    own = (f"--hidden={K}", f"--epochs={FLAGS.epochs}", f"--train_examples={FLAGS.examples}")
    trained = networks.train(work, f"K{K}", (*RECIPE, *own), networks.seeds(FLAGS.seeds))
    train_errors = [100 * (1 - summary["train_accuracy"]) for summary in trained.summaries]
    facts = {"hidden": K, "train_error": statistics.fmean(train_errors), "train_errors": train_errors, **trained.facts}
    row = Row("neyshabur2015", f"K = {K}", None, trained.errors, "% test error", trained.origin, facts)
    return row if str(K) in WIDTHS else row.scaled({"widths": [str(K)]})


def _fall(rows: list[Row]) -> Row:
    """How far the test error falls from the first width that fits every training image to the widest."""
    last = rows[-1]
    first = next((row for row in rows[:-1] if row.facts["train_error"] == 0), None)
    fall = [a - b for a, b in zip(first.values, last.values, strict=True)] if first else [math.nan]
    mean, spread = statistics.fmean(fall), statistics.stdev(fall) if len(fall) > 1 else math.inf
    facts = {"first": first and first.facts["hidden"], "last": last.facts["hidden"]}
    judged = {"bar": "at least 0.3 and 3 standard errors", "met": mean >= max(0.3, 3 * spread / len(fall) ** 0.5)}
    name, of_all = "fall from the first width that fits", Origin.total(row.origin for row in rows)
    return Row("neyshabur2015", name, None, fall, "points of test error", of_all.counted(), facts, **judged)


if __name__ == "__main__":
    cli.run(main)
