"""Do sigmoid networks reach the accuracies of Nielsen's book, and how far does a ReLU take the same training?

  python -m experiments.papers.nielsen2015                                  all rows, 5 seeds
  python -m experiments.papers.nielsen2015 --rows='quadratic K=30' --seeds=1

Nielsen, Neural Networks and Deep Learning, 2015, chapters 1 and 3, and the result files beside his figures (fig/*.json
of github.com/mnielsen/neural-networks-and-deep-learning). 784-K-10 with sigmoids in both layers, mini-batches of 10,
SGD at a constant rate eta, L2 of the weights: w <- (1 - eta lambda / n) w, which is --weight_decay=lambda/n here.
His cross-entropy sums over the ten sigmoid outputs: --loss=binary_cross_entropy --output=identity is that network.

Ours are means after the last epoch, on the split that he used; the five networks of a row have starts of their own and
one order of the data. His are single runs: those of the quadratic loss, and the last with K = 100, are his best epoch
on that split, and in chapter 1 that of the best of three runs, which a mean after the last epoch should not reach. The
rate of the rows "default" and "large", eta = 0.1, is remembered from the book and was not checked; the script in his
repository has another.

Rows named "relu" have the images, K, batches, epochs and lambda of the row that they name, and the rest is ours: a
hidden ReLU, the softmax's cross-entropy, also beside the quadratic loss, He initialisation, and a rate of our own that
falls along a cosine, chosen on the validation images with seed 5. They stand beside the same published numbers.

All rows took 62 minutes on two cores of an AMD EPYC that others used too, nearly half of them for K = 100. Ours are in
docs/results.md: of the rows whose published number is that of a last epoch, sigmoids are within 0.5 of it but for three
that exceed it by 0.53 to 0.62; each row of ReLUs is above its number. Five runs of the quadratic loss with K = 100 end
at 96.5, 85.6, 76.2, 85.8 and 69.0 %. With weights of deviation 1 the outputs start saturated, a (1 - a) < 0.01 in 45 %
of them (with K = 30 in 22 %; counted by hand, no result file has it), and that is a factor of the quadratic loss's
gradient.
"""

import dataclasses
import functools
import statistics
from collections.abc import Mapping
from typing import Any

from absl import flags

from experiments.papers import study
from experiments.papers.results import Origin, Row
from twolayer.command import cli

PAPER = {"question": "The book's sigmoid network, both losses, and its learning curve", "minutes": 60, "rows": 41}
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(study)
flags.DEFINE_enum("dataset", "mnist", ["mnist", "digits"], "digits is small, and not what is published.")
flags.DEFINE_integer("seeds", 5, "Networks in each row.", lower_bound=1)
flags.DEFINE_float("length", 1.0, "What the epochs of each row are multiplied by.", lower_bound=0)
flags.DEFINE_list("rows", None, "Only these [all].")


SIZES = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
MORE_DATA = (69.09, 76.37, 85.29, 88.85, 91.27, 93.24, 94.89, 95.85, 95.97)
EXAMPLES = 1_500_000  # that each network of the curve sees


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A network that is trained: `decay` is Nielsen's lambda, `examples` his n."""

    hidden: int = 30
    loss: str = "binary_cross_entropy"
    output: str = "identity"
    activation: str = "sigmoid"
    init: str = "nielsen_large"
    learning_rate: float = 0.5
    schedule: str = "constant"
    epochs: int = 30
    examples: int = 50_000
    decay: float = 0.0

    def flags(self, length: float = 1.0) -> dict[str, Any]:
        """The flags of experiments.sweep, but for the data, with `length` times the epochs."""
        own = {name: value for name, value in vars(self).items() if name not in ("examples", "decay", "epochs")}
        common = {"optimizer": "sgd", "warmup_epochs": 0.0, "batch_size": 10}
        epochs = max(1, round(self.epochs * length))
        return own | common | {"weight_decay": self.decay / self.examples, "epochs": epochs}


@dataclasses.dataclass(frozen=True)
class Target:
    """A published accuracy in percent, of a recipe.

    Attributes:
      measured: when and on what, as in seeds.train.
      wanted: "near" the published number, "above" it, or "" where that is the best of several.
    """

    published: float
    recipe: Recipe
    measured: str = "valid"
    wanted: str = "near"

    def judged(self, mean: float) -> dict[str, Any]:
        """The bar of the row, and whether the mean of ours reaches it."""
        if self.wanted == "near":
            return {"bar": "within 0.5", "met": abs(mean - self.published) <= 0.5}
        return {"bar": "at least as good", "met": mean >= self.published} if self.wanted else {}


QUADRATIC = functools.partial(Recipe, loss="quadratic", output="sigmoid", learning_rate=3.0)
SOFTMAX = functools.partial(Recipe, loss="cross_entropy", activation="relu", init="he", schedule="cosine")
FEW: dict[str, Any] = {"examples": 1000, "epochs": 400}


def _targets() -> dict[str, Target]:
    rows = {
        "quadratic K=30": Target(95.42, QUADRATIC(), "test", ""),
        "quadratic K=100": Target(96.59, QUADRATIC(hidden=100), "test", ""),
        "lambda=0": Target(95.31, Recipe(), "test"),
        "lambda=5": Target(95.61, Recipe(decay=5.0), "test"),
        "1000 images lambda=0": Target(82.23, Recipe(**FEW), "test"),
        "1000 images lambda=0.1": Target(86.95, Recipe(**FEW, decay=0.1), "test"),
    }
    initial = {30: {"nielsen": (92.70, 96.50), "nielsen_large": (86.43, 96.37)}}
    initial[100] = {"nielsen": (92.95, 97.81), "nielsen_large": (89.94, 97.42)}
    for hidden, schemes in initial.items():
        for scheme, published in schemes.items():
            name = f"K={hidden} {'large' if scheme == 'nielsen_large' else 'default'}"
            recipe = Recipe(hidden=hidden, init=scheme, learning_rate=0.1, decay=5.0)
            rows |= {f"{name} epoch 1": Target(published[0], recipe, "first_valid")}
            rows |= {name: Target(published[1], recipe)}
    rows["K=100 60 epochs"] = Target(98.04, Recipe(hidden=100, learning_rate=0.1, decay=5.0, epochs=60), wanted="")
    for examples, published in zip(SIZES, MORE_DATA, strict=True):
        rows[f"n={examples}"] = Target(published, _of_size(Recipe, examples))
    return rows | _relu_targets()


def _relu_targets() -> dict[str, Target]:
    """Our network where the published one is a sigmoid's: the same images, K, batches, epochs and lambda."""
    wide: dict[str, Any] = {"hidden": 100, "learning_rate": 0.2}
    rows = {
        "relu beside quadratic K=30": Target(95.42, SOFTMAX(learning_rate=0.1), "test"),
        "relu beside quadratic K=100": Target(96.59, SOFTMAX(**wide), "test"),
        "relu lambda=5": Target(95.61, SOFTMAX(learning_rate=0.1, decay=5.0), "test"),
        "relu 1000 images lambda=0": Target(82.23, SOFTMAX(**FEW, learning_rate=0.1), "test"),
        "relu 1000 images lambda=0.1": Target(86.95, SOFTMAX(**FEW, learning_rate=0.1, decay=0.1), "test"),
        "relu K=30": Target(96.50, SOFTMAX(learning_rate=0.1, decay=5.0)),
        "relu K=100": Target(97.81, SOFTMAX(**wide, decay=5.0)),
        "relu K=100 60 epochs": Target(98.04, SOFTMAX(**wide, decay=5.0, epochs=60)),
    }
    for examples, published in zip(SIZES, MORE_DATA, strict=True):
        rows[f"relu n={examples}"] = Target(published, _of_size(SOFTMAX, examples, learning_rate=0.2))
    return {name: dataclasses.replace(target, wanted="above") for name, target in rows.items()}


def _of_size(kind: functools.partial | type[Recipe], examples: int, **own: Any) -> Recipe:
    """A network of the learning curve."""
    return kind(examples=examples, epochs=EXAMPLES // examples, decay=1e-4 * examples, **own)


TARGETS: Mapping[str, Target] = _targets()


def main() -> int:
    """Flags to rows."""
    wanted = study.chosen("rows", list(TARGETS))
    return study.main("nielsen2015", ("dataset", "seeds", "length"), lambda work: _rows(work, wanted))


def _rows(work: study.Study, wanted: list[str]) -> list[Row]:
    counted: set[str] = set()
    rows = [_row(work, name, TARGETS[name], counted) for name in wanted]
    rows = study.judged(rows, "dataset", "length", least=("seeds",))
    curve = {row.row: row for row in rows if row.row.removeprefix("relu ").startswith("n=")}
    if FLAGS.figures and curve:
        from experiments.papers import plots

        kinds = {"sigmoid": "", "ReLU": "relu "}
        ours = {
            kind: {n: curve[f"{start}n={n}"].values for n in SIZES if f"{start}n={n}" in curve}
            for kind, start in kinds.items()
        }
        published: dict[int, float] = dict(zip(SIZES, MORE_DATA, strict=True)) if FLAGS.dataset == "mnist" else {}
        plots.learning_curve(work.run.figures / "nielsen2015.png", published, ours)
    return rows


def _row(work: study.Study, name: str, target: Target, counted: set[str]) -> Row:
    """The accuracy of each network of a row, in percent. Rows of the same networks share a cell, counted once."""
    recipe = target.recipe
    given = recipe.flags(FLAGS.length)
    parts = (f"{value:g}" if isinstance(value, float) else str(value) for value in given.values())
    cell = "-".join((str(recipe.examples), *parts))
    found = work.cell(cell, lambda: _train(recipe, given), name)
    split = "test" if target.measured == "test" else "validation"
    of_data = f"--dataset={FLAGS.dataset} --train_examples={recipe.examples} --sweep=seed=0:{FLAGS.seeds}"
    of_network = " ".join(f"--{flag}={value}" for flag, value in given.items())
    facts = {"network_command": f"python -m experiments.sweep {of_data} {of_network}"}
    values, unit = found[target.measured], f"% {split} accuracy"
    of_cell = Origin.of_cell(found)
    of_cell = of_cell.counted() if cell in counted else of_cell
    counted.add(cell)
    judged = target.judged(statistics.fmean(values))
    return Row("nielsen2015", name, target.published, values, unit, of_cell, facts, **judged)


def _train(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    from experiments.papers import seeds
    from twolayer import datasets, training

    with cli.bad_input(datasets.DataError):
        data = datasets.load(FLAGS.dataset, data_dir=FLAGS.data_dir, source_dir=FLAGS.source_dir)
    data = datasets.first(data, min(recipe.examples, len(data.train.x)))
    names = {field.name: field.name for field in dataclasses.fields(training.Choices)} | {
        "activation": "hidden_activation"
    }
    own = {names[flag]: value for flag, value in given.items() if flag in names}
    choices = training.Choices(**own, scale=data.scale)
    numbers = training.Numbers(given["learning_rate"], given["weight_decay"])
    return seeds.train(data, choices, numbers, hidden=recipe.hidden, scheme=recipe.init, seeds=range(FLAGS.seeds))


if __name__ == "__main__":
    cli.run(main)
