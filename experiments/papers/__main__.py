"""Published results on the two-layer network, reproduced: what there is, how long it takes, what has been measured.

  python -m experiments.papers                                     the list
  python -m experiments.papers.simard2003 --help                   one of them
  python -m experiments.papers --all --budget=60min --source_dir=FOLDER_OF_ARCHIVES

--all runs what has rows that were not measured yet, the short ones first, and stops in time; the same command goes on
from there. What was begun of a cell is lost then, so a budget should be longer than the longest, some ten minutes.
Results go to docs/results/<name>.json, unless --results says otherwise; `python -m experiments.benchmarks.readme` makes
docs/results.md of them. What is unfinished lies in --runs.
Exit status: 0 done, 1 bad input, 75 the budget was used up or a signal came, and everything is saved.
"""

import pathlib
import sys
import time

from absl import flags

from experiments.papers import listing
from experiments.runtime import tables
from experiments.runtime.interrupts import Interrupts, carry_out
from twolayer.command import cli

FLAGS = flags.FLAGS
flags.DEFINE_bool("all", False, "Run what has not been run.")
flags.DEFINE_string("budget", None, "How long --all may take: 45s, 60min, 2h [no limit].")
flags.DEFINE_string("results", None, "Folder of the result files [docs/results of this checkout].")
flags.DEFINE_string("paper", None, "Print the rows of this one instead, in the form of --form.")
flags.DEFINE_enum("form", "text", list(tables.FORMS), "text, a Markdown table, CSV, or a LaTeX tabular.")
flags.DEFINE_string("runs", str(listing.RUNS), "Folder where the work goes.")
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept [~/.cache/twolayer].")


def main() -> int:
    """The list, or the work."""
    if FLAGS.paper is not None:
        print(listing.laid_out(FLAGS.paper, FLAGS.form, _folders()[0]), end="")
        return cli.DONE
    if not FLAGS.all:
        if FLAGS.budget is not None:
            raise cli.BadInput("--budget belongs to --all")
        print(listing.text(*_folders()))
        return cli.DONE
    end = time.monotonic() + listing.seconds(FLAGS.budget) if FLAGS.budget is not None else float("inf")
    with Interrupts() as interrupts:
        for paper in listing.PAPERS:
            if paper.missing(_folders()[0]):
                status = _run(paper, end, interrupts)
                if status != cli.DONE:
                    return status
    print(listing.text(*_folders()))
    return cli.DONE


def _folders() -> tuple[pathlib.Path, pathlib.Path]:
    """The folders of the result files and of the work."""
    return pathlib.Path(FLAGS.results) if FLAGS.results else listing.RESULTS, pathlib.Path(FLAGS.runs)


def _run(paper: listing.Paper, end: float, interrupts: Interrupts) -> int:
    """One script to its end, or to a signal that it gets when the time is over; returns its exit status."""
    places = [f"--{name}={FLAGS[name].value}" for name in ("source_dir", "data_dir") if FLAGS[name].value]
    results, runs = _folders()
    own = (f"--json={paper.result(results)}", f"--run_dir={runs / paper.name}")
    command = [sys.executable, "-m", f"experiments.papers.{paper.name}", *own, *places]

    def stop() -> bool:
        return time.monotonic() > end or interrupts.received is not None

    if stop():
        _say_why(interrupts)
        return cli.INTERRUPTED
    print(f"{paper.name}: about {paper.minutes:.0f} minutes", file=sys.stderr, flush=True)
    status, _ = carry_out(command, stop)
    if status == cli.INTERRUPTED:
        _say_why(interrupts)
    if status > 128:
        print(f"{paper.name} was ended by signal {status - 128}; repeat the command", file=sys.stderr)
    return status


def _say_why(interrupts: Interrupts) -> None:
    used_up = f"--budget={FLAGS.budget} is used up; the same command goes on from here"
    print(used_up if interrupts.received is None else cli.STOPPED, file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
