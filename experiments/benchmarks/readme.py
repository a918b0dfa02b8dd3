"""Write the tables of README and docs/ from the committed result files, so that no number in them is typed by hand.

python -m experiments.benchmarks.readme            rewrite the tables
python -m experiments.benchmarks.readme --check    change nothing; status 1 if a table is out of date
"""

import pathlib
import re

from absl import flags

from experiments.benchmarks import pages, speed_pages
from experiments.benchmarks.device import pages as device_pages
from experiments.papers import listing
from twolayer.atomic import atomic
from twolayer.command import cli

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Only say whether the tables are up to date.")

ROOT = pathlib.Path(__file__).parents[2]
TABLES = {
    "results": pages.results,
    "training": pages.training,
    "endurance": pages.endurance,
    "output_relu": pages.output_relu,
    "coverage": pages.coverage,
    "example": pages.example,
    "functions": pages.functions,
    "people": pages.people,
    "catalogue": pages.catalogue,
    "verification": pages.verification,
    "benchmark": speed_pages.benchmark,
    "networks": speed_pages.networks,
    "against": speed_pages.against,
    "startup": speed_pages.startup,
    "limits": speed_pages.limits,
    "limits_whole": speed_pages.limits_whole,
    "scaling_width": speed_pages.scaling_width,
    "scaling_networks": speed_pages.scaling_networks,
    "scaling_devices": speed_pages.scaling_devices,
    **device_pages.TABLES,
    **listing.TABLES,
}
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("verify", "training", "sweeps", "speed", "scaling", "results")))
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
