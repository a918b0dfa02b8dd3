"""What `experiments.benchmarks.accelerator` measures: one function a question, each called in a process of its own.

Here is what can be known without a device: the operations and the bytes of a step, and the least that it takes by a
data sheet.
"""

from typing import NamedTuple

INPUTS, OUTPUTS = 784, 10
BYTES = {"float32": 4, "tensorfloat32": 4, "bfloat16": 2}  # of a number in a pass


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
