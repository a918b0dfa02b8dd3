"""Does the verifier's rounding bound hold, and is it sharp? Our own closed form, entry by entry, in four precisions.

  python -m experiments.benchmarks.verify_bounds --entries=3e7                                   a look
  python -m experiments.benchmarks.verify_bounds --json=docs/results/verification_bounds.json    the measurement

The second takes about a minute on 2 CPU cores. An entry is a number of Z1, O1, Z2, O2 or of one of the eight steps,
beside its value from the program's own arrays before it. A round is --sizes in every precision, with He's parameters
and normal inputs, and then some drawn sizes, losses, outputs and reductions, with parameters and inputs at scales from
1e-3 to 1e3. Rounds go on until there are enough entries.

Expected: 0 violations in 1e8 entries. The median of bound / entry of dW1 at 784-512-10, m = 256, is below 1e-4 in
float32 and 5e-2 in bfloat16.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.benchmarks import facts, flags_given, integers
from experiments.runtime import tables
from twolayer import network
from twolayer.activations import ACTIVATIONS
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.formulas import REDUCTIONS
from twolayer.gradients import closed_form
from twolayer.verification.problem import INPUTS, Setting, Sizes
from twolayer.verification.rounding.program import instrument, report, resized
from twolayer.verification.rounding.runs import Floats, Instrumented, running
from twolayer.verification.rounding.units import unit

FLAGS = flags.FLAGS
PRECISIONS = ["float32", "bfloat16", "tensorfloat32", "float64"]
LOSSES = ["cross_entropy", "quadratic"]
BARS = {"float32": 1e-4, "bfloat16": 5e-2}
LARGEST = (784, 512, 32, 256)  # d, K, C, m of the sizes that are drawn

flags.DEFINE_float("entries", 1e8, "How many entries at least.", lower_bound=1)
flags.DEFINE_list("precisions", PRECISIONS, f"Some of {','.join(PRECISIONS)}.")
flags.DEFINE_list("sizes", ["784", "512", "10", "256"], "d, K, C and m of the first problems of a round.")
flags.DEFINE_integer("problems", 5, "Problems for each program.", lower_bound=1)
flags.DEFINE_integer("drawn", 3, "Sizes that are drawn in a round.", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Decides all that is drawn.", lower_bound=0)
flags.DEFINE_string("json", "runs/verification_bounds.json", "Where the numbers go.")


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    sizes, path = integers("sizes", like="784,512,10,256"), writable(FLAGS.json)
    if len(sizes) != 4:
        raise cli.BadInput(f"--sizes={','.join(FLAGS.sizes)}: give d, K, C and m")
    cli.check_known("precisions", FLAGS.precisions, PRECISIONS)
    jax.config.update("jax_platforms", "cpu")  # an accelerator rounds float32 products in its own way
    started, tally = time.perf_counter(), Tally()
    for kind, subject, problems in _programs(sizes):
        if kind == "fixed" and tally.total("entries") >= FLAGS.entries:
            break
        for arguments in problems:
            tally.add(kind, subject, arguments)
        found, seconds = _outcome(tally), time.perf_counter() - started
        print(f"{found['entries']:.3g} entries, {found['violations']} beyond, {seconds:.0f} s", file=sys.stderr)
        result = facts() | {"seconds": seconds, "flags": flags_given()} | found
        write_json(path, result)
    print(_table(result))
    return cli.DONE if result["violations"] == 0 and all(bar["met"] for bar in result["bars"]) else 1


def _programs(sizes: Sequence[int]) -> Iterator[tuple]:
    """(kind, subject, problems) without end: the given sizes in each precision, then drawn ones."""
    rng, setting = np.random.default_rng(FLAGS.seed), Setting("cross_entropy", "relu", "mean")
    fixed = [subject(setting, precision, Sizes(*sizes)) for precision in FLAGS.precisions]
    while True:
        yield from (("fixed", one, (problem(rng, one, "he") for _ in range(FLAGS.problems))) for one in fixed)
        for _ in range(FLAGS.drawn):
            drawn = Sizes(*(int(np.exp(rng.uniform(0, np.log(largest + 1)))) for largest in LARGEST))
            loss, output, reduction = (str(rng.choice(list(names))) for names in (LOSSES, ACTIVATIONS, REDUCTIONS))
            setting = Setting(loss, output, reduction)
            for precision in FLAGS.precisions:
                one = subject(setting, precision, drawn)
                yield "drawn", one, (problem(rng, one, None) for _ in range(FLAGS.problems))


def _outcome(tally: "Tally") -> dict[str, Any]:
    """The bars and the counts."""
    rows = tally.rows()
    medians = {
        row["precision"]: row["bound_over_entry"] for row in rows if (row["problems"], row["step"]) == ("fixed", "dW1")
    }
    bars = [
        {"step": "dW1", "precision": name, "bound_over_entry": medians[name], "bar": bar, "met": medians[name] <= bar}
        for name, bar in BARS.items()
        if name in medians
    ]
    totals = {name: tally.total(name) for name in ("entries", "violations")}
    return totals | {"bars": bars, "masks": tally.masks, "rows": rows}


def _table(result: dict) -> str:
    """One line for each precision and step."""
    header = ("problems", "precision", "step", "entries", "beyond", "eta", "error/bound", "bound/entry")
    rows = [
        (
            *(row["problems"], row["precision"], row["step"], f"{row['entries']:,}", str(row["violations"])),
            *(f"{row['eta']:.2g}", f"{row['error_over_bound']:.2g}", f"{row['bound_over_entry']:.1e}"),
        )
        for row in result["rows"]
    ]
    return tables.text(header, rows)


class Subject(NamedTuple):
    """The package's closed form in one setting, precision and size, compiled to hand out its steps."""

    setting: Setting
    program: Instrumented


def subject(setting: Setting, precision: str, sizes: Sizes) -> Subject:
    """Compile the closed form at these sizes."""
    closed = closed_form(setting.loss, setting.output, setting.reduction, hidden_activation=setting.hidden)

    def gradients(params: Any, x: Any, y: Any) -> dict[str, Any]:
        labels = jnp.argmax(y, axis=1) if setting.loss == "cross_entropy" else y
        return {f"d{name}": leaf for name, leaf in closed(network.Params(*params), x, labels)[1]._asdict().items()}

    return Subject(setting, resized(instrument(gradients, setting, precision), gradients, sizes))


def problem(rng: np.random.Generator, of: Subject, scheme: str | None) -> Floats:
    """W1, b1, W2, b2, x, y in the precision of the program: normal numbers, y one-hot for cross-entropy.

    With a scheme the parameters are those that training starts from. Without, they and x are at scales from 1e-3 to
    1e3, but for outputs that are at most 80 under cross-entropy.
    """
    d, K, C, m = of.program.traced.sizes
    x, noise = rng.normal(size=(m, d)), rng.normal(size=(m, C))
    if scheme:
        params = [np.asarray(a) for a in network.init(jax.random.key(rng.integers(2**31)), d, K, C, scheme)]
    else:
        scales = 10 ** rng.uniform(-3, 3, 5)
        shapes = [(K, d), (K,), (C, K), (C,)]
        params = [scale * rng.normal(size=shape) for scale, shape in zip(scales, shapes, strict=False)]
        x, noise = scales[4] * x, scales[3] * noise
        if of.setting.loss == "cross_entropy":
            Z2 = np.maximum(x @ params[0].T + params[1], 0) @ params[2].T + params[3]
            params[2:] = [array * min(1, 80 / abs(Z2).max()) for array in params[2:]]
    y = np.eye(C)[rng.integers(C, size=m)] if of.setting.loss == "cross_entropy" else noise
    with running(of.program.precision) as dtype:
        return {name: array.astype(dtype) for name, array in zip(INPUTS, (*params, x, y), strict=True)}


# What is counted of a step in one problem, and what it comes to over many.
COUNTED = {
    "entries": sum,
    "violations": sum,  # entries beyond their bound
    "unbounded": sum,  # entries without one
    "eta": max,
    "error_over_bound": max,
    "bound_over_entry": statistics.median,  # of the medians over the entries that are not zero
}


class Tally:
    """Counts by (kind of problem, precision, step), and of masks in all."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self.masks = {"entries": 0, "ambiguous": 0, "other_sign": 0, "other_sign_not_ambiguous": 0}

    def add(self, kind: str, of: Subject, arguments: Floats) -> None:
        """Run one problem and count."""
        compared = of.program.compare(arguments).compared
        for rounding in report(compared, unit(arguments["x"].dtype).u):
            parts = [one for one in compared if one.step == rounding.step]
            found = {
                "entries": sum(one.mine.size for one in parts),
                "violations": sum(int(one.beyond.sum()) for one in parts),
                "unbounded": sum(int(np.isinf(one.right.bound).sum()) for one in parts),
            }
            found |= {name: getattr(rounding, name) for name in ("eta", "error_over_bound", "bound_over_entry")}
            self._found.setdefault((kind, of.program.precision, rounding.step), []).append(found)
        for one in (one for one in compared if one.step in ("Z1", "Z2")):
            near = abs(one.right.numbers) <= one.right.bound
            other = (one.mine > 0) != (one.right.numbers > 0)
            counts = {"entries": near.size, "ambiguous": near.sum(), "other_sign": other.sum()}
            counts["other_sign_not_ambiguous"] = (other & ~near).sum()
            self.masks = {name: count + int(counts[name]) for name, count in self.masks.items()}

    def rows(self) -> list[dict[str, Any]]:
        """One row for each kind, precision and step."""
        return [
            {"problems": kind, "precision": precision, "step": step}
            | {name: of_many([one[name] for one in found]) for name, of_many in COUNTED.items()}
            for (kind, precision, step), found in self._found.items()
        ]

    def total(self, name: str) -> int:
        """The sum of a count over all of them."""
        return sum(one[name] for found in self._found.values() for one in found)


if __name__ == "__main__":
    cli.run(main)
