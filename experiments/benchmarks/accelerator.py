"""What does an accelerator make of this code, and what keeps it from more? Everything that needs a device, in minutes.

  pip install -e . 'jax[cuda12]' torch==2.13.0     before, on a machine with an NVIDIA GPU; this script installs nothing
  python -m experiments.benchmarks.accelerator --budget=480 --json=docs/results/accelerator.json

Checks are done in order of worth, each in a process that can fail or be ended without the others: is the device right,
how long a step takes, beside PyTorch, beside the data sheet and the matrix products alone, what a million hidden units
need, where the time goes. --list shows them. --json is written after each one: a run that is cut off leaves what it has
measured, and the same command goes on from there, with what failed at the end. On a CPU all sizes are small, and the
numbers mean nothing: that is the test of this script.

Wanted of an H200: 75 % of its bfloat16 operations at K = 32768, batch 8192; 6 microseconds a step at K = 128, batch
128; 1,000 networks of K = 128 in 0.12 s an epoch. Not measured yet; docs/speed.md has what was.
Exit status: 0 done, 1 bad input or something is computed wrong, 75 the budget was used up or a signal came.
"""

import datetime
import importlib.metadata
import os
import pathlib
import shutil
import sys
import time
from typing import Any

from absl import flags

from experiments.benchmarks.device.checks import FULL, LETTERS, ROOT, SMALL, Case, cases
from experiments.benchmarks.device.rows import START, WRONG, Workers, carry_out
from experiments.benchmarks.peers.worker import Failed
from twolayer.command import cli
from twolayer.command.files import read_json, writable

FLAGS = flags.FLAGS
flags.DEFINE_float("budget", 480, "Seconds for all of it; a check that would not end in time is left out.", 1)
flags.DEFINE_list("only", [], f"Checks to do: letters of {LETTERS}, or parts of names [all].")
flags.DEFINE_enum("sizes", "auto", ["auto", "full", "small"], "auto is small on a CPU, else full.")
flags.DEFINE_bool("list", False, "Say what would be done on a GPU, in order, and stop.")
flags.DEFINE_string("json", "runs/accelerator.json", "Where the numbers go, and what a repetition goes on from.")

PACKAGES = ("torch", "jax-cuda12-plugin", "nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12")


def main() -> int:
    """Flags to a file; returns the exit status."""
    end = time.monotonic() + FLAGS.budget
    if FLAGS.list:
        for case in _chosen(cases(FULL, "gpu")):
            print(f"{case.check}  {case.name}  (at most {case.limit:.0f} s)")
        return cli.DONE
    path = writable(FLAGS.json)
    with Workers() as workers:
        try:
            device = workers.call(Case("", "", f"{ROOT}.limits:facts", {}), min(START, FLAGS.budget))
        except Failed as error:
            raise cli.BadInput(f"JAX finds no device: {error}") from error
        if device["platform"] == "cpu" and "JAX_PLATFORMS" not in os.environ and shutil.which("nvidia-smi"):
            raise cli.BadInput(
                "JAX does not see this machine's GPU; pip install 'jax[cuda12]', or set JAX_PLATFORMS=cpu"
            )
        small = FLAGS.sizes == "small" or (FLAGS.sizes == "auto" and device["platform"] == "cpu")
        result = _begin(path, device, "small" if small else "full")
        wanted = _chosen(cases(SMALL if small else FULL, device["platform"]))
        print(f"{device['kind']}, {result['sizes']} sizes", flush=True)
        left = carry_out(wanted, workers, result, path, end)
    wrong = [row["name"] for row in result["rows"] if row["status"] == WRONG]
    if wrong:
        print(f"computed wrong: {'; '.join(wrong)}", file=sys.stderr)
    if left:
        print(f"--budget is used up, {left} checks are left; the same command goes on from there", file=sys.stderr)
    return 1 if wrong else cli.INTERRUPTED if left else cli.DONE


def _begin(path: pathlib.Path, device: dict[str, Any], sizes: str) -> dict[str, Any]:
    """The result so far: what the file has, or nothing.

    Raises:
      BadInput: the file has rows of another device, commit or version.
    """
    from twolayer.command.provenance import provenance

    facts = provenance()
    facts["versions"] |= {name: _version(name) for name in PACKAGES}
    result = {"rows": [], "device": device, "sizes": sizes, "date": _now()} | facts
    if path.exists():
        earlier = read_json(path, "rows", "device", "versions")
        for name in ("device", "sizes", "versions", "git"):
            if _same(earlier.get(name)) != _same(result[name]):
                raise cli.BadInput(f"{path} has rows of another {name}; remove it, or choose another --json")
        result["rows"] = earlier["rows"]
    return result


def _same(facts: object) -> object:
    """What must not change of these facts; how much memory is free may."""
    return {name: value for name, value in facts.items() if name != "bytes"} if isinstance(facts, dict) else facts


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _chosen(found: list[Case]) -> list[Case]:
    """Those that --only names.

    Raises:
      BadInput: it names none.
    """
    if not FLAGS.only:
        return found
    some = [c for c in found if any(c.check == part if part in [*LETTERS] else part in c.name for part in FLAGS.only)]
    if not some:
        raise cli.BadInput(f"--only={','.join(FLAGS.only)}: no check has such a letter or name; --list shows them")
    return some


if __name__ == "__main__":
    cli.run(main)
