"""What a data set is: three splits that passed every check, and the fingerprint of their content."""

import dataclasses
import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

PARTS = ("train", "valid", "test")


class DataError(ValueError):
    """Data that cannot be used. The message is one line: what is wrong and what to do."""


class Split(NamedTuple):
    """Examples in rows: what the network sees and what it should answer.

    x: pixels as uint8, or features as float32.
    y: class labels 0..C-1 as int32, or real targets as float32.
    """

    x: UInt8[np.ndarray, "n d"] | Float32[np.ndarray, "n d"]
    y: Int32[np.ndarray, " n"] | Float32[np.ndarray, "n C"]


class Form(NamedTuple):
    """Sizes and scale that every copy of one data set has."""

    sizes: tuple[int, int, int]  # examples in train, valid, test
    inputs: int
    outputs: int
    scale: float
    image_shape: tuple[int, int] | None = None


class Standard(NamedTuple):
    """Standardisation: means and deviations of inputs and real targets; () leaves them as they are."""

    x_mean: tuple[float, ...] = ()
    x_deviation: tuple[float, ...] = ()
    y_mean: tuple[float, ...] = ()
    y_deviation: tuple[float, ...] = ()

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Raw inputs as the network sees them, float32."""
        if not self.x_mean:
            return x.astype(np.float32)
        return ((x - np.array(self.x_mean)) / np.array(self.x_deviation)).astype(np.float32)

    def outputs(self, O2: np.ndarray) -> np.ndarray:
        """What the network answers, in the units of the raw targets."""
        return O2 * np.array(self.y_deviation) + np.array(self.y_mean) if self.y_mean else O2

    def apply(self, x: np.ndarray, y: np.ndarray, *, keep_bytes: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Raw examples as they are trained on."""
        if self.y_mean:
            y = ((y - np.array(self.y_mean)) / np.array(self.y_deviation)).astype(np.float32)
        return np.ascontiguousarray(x if keep_bytes else self.inputs(x)), y


class Column(NamedTuple):
    """A column of inputs of a table: its name, the names in it, each an input, or () of numbers; of true and false."""

    name: str
    categories: tuple[str, ...] = ()
    truth: bool = False


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A checked data set.

    outputs: C, the number of classes or of real targets.
    scale: the network sees x * scale, which puts pixels in [0, 1].
    image_shape: (height, width) of a row of x, or None if rows are not images.
    sha256: `fingerprint` of the three splits, as hexadecimal digits.
    classes: what the labels are called, where they have names.
    standard: how inputs and targets were standardised, if they were.
    said: what was understood of somebody's own data, a line each.
    columns, targets: the columns of inputs and the names of the targets, where the data came from a table.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    outputs: int
    scale: float
    image_shape: tuple[int, int] | None
    sha256: str
    classes: tuple[str, ...] = ()
    standard: Standard | None = None
    said: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    targets: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """d, the length of a row of x."""
        return self.train.x.shape[1]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Inputs d, outputs C and training examples n: what the first state of a training depends on."""
        return self.inputs, self.outputs, len(self.train.x)

    @property
    def regression(self) -> bool:
        """True where the targets are real numbers, False where they are class labels."""
        return self.train.y.ndim == 2


def assemble(name: str, form: Form, train: Split, valid: Split, test: Split) -> Dataset:
    """Check the splits against the form and return the data set.

    Raises DataError for a wrong shape or type, a label outside 0..C-1, or a number that is not finite.
    """
    for part, split, size in zip(PARTS, (train, valid, test), form.sizes, strict=True):
        _check(f"{name}: {part}", split, size, form)
    sha256 = fingerprint(train, valid, test)
    return Dataset(name, train, valid, test, form.outputs, form.scale, form.image_shape, sha256)


def fingerprint(train: Split, valid: Split, test: Split) -> str:
    """SHA-256 over name, type, shape and bytes of train_x, train_y, valid_x, valid_y, test_x, test_y."""
    digest = hashlib.sha256()
    for key, array in named_arrays(train, valid, test).items():
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def named_arrays(train: Split, valid: Split, test: Split) -> dict[str, np.ndarray]:
    """The six arrays by name, in the order of the fingerprint."""
    splits = zip(PARTS, (train, valid, test), strict=True)
    return {f"{part}_{field}": array for part, split in splits for field, array in split._asdict().items()}


def _check(where: str, split: Split, size: int, form: Form) -> None:
    x, y = split
    target_shape = (size,) if y.dtype == np.int32 else (size, form.outputs)
    _check_form(f"{where} x", x, (np.uint8, np.float32), (size, form.inputs))
    _check_form(f"{where} y", y, (np.int32, np.float32), target_shape)
    if y.dtype == np.int32 and not 0 <= y.min() <= y.max() < form.outputs:
        span = f"{y.min()}..{y.max()}"
        raise DataError(f"{where} y holds labels {span}, expected 0..{form.outputs - 1}")


def _check_form(what: str, array: np.ndarray, dtypes: tuple[type, ...], shape: tuple[int, ...]) -> None:
    if array.dtype not in dtypes or array.shape != shape:
        expected = f"{' or '.join(dtype.__name__ for dtype in dtypes)} {shape}"
        raise DataError(f"{what} is {array.dtype} {array.shape}, expected {expected}")
    if array.dtype == np.float32 and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise DataError(f"{what} has a value that is not finite in row {row}")
