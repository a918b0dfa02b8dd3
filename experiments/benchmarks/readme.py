"""Write the tables of README and docs/ from the committed result files, so that no number in them is typed by hand.

python -m experiments.benchmarks.readme            rewrite the tables
python -m experiments.benchmarks.readme --check    change nothing; status 1 if a table is out of date
"""

import pathlib
import re

from absl import flags

from experiments.benchmarks.tables import accelerator, speed, training, verdicts
from experiments.papers import tables as papers
from experiments.runtime import cli
from experiments.runtime.files import atomic

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Only say whether the tables are up to date.")

ROOT = pathlib.Path(__file__).parents[2]
TABLES = {
    "training": training.training,
    "endurance": training.endurance,
    "output_relu": training.output_relu,
    "benchmark": speed.benchmark,
    "networks": speed.networks,
    "against": speed.against,
    "startup": speed.startup,
    "limits": speed.limits,
    "scaling_width": speed.scaling_width,
    "scaling_networks": speed.scaling_networks,
    "scaling_devices": speed.scaling_devices,
    "example": verdicts.example,
    "catalogue": verdicts.catalogue,
    "verification": verdicts.verification,
    **accelerator.TABLES,
    **papers.TABLES,
}
PAGES = ("README.md", "docs/scaling.md", "docs/speed.md", "docs/results.md")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite or check the pages."""
    for page in PAGES:
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
