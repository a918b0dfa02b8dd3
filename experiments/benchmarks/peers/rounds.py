"""One case of the benchmark: the gate, the cold starts, rounds in which every competitor has a turn, and the report.

Reported are medians, and ratios with their spread: one per round, since both sides of a ratio met the same machine.
"""

import contextlib
import dataclasses
import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.peers import INSTALL, LIMIT_SECONDS, OURS, TORCH, Competitor, problem
from experiments.benchmarks.peers.worker import PAUSE, Failed, Process, busy_seconds, threads
from experiments.runtime import tables

# A turn is epochs back to back, as in training: threads that have slept take some milliseconds to run at full speed.
TURN = 0.5  # seconds, at least
NOISY = 0.05  # above this share of the CPU in other hands, times say more about the others


@dataclasses.dataclass
class Row:
    """The measurements of one competitor. One that failed says why in `note` and has no times."""

    name: str
    competitor: Competitor
    note: str = ""  # why it was not timed
    gate: problem.Gate = dataclasses.field(default_factory=dict)
    cold: float | None = None  # seconds from starting the process to the end of its first epoch
    first: float | None = None  # seconds of the first epoch alone
    times: int = 1  # epochs of a turn
    epochs: list[float] = dataclasses.field(default_factory=list)  # seconds of one, once per round
    details: list[dict] = dataclasses.field(default_factory=list)  # what the competitor measured itself

    def fail(self, reason: Exception) -> None:
        """Take the competitor out."""
        self.note = str(reason)
        self.cold = self.first = None
        self.epochs, self.details = [], []


def run(
    whole: problem.Problem,
    rows: list[Row],
    limits: list[Row],
    *,
    rounds: int,
    timeout: float | None,
    say: Callable[[str], None],
) -> float | None:
    """Fill the rows. Competitors in `rows` pass the gate first; `limits` check themselves.

    `timeout` is how many seconds an answer may take, if not as many as the competitor's own limit. Returns the share of
    all cores that others used while epochs were timed; None where that is not known, or too coarsely.
    """
    others = wall = 0.0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        place = Path(folder)
        for row in rows:
            say(f"gate: {row.competitor.label}")
            _gate(row, problem.shortened(whole), place, timeout)
        alive = {}
        for row in [*(row for row in rows if not row.note), *limits]:
            say(f"start: {row.competitor.label}")
            process = processes.enter_context(_process(row.competitor, whole, place, timeout))
            if _start(row, process, cold=row in rows):
                alive[row.name] = row, process
        for number in range(1, rounds + 1):
            say(f"round {number} of {rounds}")
            for row, process in random.Random(number).sample(list(alive.values()), len(alive)):  # neighbours change
                time.sleep(PAUSE)
                busy = busy_seconds()
                if answer := _turn(row, process, number):
                    others += busy_seconds() - busy - answer["cpu"]
                    wall += answer["seconds"]
                else:
                    del alive[row.name]
    return max(0.0, others / (wall * threads())) if wall > 1 and not math.isnan(others) else None


def _gate(row: Row, small: problem.Problem, place: Path, timeout: float | None) -> None:
    """Ten steps against float64, in a process of their own, so that the cold start stays cold."""
    try:
        with _process(row.competitor, small, place, timeout) as process:
            process.wait_until_ready()
            row.gate = process.ask(gate=True)
        if wrong := problem.missed(row.gate, small):
            raise Failed(wrong)
    except Failed as error:
        row.fail(error)


def _process(competitor: Competitor, given: problem.Problem, place: Path, timeout: float | None) -> Process:
    """A competitor at work on a problem, which it reads from a file."""
    given = given._replace(output=competitor.output or given.output)
    path = place / f"{len(given.x)}_{given.output}.npz"
    if not path.exists():
        np.savez(path, **given._asdict())
    limit = competitor.limit or LIMIT_SECONDS if timeout is None else timeout
    return Process((competitor.target, str(path)), limit, install=INSTALL[competitor.library])


def _start(row: Row, process: Process, cold: bool) -> bool:
    try:
        process.wait_until_ready()
        if cold:
            row.first = process.ask(epoch=0)["seconds"]
            row.cold = time.perf_counter() - process.started
            row.times = math.ceil(TURN / max(process.ask(epoch=0)["seconds"], TURN / 1000))
    except Failed as error:
        row.fail(error)
    return not row.note


def _turn(row: Row, process: Process, index: int) -> dict[str, Any] | None:
    try:
        answer = process.ask(epoch=index, times=row.times)
    except Failed as error:
        row.fail(error)
        return None
    row.epochs.append(answer["seconds"] / row.times)
    row.details.append(answer["detail"])
    return answer


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and median absolute deviation."""
    median = float(np.median(values))
    deviation = float(np.median(np.abs(np.asarray(values) - median)))
    return {"median": median, "min": float(min(values)), "max": float(max(values)), "mad": deviation}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The spread of the ratios, one per round: both sides of a ratio met the same machine."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def summary(rows: list[Row], limits: list[Row], steps: float, others: float | None) -> dict[str, Any]:
    """Everything about one case, for JSON; of many networks at once, the time of one.

    `steps` is the number of whole batches in an epoch, with its fraction.
    """
    for row in rows:
        row.epochs = [seconds / row.competitor.networks for seconds in row.epochs]
    ours = next(row for row in rows if row.name == OURS).epochs
    limit = _limit(limits, steps)
    report = {"rows": [_row(row, ours) for row in rows], "limit": limit, "others_cpu": others}
    if ours and limit.get("rounds"):
        report["share_of_limit"] = ratio(limit["rounds"], ours)
    torch = [row for row in report["rows"] if row["name"] in TORCH and row["slower"]]
    if torch:
        report["best_torch"] = min(torch, key=lambda row: row["epoch_s"]["median"])["name"]
    return report


def _row(row: Row, ours: list[float]) -> dict[str, Any]:
    timed = spread(row.epochs) | {"rounds": row.epochs} if row.epochs else None
    compiling = None  # what the first epoch took longer than the others, whose times are those of one network
    if timed and row.first is not None:
        compiling = max(0.0, row.first - float(np.median(row.epochs)) * row.competitor.networks)
    return {
        "name": row.name,
        "label": row.competitor.label,
        "note": row.note or row.competitor.remark,
        "gate": row.gate,
        "epochs_of_a_turn": row.times,
        "epoch_s": timed,
        "slower": ratio(row.epochs, ours) if timed and ours else None,
        "compile_s": compiling,
        "cold_s": row.cold,
    }


def _limit(limits: list[Row], steps: float) -> dict[str, Any]:
    """The products' seconds in each library, and their sum over an epoch with the fastest library for each."""
    timed = [row for row in limits if row.epochs]
    notes = {row.name: row.note for row in limits if row.note}
    if not timed:
        return {"notes": notes}
    products = {
        product: {row.name: float(np.median([detail[product] for detail in row.details])) for row in timed}
        for product in timed[0].details[0]
    }
    fastest = {product: min(seconds, key=seconds.__getitem__) for product, seconds in products.items()}
    details = {row.name: row.details for row in timed}
    rounds = [
        steps * sum(details[library][number][product] for product, library in fastest.items())
        for number in range(len(timed[0].details))
    ]
    return {"notes": notes, "products_s": products, "fastest": fastest, "epoch_s": spread(rounds), "rounds": rounds}


def text(case: dict) -> str:
    """One case for a person."""
    header = ("", "epoch s [min, max]", "x ours [min, max]", "compile s", "cold s", "")
    limit, lines = case["limit"], [_cells(row) for row in case["rows"]]
    if "epoch_s" in limit:
        fastest = ", ".join(f"{product} {library}" for product, library in limit["fastest"].items())
        lines.append(("limit, the products alone", _numbers(limit["epoch_s"], 4), "", "", "", fastest))
    lines += [(f"limit, {library}", "", "", "", "", note) for library, note in limit["notes"].items()]
    said = [case["title"], tables.text(header, lines)]
    if "best_torch" in case:
        best = next(row for row in case["rows"] if row["name"] == case["best_torch"])
        said.append(f"Fastest PyTorch row: {best['label']}. It takes {_numbers(best['slower'], 2)} times our epoch.")
    if "share_of_limit" in case:
        percent = {key: 100 * value for key, value in case["share_of_limit"].items()}
        said.append(f"Our epoch runs at {_numbers(percent, 0)} % of the limit.")
    if case["others_cpu"] is not None:
        warning = ": TOO MUCH, do not quote these times" if case["others_cpu"] > NOISY else ""
        said.append(f"Others used {100 * case['others_cpu']:.1f} % of the CPU while epochs were timed{warning}.")
    return "\n".join(said)


def _cells(row: dict) -> tuple[str, ...]:
    if row["epoch_s"] is None:
        return row["label"], "", "", "", "", row["note"]
    slower = _numbers(row["slower"], 2) if row["slower"] else ""
    compiling = f"{row['compile_s']:.2f}", f"{row['cold_s']:.2f}"
    return row["label"], _numbers(row["epoch_s"], 4), slower, *compiling, row["note"]


def _numbers(spread: dict[str, float], digits: int) -> str:
    return f"{spread['median']:.{digits}f} [{spread['min']:.{digits}f}, {spread['max']:.{digits}f}]"
