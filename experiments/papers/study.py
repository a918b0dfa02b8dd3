"""What the scripts of published results share: cells that are kept once they are done, rows, and the result file.

A study is a list of cells. Each is computed once and kept in the run directory, so the same command goes on where a
signal, a kill or a budget has ended it. The rows of all cells are the result: RUN_DIR/result.json, and --json.
"""

import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent import futures

from absl import flags

from experiments import cli, runs
from experiments.files import writable, write_json
from experiments.papers import child
from experiments.papers.rows import Row, read, text
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
    devices: set[str] = dataclasses.field(default_factory=set)  # on which it was computed

    def cell(self, name: str, compute: Callable[[], dict]) -> dict:
        """The cell of this name: from the run directory if it is there, else computed and kept.

        Args:
          compute: returns what JSON can hold. It runs in another thread, and is given up when a signal comes.

        Raises:
          Interrupted: a signal came first.
          BadInput: the cell that is there is damaged.
        """
        kept = self.run.path / "cells" / f"{name}.json"
        if kept.exists():
            value = read(kept, "seconds", "device")
            self.devices.add(value["device"])
            return value
        self._check()
        self.say(f"{name} ...")
        began = time.perf_counter()
        value = self.interrupts.during(compute)
        if value is None:
            raise Interrupted
        value = {**value, "seconds": time.perf_counter() - began, "device": _device()}
        self.devices.add(value["device"])
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, value)
        self.say(f"{name}: {value['seconds']:.1f} s")
        return value

    def command(self, name: str, module: str, *arguments: str) -> pathlib.Path:
        """The directory of a run of `python -m experiments.<module>`, carried to its end if it is not there yet.

        Raises:
          Interrupted: a signal came first; the run was saved.
          BadInput: the command failed, or its directory is damaged or that of other flags.
        """
        path = self.run.path / "runs" / name
        if not (path / "summary.json").exists() or read(path / "manifest.json")["status"] != "done":
            self._check()
            self._carry_out(name, path, module, *arguments)
        manifest = read(path / "manifest.json")
        if not set(arguments) <= set(manifest["argv"]):
            raise cli.BadInput(f"{path} was made with other flags; remove it, or choose another --run_dir")
        self.devices.update(manifest["devices"])
        return path

    def _carry_out(self, name: str, path: pathlib.Path, module: str, *arguments: str) -> None:
        places = [f"--{flag}={FLAGS[flag].value}" for flag in ("source_dir", "data_dir") if FLAGS[flag].value]
        command = [sys.executable, "-m", f"experiments.{module}", *arguments, *places, f"--run_dir={path}", "--quiet"]
        self.say(f"{name} ...")
        began = time.perf_counter()
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        status, errors = child.carry_out(command, lambda: self.interrupts.received is not None, **pipes)
        if status == cli.INTERRUPTED:
            raise Interrupted
        if status not in (cli.DONE, cli.DIVERGED):
            reason = (errors.strip().splitlines() or [f"ended with {status}"])[-1]
            raise cli.BadInput(f"{name}: {reason.removeprefix('error: ')}")
        self.say(f"{name}: {time.perf_counter() - began:.1f} s")

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


def main(
    paper: str, own: Sequence[str], work: Callable[[Study], Sequence[Row]], scale: Sequence[str] | None = None
) -> int:
    """Carry out the study of a paper and write its rows; returns the exit status.

    Args:
      own: the flags of the script that its cells are a function of.
      scale: those that make it another experiment than the published one, `own` if not given: unless they are at their
        defaults, rows stand beside no published number and have no bar.

    Raises:
      BadInput: the directory belongs to other flags or cannot be written.
    """
    targets = [writable(FLAGS.json)] if FLAGS.json else []
    for target in targets:
        _rows_of(target)
    path = pathlib.Path(FLAGS.run_dir or f"runs/papers/{paper}")
    run = runs.find_run(path, {name: FLAGS[name].value for name in own})
    if run.status == "done":  # its cells are there, and other rows may be wanted of them
        run.set_status("interrupted")
    with run.writing(), cli.Interrupts() as interrupts:
        run.create()
        run.set_status("running", **provenance())
        opened = Study(run, interrupts)
        scaled = {name: FLAGS[name].value for name in scale or own if FLAGS[name].value != FLAGS[name].default}
        try:
            rows = [row.scaled(scaled) if scaled else row for row in work(opened)]
        except Interrupted:
            run.set_status("interrupted")
            interrupts.tell(path)
            sys.stdout.flush()
            os._exit(cli.INTERRUPTED)  # a normal end would wait for the cell that was given up, or abort within it
        result = _result(rows, opened.devices)
        write_json(path / "result.json", result)
        run.set_status("done")
    new = {row["row"] for row in result["rows"]}  # of a file's other rows each says itself where it comes from
    for target in targets:
        kept = [row for row in _rows_of(target) if row["row"] not in new]
        write_json(target, result | {"rows": kept + result["rows"]})
    print(text(result["rows"]))
    return cli.DONE


def _result(rows: Sequence[Row], devices: set[str]) -> dict[str, object]:
    """What the result file holds."""
    facts = provenance()
    platform = facts["platform"]
    names = {
        name if not name.startswith("cpu") else f"{platform['cpus']} cores of {platform['cpu']}" for name in devices
    }
    here = {
        "command": command_line(),
        "commit": (facts["git"] or {}).get("commit"),
        "device": ", ".join(sorted(names)),
    }
    return {"rows": [here | row.as_dict() for row in rows], **facts, "argv": [facts["argv"][0], *_arguments()]}


def _device() -> str:
    """As a manifest names it."""
    import jax

    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"


def _rows_of(target: pathlib.Path) -> list[dict]:
    return read(target, "rows")["rows"] if target.exists() else []


def command_line() -> str:
    """The command without the places of this machine."""
    return shlex.join(("python", "-m", f"experiments.papers.{pathlib.Path(sys.argv[0]).stem}", *_arguments()))


def _arguments() -> list[str]:
    return [part for part in sys.argv[1:] if part.lstrip("-").partition("=")[0] not in PLACES]
