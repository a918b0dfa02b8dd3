"""What a trained network makes of new examples: classes with probabilities, or the outputs of a regression.

  python -m experiments.predict --run_dir=RUN --input=FILE.csv                a row an example, to the terminal
  python -m experiments.predict --run_dir=RUN --input=FILE.npz --out=OUT.csv  its x, or its only array
  python -m experiments.predict --run_dir=RUN --input=FILE.png                a drawing, grey and scaled to the images

RUN is a finished run of experiments.train, or a folder kept/00012 of a sweep with --keep. Numbers are in the units of
the training data (digits: 0 to 16, MNIST: 0 to 255); a CSV may have a header. A picture is taken as light on dark, like
those of the training data; --invert where it is dark on light.

A row has the number of the example, the class and the probability of each class: the softmax of the outputs for the
cross-entropy, their sigmoids for --loss=binary_cross_entropy. The quadratic loss gives no probabilities; its columns
are the outputs. --out=OUT.csv or OUT.npz writes a file. Exit status: 0 done, 1 bad input.
"""

import csv
import pathlib
import sys

from absl import flags

from twolayer.command import cli
from twolayer.command.cli import BadInput
from twolayer.command.files import atomic, writable

FLAGS = flags.FLAGS
flags.DEFINE_string("run_dir", None, "The finished run.")
flags.DEFINE_string("input", None, "FILE.csv, FILE.npz or FILE.png with the examples.")
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
    from experiments.runtime import inputs, runs
    from experiments.runtime.records import load_params

    path = pathlib.Path(FLAGS.run_dir)
    params, manifest = load_params(path), runs.read_manifest(path)
    form = inputs.form_of(manifest)
    x = inputs.read(pathlib.Path(FLAGS.input), form, invert=FLAGS.invert)
    header, columns = _columns(params, x, manifest)
    if out is None:
        _write(sys.stdout, header, columns)
    elif out.suffix == ".npz":
        _save(out, header, columns)
    else:
        with atomic(out) as file:
            _write(file, header, columns)
    if out is not None:
        print(f"{len(x)} predictions in {out}")
    return cli.DONE


def _columns(params: dict, x, manifest: dict) -> tuple[list[str], list]:
    """Names of the columns, and the columns."""
    import jax
    import numpy as np

    from experiments.runtime import own_things
    from twolayer import losses
    from twolayer.datasets.dataset import Standard
    from twolayer.fitting import Result
    from twolayer.network import Params

    data, of_run = manifest["data"], manifest["flags"]
    classes = data.get("classes") or list(range(data["outputs"]))
    labels = None if data["regression"] else np.array(classes)
    standard = data.get("standard")
    kept = Standard(**{name: tuple(value) for name, value in standard.items()}) if standard else None
    result = Result(Params(**params), {}, own_things.settings_of(of_run), "done", labels, data["scale"], kept)
    O2 = result.outputs(x).astype(np.float64)
    if labels is None:
        return ["example", *(f"output_{j}" for j in range(O2.shape[1]))], [np.arange(len(x)), *O2.T]
    prefix, values = "output", O2
    if losses.find("loss", own_things.entry(of_run, "loss")).labels:  # a cross-entropy
        sigmoids = of_run["loss"] == "binary_cross_entropy"
        prefix, values = "p", np.asarray((jax.nn.sigmoid if sigmoids else jax.nn.softmax)(O2), np.float64)
    names = [f"{prefix}_{label}" for label in classes]
    return ["example", "class", *names], [np.arange(len(x)), labels[O2.argmax(axis=1)], *values.T]


def _write(file, header: list[str], columns: list) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for row in zip(*columns, strict=True):
        writer.writerow([f"{value:.6g}" if value.dtype.kind == "f" else str(value) for value in row])


def _save(path: pathlib.Path, header: list[str], columns: list) -> None:
    import numpy as np

    with atomic(path, "wb") as file:
        np.savez(file, **dict(zip(header, columns, strict=True)))


if __name__ == "__main__":
    cli.run(main)
