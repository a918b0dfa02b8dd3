"""What the scripts of published results share: cells that are kept once they are done, and how a study begins and ends.

A study is a list of cells. Each is computed once and kept in the run directory, so the same command goes on where a
signal, a kill or a budget has ended it. The rows of all cells are the result: RUN_DIR/result.json, and --json.
"""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

from absl import flags

from experiments.papers import results
from experiments.papers.results import Row
from experiments.runtime import runs
from experiments.runtime.interrupts import Interrupts, carry_out
from twolayer.command import cli
from twolayer.command.files import read_json, writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("run_dir", None, "Where the work goes [runs/papers/, named after the paper].")
flags.DEFINE_string("json", None, "Write the rows here too.")
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept [~/.cache/twolayer].")
flags.DEFINE_bool("quiet", False, "Say nothing but the result.")
flags.DEFINE_bool("figures", True, "Draw the figure.")

OF_PLACES = ("--run_dir=", "--source_dir=", "--data_dir=", "--quiet")


class Interrupted(Exception):
    """A signal came; what is done is kept."""


@dataclasses.dataclass
class Study:
    """The run directory of a paper's script."""

    run: runs.Run
    interrupts: Interrupts

    def cell(self, name: str, compute: Callable[[], dict], said: str | None = None) -> dict:
        """The cell of this name: from the run directory if it is there, else computed and kept.

        Args:
          compute: returns what JSON can hold. It runs in another thread, and is given up when a signal comes.
          said: what progress calls it, unless its name.

        Raises:
          Interrupted: a signal came first.
          BadInput: the cell that is there is damaged.
        """
        kept = self.run.path / "cells" / f"{name}.json"
        if not kept.exists():
            self._compute(said or name, kept, compute)
        return read_json(kept, "seconds", "device", "commit")

    def _compute(self, said: str, kept: pathlib.Path, compute: Callable[[], dict]) -> None:
        self._check()
        self.say(f"{said} ...")
        began = time.perf_counter()
        value = self.interrupts.during(compute)
        if value is None:
            raise Interrupted
        facts = self.run.manifest
        own = {"seconds": time.perf_counter() - began, "device": results.machine_of(facts["platform"], [_device()])}
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, {**value, **own, "commit": results.commit_of(facts)})
        self.say(f"{said}: {own['seconds']:.1f} s")

    def command(self, name: str, module: str, *arguments: str) -> pathlib.Path:
        """The directory of a run of `python -m experiments.<module>`, carried to its end if it is not there yet.

        Raises:
          Interrupted: a signal came first; the run was saved.
          BadInput: the command failed, or its directory is damaged or that of other flags.
        """
        path = self.run.path / "runs" / name
        manifest = path / runs.MANIFEST
        if not (path / "summary.json").exists() or read_json(manifest, "status")["status"] not in ("done", "diverged"):
            self._check()
            self._carry_out(name, path, module, *arguments)
        facts = read_json(manifest, "status", "argv")
        given = {part for part in facts["argv"][1:] if not part.startswith(OF_PLACES)}
        if given != set(arguments):
            raise cli.BadInput(f"{path} was made with other flags; remove it, or choose another --run_dir")
        if facts["status"] == "diverged":
            self.say(f"{name} diverged; what counts is the last epoch before")
        return path

    def _carry_out(self, name: str, path: pathlib.Path, module: str, *arguments: str) -> None:
        places = [f"--{flag}={FLAGS[flag].value}" for flag in ("source_dir", "data_dir") if FLAGS[flag].value]
        command = [sys.executable, "-m", f"experiments.{module}", *arguments, *places, f"--run_dir={path}", "--quiet"]
        self.say(f"{name} ...")
        began = time.perf_counter()
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        status, errors = carry_out(command, lambda: self.interrupts.received is not None, **pipes)
        if status == cli.INTERRUPTED:
            raise Interrupted
        if status not in (cli.DONE, cli.DIVERGED):
            reason = ((errors or "").strip().splitlines() or [f"ended with {status}"])[-1]
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


def main(paper: str, own: Sequence[str], work: Callable[[Study], Sequence[Row]]) -> int:
    """Carry out the study of a paper and write its rows; returns the exit status.

    Args:
      own: the flags of the script that its cells are a function of.

    Raises:
      BadInput: the directory belongs to other flags or cannot be written, or the result file is damaged.
    """
    target = writable(FLAGS.json) if FLAGS.json else None
    if target:
        results.rows_of(target)  # a damaged one is refused before the work
    path = pathlib.Path(FLAGS.run_dir or f"runs/papers/{paper}")
    run = runs.find_run(path, {name: FLAGS[name].value for name in own})
    with run.writing(), Interrupts() as interrupts:
        run.create(again=True)  # the cells of one that is done are there, and other rows may be wanted of them
        run.set_status("running", **provenance())
        try:
            rows = work(Study(run, interrupts))
        except Interrupted:
            run.set_status("interrupted")
            interrupts.tell(path)
            sys.stdout.flush()
            os._exit(cli.INTERRUPTED)  # a normal end would wait for the cell that was given up, or abort within it
        except BaseException:
            run.set_status("interrupted")
            raise
        result = results.result(rows)
        write_json(path / "result.json", result)
        if target:
            results.merge(target, result)
        run.set_status("done")
    print(results.as_text(result["rows"]))
    return cli.DONE


def judged(rows: Sequence[Row], *scale: str, least: Sequence[str] = ()) -> list[Row]:
    """The rows; without published number and bar if one of these flags makes it another experiment.

    Args:
      scale: flags that do unless they are at their defaults.
      least: flags that do if they are below.
    """
    changed = {name: FLAGS[name].value for name in scale if FLAGS[name].value != FLAGS[name].default}
    values: dict[str, Any] = {name: FLAGS[name].value for name in least}
    changed |= {name: value for name, value in values.items() if value < FLAGS[name].default}
    return [row.scaled(changed) if changed else row for row in rows]


def chosen(flag: str, known: Sequence[str]) -> list[str]:
    """The names in a list flag, all that are known if it is not given.

    Raises:
      BadInput: there are none, or one is not known or given twice.
    """
    given: list[str] | None = FLAGS[flag].value
    names = list(known) if given is None else given
    for name in names:
        if name not in known:
            raise cli.BadInput(f"--{flag}: {name!r} is not known; there are {'; '.join(known)}")
    if not names or len(set(names)) < len(names):
        raise cli.BadInput(f"--{flag}={','.join(names)}: give different names, at least one")
    return names


def whole_numbers(flag: str, least: int = 1, most: int = 10**6) -> list[int]:
    """The numbers in a list flag, ascending.

    Raises:
      BadInput: one is not a whole number from `least` to `most`, or given twice.
    """
    texts: list[str] = FLAGS[flag].value or []
    if not all(text.isdecimal() and least <= int(text) <= most for text in texts) or len(set(texts)) < len(texts):
        raise cli.BadInput(f"--{flag}={','.join(texts)}: give different whole numbers from {least} to {most}")
    return sorted(map(int, texts))


def _device() -> str:
    """The first device, as a manifest names it."""
    import jax

    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"
