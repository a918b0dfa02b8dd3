"""One case of the benchmark: the gate, the cold starts, then rounds in which every competitor has a turn."""

import contextlib
import dataclasses
import math
import pathlib
import random
import tempfile
import time
from collections.abc import Callable

import numpy as np

from experiments.benchmarks.peers import Competitor, problem
from experiments.benchmarks.peers.problem import Problem
from experiments.benchmarks.peers.worker import PAUSE, Failed, Process, busy_seconds

# A turn is epochs back to back, as in training: threads that have slept take some milliseconds to run at full speed.
TURN = 0.5  # seconds, at least


@dataclasses.dataclass
class Row:
    """What was measured of one competitor. One that failed says why in `note` and has no times."""

    name: str
    competitor: Competitor
    note: str = ""  # why it was not timed
    gate: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)  # parameter: error and allowed
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


@dataclasses.dataclass
class Quiet:
    """How much of the machine others used while epochs were timed."""

    others: float = 0.0  # CPU seconds
    wall: float = 0.0
    known: bool = True

    def share(self, cores: int) -> float | None:
        """Of all cores, from 0 to 1; None where the system does not say, or counts too coarsely for so short a time."""
        return max(0.0, self.others / (self.wall * cores)) if self.known and self.wall > 1 else None


def run(
    whole: Problem, rows: list[Row], limits: list[Row], *, rounds: int, timeout: float, say: Callable[[str], None]
) -> Quiet:
    """Fill the rows. Competitors in `rows` pass the gate first; `limits` check themselves."""
    quiet = Quiet()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        files = _Files(pathlib.Path(folder), whole)
        for row in rows:
            say(f"gate: {row.competitor.label}")
            _gate(row, files, timeout)
        alive = {}
        for row in [*(row for row in rows if not row.note), *limits]:
            say(f"start: {row.competitor.label}")
            process = processes.enter_context(_process(row.competitor, files.whole(row.competitor), timeout))
            if _start(row, process, cold=row in rows):
                alive[row.name] = row, process
        for number in range(1, rounds + 1):
            say(f"round {number} of {rounds}")
            for row, process in random.Random(number).sample(list(alive.values()), len(alive)):  # neighbours change
                time.sleep(PAUSE)
                if not _turn(row, process, number, quiet):
                    del alive[row.name]
    return quiet


class _Files:
    """The problem and its small form as files, one of each for an output activation."""

    def __init__(self, folder: pathlib.Path, whole: Problem) -> None:
        self.folder, self.problem, self.small = folder, whole, problem.gate(whole)

    def whole(self, competitor: Competitor) -> pathlib.Path:
        return self._file("whole", self.problem, competitor)

    def gate(self, competitor: Competitor) -> tuple[pathlib.Path, Problem]:
        small = self.small._replace(output=competitor.output or self.small.output)
        return self._file("gate", self.small, competitor), small

    def _file(self, kind: str, content: Problem, competitor: Competitor) -> pathlib.Path:
        output = competitor.output or content.output
        path = self.folder / f"{kind}_{output}.npz"
        if not path.exists():
            problem.save(path, content._replace(output=output))
        return path


def _gate(row: Row, files: _Files, timeout: float) -> None:
    """Ten steps against float64, in a process of their own, so that the cold start stays cold."""
    path, small = files.gate(row.competitor)
    answer = files.folder / f"{row.name}.npz"
    try:
        with _process(row.competitor, path, timeout) as process:
            process.wait_until_ready()
            for index in range(len(small.orders)):
                process.ask(epoch=index)
            process.ask(save=str(answer))
        with np.load(answer) as arrays:
            row.gate = problem.compare(small, tuple(arrays.values()))
        wrong = [f"{name} by {e['error']:.1e}" for name, e in row.gate.items() if not e["error"] <= e["allowed"]]
        if wrong:
            steps = len(small.orders) * small.steps
            raise Failed(f"wrong, so not timed: after {steps} steps it misses {', '.join(wrong)} of the distance moved")
    except (Failed, ValueError) as error:
        row.fail(error)


def _process(competitor: Competitor, path: pathlib.Path, timeout: float) -> Process:
    return Process((competitor.target, str(path)), timeout, install=competitor.install)


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


def _turn(row: Row, process: Process, index: int, quiet: Quiet) -> bool:
    before = busy_seconds()
    try:
        answer = process.ask(epoch=index, times=row.times)
    except Failed as error:
        row.fail(error)
        return False
    after = busy_seconds()
    if before is None or after is None:
        quiet.known = False
    else:
        quiet.others += after - before - answer["cpu"]
    quiet.wall += answer["seconds"]
    row.epochs.append(answer["seconds"] / row.times)
    row.details.append(answer["detail"])
    return True
