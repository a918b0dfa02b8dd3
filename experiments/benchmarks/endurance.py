"""Is anything lost? A run that is killed again and again, processes that lose each other, and files that are damaged.

  python -m experiments.benchmarks.endurance --kills=5 --damages=20 --epochs=2000 --nopairs    a look, a minute
  python -m experiments.benchmarks.endurance --json=docs/results/endurance.json                the measurement

The second takes about 10 minutes on 2 CPU cores. A run on the digits is trained once and left alone; it is long enough
to take all the signals in one life. The same run is then started in another directory and gets a signal at a random
moment, again and again: SIGKILL, and SIGTERM between. The moments are uniform over half as much again as a start needs
to its first checkpoint, so start-up, training and the writing of checkpoints are all met; with fewer --epochs the end
is too. A run that ends before its signal is compared with the one that was left alone, and another begins; after the
last signal it trains to its end. Parameters and metrics must be the same bits.

Two processes on this machine then train a narrow run together, of 16 units, which must have the bits of one process
with two devices (wide ones are rounded otherwise where a process finds another number of cores). When either is killed
or stopped after the first checkpoint, the other must end within a minute and say why; and the same command again must
come to the same bits.

Then bits are flipped and files cut short: in the newest checkpoint, in the prepared data and in params.npz. Each is
read as the project reads it. It must be refused (detected) or come back unchanged (harmless), never be used in silence.

Expected: every run equal, every survivor ended in time, nothing silently used.
Exit status: 0 so it is, 1 something was lost, or bad input.
"""

import dataclasses
import pathlib
import signal
import tempfile
import time
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments.benchmarks.tables import results
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
PAIR = {"hidden": 16, "epochs": 400, "checkpoint_every": 20}  # the run that two processes train
TRAINING = ("hidden", "epochs", "checkpoint_every")

flags.DEFINE_integer("kills", 50, "How many SIGKILLs.", lower_bound=0)
flags.DEFINE_integer("terms", 10, "How many SIGTERMs among them.", lower_bound=0)
flags.DEFINE_integer("damages", 200, "Damages of each kind of file.", lower_bound=0)
flags.DEFINE_bool("pairs", True, "Also two processes, of which one is lost.")
flags.DEFINE_integer("hidden", 800, "Hidden units of the run.", lower_bound=1)
flags.DEFINE_integer("epochs", 12000, "Its epochs.", lower_bound=1)
flags.DEFINE_integer("checkpoint_every", 25, "Epochs between its checkpoints.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Decides the moments and the damages.", lower_bound=0)
flags.DEFINE_string("json", "runs/endurance.json", "Where the numbers go.")
flags.DEFINE_bool("quiet", False, "No progress bar: for jobs.")


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    path = writable(FLAGS.json)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = _measure(pathlib.Path(folder))
    result |= {"seconds": time.perf_counter() - began, **provenance()}
    write_json(path, result)
    print(results.endurance.text(result))
    print(f"The signals met a run that was {', '.join(f'{phase} ({n})' for phase, n in result['phases'].items())}.")
    return cli.DONE if result["nothing_lost"] else 1


def _measure(place: pathlib.Path) -> dict[str, Any]:
    """All of it, in an empty folder."""
    from experiments.benchmarks.faults import kills  # not before bad flags are refused: it loads JAX

    moments, order, damages = np.random.default_rng(FLAGS.seed).spawn(3)
    training = [f"--{name}={FLAGS[name].value}" for name in TRAINING]
    signals = order.permutation([signal.SIGKILL] * FLAGS.kills + [signal.SIGTERM] * FLAGS.terms)
    signals = [signal.Signals(number) for number in signals]
    first = kills.alone(training, place / "whole")
    until = kills.SPREAD * first
    with tqdm(total=len(signals), unit="kill", disable=FLAGS.quiet) as bar:
        lives, met = kills.interrupted(training, place / "cut", place / "whole", signals, until, moments, bar.update)
    together = _pairs(place / "pairs") if FLAGS.pairs else {}
    counts = {}
    for name, (paths, read) in kills.subjects(place / "whole").items():
        with tqdm(total=FLAGS.damages, unit="damage", desc=name, disable=FLAGS.quiet) as bar:
            counts[name] = kills.count(paths, read, FLAGS.damages, damages, bar.update)
    lost = any(life.differs for life in lives) or any(count[kills.USED] for count in counts.values())
    lost |= any(not one["ended_well"] for one in together.get("lost", [])) or not together.get("equal", True)
    return {
        "nothing_lost": not lost,
        "flags": {name: FLAGS[name].value for name in (*TRAINING, "kills", "terms", "damages", "seed")},
        "seconds_to_first_checkpoint": first,
        "runs": [life._asdict() | {"equal": not life.differs} for life in lives],
        "phases": {phase: sum(kill.phase == phase for kill in met) for phase in kills.PHASES},
        "kills": [kill._asdict() for kill in met],
        "pairs": together,
        "damages": counts,
    }


def _pairs(place: pathlib.Path) -> dict[str, Any]:
    """Two processes to the end, then each way to lose one of them."""
    from experiments.benchmarks.faults import pairs

    place.mkdir()
    training = [f"--{name}={value}" for name, value in PAIR.items()]
    differs, found = pairs.together(training, place), []
    for number, (process, name) in enumerate(tqdm(pairs.LOSSES, unit="loss", disable=FLAGS.quiet)):
        loss = pairs.lost(training, place / f"lost-{number}", place / "two", process, name)
        found.append(dataclasses.asdict(loss) | {"ended_well": loss.ended_well})
    return {"equal": not differs, "differs": differs, "lost": found}


if __name__ == "__main__":
    cli.run(main)
