"""Measure what the README claims of the training script, by running its commands as a user would, one after the other.

  python -m experiments.benchmarks.results --source_dir=FOLDER_OF_ARCHIVES

Each row is one or several whole processes; wall seconds run from process start to exit,
with the data cached before. About 5 minutes on 2 CPU cores, most of it the five networks of 800 hidden units. Writes
docs/results/training.json, from which `python -m experiments.benchmarks.readme` makes the README's table.
"""

import itertools
import json
import pathlib
import statistics
import sys
import tempfile
from typing import Any

import numpy as np
from absl import flags

from experiments.benchmarks import ran
from experiments.runtime import runs
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance
from twolayer.names import GRADIENTS

FLAGS = flags.FLAGS
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept [~/.cache/twolayer].")
flags.DEFINE_integer("seeds", 5, "Seeds of the row with 800 hidden units.", lower_bound=2)
flags.DEFINE_string("json", "docs/results/training.json", "Where the result goes.")

MNIST = ("--dataset=mnist", "--hidden=128", "--epochs=10")
WIDE = ("--flagfile=experiments/flagfiles/mnist_800.txt",)


def main() -> int:
    """Run every row and write the file."""
    target = writable(FLAGS.json)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(pathlib.Path(folder))
        session.train("--dataset=mnist", "--epochs=1", "--nofigures")  # fills the cache
        rows = [session.accuracy("digits, the default")]
        for loss, output in itertools.product(("cross_entropy", "quadratic"), ("relu", "identity")):
            chosen = (*MNIST, f"--loss={loss}", f"--output={output}")
            rows.append(session.accuracy(f"MNIST, {loss}, output {output}", *chosen))
        rows += [session.engines(), session.repeated(), session.wide(FLAGS.seeds), session.help()]
    write_json(target, {"rows": rows, **provenance()})
    return cli.DONE


class Session:
    """Runs training commands in a folder of their own and keeps what they leave."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.runs = 0

    def train(self, *arguments: str) -> tuple[dict, pathlib.Path, float]:
        """One process: its summary, its run directory and its wall seconds."""
        self.runs += 1
        run_dir = self.folder / str(self.runs)
        places = [f"--{name}={FLAGS[name].value}" for name in ("source_dir", "data_dir") if FLAGS[name].value]
        seconds = _process(*arguments, "--quiet", f"--run_dir={run_dir}", *places)
        return json.loads((run_dir / "summary.json").read_text()), run_dir, seconds

    def accuracy(self, name: str, *arguments: str) -> dict:
        summary, _, seconds = self.train(*arguments)
        keys = ("test_accuracy", "valid_accuracy", "dead_outputs", "lost_classes", "seconds")
        return _row(name, arguments, wall_seconds=seconds, **{key: summary[key] for key in keys})

    def engines(self) -> dict:
        """The largest relative difference of a parameter between the engines, after 2 epochs in float64."""
        arguments = ("--dataset=mnist", "--precision=float64", "--epochs=2", "--nofigures")
        of = [runs.load_params(self.train(*arguments, f"--gradient={engine}")[1]) for engine in GRADIENTS]
        norm = np.linalg.norm
        difference = max(norm(of[0][name] - of[1][name]) / norm(of[1][name]) for name in of[0])
        return _row("closed form against autodiff, float64", arguments, relative_difference=float(difference))

    def repeated(self) -> dict:
        """Whether the same command gives the same parameters and metrics, seconds aside."""
        arguments = (*MNIST, "--nofigures")
        outcomes = []
        for _ in range(2):
            summary, run_dir, _ = self.train(*arguments)
            outcomes.append((summary["params_sha256"], runs.without_seconds(runs.read_metrics(run_dir))))
        return _row("the same command twice", arguments, identical=outcomes[0] == outcomes[1])

    def wide(self, seeds: int) -> dict:
        """Test error of 784-800-10, mean and sd over seeds."""
        outcomes = [self.train(*WIDE, f"--seed={seed}", "--nofigures") for seed in range(seeds)]
        errors = [100 * (1 - summary["test_accuracy"]) for summary, _, _ in outcomes]
        return _row(
            "MNIST, 800 hidden units",
            WIDE,
            test_error_percent=statistics.mean(errors),
            sd=statistics.stdev(errors),
            n=seeds,
            errors_percent=errors,
            valid_error_percent=statistics.mean(100 * (1 - summary["valid_accuracy"]) for summary, _, _ in outcomes),
            wall_seconds=statistics.median(seconds for _, _, seconds in outcomes),
        )

    def help(self) -> dict:
        return _row("--help", ("--help",), wall_seconds=_process("--help"))


def _process(*arguments: str) -> float:
    """Wall seconds of the training script with these flags."""
    seconds = ran("train", *arguments).seconds
    print(f"{seconds:6.1f} s  {' '.join(arguments)}", file=sys.stderr)
    return seconds


def _row(name: str, arguments: tuple[str, ...], **values: Any) -> dict:
    return {"row": name, "command": " ".join(("python -m experiments.train", *arguments)), **values}


if __name__ == "__main__":
    cli.run(main)
