"""Data sets as NumPy arrays ready for a device: digits, the MNIST family, a teacher network, and anybody's own.

    data = load("mnist", source_dir="folder/with/the/four/archives")
    data.train.x, data.train.y, data.scale          # the network sees x * scale
    load("mine.csv", target="species", options=Options(standardize=True))

Prepared arrays are kept as `<data_dir>/<name>.npz`. Reading them needs NumPy alone.
"""

from twolayer.datasets.alterations import first, with_label_noise
from twolayer.datasets.arrays import Options, Raw, from_arrays
from twolayer.datasets.catalog import NAMES, load
from twolayer.datasets.dataset import DataError, Dataset, Split
from twolayer.datasets.teacher import TeacherOptions

__all__ = [
    "NAMES",
    "DataError",
    "Dataset",
    "Options",
    "Raw",
    "Split",
    "TeacherOptions",
    "first",
    "from_arrays",
    "load",
    "with_label_noise",
]
