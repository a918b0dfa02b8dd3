"""Is this checkout slower than another? Both in turns in one run: epochs, and the README's first command as a whole.

  git clone . /tmp/before && git -C /tmp/before checkout cfb966b
  python -m experiments.benchmarks.against --checkout=/tmp/before --dataset=mnist --json=docs/results/against.json

Epochs of one network and of many together run in a process of each checkout, in turns, each turn half a second; the
ratio is the median of those within a round. `python -m experiments.train` is a process from its start to its exit.
Beside seconds there are those of the CPU, which others on the machine disturb less. About three minutes on 2 cores.

Expected: no ratio above 1.05 on a quiet machine.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from experiments.benchmarks import ran
from experiments.benchmarks.peers.rounds import ratio, spread
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("checkout", None, "Folder of the other checkout; needed.")
flags.DEFINE_enum("dataset", "digits", ["digits", "mnist"], "Of the epochs; digits is embedded.")
flags.DEFINE_string("source_dir", None, "Folder with the four original MNIST archives, unless the data are cached.")
flags.DEFINE_list("cases", ["32x1", "128x1", "800x1", "32x64", "128x64"], "HIDDENxNETWORKS of the epochs.")
flags.DEFINE_integer("rounds", 10, "Turns of each.", lower_bound=1)
flags.DEFINE_float("turn", 0.5, "Seconds of a turn at least.", lower_bound=0)
flags.DEFINE_bool("command", True, "The README's first command too.")
flags.DEFINE_string("json", "runs/against.json", "Where the numbers go.")

CHILD = pathlib.Path(__file__).with_name("epochs.py")
HERE = pathlib.Path(__file__).parents[2]


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    there, path, cases = _checkout(), writable(FLAGS.json), [_case(text) for text in FLAGS.cases]
    result = provenance() | {"other": _commit(there), "load_average": os.getloadavg(), "rows": []}
    for case in [*cases, *(["command"] if FLAGS.command else [])]:
        row = _command(there) if case == "command" else _epochs(there, *case)
        result["rows"].append(row)
        write_json(path, result)
        print(text(row), flush=True)
    return cli.DONE


def _epochs(there: pathlib.Path, hidden: int, networks: int) -> dict[str, Any]:
    """Epochs of both checkouts in turns."""
    arguments = [sys.executable, "-P", str(CHILD), FLAGS.dataset, FLAGS.source_dir or "", str(hidden), str(networks)]
    children = [_start(arguments, checkout) for checkout in (HERE, there)]
    try:
        for child in children:
            if _said(child) != "ready":
                raise cli.BadInput(f"the checkout cannot train: {_last_line(child)}")
        count = max(1, round(FLAGS.turn / statistics.median(_turn(child, 1)[0] for child in children)))
        rounds, cpu = [], []
        for number in range(FLAGS.rounds):
            order = children if number % 2 else children[::-1]  # neither is always the first
            times = {child.pid: _turn(child, count) for child in order}
            rounds.append([times[child.pid][0] for child in children])
            cpu.append([times[child.pid][1] for child in children])
    finally:
        for child in children:
            child.kill()
            child.communicate()
    each = f"{networks} networks together" if networks > 1 else "one network"
    sizes = {"hidden": hidden, "networks": networks}
    return _row(f"an epoch, {each}, K = {hidden}", rounds) | sizes | {"cpu": _row("", cpu)}


def _command(there: pathlib.Path) -> dict[str, Any]:
    """`python -m experiments.train` of both checkouts in turns."""
    rounds, cpu = [], []
    for number in range(FLAGS.rounds):
        pair = {}
        for checkout in (HERE, there) if number % 2 else (there, HERE):
            with tempfile.TemporaryDirectory() as folder:
                own = {"folder": checkout, "environment": _environment(checkout)}
                pair[checkout] = ran("train", "--quiet", f"--run_dir={folder}/run", **own)
        rounds.append([pair[checkout].seconds for checkout in (HERE, there)])
        cpu.append([pair[checkout].cpu for checkout in (HERE, there)])
    return _row("python -m experiments.train", rounds) | {"cpu": _row("", cpu)}


def _row(name: str, rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    here, there = zip(*rounds, strict=True)
    return {"name": name, "here_s": spread(here), "there_s": spread(there), "ratio": ratio(here, there)}


def text(row: Mapping[str, Any]) -> str:
    """A row in one line."""
    here, there, found = row["here_s"], row["there_s"], row["ratio"]
    said = f"{row['name']:45} {here['median']:8.4f} s, there {there['median']:8.4f} s: {found['median']:.2f} times"
    said += f" ({found['min']:.2f} to {found['max']:.2f}); least {here['min']:.4f} and {there['min']:.4f} s"
    return f"{said}; of the CPU {row['cpu']['ratio']['median']:.2f} times"


def _start(arguments: Sequence[str], checkout: pathlib.Path) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, env=_environment(checkout), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _environment(checkout: pathlib.Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(checkout), "JAX_PLATFORMS": "cpu"}


def _turn(child: subprocess.Popen, count: int) -> tuple[float, float]:
    """Seconds of one of so many epochs, and of the CPU."""
    time.sleep(0.05)  # the other's threads spin for a while
    print(count, file=child.stdin, flush=True)
    seconds, cpu = map(float, _said(child).split())
    return seconds / count, cpu / count


def _said(child: subprocess.Popen) -> str:
    assert child.stdout
    return child.stdout.readline().strip()


def _last_line(child: subprocess.Popen) -> str:
    child.kill()
    return (child.communicate()[1].strip().splitlines() or ["it said nothing"])[-1][:200]


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


def _commit(checkout: pathlib.Path) -> str | None:
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


if __name__ == "__main__":
    cli.run(main)
