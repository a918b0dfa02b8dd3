"""The data sets by name."""

import functools
import importlib
import os

from twolayer.datasets import mnist_family
from twolayer.datasets.arrays import Options
from twolayer.datasets.cache import data_folder, read_or_prepare
from twolayer.datasets.dataset import DataError, Dataset
from twolayer.datasets.own import KINDS, load_own
from twolayer.datasets.teacher import TeacherOptions, teacher_student
from twolayer.names import DATASETS as NAMES
from twolayer.names import PREPARED, is_own_data


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    source_dir: str | os.PathLike | None = None,
    seed: int = 0,
    teacher: TeacherOptions = TeacherOptions(),
    target: str | None = None,
    options: Options | None = None,
) -> Dataset:
    """Load a data set.

    Digits come with scikit-learn. The MNIST family is read from source_dir or else downloaded. Both are kept
    in data_dir and read from there the next time, for which a source_dir must still hold the same archives. The
    teacher's data are drawn.

    Args:
      name: one of NAMES, or somebody's own data: FILE.npz, FILE.csv, FILE.parquet, sklearn:NAME, tfds:NAME.
      data_dir: where prepared arrays and downloads are kept; None is $TWOLAYER_DATA_DIR or ~/.cache/twolayer.
      source_dir: a folder with the four original .gz files of a member of the MNIST family.
      seed: of the teacher and its examples.
      teacher: sizes and noise of the teacher's data.
      target: of somebody's own table, the column to predict.
      options: of somebody's own data, how they are split and read; see arrays.Options.

    Raises:
      DataError: data that is missing, damaged or another data set, or a wrong argument, in one line.
    """
    if is_own_data(name):
        return load_own(name, target=target, options=options or Options(), data_dir=data_dir)
    if name not in NAMES:
        raise DataError(f"there is no data set {name!r}; choose one of: {', '.join(NAMES)}; or {KINDS}")
    if target is not None or options is not None:
        raise DataError(f"{name} has its own target and splits; target and options are for {KINDS}")
    if name == "teacher":
        return teacher_student(teacher, seed)
    folder = data_folder(data_dir)
    if name in PREPARED:
        own = importlib.import_module(f"twolayer.datasets.prepared.{name}")
        return read_or_prepare(folder, name, own.FORM, own.prepare, own.SOURCE)
    if source_dir and (folder / f"{name}.npz").exists():
        mnist_family.check_archives(name, source_dir)
    prepare = functools.partial(mnist_family.prepare, name, source_dir, folder)
    return read_or_prepare(folder, name, mnist_family.FORM, prepare, source=str(source_dir) if source_dir else None)
