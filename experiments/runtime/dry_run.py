"""What a run would take, before anything runs: shapes, bytes and floating-point operations."""

import math

import jax
from jaxtyping import PyTree

from experiments.runtime import jobs
from experiments.runtime.jobs import Job
from experiments.runtime.stack_jobs import StackJob


def describe(job: Job | StackJob, program: jax.stages.Compiled, shared: bool = True) -> str:
    """A few lines for --dry_run.

    Operations are those of the matrix products, 2 for each multiply-add, those that blur elastic fields included;
    memory is that of one device, as the compiler counts it.

    Args:
      program: the compiled segment.
      shared: whether the networks of a stack see the same batches.
    """
    (n, d), (*stack, C, K) = job.train.x.shape, job.state.params.W2.shape
    B, N = job.choices.batch_size, math.prod(stack)
    steps = -(-n // B)
    data, state = _bytes((job.train, job.valid)), _bytes(job.state)
    total = max(jobs.bytes_of_program(program), data + state)
    train = 2 * n * N * (2 * d * K + 3 * K * C) + _blurs(job) * (1 if shared else N)  # Z1, dW1; Z2, dO1, dW2
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
    return "\n".join(lines)


def _blurs(job: Job | StackJob) -> int:
    """Of an epoch's elastic fields: two for each image, each blurred along rows and columns."""
    distortion = job.choices.distortion
    if distortion is None or not distortion.alpha:
        return 0
    H, W = distortion.image_shape
    return 4 * H * W * (H + W) * len(job.train.x)


def _bytes(tree: PyTree) -> int:
    """On one device."""
    return jobs.bytes_of_arrays(tree, jax.tree.map(lambda leaf: leaf.sharding, tree))


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _count(number: float) -> str:
    for unit in ("", "k", "M", "G", "T"):
        if number < 1000:
            return f"{number:.3g} {unit}FLOP"
        number /= 1000
    return f"{number:.3g} PFLOP"
