"""What the scripts of published results share: cells that are kept once they are done, rows, and the result file.

A study is a list of cells. Each is computed once and kept in the run directory, so the same command goes on where a
signal, a kill or a budget has ended it. The rows of all cells are the result: RUN_DIR/result.json, and --json.
"""

import dataclasses
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures

from absl import flags

from experiments import cli, runs
from experiments.files import writable, write_json
from experiments.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("run_dir", None, "Where the work goes [runs/papers/, named after the paper].")
flags.DEFINE_string("json", None, "Write the rows here too.")
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept [~/.cache/twolayer].")
flags.DEFINE_bool("quiet", False, "Say nothing but the result.")
flags.DEFINE_bool("figures", True, "Draw the figure.")

PLACES = ("run_dir", "json", "source_dir", "data_dir", "quiet", "figures")


class Interrupted(Exception):
    """A signal came; what is done is kept."""


@dataclasses.dataclass
class Study:
    """The run directory of a paper's script, with the cells done so far."""

    run: runs.Run
    interrupts: cli.Interrupts

    def cell(self, name: str, compute: Callable[[], dict]) -> dict:
        """The cell of this name: from the run directory if it is there, else computed and kept.

        Args:
          compute: returns what JSON can hold. It runs in another thread, and is given up when a signal comes.

        Raises:
          Interrupted: a signal came first.
        """
        kept = self.run.path / "cells" / f"{name}.json"
        if kept.exists():
            return json.loads(kept.read_text())
        self._check()
        began = time.perf_counter()
        value = self.interrupts.during(compute)
        if value is None:
            raise Interrupted
        value = {**value, "seconds": time.perf_counter() - began}
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, value)
        self.say(f"{name}: {value['seconds']:.1f} s")
        return value

    def command(self, name: str, module: str, *arguments: str) -> pathlib.Path:
        """The directory of a run of `python -m experiments.<module>`, carried to its end if it is not there yet.

        Raises:
          Interrupted: a signal came first; the run was saved.
          BadInput: the command failed.
        """
        path = self.run.path / "runs" / name
        if (path / "summary.json").exists() and json.loads((path / "manifest.json").read_text())["status"] == "done":
            return path
        self._check()
        places = [f"--{flag}={FLAGS[flag].value}" for flag in ("source_dir", "data_dir") if FLAGS[flag].value]
        command = [sys.executable, "-m", f"experiments.{module}", *arguments, *places, f"--run_dir={path}", "--quiet"]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                _, errors = self._wait(process)
            finally:
                process.kill()  # if this process is ended by an error
        if process.returncode == cli.INTERRUPTED:
            raise Interrupted
        if process.returncode not in (cli.DONE, cli.DIVERGED):
            raise cli.BadInput(
                f"{name}: {errors.strip().splitlines()[-1].removeprefix('error: ') if errors else 'died'}"
            )
        self.say(f"{name}: {time.perf_counter() - began:.1f} s")
        return path

    def commands(self, all_of_them: Sequence[Sequence[str]], together: int = 2) -> list[pathlib.Path]:
        """The directories of several commands, each (name, module, arguments...), so many at once.

        Raises:
          Interrupted, BadInput: as `command`.
        """
        with futures.ThreadPoolExecutor(together) as pool:
            return list(pool.map(lambda one: self.command(*one), all_of_them))

    def say(self, text: str) -> None:
        """A line of progress."""
        if not FLAGS.quiet:
            print(text, file=sys.stderr, flush=True)

    def _check(self) -> None:
        if self.interrupts.received:
            raise Interrupted

    def _wait(self, process: subprocess.Popen) -> tuple[str, str]:
        """The output of a process that is told of a signal that this one gets."""
        told = False
        while True:
            try:
                return process.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                if self.interrupts.received and not told:
                    process.send_signal(signal.SIGTERM)
                    told = True


@dataclasses.dataclass(frozen=True)
class Row:
    """One published number beside ours.

    Attributes:
      paper: as in the name of the result file.
      row: what was measured.
      published: the number of the paper; None where nobody has published one.
      values: ours, one for each seed or repetition.
      unit: of both.
      seconds: that ours took in all.
      facts: anything else that a reader wants to know, by name.
    """

    paper: str
    row: str
    published: float | None
    values: Sequence[float]
    unit: str
    seconds: float
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The row as the result file has it."""
        spread = statistics.stdev(self.values) if len(self.values) > 1 else None
        numbers = {"ours": statistics.fmean(self.values), "sd": spread, "n": len(self.values)}
        whole = {"paper": self.paper, "row": self.row, "published": self.published, **numbers, "unit": self.unit}
        return whole | {"seconds": self.seconds, "values": list(self.values), **self.facts}


def main(paper: str, own: Sequence[str], work: Callable[[Study], Sequence[Row]]) -> int:
    """Carry out the study of a paper and write its rows; returns the exit status.

    Args:
      own: the flags of the script that its cells are a function of.

    Raises:
      BadInput: the directory belongs to other flags or cannot be written.
    """
    targets = [writable(FLAGS.json)] if FLAGS.json else []
    path = pathlib.Path(FLAGS.run_dir or f"runs/papers/{paper}")
    run = runs.find_run(path, {name: FLAGS[name].value for name in own})
    if run.status == "done":  # its cells are there, and other rows may be wanted of them
        run.set_status("interrupted")
    with run.writing(), cli.Interrupts() as interrupts:
        run.create()
        run.set_status("running", **provenance())
        try:
            rows = work(Study(run, interrupts))
        except Interrupted:
            run.set_status("interrupted")
            interrupts.tell(path)
            return cli.INTERRUPTED
        result = _result(rows)
        write_json(path / "result.json", result)
        run.set_status("done")
    for target in targets:
        write_json(target, result)
    print(text(result["rows"]))
    return cli.DONE


def _result(rows: Sequence[Row]) -> dict[str, object]:
    """What the result file holds."""
    facts = provenance()
    platform = facts["platform"]
    here = {
        "command": command_line(),
        "commit": (facts["git"] or {}).get("commit"),
        "device": f"{platform['cpus']} cores of {platform['cpu']}",
    }
    return {"rows": [here | row.as_dict() for row in rows], **facts}


def command_line() -> str:
    """The command without the places of this machine."""
    kept = [part for part in sys.argv[1:] if part.lstrip("-").partition("=")[0] not in PLACES]
    script = pathlib.Path(sys.argv[0]).stem
    return " ".join((f"python -m experiments.papers.{script}", *kept))


def text(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as a table to read: published, ours with spread and n."""
    lines = [f"{'':36} {'published':>10} {'ours':>10} {'sd':>8} {'n':>5}  unit"]
    for row in rows:
        published, spread = (f"{v:.4g}" if v is not None else "" for v in (row["published"], row["sd"]))
        lines.append(f"{row['row']:36} {published:>10} {row['ours']:>10.4g} {spread:>8} {row['n']:>5}  {row['unit']}")
    return "\n".join(lines)
