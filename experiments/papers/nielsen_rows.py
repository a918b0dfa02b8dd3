"""The published accuracies of Nielsen's book (2015), and the networks that they belong to. No JAX, no flags."""

import dataclasses
import functools
from collections.abc import Mapping

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

    def flags(self, length: float = 1.0) -> dict[str, object]:
        """Those of experiments.sweep, but for the data, with `length` times the epochs."""
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

    def judged(self, mean: float) -> dict[str, object]:
        """The bar of the row, and whether the mean of ours reaches it."""
        if self.wanted == "near":
            return {"bar": "within 0.5", "met": abs(mean - self.published) <= 0.5}
        return {"bar": "at least as good", "met": mean >= self.published} if self.wanted else {}


QUADRATIC = functools.partial(Recipe, loss="quadratic", output="sigmoid", learning_rate=3.0)
SOFTMAX = functools.partial(Recipe, loss="cross_entropy", activation="relu", init="he", schedule="cosine")
FEW = {"examples": 1000, "epochs": 400}


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
    wide = {"hidden": 100, "learning_rate": 0.2}
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


def _of_size(kind: functools.partial | type[Recipe], examples: int, **own: float) -> Recipe:
    """A network of the learning curve."""
    return kind(examples=examples, epochs=EXAMPLES // examples, decay=1e-4 * examples, **own)


TARGETS: Mapping[str, Target] = _targets()
