"""Which wrong derivations does a checker catch, and which right ones does it reject? Ours and the others, really run.

  python -m experiments.benchmarks.verify_benchmark --limit=10                              a look
  python -m experiments.benchmarks.verify_benchmark --json=docs/results/verification.json   the measurement

The second takes some minutes on 2 CPU cores. Most checkers need pip install -e '.[bench]'; one whose library is missing
is a row that says so.

Everyone gets the derivations of experiments/benchmarks/catalogue: the four leaves and nothing else. The others compare
them with differences of the declared loss at points that are the same for all of them, in three settings; ours chooses
its own. Each has its default tolerances. SciPy's returns a number only: it accepts if the number is zero to 5 decimals,
as scikit-learn's tests ask. No other names a cause; PyTorch's names the first leaf that differs, the rest name no
place.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from experiments.benchmarks.checkers import CHECKERS
from twolayer.command import cli
from twolayer.command.files import writable, write_json

FLAGS = flags.FLAGS
SETTINGS = ["he", "small", "real"]
CHOICES = {True: "all", False: "each mistake and each right style once, taking turns in loss, output and reduction"}

flags.DEFINE_integer("seeds", 3, "Points in each setting.", lower_bound=1)
flags.DEFINE_integer(
    "limit", None, "At most so many wrong and so many right derivations, evenly spread.", lower_bound=1
)
flags.DEFINE_integer("large", 80, "The same in the setting real, where a check takes longer.", lower_bound=1)
flags.DEFINE_bool(
    "every",
    False,
    "Each mistake and each right style in every loss, output and reduction, not once; eight times as long.",
)
flags.DEFINE_list("checkers", list(CHECKERS), f"Some of {','.join(CHECKERS)}.")
flags.DEFINE_list("settings", SETTINGS, f"Some of {','.join(SETTINGS)}.")
flags.DEFINE_float("timeout", 10, "Seconds that one check may take.", lower_bound=0.01)
flags.DEFINE_string("json", "runs/verification.json", "Where the numbers go.")


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    cli.check_known("checkers", FLAGS.checkers, CHECKERS)
    cli.check_known("settings", FLAGS.settings, SETTINGS)
    path = writable(FLAGS.json)
    # Imported here, so that --help and bad flags answer without loading JAX.
    import jax

    from experiments.benchmarks.catalogue import RIGHT, WRONG
    from experiments.benchmarks.checkers import table

    jax.config.update("jax_platforms", "cpu")  # an accelerator rounds float32 products in its own way
    tried = {setting: chosen((WRONG, RIGHT), setting) for setting in (*FLAGS.settings, table.OWN)}
    result = table.facts(FLAGS.checkers, tried, FLAGS.seeds) | {
        "derivations": {"wrong": len(WRONG), "right": len(RIGHT), "choice": CHOICES[FLAGS.every]},
        "timeout_s": FLAGS.timeout,
        "rows": [],
    }
    for name in FLAGS.checkers:
        for setting in [table.OWN] if CHECKERS[name].own_points else FLAGS.settings:
            print(f"{CHECKERS[name].label}: {setting}", file=sys.stderr, flush=True)
            wrong, right = tried[setting]
            result["rows"].append(measure(name, setting, wrong, right, FLAGS.seeds, FLAGS.timeout))
            write_json(path, result)
    print(table.text(result))
    return cli.DONE


def chosen(catalogue: Sequence[Sequence], setting: str) -> list[list]:
    """The wrong and the right derivations that are tried in a setting."""
    from experiments.benchmarks.checkers import trials

    limit = min(filter(None, (FLAGS.limit, FLAGS.large))) if setting == "real" else FLAGS.limit
    pick = list if FLAGS.every else trials.one_of_each
    return [trials.spread(trials.fitting(pick(some), setting), limit) for some in catalogue]


def measure(name: str, setting: str, wrong: Sequence, right: Sequence, seeds: int, limit: float) -> dict[str, Any]:
    """The row of one checker in one setting, or `table.OWN`, with a limit in seconds for each check."""
    from experiments.benchmarks.checkers import table, trials

    own = setting == table.OWN
    try:
        check = trials.load(CHECKERS[name])
    except trials.Missing as error:
        return table.missing(name, setting, str(error))
    runs = range(1 if own else seeds)
    found = trials.run(check, [*wrong, *right], None if own else setting, runs, limit)
    good = {derivation.id for derivation in right}
    bad, fine = ([trial for trial in found if (trial.derivation.id in good) == side] for side in (False, True))
    return table.row(name, setting, bad, fine, says=CHECKERS[name].why is not None)


if __name__ == "__main__":
    cli.run(main)
