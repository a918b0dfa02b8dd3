"""How long a step takes on a device, of ours and of a peer's, beside what it must compute and move, and its limits.

The peers are those of `experiments.benchmarks.speed`; a peer of JAX or of PyTorch runs on whatever device its library
finds. Before it is timed, it must agree with float64. Images are random, with as many pixels that are not zero as MNIST
has (zeros take less power, and a device then runs faster), and none is idle. Epochs have whole batches only.
"""

import contextlib
import functools
import statistics
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import timed
from experiments.benchmarks.peers import gemms, problem, worker
from experiments.benchmarks.peers.problem import Problem
from twolayer.precisions import PRECISIONS

INPUTS, OUTPUTS = 784, 10
BYTES = {"float32": 4, "tensorfloat32": 4, "bfloat16": 2}  # of a number in a pass
EXAMPLES, INK = 50_000, 0.19
LEAST, MOST = 5, 50  # timed epochs
LONG = 6  # times the seconds asked for, after which two epochs are enough
# How far a parameter may be from the float64 reference after ten steps, as a share of the distance moved. float32 has
# its reasons in problem.py. In the others each operand is rounded by u = 2^-11 or 2^-8, and a share of about u of the
# hidden units gets the other sign, where the gradient then differs by all of itself: sqrt(u) of its length, here twice.
ALLOWED = {"float32": problem.TOLERANCE, "tensorfloat32": 2**-4.5, "bfloat16": 2**-3}
GATE_UNITS = 128
BLOCK_SECONDS = 0.05  # of a product or a copy that is timed


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


def make(hidden: int, batch_size: int, precision: str, networks: int = 1, examples: int = EXAMPLES) -> Problem:
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


class Sheet(NamedTuple):
    """A data sheet: dense operations a second in each precision, bytes a second of the memory, bytes of the cache."""

    float32: float
    tensorfloat32: float
    bfloat16: float
    bandwidth: float
    cache: float


# By a part of JAX's name of the device. NVIDIA's data sheets of the SXM modules, without sparsity.
SHEETS = {
    "H200": Sheet(67e12, 494.7e12, 989.4e12, 4.8e12, 50e6),
    "H100": Sheet(67e12, 494.7e12, 989.4e12, 3.35e12, 50e6),
    "A100": Sheet(19.5e12, 156e12, 312e12, 2.04e12, 40e6),
}


def operations(hidden: int, batch_size: int, networks: int = 1, inputs: int = INPUTS) -> int:
    """Operations of a step's five matrix products, 2 for each multiply-add."""
    return 2 * batch_size * networks * (2 * inputs * hidden + 3 * hidden * OUTPUTS)


def parameters(hidden: int) -> int:
    """Number of the parameters of 784-K-10."""
    return INPUTS * hidden + hidden + OUTPUTS * hidden + OUTPUTS


def traffic(
    hidden: int, batch_size: int, precision: str, networks: int = 1, cache: float = 0.0, moments: int = 0
) -> int:
    """Bytes that a step moves at least, if each product is a pass of its own.

    Parameters, in float32, are read in the forward pass, read again and written by the update, which also takes the
    gradient in as it is made, and reads and writes each of the optimiser's `moments`; x is read twice; Z1 or O1 and dZ1
    are each written once and read twice. Parameters, or hidden values, that fit into `cache` bytes are not counted:
    they may stay there.
    """
    weights, values = networks * parameters(hidden), 2 * networks * batch_size * hidden
    moved = 2 * batch_size * INPUTS * BYTES[precision]
    moved += (12 + 8 * moments) * weights if 4 * weights > cache else 0
    return moved + (3 * values * BYTES[precision] if values * BYTES[precision] > cache else 0)


def floor(
    hidden: int, batch_size: int, precision: str, sheet: Sheet, networks: int = 1, moments: int = 0
) -> tuple[float, str]:
    """The least seconds of a step by a data sheet, and whether operations or memory take them."""
    computing = operations(hidden, batch_size, networks) / getattr(sheet, precision)
    moving = traffic(hidden, batch_size, precision, networks, sheet.cache, moments) / sheet.bandwidth
    return max((computing, "operations"), (moving, "memory"))
