"""Two wrong lines at once, in different steps: all pairs of coarse mistakes, less those where one undoes the other."""

import itertools
import re
from collections.abc import Iterator

from experiments.benchmarks.catalogue.base import STEPS
from experiments.benchmarks.catalogue.entry import Entry, Mistake
from experiments.benchmarks.catalogue.wrong import COARSE

# A factor put in twice, once up and once down, is paid back in some leaf.
OPPOSITE = {frozenset(names) for names in (("over-m", "times-m"), ("twice", "half"), ("over-C", "times-C"), ("sign",))}

# After the first line the second is right, or may be: nothing is left to mask, to drop or to turn positive.
HIDDEN = (
    ("dO2-(times-output|no-target)", "dZ2-(no-mask|leak|absolute)|(dW2|db2|dO1)-unmasked"),
    ("dO2-(no-target|plus-target|absolute|squared|jacobian-off-diagonal|unnormalised)", "dZ2-guided.*"),
    ("dZ2-no-mask", "(dW2|db2|dO1)-unmasked"),
    ("dZ1-no-mask", "(dW1|db1)-unmasked"),
    ("dZ(1|2)-mask-alone", "db(1|2)-signs"),
    ("dW2-zero", "dO1-updated"),
    (".*", "(dW|db).-absolute"),
)


def doubles(loss: str, output: str, reduction: str = "mean", layout: str = "rows") -> Iterator[Entry]:
    """Every compatible pair in this setting, wrong in both places: thousands, in a fixed order."""
    fitting = [m for m in COARSE if m.fits(loss, output, reduction, layout) and m.step != "forward"]
    for pair in itertools.combinations(fitting, 2):
        first, second = sorted(pair, key=lambda mistake: STEPS.index(mistake.step))
        if first.step != second.step and not _undone(first, second):
            yield Entry((first, second), loss, output, reduction, layout)


def _undone(first: Mistake, second: Mistake) -> bool:
    return frozenset((first.name, second.name)) in OPPOSITE or any(
        re.fullmatch(one, first.id) and re.fullmatch(other, second.id) for one, other in HIDDEN
    )
