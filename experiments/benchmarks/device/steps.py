"""How long a step takes on a device, of ours and of a peer's, beside what the step must compute and move.

The peers are those of `experiments.benchmarks.speed`; a peer of JAX or of PyTorch runs on whatever device its library
finds. Before it is timed, it must agree with float64. Images are random, with as many pixels that are not zero as MNIST
has (zeros take less power, and a device then runs faster), and none is idle. Epochs have whole batches only.
"""

import functools
import statistics
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments.benchmarks.device.paper import INPUTS, OUTPUTS, operations, traffic
from experiments.benchmarks.peers import problem, worker
from experiments.benchmarks.peers.problem import Problem

EXAMPLES, INK = 50_000, 0.19
LEAST, MOST = 5, 50  # timed epochs
LONG = 6  # times the seconds asked for, after which two epochs are enough
# How far a parameter may be from the float64 reference after ten steps, as a share of the distance moved. float32 has
# its reasons in problem.py. In the others each operand is rounded by u = 2^-11 or 2^-8, and a share of about u of the
# hidden units gets the other sign, where the gradient then differs by all of itself: sqrt(u) of its length, here twice.
ALLOWED = {"float32": problem.TOLERANCE, "tensorfloat32": 2**-4.5, "bfloat16": 2**-3}
GATE_UNITS = 128


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
    peer, first = worker.named(target)(whole), time.perf_counter()
    peer.epoch(0)
    first = time.perf_counter() - first
    times: list[float] = []
    while len(times) < (LEAST if sum(times) < LONG * seconds else 2) or (sum(times) < seconds and len(times) < MOST):
        began = time.perf_counter()
        peer.epoch(1)
        times.append(time.perf_counter() - began)
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
    peer = worker.named(target)(small)
    peer.epoch(0)
    found = problem.compare(small, peer.parameters())
    rounding = ALLOWED[precision] - problem.TOLERANCE
    for name, leaf in found.items():
        if not leaf["error"] <= leaf["allowed"] + rounding:
            raise ArithmeticError(
                f"wrong, so not timed: after {problem.GATE_STEPS} steps {name} is off by {leaf['error']:.1e} of the"
                f" distance moved, and {precision} explains {leaf['allowed'] + rounding:.0e}"
            )
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
