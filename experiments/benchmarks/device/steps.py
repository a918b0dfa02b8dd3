"""How long a step takes on a device, of ours and of a peer's, beside what it must compute and move, and its limits.

The peers are those of `experiments.benchmarks.speed`; a peer of JAX or of PyTorch runs on whatever device its library
finds. Before it is timed, it must agree with float64. Images are random, with as many pixels that are not zero as MNIST
has (zeros take less power, and a device then runs faster), and none is idle. Epochs have whole batches only.
"""

import contextlib
import functools
import resource
import statistics
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import timed
from experiments.benchmarks.device import INPUTS, OUTPUTS, SHEETS, operations, traffic
from experiments.benchmarks.peers import gemms, problem, worker
from twolayer.precisions import PRECISIONS

EXAMPLES, INK = 50_000, 0.19
LEAST, MOST = 5, 50  # timed epochs
LONG = 6  # times the seconds asked for, after which two epochs are enough
# How far a parameter may be from the float64 reference after ten steps, as a share of the distance moved. float32 has
# its reasons in problem.py. In the others each operand is rounded by u = 2^-11 or 2^-8, and a share of about u of the
# hidden units gets the other sign, where the gradient then differs by all of itself: sqrt(u) of its length, here twice.
ALLOWED = {"float32": problem.TOLERANCE, "tensorfloat32": 2**-4.5, "bfloat16": 2**-3}
GATE_UNITS = 128
BLOCK_SECONDS = 0.05  # of a product or a copy that is timed
STEPS = 20  # of an epoch of the wide network


def time_steps(
    target: str,
    hidden: int,
    batch_size: int,
    precision: str,
    *,
    networks: int = 1,
    examples: int = EXAMPLES,
    seconds: float = 1.5,
) -> dict[str, Any]:
    """Epochs of a peer back to back, for so many seconds.

    Args:
      target: module:class of a peer.
      networks: of a peer that trains many at once. Times are those of all of them.

    Returns:
      step_us (median, least and most), epoch_s of so many steps, compile_s (what the first epoch took longer), and the
      operations and bytes of a step on paper.

    Raises:
      ArithmeticError: the peer disagrees with float64.
    """
    error = gate(target, min(hidden, GATE_UNITS), min(batch_size, GATE_UNITS), precision)
    whole = make(hidden, batch_size, precision, networks, examples)
    peer = worker.named(target)(whole)
    first, times = timed(peer.epoch, 0), []
    while len(times) < (LEAST if sum(times) < LONG * seconds else 2) or (sum(times) < seconds and len(times) < MOST):
        times.append(timed(peer.epoch, 1))
    epoch = statistics.median(times)
    each = [1e6 * seconds / whole.steps for seconds in (epoch, min(times), max(times))]
    flops, moved = operations(hidden, batch_size, networks), traffic(hidden, batch_size, precision, networks)
    return {
        "step_us": each[0],
        "spread_us": each[1:],
        "steps": whole.steps,
        "epoch_s": epoch,
        "compile_s": max(0.0, first - epoch),
        "flops": flops,
        "flops_per_second": flops * whole.steps / epoch,
        "bytes": moved,
        "bytes_per_second": moved * whole.steps / epoch,
        "gate_error": error,
    }


@functools.cache
def gate(target: str, hidden: int, batch_size: int, precision: str) -> float:
    """The largest error of a parameter after ten steps, as a share of the distance moved.

    Raises:
      ArithmeticError: it is more than the precision explains.
    """
    small = make(hidden, batch_size, precision, 2, problem.GATE_STEPS * batch_size)
    small = small._replace(orders=small.orders[:1])
    found = problem.gate(worker.named(target)(small), small)
    if wrong := problem.missed(found, small, ALLOWED[precision] - problem.TOLERANCE):
        raise ArithmeticError(wrong)
    return max(leaf["error"] for leaf in found.values())


def make(hidden: int, batch_size: int, precision: str, networks: int = 1, examples: int = EXAMPLES) -> problem.Problem:
    """A problem of whole batches, at least two."""
    x, y = images(max(2, examples // batch_size) * batch_size)
    data: Any = SimpleNamespace(train=(x, y), inputs=INPUTS, outputs=OUTPUTS, scale=1 / 255)
    whole = problem.make(data, hidden, batch_size=batch_size, learning_rate=0.1, output="relu", epochs=2, seed=0)
    return whole._replace(precision=precision, networks=networks)


@functools.lru_cache(maxsize=2)
def images(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels (n, 784), of which a share INK is not zero, and labels."""
    rng = np.random.default_rng(0)
    ink = rng.random((n, INPUTS), np.float32) < INK
    return rng.integers(1, 256, (n, INPUTS), np.uint8) * ink, rng.integers(0, OUTPUTS, n).astype(np.int32)


def wide(hidden: int, batch_size: int, precision: str, optimizer: str) -> dict[str, Any]:
    """One epoch of a few steps of a wide network by the training script's own program, and the memory it takes.

    Runs in a process of its own, since a device tells the most that was in use since its start.

    Returns:
      step_us; estimate_bytes, which --dry_run prints and the script compares with the device's memory; the most that
      was in use, prepared_bytes before training and measured_bytes after it. If they are equal, drawing the parameters
      took more than training.
    """
    from absl import flags

    from experiments.runtime import flags as training_flags
    from experiments.runtime import jobs, loop
    from twolayer import devices

    flags.FLAGS(
        [
            "accelerator",
            *("--dataset=teacher", "--teacher_inputs=784", "--loss=quadratic", "--schedule=constant", "--epochs=5"),
            *(
                f"--teacher_train={STEPS * batch_size}",
                f"--teacher_valid={batch_size}",
                f"--teacher_test={batch_size}",
            ),
            *(f"--hidden={hidden}", f"--batch_size={batch_size}"),
            *(f"--precision={precision}", f"--optimizer={optimizer}"),
        ]
    )
    job = jobs.prepare(training_flags.values())
    program, prepared = loop.program_of(job), _peak()
    estimate, state, times = devices.bytes_of_program(program), job.state, []
    for epoch in range(1, 4):
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(program(*job.arguments(state, epoch - 1, epoch)))
        times.append(time.perf_counter() - began)
    return {
        "step_us": 1e6 * min(times) / STEPS,
        "steps": STEPS,
        "finite": bool(jnp.isfinite(metrics.train_loss[0])),
        "estimate_bytes": estimate,
        "prepared_bytes": prepared,
        "measured_bytes": _peak(),
    }


def _peak() -> int:
    """The most bytes in use so far, on the device; of a CPU those of the process."""
    found = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if found is None else found


@contextlib.contextmanager
def running(precision: str) -> Iterator[np.dtype]:
    """The state of JAX in which the training script computes in this precision; yields the type it computes in."""
    parameters, compute, matmul = PRECISIONS[precision]
    with jax.enable_x64(parameters == "float64"), jax.default_matmul_precision(matmul):
        yield jnp.dtype(compute)


_NO_PROBLEM: Any = None  # a product needs none


def facts() -> dict[str, Any]:
    """The device that JAX finds, and its data sheet if it is known."""
    device = jax.devices()[0]
    sheet = next((sheet._asdict() for name, sheet in SHEETS.items() if name in device.device_kind), None)
    memory = (device.memory_stats() or {}).get("bytes_limit")
    return {
        "platform": device.platform,
        "kind": device.device_kind,
        "count": jax.device_count(),
        "bytes": memory,
        "sheet": sheet,
    }


def rates(size: int, megabytes: int, precision: str) -> dict[str, float]:
    """Operations a second of a square product, and bytes a second of an addition to an array that no cache holds."""
    rng = np.random.default_rng(0)
    with running(precision) as dtype:
        square = rng.normal(size=(size, size)).astype(dtype)
        seconds = gemms.seconds_of(gemms.XLA.repeat(_NO_PROBLEM, square, square), BLOCK_SECONDS)
        array = jnp.zeros(megabytes * 2**18, jnp.float32)
        add = jax.jit(
            lambda count, array: jax.lax.fori_loop(0, count, lambda _, a: jax.lax.optimization_barrier(a + 1), array)
        )
        moved = gemms.seconds_of(lambda count: add(count, array).block_until_ready(), BLOCK_SECONDS)
    return {"flops_per_second": 2 * size**3 / seconds, "bytes_per_second": 2 * array.nbytes / moved}


def products(hidden: int, batch_size: int, precision: str) -> dict[str, Any]:
    """Seconds of the five matrix products of a step, each alone, in the layout in which the step has them."""
    problem = make(hidden, batch_size, precision, examples=2 * batch_size)
    found = {}
    with running(precision) as dtype:
        for name, (A, B) in gemms.products(problem).items():
            run = gemms.XLA.repeat(_NO_PROBLEM, A.astype(dtype), B.astype(dtype))
            found[name] = 1e6 * gemms.seconds_of(run, BLOCK_SECONDS)
    return {"step_us": sum(found.values()), "products_us": found}
