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
Exit status: 0 done, 1 bad input, or something is computed wrong or could not be measured, 75 the budget was used up or
a signal came. What needs a package that is not installed is left out, which is said.
"""

import os
import pathlib
import shutil
import sys
import time
from typing import Any

from absl import flags

from experiments.benchmarks import facts
from experiments.benchmarks.device.checks import FULL, LETTERS, ROOT, SMALL, Case, cases
from experiments.benchmarks.peers import BENCH
from experiments.benchmarks.peers.worker import Failed, Process, environment
from twolayer.command import cli
from twolayer.command.files import Lock, read_json, writable, write_json

FLAGS = flags.FLAGS
flags.DEFINE_float("budget", 480, "Seconds for all of it; a check that would not end in time is left out.", 1)
flags.DEFINE_list("only", [], f"Checks to do: letters of {LETTERS}, or parts of names [all].")
flags.DEFINE_enum("sizes", "auto", ["auto", "full", "small"], "auto is small on a CPU, else full.")
flags.DEFINE_bool("list", False, "Say what would be done on a GPU, in order, and stop.")
flags.DEFINE_string("json", "runs/accelerator.json", "Where the numbers go, and what a repetition goes on from.")

PACKAGES = ("torch", "jax-cuda12-plugin", "nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12")
MEASURED, WRONG, FAILED, LATE, ABSENT = "measured", "wrong", "failed", "out of time", "not installed"
SHORTEST = 5.0  # seconds that a check needs at least
START = 90.0  # seconds that the device may take to be found


def main() -> int:
    """Flags to a file; returns the exit status."""
    end = time.monotonic() + FLAGS.budget
    if FLAGS.list:
        for case in _chosen(cases(FULL, "gpu")):
            print(f"{case.check}  {case.name}  (at most {case.limit:.0f} s)")
        return cli.DONE
    path = writable(FLAGS.json)
    lock = Lock(path.parent, f".{path.name}.lock")
    try:
        lock.take()
    except BlockingIOError:
        raise cli.BadInput(f"another process writes to --json={path}; wait for it, or choose another") from None
    with Workers() as workers:
        try:
            device = workers.call(Case("", "", f"{ROOT}.steps:facts", {}), min(START, FLAGS.budget))
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
    for status, word in ((WRONG, "computed wrong"), (FAILED, "failed"), (LATE, "out of time"), (ABSENT, "left out")):
        names = [row["name"] for row in result["rows"] if row["status"] == status]
        if names:
            print(f"{word}: {'; '.join(names)}", file=sys.stderr)
    bad = any(row["status"] in (WRONG, FAILED, LATE) for row in result["rows"])
    if left:
        print(f"--budget is used up, {left} checks are left; the same command goes on from there", file=sys.stderr)
    return cli.INTERRUPTED if left else 1 if bad else cli.DONE


def _begin(path: pathlib.Path, device: dict[str, Any], sizes: str) -> dict[str, Any]:
    """The result so far: what the file has, or nothing.

    Raises:
      BadInput: the file is damaged, or has rows of another device, commit or version.
    """
    result = {"rows": [], "device": device, "sizes": sizes} | facts(*PACKAGES)
    if path.exists():
        earlier = read_json(path, "rows", "device", "versions")
        rows = earlier["rows"] if isinstance(earlier["rows"], list) else [None]
        if not all(isinstance(row, dict) and {"check", "name", "status"} <= set(row) for row in rows):
            raise cli.BadInput(
                f"{path} is damaged (its rows are not those of checks); remove it and repeat the command"
            )
        for name, noun in (("device", "device"), ("sizes", "sizes"), ("versions", "version"), ("git", "commit")):
            differs = _difference(earlier.get(name), result[name])
            if differs:
                raise cli.BadInput(
                    f"{path} has rows of another {noun} ({differs}); remove it, or choose another place for --json"
                )
        result["rows"] = rows
    return result


def _difference(before: Any, now: Any) -> str | None:
    """Where facts differ that must not. How much memory is free may, and what was not installed before."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return None if before == now else f"{before}, and {now} here"
    for name in sorted({*before, *now} - {"bytes"}):
        was, found = before.get(name), now.get(name)
        if was != found and not (was is None and name in PACKAGES):
            return f"{name}: {was}, and {found} here"
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


def carry_out(wanted: list[Case], workers: "Workers", result: dict, path: pathlib.Path, end: float) -> int:
    """Fill result["rows"] until the end, writing after each one; returns how many are left."""
    rows = {(row["check"], row["name"]): row for row in result["rows"]}
    wanted = [case for case in wanted if rows.get((case.check, case.name), {}).get("status") not in (MEASURED, WRONG)]
    wanted.sort(key=lambda case: (case.check, case.name) in rows)  # those that failed before come last
    for number, case in enumerate(wanted):
        left = end - time.monotonic()
        if left < SHORTEST:
            return len(wanted) - number
        row = _row(case, workers, min(case.limit, left))
        if row["status"] == LATE and left < case.limit:
            return len(wanted) - number  # it was the budget that ended it, not its own limit
        rows[case.check, case.name] = row
        result["rows"] = list(rows.values())
        write_json(path, result)
        print(brief(row), flush=True)
    return 0


def _row(case: Case, workers: "Workers", limit: float) -> dict[str, Any]:
    """One check, whatever becomes of it."""
    began, status, note, found = time.monotonic(), MEASURED, "", {}
    try:
        found = workers.call(case, limit)
        if found.get("wrong"):
            status, note = WRONG, "; ".join(found["wrong"])
    except Failed as error:
        note = str(error)
        kinds = {"no answer": LATE, "missing": ABSENT, "failed: ArithmeticError: wrong": WRONG}
        status = next((kind for start, kind in kinds.items() if note.startswith(start)), FAILED)
    took = {"took_s": time.monotonic() - began}
    given = {name: value for name, value in case.arguments.items() if name not in ("target", "flags", "seconds")}
    return {"check": case.check, "name": case.name, "status": status, "note": note} | case.facts | given | found | took


class Workers:
    """A process for each library, started when it is first needed and again after it has failed."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes.values():
            process.__exit__()

    def call(self, case: Case, limit: float) -> dict[str, Any]:
        """What the function of a case returns. Raises Failed."""
        if case.alone:
            with _start(case.library, case.flags) as process:
                return _ask(process, case, limit)
        if case.library not in self._processes:
            self._processes[case.library] = _start(case.library)
        try:
            return _ask(self._processes[case.library], case, limit)
        except Failed:
            self._processes.pop(case.library).__exit__()
            raise


def _start(library: str, flags: str = "") -> Process:
    own = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # two libraries share the memory of one device
    if library == "torch":
        own["JAX_PLATFORMS"] = "cpu"  # it draws the problem only
    if flags:
        own["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    install = BENCH if library == "torch" else "pip install -e . 'jax[cuda12]'"
    return Process((), START, install=install, variables=environment(**own))


def _ask(process: Process, case: Case, limit: float) -> dict[str, Any]:
    end = time.monotonic() + limit
    process.timeout = limit
    if not process.ready:
        process.wait_until_ready()
    process.timeout = max(0.0, end - time.monotonic())
    return process.ask(call=case.call, arguments=case.arguments)["value"]


def brief(row: dict[str, Any]) -> str:
    """A row in one line."""
    said = [] if row["status"] == MEASURED else [f"{row['status']}: {row['note']}"]
    said += [say.format(**row) for name, say in SAID.items() if name in row]
    said += [f"{one['name']} {100 * one['share']:.0f} %" for one in row.get("slowest", ())]
    return f"{row['check']}  {row['name']}: {'; '.join(said)}"


SAID = {
    "step_us": "{step_us:.1f} us a step",
    "flops_per_second": "{flops_per_second:.3g} FLOP/s",
    "beyond": "{beyond} beyond their bound, the worst {worst:.2g} of it",
    "measured_bytes": "{measured_bytes:.3g} bytes, estimated {estimate_bytes:.3g}",
    "apart": "{apart:.1e} apart",
    "share": "{share:.0%} of an epoch",
}


if __name__ == "__main__":
    cli.run(main)
