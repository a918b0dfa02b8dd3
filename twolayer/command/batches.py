"""The real numbers of the exact check: a batch and parameters, from one file or from a data set. All float32."""

import os
import zipfile
from typing import NamedTuple

import numpy as np

from twolayer import datasets, network
from twolayer.command.cli import BadInput, bad_input
from twolayer.losses import OF_LABELS
from twolayer.names import is_own_data

FORMS = {"W1": ("(K, d)", {2}), "b1": ("(K,)", {1}), "W2": ("(C, K)", {2}), "b2": ("(C,)", {1})}
FORMS |= {"x": ("(m, d)", {2}), "y": ("(m,) or (m, C)", {1, 2})}
PARAMS, BATCH = ("W1", "b1", "W2", "b2"), ("x", "y")


class Batch(NamedTuple):
    """params: W1 (K, d), b1 (K,), W2 (C, K), b2 (C,); x (m, d); y (m, C), one-hot for classes."""

    params: network.Params
    x: np.ndarray
    y: np.ndarray


def from_file(name: str, loss: str) -> Batch:
    """The batch in an .npz file of W1, b1, W2, b2, x and y, where y is labels (m,) or targets (m, C)."""
    arrays = _read(name, (*PARAMS, *BATCH))
    return _checked(f"--batch={name}", arrays, loss)


def from_dataset(
    dataset: str,
    loss: str,
    *,
    target: str | None = None,
    standardize: bool = False,
    params: str | None,
    batch_size: int,
    hidden: int,
    source_dir: str | None = None,
    data_dir: str | None = None,
) -> Batch:
    """The first `batch_size` training examples, with saved parameters or else those a training run starts from."""
    with bad_input(datasets.DataError, OSError):
        own = datasets.Options(standardize=standardize) if is_own_data(dataset) else None
        data = datasets.load(dataset, source_dir=source_dir, data_dir=data_dir, target=target, options=own)
    if batch_size > len(data.train.x):
        raise BadInput(f"--batch_size={batch_size} is larger than the training set of {len(data.train.x)}")
    x, y = (array[:batch_size] for array in data.train)
    arrays = _read(params, PARAMS) if params else _drawn(data.inputs, hidden, data.outputs)
    scaled = x.astype(np.float32) * np.float32(data.scale)
    return _checked(f"--params={params}" if params else f"--dataset={dataset}", arrays | {"x": scaled, "y": y}, loss)


def _drawn(d: int, K: int, C: int) -> dict[str, np.ndarray]:
    import jax

    params = network.init(jax.random.key(0), d, K, C, "alive")
    return {name: np.asarray(array, np.float32) for name, array in params._asdict().items()}


def _read(name: str, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    if not os.path.isfile(name):
        raise BadInput(f"{name}: {'a directory; name the .npz' if os.path.isdir(name) else 'no such'} file")
    try:
        with np.load(name, allow_pickle=False) as file:
            missing = [key for key in wanted if key not in file]
            if missing:
                raise BadInput(f"{name} has no array {missing[0]}; it must hold {', '.join(wanted)}")
            return {key: file[key] for key in wanted}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise BadInput(f"{name} is not an .npz file of arrays: {error}") from error


def _checked(where: str, arrays: dict[str, np.ndarray], loss: str) -> Batch:
    """The arrays in their form; raises BadInput naming the first that does not fit."""
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise BadInput(f"{where}: {name} is {array.dtype}, it must hold numbers")
        form, dimensions = FORMS[name]
        if array.ndim not in dimensions or array.size == 0:
            raise BadInput(f"{where}: {name} has shape {array.shape}, it must be {form}")
    (K, d), C, m = arrays["W1"].shape, len(arrays["b2"]), len(arrays["x"])
    arrays = arrays | {"y": _targets(where, arrays["y"], C, loss)}
    shapes = {"b1": (K,), "W2": (C, K), "x": (m, d), "y": (m, C)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            sizes = f"d = {d}, K = {K}, C = {C}, m = {m}"
            raise BadInput(f"{where}: {name} has shape {arrays[name].shape}, expected {shape} from {sizes}")
    with np.errstate(over="ignore"):  # the infinity it becomes is refused next
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise BadInput(f"{where}: {name} holds a number that is not finite in float32")
    params = network.Params(*(arrays[name] for name in PARAMS))  # pyright: ignore[reportArgumentType]: of NumPy here
    return Batch(params, arrays["x"], arrays["y"])


def _targets(where: str, y: np.ndarray, C: int, loss: str) -> np.ndarray:
    """The targets as (m, C): labels become one-hot."""
    if y.ndim == 1:
        if y.dtype.kind == "f":
            raise BadInput(f"{where}: y is (m,) reals; labels are integers, real targets are (m, C)")
        if not 0 <= y.min() <= y.max() < C:
            raise BadInput(f"{where}: y holds labels {y.min()}..{y.max()}, expected 0..{C - 1}")
        return y[:, None] == np.arange(C)
    if loss in OF_LABELS and not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
        raise BadInput(f"{where}: y is not one-hot, which {loss} needs; real targets go with --loss=quadratic")
    return y
