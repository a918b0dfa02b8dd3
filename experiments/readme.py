"""Write the tables of README and docs/ from the committed result files, so that no number in them is typed by hand.

python -m experiments.readme            rewrite the tables
python -m experiments.readme --check    change nothing; status 1 if a table is out of date
"""

import re

from absl import flags

from experiments import cli, result_tables
from experiments.files import atomic
from experiments.papers import tables as paper_tables

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Only say whether the tables are up to date.")

ROOT, TABLES = result_tables.ROOT, result_tables.TABLES | paper_tables.TABLES
PAGES = ("README.md", "docs/scaling.md", "docs/results.md")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite or check the pages."""
    for page in PAGES:
        old = (ROOT / page).read_text()
        new = BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], old)
        if FLAGS.check and new != old:
            raise cli.BadInput(f"{page} is out of date; run python -m experiments.readme")
        if new != old:
            with atomic(ROOT / page) as file:
                file.write(new)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
