"""Where do the seconds of the README's first command go, import by import and program by program?

  python -m experiments.benchmarks.startup --json=docs/results/startup.json      about a minute on 2 quiet CPU cores

`python -m experiments.train` is run --rounds times as it is, for its seconds from start to exit, and as often with
python -X importtime and JAX_LOG_COMPILES=1, for what it does meanwhile. Of each part the least counts. The parts do not
add up to the whole: matplotlib is imported while programs compile, and what has no name of its own is not listed.

Wanted on 2 cores of an AMD EPYC: at most 3.5 s from start to exit.
"""

import collections
import json
import os
import pathlib
import re
import tempfile

from absl import flags

from experiments.benchmarks import facts, ran
from experiments.benchmarks.tables import speed
from twolayer.command import cli
from twolayer.command.files import writable, write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 5, "Runs of either kind.", lower_bound=1)
flags.DEFINE_string("json", "runs/startup.json", "Where the numbers go.")

IMPORTED = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", re.MULTILINE)
COMPILED = re.compile(
    r"Finished (tracing|jaxpr to MLIR|XLA compilation)[^\n]*?(?:jit\()?(\w+)\)?(?: for \w+)? in ([\d.e-]+)"
)
# Whose import a package is part of.
DRAWING = ("PIL", "mpl_toolkits", "pyparsing", "kiwisolver", "contourpy", "cycler", "dateutil", "fontTools")
OWNERS = {"jaxlib": "jax", "experiments": "twolayer"} | dict.fromkeys(DRAWING, "matplotlib")
NAMED = ("jax", "numpy", "optax", "matplotlib", "twolayer", "orbax", "sklearn", "scipy", "tensorflow_datasets")


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    path = writable(FLAGS.json)
    seconds, cpu, parts = [], [], []
    for _ in range(FLAGS.rounds):
        with tempfile.TemporaryDirectory() as folder:
            whole = ran("train", "--quiet", f"--run_dir={folder}/run")
        seconds.append(whole.seconds)
        cpu.append(whole.cpu)
        parts.append(taken_apart())
    least = {name: min(part.get(name, 0.0) for part in parts) for name in parts[0]}
    result = facts() | {"rounds": FLAGS.rounds}
    result |= {"seconds": seconds, "cpu_seconds": cpu}
    longest = sorted(least.items(), key=lambda part: part[1], reverse=True)
    result["parts"] = [{"part": name, "seconds": found} for name, found in longest]
    write_json(path, result)
    print(speed.startup.text(result))
    return cli.DONE


def taken_apart() -> dict[str, float]:
    """Seconds of each part of one run."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"python": ("-X", "importtime"), "environment": os.environ | {"JAX_LOG_COMPILES": "1"}}
        said = ran("train", "--quiet", f"--run_dir={folder}/run", **own).err
        summary = json.loads((pathlib.Path(folder) / "run" / "summary.json").read_text())
    parts: dict[str, float] = collections.defaultdict(float)
    for microseconds, module in IMPORTED.findall(said):
        package = OWNERS.get(module.split(".")[0], module.split(".")[0])
        parts[f"import {package}" if package in NAMED else "import the standard library and the rest"] += (
            int(microseconds) / 1e6
        )
    for stage, program, seconds in COMPILED.findall(said):
        name = PROGRAMS.get(program, "small programs") if stage.startswith("XLA") else "all programs"
        parts[f"{STAGES[stage]} {name}"] += float(seconds)
    parts["train 30 epochs"] = summary["seconds"]["train"]
    return dict(parts)


STAGES = {"tracing": "trace and lower", "jaxpr to MLIR": "trace and lower", "XLA compilation": "compile"}
PROGRAMS = {
    "segment": "training and validation",
    "start": "the first parameters",
    "score": "the test",
    "_dead": "the dead units",
}


if __name__ == "__main__":
    cli.run(main)
