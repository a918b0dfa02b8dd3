"""Small tables: does this network predict as well as scikit-learn's MLP of the same width, in the same time?

  python -m experiments.benchmarks.tabular --json=docs/results/tabular.json

Breast cancer, wine and diabetes as scikit-learn ships them, ten splits each (70 % training, 15 % test), standardised
by the training part. Both train on the same examples: ours with the settings of `twolayer.fit`, 128 hidden units, the
quadratic loss on identity outputs for diabetes; theirs as it comes, MLPClassifier or MLPRegressor with
128 hidden units. The score is the accuracy on the test part, for diabetes R^2. Seconds are those of one fit; ours once
compiled, and with the compilation of the first. About a minute on 2 CPU cores.
"""

import functools
import statistics
import time
import warnings
from typing import Any

import numpy as np
from absl import flags
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

import twolayer
from experiments.benchmarks.tables import results
from twolayer import datasets
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("json", None, "Where the rows go.")
flags.DEFINE_integer("splits", 10, "Splits of each table.", lower_bound=2)
flags.DEFINE_integer("epochs", 100, "Of ours.", lower_bound=1)

TABLES = ("breast_cancer", "wine", "diabetes")
WIDTH = 128


def main() -> int:
    """Flags to rows; returns the exit status."""
    path = writable(FLAGS.json) if FLAGS.json else None
    rows = [row(name, FLAGS.splits, FLAGS.epochs) for name in TABLES]
    print(results.tabular.text({"rows": rows}))
    if path:
        write_json(path, {"rows": rows, **provenance()})
    return cli.DONE


def row(name: str, splits: int, epochs: int) -> dict[str, object]:
    """Mean and deviation over the splits of both scores, and of their difference; seconds of one fit."""
    fits = {"ours": functools.partial(ours, epochs=epochs), "sklearn": theirs}
    scores: dict[str, list[float]] = {who: [] for who in fits}
    seconds: dict[str, list[float]] = {who: [] for who in fits}
    for seed in range(splits):
        data = datasets.load(f"sklearn:{name}", options=datasets.Options(standardize=True, split_seed=seed))
        for who, fit in fits.items():
            began = time.perf_counter()
            model = fit(data, seed)
            seconds[who].append(time.perf_counter() - began)
            scores[who].append(float(model.score(data.test.x, data.test.y.ravel())))
    apart = np.subtract(scores["ours"], scores["sklearn"]).tolist()
    found = {
        who: {"mean": statistics.fmean(some), "sd": statistics.stdev(some)}
        for who, some in (scores | {"difference": apart}).items()
    }
    times = {who: statistics.median(s[1:]) for who, s in seconds.items()} | {"ours_first": seconds["ours"][0]}
    kind = "R^2" if data.regression else "accuracy"
    return {"table": name, "score": kind, "n": splits, "epochs": epochs, **found, "seconds": times, "scores": scores}


def ours(data: datasets.Dataset, seed: int, epochs: int) -> twolayer.Result:
    """A network of ours, trained."""
    own = {"loss": "quadratic", "output": "identity"} if data.regression else {}
    task = datasets.Options(task="regression" if data.regression else "classes")
    parts = {"valid": data.valid, "test": data.test}
    return twolayer.fit(*data.train, **parts, options=task, hidden_size=WIDTH, seed=seed, epochs=epochs, **own)


def theirs(data: datasets.Dataset, seed: int) -> Any:
    """scikit-learn's network as it comes, trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at its 200 epochs it stops
        model = (MLPRegressor if data.regression else MLPClassifier)(hidden_layer_sizes=(WIDTH,), random_state=seed)
        return model.fit(data.train.x, data.train.y.ravel())


if __name__ == "__main__":
    cli.run(main)
