"""Checks one after the other, each a row of a file that is written at once: what fails does not stop the rest."""

import os
import pathlib
import time
from typing import Any

from experiments.benchmarks.device.checks import Case
from experiments.benchmarks.peers import BENCH
from experiments.benchmarks.peers.worker import Failed, Process
from twolayer.command.files import write_json

MEASURED, WRONG, FAILED, LATE, ABSENT = "measured", "wrong", "failed", "out of time", "not installed"
SHORTEST = 5.0  # seconds that a check needs at least
START = 90.0  # seconds that the device may take to be found


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
    variables = {name: value for name, value in os.environ.items() if name not in _DROPPED} | _ADDED
    if library == "torch":
        variables["JAX_PLATFORMS"] = "cpu"  # it draws the problem only
    if flags:
        variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} {flags}".strip()
    install = BENCH if library == "torch" else "pip install -e . 'jax[cuda12]'"
    return Process((), START, install=install, variables=variables)


# Compiling counts, so nothing may come from a cache; and two libraries share the memory of one device.
_DROPPED = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64")
_ADDED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}


def _ask(process: Process, case: Case, limit: float) -> dict[str, Any]:
    end = time.monotonic() + limit
    process.timeout = limit
    if not process.ready:
        process.wait_until_ready()
    process.timeout = max(0.0, end - time.monotonic())
    return process.ask(call=case.call, arguments=case.arguments)["value"]


def brief(row: dict[str, Any]) -> str:
    """A row in one line."""
    said = []
    if row["status"] != MEASURED:
        said.append(f"{row['status']}: {row['note']}")
    if "step_us" in row:
        said.append(f"{row['step_us']:.1f} us a step")
    if "flops_per_second" in row:
        said.append(f"{row['flops_per_second'] / 1e12:.3g} TFLOP/s")
    if "beyond" in row:
        said.append(f"{row['beyond']} beyond their bound, the worst {row['worst']:.2g} of it")
    if "measured_bytes" in row:
        said.append(f"{row['measured_bytes'] / 1e9:.3g} GB, estimated {row['estimate_bytes'] / 1e9:.3g}")
    if "apart" in row:
        said.append(f"{row['apart']:.1e} apart")
    if "slowest" in row:
        said.append(", ".join(f"{one['name']} {100 * one['share']:.0f} %" for one in row["slowest"]))
    elif "share" in row:
        said.append(f"{100 * row['share']:.0f} % of an epoch")
    return f"{row['check']}  {row['name']}: {'; '.join(said)}"
