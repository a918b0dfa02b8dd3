"""What a run would take: shapes, bytes, floating-point operations, and the time, for which a few epochs are trained."""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.runtime import processes
from experiments.runtime.jobs import Job
from experiments.runtime.session import duration
from twolayer import devices
from twolayer.command import cli

PATIENCE = 60.0  # seconds that the trained epochs may take
SHORT = 0.5  # seconds: after a first epoch shorter than this, so many more are timed
MORE = 10


def tell(outlook: Callable[[], str]) -> None:
    """Print what `outlook` returns; the program may still be at work on an epoch that took too long."""
    began = threading.active_count()
    print(outlook())
    if threading.active_count() > began:
        sys.stdout.flush()
        os._exit(cli.DONE)  # a normal end would wait for the program


def outlook(job: Job, compiling: Callable[[], jax.stages.Compiled], parts: int = 1) -> str:
    """A few lines on one network, or on a group of parts of which this is the first; a few epochs are trained.

    Args:
      compiling: compiles the program of the job, and returns it.
      parts: of a sweep that have the same program.

    Raises:
      BadInput: as `compiling`.
    """
    began = time.perf_counter()
    program = compiling()
    seconds_of_it = duration(time.perf_counter() - began)
    text = describe(job, program)  # before the state is given away
    epochs = parts * job.choices.epochs
    seconds = _epoch_seconds(job, program, epochs)
    if seconds is None:
        most = duration(PATIENCE * epochs)
        return f"{text}\ntime         more than {most}: an epoch takes more than {duration(PATIENCE)}"
    training = f"{duration(seconds * epochs)} of training, {duration(seconds)} an epoch as measured"
    return f"{text}\ntime         about {training}; {seconds_of_it} compiling"


def _epoch_seconds(job: Job, program: jax.stages.Compiled, most: int) -> float | None:
    """Seconds of an epoch: of the first, or of ten more if that is short; None if the first outlasts PATIENCE."""
    done: list[float] = []

    def work() -> None:
        began = time.perf_counter()
        after, _ = jax.block_until_ready(program(*job.arguments(job.state, 0, 1)))
        first = float(processes.firsts(np.float64(time.perf_counter() - began)))
        more = min(MORE, most - 1)
        if first < SHORT and more > 0:
            began = time.perf_counter()
            jax.block_until_ready(program(*job.arguments(after, 1, 1 + more)))
            first = (time.perf_counter() - began) / more
        done.append(first)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return done[0] if done else None


def describe(job: Job, program: jax.stages.Compiled) -> str:
    """Shapes, bytes and operations.

    Operations are those of the matrix products, 2 for each multiply-add, those that blur elastic fields included;
    memory is that of one device, as the compiler counts it.
    """
    (n, d), (*stack, C, K) = job.train.x.shape, job.state.params.W2.shape
    B, N = job.choices.batch_size, math.prod(stack)
    steps = -(-n // B)
    data, state = _bytes((job.train, job.valid)), _bytes(job.state)
    total = max(devices.bytes_of_program(program), data + state)
    train = 2 * n * N * (2 * d * K + 3 * K * C) + _blurs(job) * (1 if job.shared else N)  # Z1, dW1; Z2, dO1, dW2
    examined, inputs = job.valid.x.shape
    valid = 2 * examined * N * (inputs * K + K * C)
    shapes = ", ".join(f"{name} {tuple(leaf.shape)}" for name, leaf in job.state.params._asdict().items())
    parameters = sum(leaf.size for leaf in job.state.params)
    skipped = inputs - d
    idle = f", {skipped} of {inputs} inputs idle" if skipped else ""
    epochs, dtype = job.choices.epochs, job.state.params.W1.dtype
    held = {"data": data, "parameters and moments": state, "working memory": total - data - state}
    parts = ", ".join(f"{name} {_size(number)}" for name, number in held.items())
    kinds = [f"{device.platform}: {device.device_kind}" for device in job.mesh.devices.flat]
    mesh = ", ".join(f"{axis} {size}" for axis, size in job.mesh.shape.items() if size > 1)
    lines = [
        f"parameters   {shapes}: {parameters:,} of {dtype}",
        f"data         {n:,} training examples of {d} inputs{idle}, {examined:,} for validation",
        f"steps        {steps:,} an epoch, {steps * epochs:,} in all",
        f"memory       {_size(total)}: {parts}",
        f"operations   {_count(train + valid)} an epoch, {_count((train + valid) * epochs)} in all",
        f"devices      {', '.join(kinds)}" + (f"; split by {mesh}" if mesh else ""),
    ]
    if job.choices.compute == "bfloat16" and job.mesh.devices.flat[0].platform == "cpu":
        lines.append("note         a CPU has no units for bfloat16 and converts: about half as fast as float32")
    return "\n".join(lines)


def _blurs(job: Job) -> int:
    """Operations of an epoch's elastic fields: two for each image, each blurred along rows and columns."""
    distortion = job.choices.distortion
    if distortion is None or not distortion.alpha:
        return 0
    H, W = distortion.image_shape
    return 4 * H * W * (H + W) * len(job.train.x)


def _bytes(tree: PyTree) -> int:
    """Bytes of a tree on one device."""
    return devices.bytes_of_arrays(tree, jax.tree.map(lambda leaf: leaf.sharding, tree))


def _size(number: float) -> str:
    return _scaled(number, ("B", "kB", "MB", "GB", "TB"))


def _count(number: float) -> str:
    return _scaled(number, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def _scaled(number: float, units: Sequence[str]) -> str:
    """Three digits in the unit that suits the number."""
    *smaller, largest = units
    for unit in smaller:
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} {largest}"
