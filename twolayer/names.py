"""Checks of names and sizes, and short lists of names, without JAX: --help and bad flags are answered at once."""

import operator
import pathlib
from collections.abc import Iterable

MNIST_FAMILY = ("mnist", "fashion_mnist", "kmnist")
_PREPARED = pathlib.Path(__file__).parent / "datasets" / "prepared"
PREPARED = tuple(sorted(path.stem for path in _PREPARED.glob("[!_]*.py")))  # a file each
DATASETS = (*PREPARED, *MNIST_FAMILY, "teacher")
GRADIENTS = ("closed_form", "autodiff")  # the two engines
CONVENTIONS = ("any", "0", "1/2", "1")  # values of ReLU'(0) to insist on; any insists on none
NORMS = ("unit", "none")  # of an elastic field; see distortions.py

OF_OWN_DATA = ("task", "standardize", "valid_share", "test_share", "split_seed")  # what its options are called
OWN_FILES, OWN_SOURCES = (".npz", ".csv", ".parquet"), ("sklearn:", "tfds:")  # anybody's own data


def is_own_data(name: str) -> bool:
    """Whether this names anybody's own data: a file of one of these kinds, or a data set of a library."""
    return name.startswith(OWN_SOURCES) or name.endswith(OWN_FILES)


def check_choice(argument: str, name: str, choices: Iterable[str]) -> None:
    """Raise ValueError unless `name` is one of `choices`.

    Args:
      argument: what the error calls it.
    """
    if name not in choices:
        raise ValueError(f"{argument}={name!r} is not known; choose one of: {', '.join(choices)}")


def check_positive(**sizes: int) -> None:
    """Raise ValueError unless every size is an integer of at least 1."""
    for argument, size in sizes.items():
        try:
            good = not isinstance(size, bool) and operator.index(size) >= 1
        except TypeError:
            good = False
        if not good:
            raise ValueError(f"{argument} must be a positive integer, got {size!r}")
