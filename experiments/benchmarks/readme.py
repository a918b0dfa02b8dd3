"""Write the tables of README and docs/ from the committed result files, so that no number in them is typed by hand.

python -m experiments.benchmarks.readme            rewrite the tables
python -m experiments.benchmarks.readme --check    change nothing; status 1 if a table is out of date
"""

import pathlib
import re

from absl import flags

from experiments.benchmarks import tables
from experiments.benchmarks.tables import accelerator, results, speed  # noqa: F401  they register theirs
from experiments.papers import listing
from twolayer.atomic import atomic
from twolayer.command import cli

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Only say whether the tables are up to date.")

ROOT = pathlib.Path(__file__).parents[2]
TABLES = tables.TABLES | listing.TABLES
PAGES = ("verify", "training", "own", "sweeps", "speed", "scaling", "results")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite or check the pages."""
    for page in ("README.md", *(f"docs/{name}.md" for name in PAGES)):
        old = (ROOT / page).read_text()
        new = BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], old)
        if FLAGS.check and new != old:
            raise cli.BadInput(f"{page} is out of date; run python -m experiments.benchmarks.readme")
        if new != old:
            with atomic(ROOT / page) as file:
                file.write(new)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
