"""Is this checkout slower than another? Both in turns in one run: epochs, and whole commands.

  git clone . /tmp/before && git -C /tmp/before checkout cfb966b
  python -m experiments.benchmarks.against --checkout=/tmp/before --dataset=mnist --json=docs/results/against.json

Epochs of one network and of many together run in a process of each checkout, in turns, each turn half a second; the
ratio is the median of those within a round. The README's first command, and the verification of a homework file in JAX,
are processes from their start to their exit.
Beside seconds there are those of the CPU, which others on the machine disturb less; and where both give the compiler
the same program, to the letter, a ratio other than 1 is the machine's doing. The rates of the machine are measured in
the same run: a large matrix product, and an array passed through. About five minutes on 2 cores.

Expected: no ratio above 1.05 on a quiet machine.
"""

import contextlib
import functools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from experiments.benchmarks import facts, ran
from experiments.benchmarks.peers.rounds import ratio, spread
from experiments.benchmarks.peers.worker import PAUSE, Failed, Process
from experiments.benchmarks.tables import speed
from twolayer.command import cli
from twolayer.command.files import writable, write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("checkout", None, "Folder of the other checkout; needed.")
flags.DEFINE_enum("dataset", "digits", ["digits", "mnist"], "Of the epochs; digits is embedded.")
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_list("cases", ["32x1", "128x1", "800x1", "32x64", "128x64"], "HIDDENxNETWORKS of the epochs.")
flags.DEFINE_integer("rounds", 10, "Turns of each.", lower_bound=1)
flags.DEFINE_float("turn", 0.5, "Seconds of a turn at least.", lower_bound=0)
flags.DEFINE_bool("commands", True, "Whole commands too.")
flags.DEFINE_string("json", "runs/against.json", "Where the numbers go.")

CHILD = pathlib.Path(__file__).parent / "peers" / "checkout.py"
HERE = pathlib.Path(__file__).parents[2]
LIMIT = 300.0  # seconds that an answer of a checkout, or a command, may take
COMMANDS = {
    "python -m experiments.train": ("train", "--quiet", "--run_dir={run}"),
    "python -m experiments.verify": (
        "verify",
        "--derivation=experiments/derivations/author_completed_quadratic.py",
        "--loss=quadratic",
    ),
}
RATES = {"size": 1024, "megabytes": 128, "precision": "float32"}
Times = tuple[float, float]  # seconds, and those of the CPU


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    there, path, cases = _checkout(), writable(FLAGS.json), [_case(text) for text in FLAGS.cases]
    git = subprocess.run(["git", "-C", str(there), "rev-parse", "HEAD"], capture_output=True, text=True)
    result = facts() | {"other": git.stdout.strip() or None}
    with Process((), LIMIT, variables=_environment(HERE)) as process:
        process.wait_until_ready()
        rates = process.ask(call="experiments.benchmarks.device.steps:rates", arguments=RATES)["value"]
    rows: list[dict[str, Any]] = []
    result |= {"rates": rates, "rows": rows}
    for case in [*cases, *(COMMANDS if FLAGS.commands else ())]:
        rows.append(_command(there, case) if isinstance(case, str) else _epochs(there, *case))
        write_json(path, result)
        print(f"measured: {rows[-1]['name']}", file=sys.stderr, flush=True)
    print(speed.against.text(result))
    return cli.DONE


def _epochs(there: pathlib.Path, hidden: int, networks: int) -> dict[str, Any]:
    """Epochs of both checkouts in turns."""
    arguments = FLAGS.dataset, FLAGS.source_dir or "", str(hidden), str(networks)
    with contextlib.ExitStack() as stack, cli.bad_input(Failed):
        children = [
            stack.enter_context(Process(arguments, LIMIT, command=("-P", str(CHILD)), variables=_environment(checkout)))
            for checkout in (HERE, there)
        ]
        mine, theirs = (child.wait_until_ready() for child in children)
        count = max(1, round(FLAGS.turn / statistics.median(_turn(child, 1)[0] for child in children)))
        each = f"{networks} networks together" if networks > 1 else "one network"
        row = _in_turns(f"an epoch, {each}, K = {hidden}", *(functools.partial(_turn, one, count) for one in children))
    own = {"hidden": hidden, "networks": networks, "inputs": mine["inputs"], "examples": mine["examples"]}
    return row | own | {"same_program": mine["program"] == theirs["program"]}


def _command(there: pathlib.Path, name: str) -> dict[str, Any]:
    """A whole command of both checkouts in turns."""

    def turn(checkout: pathlib.Path) -> Times:
        with tempfile.TemporaryDirectory() as folder:
            own = {"folder": checkout, "environment": _environment(checkout), "limit": LIMIT}
            found = ran(*(word.format(run=f"{folder}/run") for word in COMMANDS[name]), **own)
        return found.seconds, found.cpu

    return _in_turns(name, functools.partial(turn, HERE), functools.partial(turn, there))


def _in_turns(name: str, *sides: Callable[[], Times]) -> dict[str, Any]:
    """The row of here and there, of which neither is always the first in a round."""
    rounds = []
    for number in range(FLAGS.rounds):
        times = {side: sides[side]() for side in ((0, 1) if number % 2 else (1, 0))}
        rounds.append((*times[0], *times[1]))
    here, here_cpu, there, there_cpu = zip(*rounds, strict=True)
    return _row(name, here, there) | {"cpu": _row("", here_cpu, there_cpu)}


def _row(name: str, here: Sequence[float], there: Sequence[float]) -> dict[str, Any]:
    return {"name": name, "here_s": spread(here), "there_s": spread(there), "ratio": ratio(here, there)}


def _environment(checkout: pathlib.Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(checkout), "JAX_PLATFORMS": "cpu"}


def _turn(child: Process, count: int) -> Times:
    """Seconds of one of so many epochs, and of the CPU."""
    time.sleep(PAUSE)
    answer = child.ask(times=count)
    return answer["seconds"] / count, answer["cpu"] / count


def _case(text: str) -> tuple[int, int]:
    hidden, _, networks = text.partition("x")
    if not (hidden.isdecimal() and networks.isdecimal() and int(hidden) and int(networks)):
        raise cli.BadInput(f"--cases={text}: write hidden units and networks like 32x64")
    return int(hidden), int(networks)


def _checkout() -> pathlib.Path:
    path = pathlib.Path(FLAGS.checkout or "")
    if not FLAGS.checkout or not (path / "twolayer" / "training.py").is_file():
        raise cli.BadInput(f"--checkout={FLAGS.checkout}: name the folder of another checkout of this project")
    return path.resolve()


if __name__ == "__main__":
    cli.run(main)
