"""What does `twolayer.fit` take beside the epochs themselves? Digits, 3,000 epochs.

  python -m experiments.benchmarks.overhead

The epochs themselves, with their validation, are one call of a program that is compiled and whose data are in place;
that is timed in turns with whole calls of `fit` on NumPy arrays, which split, check and place the data, draw the
network, run the same epochs in segments, and fetch metrics and parameters. The first call, which compiles, stands by
itself. Seconds are those of the CPU, which other processes do not change, and those of the clock beside them.
Wanted: at most 30 % over the epochs. Writes docs/results/overhead.json; a minute on 2 quiet CPU cores.
"""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from absl import flags

from twolayer import datasets, fitting, network, segments, training
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 5, "Times each is run.", lower_bound=2)
flags.DEFINE_integer("epochs", 3000, "Of each.", lower_bound=1)
flags.DEFINE_string("json", "docs/results/overhead.json", "Where the result goes.")

WANTED = 0.3


def main() -> int:
    """Flags to a table and a file; returns the exit status."""
    path = writable(FLAGS.json)
    data, epochs = datasets.load("digits"), FLAGS.epochs
    x, y = data.train.x.astype("float32") * data.scale, data.train.y
    valid = (data.valid.x.astype("float32") * data.scale, data.valid.y)

    def fit() -> None:
        fitting.fit(x, y, valid=valid, epochs=epochs)

    first = timed(fit)
    bare = epochs_alone(data, epochs)
    rounds = [(timed(bare), timed(fit)) for _ in range(FLAGS.rounds)]
    found = {}
    for kind in ("cpu", "clock"):
        alone, whole = ([one[i][kind] for one in rounds] for i in (0, 1))
        over = [b / a - 1 for a, b in zip(alone, whole, strict=True)]
        found[kind] = {"epochs": alone, "fit": whole, "over": statistics.median(over)}
        found[kind]["first_over"] = first[kind] / statistics.median(alone) - 1
    write_json(path, {"wanted": WANTED, "epochs": epochs, "first": first, **found, **provenance()})
    for kind, row in found.items():
        print(
            f"{kind}: epochs {statistics.median(row['epochs']):.2f} s, fit {statistics.median(row['fit']):.2f} s, "
            f"{100 * row['over']:.0f} % over; the first call {first[kind]:.2f} s, {100 * row['first_over']:.0f} % over"
        )
    return cli.DONE


def epochs_alone(data: datasets.Dataset, epochs: int) -> Callable[[], None]:
    """The epochs of `fit` as one call of one program, compiled, with the data in place."""
    wanted = fitting.Settings(epochs=epochs)
    choices, numbers = fitting.choices_of(wanted, data), fitting.numbers_of(wanted, "float32")
    train = training.place(*data.train, skip_idle=fitting.may_skip_idle(choices, numbers))
    valid = training.place(*data.valid)
    init_key, order_key = fitting.keys_of(0)
    params = network.init(init_key, data.inputs, wanted.hidden_size, data.outputs)
    state = segments.start(choices, params, numbers, len(train.x))
    segment = jax.jit(segments.make_segment(choices, epochs))
    program = segment.lower(state, jnp.int32(epochs), order_key, numbers, train, valid).compile()
    return lambda: jax.block_until_ready(program(state, jnp.int32(epochs), order_key, numbers, train, valid))


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Seconds of the CPU and of the clock that a call takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    call()
    return {"cpu": time.process_time() - cpu, "clock": time.perf_counter() - clock}


if __name__ == "__main__":
    cli.run(main)
