"""Examples to predict, from a file: a table, an archive of arrays, or a picture."""

import csv
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from twolayer.command.cli import BadInput

DARK = 0.5  # mean of a picture that is light on dark, at most


class Form(NamedTuple):
    """What the data of a run look like, as its manifest has it."""

    inputs: int
    scale: float  # the network sees x * scale
    image_shape: tuple[int, int] | None
    regression: bool


def form_of(manifest: Mapping) -> Form:
    """The form of the data that the run was trained on.

    Raises:
      BadInput: the manifest does not say.
    """
    data = manifest.get("data")
    if data is None:
        raise BadInput(
            "this run was trained by an earlier version, which did not keep the form of its data; train again"
        )
    shape = data["image_shape"]
    return Form(data["inputs"], data["scale"], shape and tuple(shape), data["regression"])


def read(path: pathlib.Path, form: Form, *, invert: bool = False) -> Num[np.ndarray, "n d"]:
    """The examples in a .csv, .npz or .png, in the units of the training data.

    Raises:
      BadInput: the file cannot be read, or holds something else.
    """
    readers = {".csv": _csv, ".npz": _npz, ".png": _png}
    if path.suffix.lower() not in readers:
        raise BadInput(f"--input={path}: name a .csv, a .npz or a .png")
    if invert and path.suffix.lower() != ".png":
        raise BadInput(f"--invert has no effect on --input={path}; it is for pictures")
    try:
        x = readers[path.suffix.lower()](path, form, invert)
    except OSError as error:
        raise BadInput(f"--input={path}: {error.strerror or error}") from error
    if x.ndim != 2 or x.shape[1] != form.inputs or not len(x):
        raise BadInput(f"--input={path} has the shape {x.shape}; the network takes (examples, {form.inputs})")
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0, 0])
        raise BadInput(f"--input={path} has a value that is not finite in example {row}, counted from 0")
    return x


def _csv(path: pathlib.Path, form: Form, invert: bool) -> Float[np.ndarray, "n d"]:
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in csv.reader(file) if line]
    header = bool(lines) and not _is_number(lines[0][0])
    rows = lines[header:]
    for number, row in enumerate(rows, 1 + header):
        if len(row) != form.inputs:
            raise BadInput(
                f"--input={path}: line {number} has {len(row)} cells; the network takes {form.inputs} inputs"
            )
        wrong = next((cell for cell in row if not _is_number(cell)), None)
        if wrong is not None:
            raise BadInput(f"--input={path}: line {number} has {wrong!r}, which is no number")
    return np.array([[float(cell) for cell in row] for row in rows], np.float32).reshape(len(rows), form.inputs)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _npz(path: pathlib.Path, form: Form, invert: bool) -> Num[np.ndarray, "n d"]:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            names = list(content)
            name = "x" if "x" in names else names[0] if len(names) == 1 else None
            if name is None:
                raise BadInput(f"--input={path} has the arrays {', '.join(names)}; call the examples x")
            x = content[name]
    except (BadInput, OSError):
        raise
    except Exception as error:  # zipfile, zlib and numpy each have their own ways to fail on a damaged file
        raise BadInput(f"--input={path} is damaged or no .npz ({' '.join(str(error).split())})") from error
    if x.dtype.kind not in "fiub":
        raise BadInput(f"--input={path}: x holds {x.dtype}, and the network takes numbers")
    x = x.reshape(len(x), -1) if x.ndim > 2 else x
    return x if x.dtype == np.uint8 else x.astype(np.float32)


def _png(path: pathlib.Path, form: Form, invert: bool) -> Float[np.ndarray, "1 d"]:
    if form.image_shape is None:
        raise BadInput(f"--input={path} is a picture, and this network was not trained on images")
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            ground = Image.new("RGBA", picture.size, "white" if invert else "black")  # under what is transparent
            ground.alpha_composite(picture.convert("RGBA"))
    except (UnidentifiedImageError, SyntaxError) as error:
        raise BadInput(f"--input={path} is no picture") from error
    H, W = form.image_shape
    grey = np.asarray(ground.convert("L").resize((W, H), Image.Resampling.BOX), np.float32) / 255
    grey = 1 - grey if invert else grey
    if grey.mean() > DARK:
        other = "without --invert" if invert else "with --invert"
        raise BadInput(f"--input={path} is dark on light, and the training images are light on dark; try {other}")
    return (grey / form.scale).reshape(1, -1).astype(np.float32)
