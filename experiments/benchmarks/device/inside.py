"""Where the time of our step goes: the data path alone, and the operations of a profile by name."""

import collections
import operator
import pathlib
import re
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmarks import timed
from experiments.benchmarks.device import steps
from experiments.benchmarks.peers.jax_forms import ClosedForm, Stack
from twolayer import shuffling, training

OPERATION = re.compile(r'%?([\w.-]+) = \(?(\w+\[[\d,]*\])[^\n]*?(?:metadata=\{[^}]*op_name="([^"]+)"|\n)')
SLOWEST = 5


def data_path(hidden: int, batch_size: int, precision: str, examples: int = steps.EXAMPLES) -> dict[str, float]:
    """Drawing the order of an epoch, and gathering and scaling its batches, beside the whole epoch."""
    problem = steps.make(hidden, batch_size, precision, examples=examples)
    peer, n = ClosedForm(problem), len(problem.x)
    choices = training.Choices(batch_size=batch_size, scale=problem.scale, compute=peer.choices.compute)
    order = jax.jit(lambda key, index: shuffling.batches(key, index, n, batch_size))

    @jax.jit
    def gather(key: jax.Array, rows: jax.Array, train: training.Examples) -> jax.Array:
        first = training.inputs(choices, train, rows[0], key, jnp.int32(0))
        # The batch is carried on, so that each one has to be written out as for a matrix product.
        return jax.lax.scan(
            lambda _, at: (training.inputs(choices, train, at, key, jnp.int32(0)), None), jnp.zeros_like(first), rows
        )[0]

    rows, _ = order(peer.key, jnp.int32(0))
    drawn = _median(lambda: jax.block_until_ready(order(peer.key, jnp.int32(1))))
    gathered = _median(lambda: jax.block_until_ready(gather(peer.key, rows, peer.train)))
    whole = _median(lambda: peer.epoch(1))
    return {
        "epoch_s": whole,
        "order_s": drawn,
        "gather_s": gathered,
        "share": (drawn + gathered) / whole,
        "steps": problem.steps,
    }


def _median(run: Callable[[], object]) -> float:
    """Seconds of a call, after one that compiles."""
    run()
    return statistics.median(timed(run) for _ in range(steps.LEAST))


def profile(
    hidden: int, batch_size: int, precision: str, networks: int = 1, examples: int = steps.EXAMPLES
) -> dict[str, Any]:
    """The slowest operations of an epoch, with the lines of the mathematics they belong to.

    A profiler slows down what it watches, and XLA takes graphs of launches apart for it, so this is about shares.

    Returns:
      steps, busy_us (of operations, a step), launches (operations a step), and the slowest, each {name, of, share}.
    """
    problem = steps.make(hidden, batch_size, precision, networks, examples)
    peer = (Stack if networks > 1 else ClosedForm)(problem)
    compiled = peer.run.lower(peer.params, peer.moments, 0, peer.key, peer.numbers, peer.train).compile()
    of = {name: f"{_line(path)} {shape}".strip() for name, shape, path in OPERATION.findall(compiled.as_text() or "")}
    peer.epoch(0)
    with tempfile.TemporaryDirectory() as folder:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with jax.profiler.trace(folder, profiler_options=options):
            peer.epoch(1)
        events = [event for path in pathlib.Path(folder).rglob("*.xplane.pb") for event in _events(path)]
    if not events:
        raise RuntimeError("the profiler has seen no operation of the device; it may lack the rights to")
    spent: dict[str, float] = collections.defaultdict(float)
    for name, nanoseconds in events:
        spent[name] += nanoseconds / 1e3
    return _shares(spent, len(events), problem.steps, of)


def _shares(spent: Mapping[str, float], launches: int, steps: int, of: Mapping[str, str]) -> dict[str, Any]:
    """The shares of the slowest operations, of the microseconds that each has spent in so many steps."""
    total = sum(spent.values())
    slowest = sorted(spent, key=spent.__getitem__, reverse=True)[:SLOWEST]
    rows = [{"name": one, "of": of.get(one.split(" ")[0], ""), "share": spent[one] / total} for one in slowest]
    return {"steps": steps, "busy_us": total / steps, "launches": launches / steps, "slowest": rows}


def _events(path: pathlib.Path) -> Iterable[tuple[str, float]]:
    """Operations in a trace with the nanoseconds that each spent itself, without those inside of it."""
    planes = list(jax.profiler.ProfileData.from_file(str(path)).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in devices or planes:  # beside a device the host's threads only launch
        for line in plane.lines:
            if line.name in ("XLA Modules", "XLA Ops", "Steps"):  # a GPU's streams have their operations once more
                continue
            events = [
                (event.start_ns, event.start_ns + event.duration_ns, _name(event.name, dict(event.stats)))
                for event in line.events
                if not event.name.startswith("end: ")
            ]
            yield from _own_times(event for event in events if event[2])


def _name(kernel: str, stats: dict[str, Any]) -> str:
    """The operation of the program, and the kernel if it has another name; empty for what is no operation."""
    operation = str(stats.get("hlo_op", ""))
    return operation if not operation or kernel == operation else f"{operation} ({kernel[:60]})"


def _own_times(events: Iterable[tuple[float, float, str]]) -> Iterable[tuple[str, float]]:
    """(name, time without the events inside) of events (begin, end, name) that are nested or apart."""
    open_: list[list] = []  # end, name, own time
    for begin, end, name in sorted(events, key=lambda event: (event[0], -event[1])):
        while open_ and open_[-1][0] <= begin:
            yield tuple(open_.pop()[1:])
        if open_:
            open_[-1][2] -= end - begin
        open_.append([end, name, end - begin])
    yield from (tuple(entry[1:]) for entry in open_)


def _line(op_name: str) -> str:
    """The end of an operation's path in the program, without the loops that it is in."""
    parts = [part for part in op_name.split("/") if part not in ("while", "body", "closed_call") and "jit(" not in part]
    return "/".join(parts[-2:])


def torch_profile(target: str, hidden: int, batch_size: int, precision: str, examples: int = steps.EXAMPLES) -> dict:
    """The same of a peer in PyTorch."""
    import torch
    from torch.profiler import ProfilerActivity

    from experiments.benchmarks.peers.torch_forms import DEVICE
    from experiments.benchmarks.peers.worker import named

    problem = steps.make(hidden, batch_size, precision, examples=examples)
    peer = named(target)(problem)
    peer.epoch(0)
    activities = [ProfilerActivity.CUDA if DEVICE == "cuda" else ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as trace:
        peer.epoch(1)
    rows = trace.key_averages()
    time_of = operator.attrgetter("self_device_time_total" if DEVICE == "cuda" else "self_cpu_time_total")
    spent: dict[str, float] = collections.defaultdict(float)
    for row in rows:
        spent[row.key[:90]] += time_of(row)
    return _shares(spent, sum(row.count for row in rows), problem.steps, {})
