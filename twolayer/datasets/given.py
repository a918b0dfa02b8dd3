"""What people give as x and y, as arrays: numbers, or one kind of names; what is neither is said in one line."""

from typing import Any

import numpy as np

from twolayer.datasets.dataset import DataError


def pair(name: str, given: Any) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of a part of the data.

    Args:
      name: what errors call it.
      given: (x, y).

    Raises:
      DataError: it is no such pair, or `inputs` or `targets` cannot use it.
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise DataError(f"{name} is {type(given).__name__}; give a pair of arrays, (x, y)")
    return inputs(f"{name} x", given[0]), targets(f"{name} y", given[1])


def inputs(name: str, given: Any) -> np.ndarray:
    """Examples as an array of real numbers: bytes as they are, all others as they were given or float32.

    Raises:
      DataError: they are no numbers, or complex ones.
    """
    x = _array(name, given)
    if x.dtype.kind in "biuf":
        return x
    try:
        return x.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds what is no number ({error})") from error


def targets(name: str, given: Any) -> np.ndarray:
    """Classes or targets as an array of real numbers or of names.

    Raises:
      DataError: one is missing, names stand beside numbers, or numbers are complex.
    """
    y = _array(name, given)
    if y.dtype.kind in "biuf" or (y.dtype.kind in "US" and isinstance(given, np.ndarray)):
        return y
    kinds: dict[str, Any] = {}
    for value in np.array(given, object).flat:  # NumPy makes names of numbers that stand beside names
        number = isinstance(value, int | float | np.number | np.bool_)
        if value is None or (number and value != value):
            raise DataError(f"{name} holds {value}; leave out the examples that have no class or target")
        kinds.setdefault("number" if number else "name", value)
    if len(kinds) == 2:
        raise DataError(f"{name} holds {kinds['number']!r} and {kinds['name']!r}; give numbers alone or names alone")
    return np.array(y.tolist()) if "number" in kinds else y


def _array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise DataError(f"{name} is no array: its rows differ in length") from error
    if array.dtype.kind == "c":
        raise DataError(f"{name} holds complex numbers; give real ones, such as real and imaginary parts side by side")
    return array
