"""One epoch of a network, of a stack, or of a network on several devices: prepared once, timed many times."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from experiments.runtime import jobs, tables
from twolayer import datasets, devices, network, segments, sweeps, training
from twolayer.command.cli import bad_input


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed: `networks` of `hidden` units each, on `mesh`."""

    kind: str  # width, networks or devices
    hidden: int
    networks: int = 1
    mesh: str | None = None


def cases(
    *,
    widths: Sequence[int],
    networks: Sequence[int],
    stacked_widths: Sequence[int],
    most_units: int,
    split_width: int,
    meshes: Sequence[str],
) -> list[Case]:
    """Those of a comparison, without stacks of more than `most_units` hidden units."""
    found = [Case("width", hidden) for hidden in widths]
    found += [Case("networks", K, N) for K in stacked_widths for N in networks if N * K <= most_units]
    return found + [Case("devices", split_width, mesh=mesh) for mesh in (None, *meshes)]


def prepare(case: Case, data: datasets.Dataset, examples: int, batch_size: int) -> Callable[[], float]:
    """Compile and warm up; returns a function that runs an epoch and returns its seconds.

    Raises:
      BadInput: there are not so many devices, or sizes that cannot be split over them.
    """
    choices = training.Choices(
        optimizer="sgd", schedule="constant", warmup_epochs=0, scale=data.scale, batch_size=batch_size
    )
    mesh = jobs.mesh_of({"mesh": case.mesh}, "hidden")
    with bad_input(ValueError):
        devices.check_divides(mesh, batch_size=batch_size, hidden_size=case.hidden)
    everywhere = devices.everywhere(mesh)
    train = training.place(data.train.x[:examples], data.train.y[:examples], skip_idle=True, where=everywhere)
    stacked = case.kind == "networks"

    def draw(key: jax.Array) -> network.Params:
        return network.init(key, data.inputs, case.hidden, data.outputs, "alive")

    shapes = jax.eval_shape(draw, jax.random.key(0))
    needed = case.networks * sum(leaf.size * leaf.dtype.itemsize for leaf in shapes) // mesh.shape["hidden"]
    jobs.check_fits(needed, f"the parameters of {case.hidden} hidden units", mesh)
    one = training.Numbers(*map(jnp.float32, (0.1, 0.0, 0.9)))
    if stacked:
        params = jax.vmap(draw)(jax.random.split(jax.random.key(0), case.networks))
        numbers = jax.tree.map(lambda number: jnp.full(case.networks, number), one)
        state, epoch = sweeps.start(choices, params, numbers, examples), sweeps.make_epoch(choices)
    else:
        numbers, state = one, segments.start(choices, draw(jax.random.key(0)), one, examples)
        epoch = training.make_epoch(choices)
    places = devices.spread(state, mesh, stacked=stacked)
    state, numbers = devices.put(state, places), devices.put(numbers, everywhere)
    index, key = devices.put((jnp.int32(0), jax.random.key(1)), everywhere)
    with jax.set_mesh(mesh):
        out = (places.params, places.moments, everywhere, everywhere)
        program = jax.jit(epoch, donate_argnums=(0, 1), out_shardings=out)
        compiled = program.lower(state.params, state.moments, index, key, numbers, train).compile()
    held = [state.params, state.moments]

    def run() -> float:
        began = time.perf_counter()
        held[0], held[1], *metrics = compiled(*held, index, key, numbers, train)
        jax.block_until_ready((held, metrics))
        return time.perf_counter() - began

    run()
    return run


def row(case: Case, data: datasets.Dataset, seconds: Sequence[float], examples: int, batch_size: int) -> dict:
    """What was measured, and what a step takes on paper; of a stack, for one network."""
    d, C, K, m = data.inputs, data.outputs, case.hidden, batch_size
    steps = -(-examples // m)
    each = [number / steps / case.networks for number in seconds]
    flops, parameters = 2 * m * (2 * d * K + 3 * K * C), K * d + K + C * K + C
    step = statistics.median(each)
    return {
        **dataclasses.asdict(case),
        "step_us": 1e6 * step,
        "spread_us": [1e6 * min(each), 1e6 * max(each)],
        "flops": flops,
        "gflops_per_second": flops / step / 1e9,
        # float32: parameters read twice (forward, update), gradient written and read, parameters written; the images
        # of a batch as bytes; Z1, O1 and dZ1 written and read.
        "bytes": 4 * 5 * parameters + m * d + 4 * 6 * m * K,
    }


def text(rows: Sequence[dict]) -> str:
    """A line a case."""
    lines = [
        (r["kind"], str(r["hidden"]), str(r["networks"]), r["mesh"] or "", f"{r['step_us']:.1f}", _rate(r))
        for r in rows
    ]
    return tables.text(("", "hidden", "networks", "mesh", "us a step", "GFLOP/s"), lines)


def _rate(row: dict) -> str:
    return f"{row['gflops_per_second']:.1f}"
