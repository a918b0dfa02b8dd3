"""Wrong derivations and right ones, each with what a teacher would say of it; for judging tools that check derivations.

    for entry in WRONG:
        gradients, text = entry.function(), entry.source()
        print(entry.id, entry.steps, entry.causes)

Nothing here knows how any checker works, and the numbers that say wrong or right are computed in the tests.
"""

from experiments.benchmarks.catalogue import right_algebra, right_autodiff, right_examples, right_programs
from experiments.benchmarks.catalogue.base import source
from experiments.benchmarks.catalogue.doubles import doubles
from experiments.benchmarks.catalogue.entry import Entry, Mistake, load
from experiments.benchmarks.catalogue.mutations import mutations
from experiments.benchmarks.catalogue.rewrites import Right
from experiments.benchmarks.catalogue.wrong import EQUIVALENT, MISTAKES, SETTINGS, WRONG

RIGHT: tuple[Right, ...] = (*right_algebra.RIGHT, *right_examples.RIGHT, *right_programs.RIGHT, *right_autodiff.RIGHT)

__all__ = [
    "EQUIVALENT",
    "MISTAKES",
    "RIGHT",
    "SETTINGS",
    "WRONG",
    "Entry",
    "Mistake",
    "Right",
    "doubles",
    "load",
    "mutations",
    "source",
]
