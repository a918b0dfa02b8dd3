"""Is a hand derivation of the gradient right? If not: which step is wrong, and why.

  twolayer-verify                                        the package's own derivation
  twolayer-verify --derivation=homework.py --loss=quadratic --output=identity --reduction=sum
  twolayer-verify --derivation=homework.py --report=report.md --json=verdict.json

`python -m experiments.verify` is the same command.

The network is O1 = ReLU(x W1' + b1), O2 = ReLU(O1 W2' + b2), or with other activations (--activation of the hidden
layer, --output of the other; identity is none). Examples are rows. The derivation is a Python file, in NumPy, JAX or
plain Python, as you have written it; a notebook will do. It takes all sizes from the shapes:

    import numpy as np

    def gradients(params, x, y):               # W1 (K, d), b1 (K,), W2 (C, K), b2 (C,); x (m, d); y (m, C)
        a1 = np.maximum(0, x @ params.W1.T + params.b1)
        z2 = a1 @ params.W2.T + params.b2      # y is one-hot, for quadratic real
        d2 = (z2 - y) / len(x)
        d1 = d2 @ params.W2
        d1[a1 <= 0] = 0
        return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ a1, "db2": d2.sum(0)}

That one is right for --loss=quadratic --output=identity, 1/2 ||O2 - y||^2 averaged over the m examples. A missing
gradient is "not derived". Return "dO2", "dZ2", "dO1" and "dZ1" too and they are judged as well. If the file defines
loss(params, x, y), that is what its gradient is held against (--loss=own), and how it relates to the losses that can
be declared is said; with a declared loss both are said.

Two verdicts. FORMULA: the code runs as it stands on real numbers of several hundred bits, at many points, activation
patterns and sizes, beside the right gradient; a difference is proved, and equality is agreement to 60 digits at every
point. PROGRAM: its rounding in floats, against bounds that follow from the operations. With --batch or --dataset it is
checked on numbers of yours too: --batch=FILE.npz holds W1, b1, W2, b2, x and y; --dataset takes the first examples of a
data set, with --params=RUN/params.npz of a training run or else the parameters it starts from.

Any other function: a file that defines SHAPES = {"W": "k d", "x": "m d", ...} with loss and gradients of those
arguments is judged whatever it computes; and --rule=FILE.py:NAME holds a custom rule against its own plain program.

The file is your own code and is RUN as such, with all your rights, as by `python homework.py`: run none that you do not
trust. Exit status: 0 right, 1 wrong, 2 undecided or not fully derived, 3 bad input (a file that fails or does not end,
a bad flag), 70 a fault of this program, 130 interrupted.
"""

import dataclasses
import gc
from typing import Any

from absl import flags

from twolayer.activations import ACTIVATIONS
from twolayer.command import choices, cli, judging
from twolayer.formulas import FORMULAS, REDUCTIONS
from twolayer.names import CONVENTIONS, DATASETS

FLAGS = flags.FLAGS


PRECISIONS = list(judging.Options.precisions)
LONGEST = 1e6  # seconds

flags.DEFINE_string("derivation", None, "The file with gradients(params, x, y) [the package's own].")
flags.DEFINE_enum(
    "loss",
    None,
    [*FORMULAS, "own"],
    "quadratic is 1/2 ||O2 - y||^2; binary_cross_entropy: of sigmoids of O2; own: the file's own loss "
    "[own, where the file defines one, else cross_entropy].",
)
choices.define("output", "relu", ACTIVATIONS, "Activation of the output.", choices.SLOPE)
choices.define("activation", "relu", ACTIVATIONS, "Activation of the hidden layer.", choices.SLOPE)
flags.DEFINE_enum("biases", "yes", ["yes", "none"], "Whether the declared network has biases.")
flags.DEFINE_bool("allow_guards", False, "Accept small constants that keep a number from 0 or 1, as in log(p + 1e-8).")
flags.DEFINE_enum("reduction", "mean", list(REDUCTIONS), "Over the examples of a batch.")
flags.DEFINE_enum("relu_at_zero", "any", list(CONVENTIONS), "ReLU'(0) to insist on; any names what it finds.")
flags.DEFINE_list("precisions", PRECISIONS, f"Whose rounding is judged: some of {','.join(PRECISIONS)}.")
flags.DEFINE_string("rule", None, "FILE.py:NAME, a function with a custom rule of JAX, or with such inside it.")
flags.DEFINE_string("reference", None, "With --rule: FILE.py:NAME, whose value and derivative it must have.")
flags.DEFINE_string("shapes", None, "With --rule: the arguments' shapes, as 'q: m d, k: n d' [SHAPES of the file].")
flags.DEFINE_bool("strict", False, "Of any function: right only where every branch was entered on both sides.")
flags.DEFINE_string("json", None, "Write the verdict here as JSON.")
flags.DEFINE_string("report", None, "Write a report here as Markdown with LaTeX equations.")
flags.DEFINE_float("time_limit", 60.0, "Seconds that the file and its verification may take.")
flags.DEFINE_bool("quiet", False, "The first lines only, and no progress: for jobs.")

# Real numbers for the exact check
flags.DEFINE_string("batch", None, "An .npz file of W1, b1, W2, b2, x and y (labels or targets).")
choices.define("dataset", None, DATASETS, "Its first training examples are the batch.", choices.OWN_DATA)
flags.DEFINE_string("target", None, "With --dataset of one's own table: the column to predict.")
flags.DEFINE_bool("standardize", False, "With --dataset of one's own data: mean 0 and deviation 1 in training.")
flags.DEFINE_string("source_dir", None, "Folder with the four original .gz archives of an MNIST-family data set.")
flags.DEFINE_string("data_dir", None, "Where downloads go and prepared arrays are kept [~/.cache/twolayer].")
flags.DEFINE_string("params", None, "With --dataset: the params.npz of a training run.")
flags.DEFINE_integer("batch_size", None, "With --dataset: examples [32].", lower_bound=1)
flags.DEFINE_integer("hidden", None, "With --dataset, without --params: hidden units K [128].", lower_bound=1)

flags.register_validator("time_limit", lambda value: 0 < value <= LONGEST, f"must be above 0 and at most {LONGEST:g}")
flags.register_validator(
    "precisions",
    lambda names: names and set(names) <= set(PRECISIONS) and len(set(names)) == len(names),
    f"must be some of {','.join(PRECISIONS)}, each once",
)


def main() -> int:
    """Flags to a verdict; returns the exit status."""
    values: dict[str, Any] = {field.name: FLAGS[field.name].value for field in dataclasses.fields(judging.Options)}
    values["precisions"] = tuple(values["precisions"])
    return judging.run(judging.Options(**values))


def entry() -> None:
    """The command, from its flags to its exit status."""
    gc.set_threshold(2_000_000)  # a tenth of a verdict was the search for cycles, of which balls have none
    cli.run(main, refusal=judging.BAD_INPUT, module=__name__)
