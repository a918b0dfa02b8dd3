"""From anybody's arrays to a checked data set: classes or regression, splits by seed and share, standardisation."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twolayer.datasets import given
from twolayer.datasets.dataset import Column, DataError, Dataset, Form, Split, Standard, assemble

TASKS = ("classes", "regression")
MOST_CLASSES = 100  # whole numbers with more values than this are targets of a regression, unless classes are asked for
ONE_HOT = "give classes as whole numbers or names (n,), y.argmax(axis=1) of one-hot rows"
SHOWN = 8  # names in a message


@dataclasses.dataclass(frozen=True)
class Options:
    """How arrays are split, read and scaled to become a data set.

    Attributes:
      task: "classes" or "regression"; None finds it from y.
      standardize: whether inputs and real targets get mean 0 and deviation 1, fitted on the training part.
      valid_share, test_share: of the examples, where the arrays have no such part; 0 scores the training part instead.
      split_seed: decides which examples these are.
    """

    task: str | None = None
    standardize: bool = False
    valid_share: float = 0.15
    test_share: float = 0.15
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in (None, *TASKS):
            raise DataError(f"task={self.task!r} is not known; choose one of: {', '.join(TASKS)}")
        if not isinstance(self.standardize, bool | np.bool_):
            raise DataError(f"standardize={self.standardize!r} cannot be used; give True or False")
        if not isinstance(self.split_seed, int | np.integer) or self.split_seed < 0:
            raise DataError(f"split_seed={self.split_seed!r} cannot be used; give a whole number of at least 0")
        for name in ("valid_share", "test_share"):
            if not isinstance(getattr(self, name), int | float | np.number) or not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 0 and below 1, got {getattr(self, name)!r}")
        if self.valid_share + self.test_share >= 1:
            raise DataError("valid_share and test_share leave nothing to train on; together they must be below 1")


class Raw(NamedTuple):
    """What a file holds.

    Attributes:
      parts: x and y of each part that it has, "train" always.
      columns: what each input is called.
      table: the columns of a table that became the inputs.
      targets: the names of its targets.
      said: what was understood of it, a line each.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    columns: Sequence[str] = ()
    table: tuple[Column, ...] = ()
    targets: tuple[str, ...] = ()
    said: Sequence[str] = ()


def from_arrays(name: str, raw: Raw, options: Options = Options()) -> Dataset:
    """The data set of these arrays; `said` tells what was understood.

    Args:
      name: what errors and `said` call it.
      raw: x and y of each part; a part that is missing is drawn from "train".
      options: how they are understood, split and standardised.

    Raises:
      DataError: examples that cannot be used, in one line.
    """
    said = list(raw.said)
    parts = {part: _checked(f"{name}: {part}", x, y, raw.columns) for part, (x, y) in raw.parts.items()}
    x = parts["train"][0]
    shape, image = x.shape[1:], x.shape[1:3] if x.ndim >= 3 and x.shape[3:] in ((), (1,)) else None
    for part, (other, _) in parts.items():
        if other.shape[1:] != shape:
            raise DataError(f"{name}: {part} has inputs of shape {other.shape[1:]}, training examples have {shape}")
    classes = _classes(name, [y for _, y in parts.values()], options.task, said)
    targets = {part: _targets(name, part, y, classes) for part, (_, y) in parts.items()}
    splits = {part: (x.reshape(len(x), -1), targets[part]) for part, (x, _) in parts.items()}
    splits = _split(name, splits, options, said)
    if classes and len(set(splits["train"][1].tolist())) < len(classes):
        seen = set(splits["train"][1].tolist())
        absent = [label for i, label in enumerate(classes) if i not in seen]
        raise DataError(
            f"{name}: no training example has {_listed('class', absent)}; leave these examples out, or use another"
            " split_seed"
        )
    pixels = x.dtype == np.uint8 and not options.standardize
    if pixels:
        said.append("bytes are pixels, 0 to 255, scaled to [0, 1]")
    standard = _standard(splits["train"], raw.columns, options.standardize, said)
    done = [Split(*standard.apply(*splits[part], keep_bytes=pixels)) for part in ("train", "valid", "test")]
    outputs = len(classes) if classes else targets["train"].shape[1]
    sizes = len(done[0].x), len(done[1].x), len(done[2].x)
    form = Form(sizes, splits["train"][0].shape[1], outputs, 1 / 255 if pixels else 1.0, image)
    said.insert(
        0, f"{sizes[0]:,} training, {sizes[1]:,} validation and {sizes[2]:,} test examples of {form.inputs} inputs"
    )
    kept = {"classes": classes, "standard": standard if options.standardize else None, "said": tuple(said)}
    kept |= {"columns": raw.table, "targets": raw.targets}
    return dataclasses.replace(assemble(name, form, *done), **kept)


def _checked(where: str, x: np.ndarray, y: np.ndarray, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    x, y = given.inputs(f"{where} x", x), given.targets(f"{where} y", y)
    if x.ndim < 2 or 0 in x.shape:
        raise DataError(f"{where} x must be (examples, inputs), got shape {x.shape}")
    if len(x) != len(y) if y.ndim else True:
        raise DataError(f"{where} has {len(x)} examples in x and {len(y) if y.ndim else 'one number'} in y")
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
    bad = ~np.isfinite(x.reshape(len(x), -1)) if x.dtype == np.float32 else np.zeros((1, 1), bool)
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        called = f"column {columns[column]!r}" if columns else f"input {column}"
        raise DataError(f"{where} has a missing or infinite value in row {row + 1}, {called}; fill it or leave it out")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0, 0])
        raise DataError(f"{where} has a missing or infinite target in row {row + 1}; leave this example out")
    return x, y.reshape(len(y)) if y.ndim == 2 and y.shape[1] == 1 else y


def _classes(name: str, ys: Sequence[np.ndarray], task: str | None, said: list[str]) -> tuple[str, ...]:
    """The names of the classes in order of their labels; () for a regression."""
    y = ys[0]
    numbers = y.dtype.kind in "iufb"
    if task == "regression" and not numbers:
        raise DataError(f"{name}: a regression needs numbers as targets, and y has names like {y.flat[0]!r}")
    whole = y.ndim == 1 and (not numbers or bool((np.asarray(y, np.float64) == np.round(y.astype(np.float64))).all()))
    if task == "classes" and not whole:
        instead = ONE_HOT if y.ndim > 1 else "use task=regression"
        raise DataError(f"{name}: classes are asked for, and y has {_fraction(y)}; {instead}")
    values = np.unique(y) if whole else np.array([])
    found = whole and (not numbers or (len(values) <= MOST_CLASSES and 2 * len(values) <= len(y)))
    if task == "regression" or not (found or task == "classes"):
        outputs = 1 if y.ndim == 1 else y.shape[1]
        said.append(f"regression with {outputs} target{'s' * (outputs > 1)}" + " (found from y)" * (task is None))
        return ()
    if len(values) < 2:
        raise DataError(f"{name}: every example has the class {_label(values[0])}; two classes at least are needed")
    said.append(f"{len(values)} {_listed('class', [_label(v) for v in values])}" + " (found from y)" * (task is None))
    return tuple(_label(value) for value in values)


def _fraction(y: np.ndarray) -> str:
    if y.ndim != 1:
        return f"shape {y.shape}"
    return f"{y[np.asarray(y) != np.round(y)][0]}"


def _targets(name: str, part: str, y: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Labels 0..C-1 as int32, or real targets (n, C) as float32."""
    if not classes:
        y = y.reshape(len(y), -1).astype(np.float32)
        if not np.isfinite(y).all():
            raise DataError(f"{name}: {part} has a target beyond float32")
        return y
    numbers = {label: number for number, label in enumerate(classes)}
    labels = [_label(value) for value in y]
    unknown = next((label for label in labels if label not in numbers), None)
    if unknown is not None:
        raise DataError(f"{name}: {part} has the class {unknown}, which no training example has")
    return np.array([numbers[label] for label in labels], np.int32)


def _label(value: object) -> str:
    return str(int(value)) if isinstance(value, int | float | np.number | np.bool_) else str(value)


def _listed(kind: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
    return f"{kind}{'es' * (len(names) > 1)} {shown}"


def _split(name: str, splits: dict, options: Options, said: list[str]) -> dict:
    """The three parts; those that are missing are drawn from the training part."""
    x, y = splits["train"]
    shares = {"valid": options.valid_share, "test": options.test_share}
    missing = {part: share for part, share in shares.items() if part not in splits and share}
    counts = {part: max(1, round(share * len(x))) for part, share in missing.items()}
    left = len(x) - sum(counts.values())
    if left < 1:
        raise DataError(f"{name} has {len(x)} example{'s' * (len(x) > 1)}, too few to train, validate and test on")
    order = np.random.Generator(np.random.PCG64(options.split_seed)).permutation(len(x))
    if missing:
        said.append(f"{' and '.join(missing)} drawn from all by split_seed={options.split_seed}")
        for part, count in counts.items():
            rows, order = order[:count], order[count:]
            splits[part] = x[rows], y[rows]
        splits["train"] = x[order], y[order]
    for part in shares:
        if part not in splits:
            said.append(f"no examples are kept for {part}: the training part is scored instead")
            splits[part] = splits["train"]
    return splits


def _standard(train: tuple[np.ndarray, np.ndarray], columns: Sequence[str], wanted: bool, said: list[str]) -> Standard:
    x, y = (np.asarray(a, np.float64) for a in train)
    deviation = x.std(axis=0)
    constant = np.flatnonzero(deviation == 0)
    if len(constant):
        called = [columns[i] if len(columns) else str(i) for i in constant.tolist()]
        shown = ", ".join(called[:SHOWN]) + ", ..." * (len(called) > SHOWN)
        said.append(f"{len(constant)} constant in training and of no use: input{'s' * (len(constant) > 1)} {shown}")
    if not wanted:
        return Standard()
    said.append("inputs" + " and targets" * (train[1].ndim == 2) + " standardised by the training part")
    numbers = x.mean(axis=0), np.where(deviation == 0, 1, deviation)
    if train[1].ndim == 2:
        spread = y.std(axis=0)
        numbers += y.mean(axis=0), np.where(spread == 0, 1, spread)
    return Standard(*(tuple(column.tolist()) for column in numbers))
