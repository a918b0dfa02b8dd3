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

import datetime
import sys
import time
from collections.abc import Iterator

import numpy as np
from absl import flags

from twolayer.command import cli
from twolayer.command.files import writable

FLAGS = flags.FLAGS
PRECISIONS = ["float32", "bfloat16", "tensorfloat32", "float64"]
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
    sizes, path = _sizes(), writable(FLAGS.json)
    unknown = sorted(set(FLAGS.precisions) - set(PRECISIONS))
    if unknown or not FLAGS.precisions:
        raise cli.BadInput(f"--precisions: {''.join(unknown[:1])!r} is not known; choose from: {', '.join(PRECISIONS)}")
    # Imported here, so that --help and bad flags answer without loading JAX.
    import jax

    from experiments.benchmarks import bounds
    from twolayer.command import files

    jax.config.update("jax_platforms", "cpu")  # an accelerator rounds float32 products in its own way
    started, tally = time.perf_counter(), bounds.Tally()
    for kind, subject, problems in _programs(sizes):
        if kind == "fixed" and tally.entries >= FLAGS.entries:
            break
        for arguments in problems:
            tally.add(kind, subject, arguments)
        seconds = time.perf_counter() - started
        print(f"{tally.entries:.3g} entries, {tally.violations} beyond, {seconds:.0f} s", file=sys.stderr, flush=True)
        result = _facts(seconds) | _outcome(tally)
        files.write_json(path, result)
    print(_table(result))
    return cli.DONE if result["violations"] == 0 and all(bar["met"] for bar in result["bars"]) else 1


def _programs(sizes: tuple[int, ...]) -> Iterator[tuple]:
    """(kind, subject, problems) without end: the given sizes in each precision, then drawn ones."""
    from experiments.benchmarks.bounds import problem, subject
    from twolayer.activations import OUTPUTS
    from twolayer.losses import LOSSES, REDUCTIONS
    from twolayer.verification.problem import Setting, Sizes

    rng, setting = np.random.default_rng(FLAGS.seed), Setting("cross_entropy", "relu", "mean")
    fixed = [subject(setting, precision, Sizes(*sizes)) for precision in FLAGS.precisions]
    while True:
        yield from (("fixed", one, (problem(rng, one, "he") for _ in range(FLAGS.problems))) for one in fixed)
        for _ in range(FLAGS.drawn):
            drawn = Sizes(*(int(np.exp(rng.uniform(0, np.log(largest + 1)))) for largest in LARGEST))
            setting = Setting(*(str(rng.choice(list(names))) for names in (LOSSES, OUTPUTS, REDUCTIONS)))
            for precision in FLAGS.precisions:
                one = subject(setting, precision, drawn)
                yield "drawn", one, (problem(rng, one, None) for _ in range(FLAGS.problems))


def _facts(seconds: float) -> dict[str, object]:
    """Where the numbers come from."""
    from twolayer.command.provenance import provenance

    values = {flag.name: flag.value for flag in FLAGS.flags_by_module_dict()[sys.argv[0]]}
    return provenance() | {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "flags": values,
    }


def _outcome(tally) -> dict[str, object]:
    """What is to be reached, and what was counted."""
    rows = tally.rows()
    medians = {
        row["precision"]: row["bound_over_entry"] for row in rows if (row["problems"], row["step"]) == ("fixed", "dW1")
    }
    bars = [
        {"step": "dW1", "precision": name, "bound_over_entry": medians[name], "bar": bar, "met": medians[name] <= bar}
        for name, bar in BARS.items()
        if name in medians
    ]
    return {"entries": tally.entries, "violations": tally.violations, "bars": bars, "masks": tally.masks, "rows": rows}


def _table(result: dict) -> str:
    """One line for each precision and step."""
    lines = [
        f"{'problems':9}{'precision':15}{'step':5}{'entries':>11}{'beyond':>8}{'eta':>9}{'error/bound':>13}{'bound/entry':>13}"
    ]
    for row in result["rows"]:
        lines.append(
            f"{row['problems']:9}{row['precision']:15}{row['step']:5}{row['entries']:11,}{row['violations']:8}"
            f"{row['eta']:9.2g}{row['error_over_bound']:13.2g}{row['bound_over_entry']:13.1e}"
        )
    return "\n".join(lines)


def _sizes() -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in FLAGS.sizes)
    except ValueError:
        sizes = ()
    if len(sizes) != 4 or min(sizes) < 1:
        raise cli.BadInput(f"--sizes={','.join(FLAGS.sizes)}: give d, K, C and m, like 784,512,10,256")
    return sizes


if __name__ == "__main__":
    cli.run(main)
