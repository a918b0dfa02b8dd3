"""What a trained network makes of new examples: classes with probabilities, or the outputs of a regression.

  python -m experiments.predict --run_dir=RUN --input=FILE.csv                a row an example, to the terminal
  python -m experiments.predict --run_dir=RUN --input=FILE.npz --out=OUT.csv  its x, or its only array
  python -m experiments.predict --run_dir=RUN --input=FILE.png                a drawing, grey and scaled to the images

RUN is a finished run of experiments.train, or a folder kept/00012 of a sweep with --keep. Numbers are in the units of
the training data (digits: 0 to 16, MNIST: 0 to 255). The columns of a table, FILE.csv or FILE.parquet, are taken by the
names that they had in training, text included, and others are ignored; without a header they are in its order. A
picture is taken as light on dark, like those of the training data; --invert where it is dark on light.

A row has the number of the example, the class and the probability of each class: the softmax of the outputs for the
cross-entropy, their sigmoids for --loss=binary_cross_entropy. The quadratic loss gives no probabilities; its columns
are the outputs. --out=OUT.csv or OUT.npz writes a file. Exit status: 0 done, 1 bad input.
"""

import csv
import pathlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags
from jaxtyping import Float, Num

from experiments.runtime import runs, tables
from twolayer import loading
from twolayer.atomic import atomic
from twolayer.command import cli
from twolayer.command.cli import BadInput, bad_input
from twolayer.command.files import writable
from twolayer.datasets.columns import read_examples
from twolayer.datasets.dataset import Column, DataError

if TYPE_CHECKING:  # it loads JAX
    from twolayer.result import Result

FLAGS = flags.FLAGS
RESERVED = {"example", "file", "allow_pickle"}  # targets that would be taken for the number or for np.savez's own
DARK = 0.5  # mean of a picture that is light on dark, at most
flags.DEFINE_string("run_dir", None, "The finished run.")
flags.DEFINE_string("input", None, "FILE.csv, FILE.parquet, FILE.npz or FILE.png with the examples.")
flags.DEFINE_string("out", None, "FILE.csv or FILE.npz to write [the terminal].")
flags.DEFINE_bool("invert", False, "The picture is dark on light.")


def main() -> int:
    """Flags to a table; returns the exit status."""
    for name in ("run_dir", "input"):
        if not FLAGS[name].value:
            raise BadInput(f"--{name} is missing; see --help")
    out = writable(FLAGS.out, "out") if FLAGS.out else None
    if out is not None and out.suffix not in (".csv", ".npz"):
        raise BadInput(f"--out={FLAGS.out}: name a .csv or a .npz")
    path = pathlib.Path(FLAGS.run_dir)
    runs.load_params(path)  # is it all there?
    form = form_of(runs.read_manifest(path))
    x = read(pathlib.Path(FLAGS.input), form, invert=FLAGS.invert)
    with bad_input(DataError):
        header, columns = _columns(loading.load(path), x, form.targets)
    if out is None:
        _write(sys.stdout, header, columns)
        return cli.DONE
    with atomic(out, "wb" if out.suffix == ".npz" else "w") as file:
        if out.suffix == ".npz":
            arrays: dict[str, Any] = dict(zip(header, columns, strict=True))
            np.savez(file, **arrays)
        else:
            _write(file, header, columns)
    print(f"{len(x)} predictions in {FLAGS.out}")
    return cli.DONE


class Form(NamedTuple):
    """What the data of a run look like, as its manifest has it."""

    inputs: int
    scale: float  # the network sees x * scale
    image_shape: tuple[int, int] | None
    regression: bool
    columns: tuple[Column, ...] = ()  # of the table that it was trained on, if it was one
    targets: tuple[str, ...] = ()


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
    columns = tuple(Column(one["name"], tuple(one["categories"]), one["truth"]) for one in data.get("columns", ()))
    known = data["inputs"], data["scale"], shape and tuple(shape), data["regression"]
    return Form(*known, columns, tuple(data.get("targets", ())))


def read(path: pathlib.Path, form: Form, *, invert: bool = False) -> Num[np.ndarray, "n d"]:
    """The examples in a .csv, .parquet, .npz or .png, in the units of the training data.

    Raises:
      BadInput: the file cannot be read, or holds something else.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet", ".npz", ".png"):
        raise BadInput(f"--input={path}: name a .csv, a .npz or a .png, or a .parquet")
    if kind == ".parquet" and not form.columns:
        raise BadInput(f"--input={path}: this run keeps no names of columns; give a .csv without names, or a .npz")
    if invert and kind != ".png":
        raise BadInput(f"--invert has no effect on --input={path}; it is for pictures")
    readers = {".png": lambda: _png(path, form, invert), ".npz": lambda: _npz(path)}
    of_table = (lambda: _by_name(path, form.columns)) if form.columns else (lambda: _csv(path, form.inputs))
    try:
        x = readers.get(kind, of_table)()
    except OSError as error:
        raise BadInput(f"--input={path}: {error.strerror or error}") from error
    if x.ndim and not len(x):
        raise BadInput(f"--input={path} has no rows")
    if x.ndim != 2 or x.shape[1] != form.inputs:
        raise BadInput(f"--input={path} has the shape {x.shape}; the network takes (examples, {form.inputs})")
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0, 0])
        raise BadInput(f"--input={path} has a value that is not finite in example {row}, counted from 0")
    return x


def _by_name(path: pathlib.Path, columns: tuple[Column, ...]) -> Float[np.ndarray, "n d"]:
    with bad_input(DataError):
        found = read_examples(path, columns)
    if found.ignored:
        print(
            f"not among the inputs, and ignored: {', '.join(name or 'one without a name' for name in found.ignored)}",
            file=sys.stderr,
        )
    return found.x


def _csv(path: pathlib.Path, inputs: int) -> Float[np.ndarray, "n d"]:
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in csv.reader(file) if line]
    header = bool(lines) and not _is_number(lines[0][0])
    rows = lines[header:]
    for number, row in enumerate(rows, 1 + header):
        if len(row) != inputs:
            raise BadInput(f"--input={path}: line {number} has {len(row)} cells; the network takes {inputs} inputs")
        wrong = next((cell for cell in row if not _is_number(cell)), None)
        if wrong is not None:
            raise BadInput(f"--input={path}: line {number} has {wrong!r}, which is no number")
    return np.array([[float(cell) for cell in row] for row in rows], np.float32).reshape(len(rows), inputs)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _npz(path: pathlib.Path) -> Num[np.ndarray, "n d"]:
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


def _columns(
    result: "Result", x: Num[np.ndarray, "n d"], targets: tuple[str, ...]
) -> tuple[list[str], list[np.ndarray]]:
    """Names of the columns, and the columns; those of a regression are called by its targets, where they are known."""
    import jax

    from twolayer import losses

    number, O2 = np.arange(len(x)), result.outputs(x).astype(np.float64)
    if result.labels is None:
        named = len(targets) == O2.shape[1] and not RESERVED & set(targets)
        return ["example", *(targets if named else (f"output_{j}" for j in range(O2.shape[1])))], [number, *O2.T]
    prefix, values, cost = "output", O2, losses.find("loss", result.settings.loss)
    if cost.labels:  # a cross-entropy
        squash = jax.nn.sigmoid if cost.name == "binary_cross_entropy" else jax.nn.softmax
        prefix, values = "p", np.asarray(squash(O2), np.float64)
    names = [f"{prefix}_{label}" for label in result.labels]
    return ["example", "class", *names], [number, result.labels[O2.argmax(axis=1)], *values.T]


def _write(file, header: list[str], columns: list) -> None:
    rows = zip(*columns, strict=True)
    cells = [[f"{value:.6g}" if value.dtype.kind == "f" else str(value) for value in row] for row in rows]
    file.write(tables.comma_separated(header, cells))


if __name__ == "__main__":
    cli.run(main)
