"""The precisions that a network can be trained in, by name. Imports no JAX.

On a GPU "float32" means float32: JAX's own default there is TensorFloat-32, which has its own name here.
"""

from typing import NamedTuple


class Precision(NamedTuple):
    """Types of the parameters and of the forward and backward pass, and the precision of float32 matrix products."""

    parameters: str
    compute: str
    matmul: str


PRECISIONS: dict[str, Precision] = {
    "float32": Precision("float32", "float32", "highest"),
    "float64": Precision("float64", "float64", "highest"),
    "bfloat16": Precision("float32", "bfloat16", "highest"),
    "tensorfloat32": Precision("float32", "float32", "tensorfloat32"),
}
PRNG = "threefry2x32"  # pinned: a change of JAX's default must not change results
