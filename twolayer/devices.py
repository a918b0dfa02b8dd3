"""Where arrays lie on several devices. Sharding is placement: the functions that train are the same for any mesh.

A mesh has three axes, each a way to divide the work:

    data     a batch: each device has its examples. A step adds up gradients, about d K numbers.
    hidden   units: W1, b1 and W2 split by hidden unit. Z1 and O1 need no communication, nor does back-propagation;
             a step adds up Z2 = O1 W2^T, m C numbers, once.
    nets     networks of a stack: no communication.

For a wide network `hidden` is the cheap one: at 784-K-10, m = 128 it sends 5 kB a step, `data` 4 d K bytes.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree

from twolayer.names import check_positive
from twolayer.network import Params

AXES = ("data", "hidden", "nets")


def make_mesh(sizes: Mapping[str, int]) -> Mesh:
    """A mesh of the first devices; axes that are not named have size 1.

    Raises:
      ValueError: an axis is not known, a size is not positive, there are not so many devices, or several processes
        would leave one of their devices without work.
    """
    unknown = [name for name in sizes if name not in AXES]
    if unknown:
        raise ValueError(f"mesh axis {unknown[0]!r} is not known; choose among {', '.join(AXES)}")
    check_positive(**sizes)
    shape = tuple(sizes.get(name, 1) for name in AXES)
    wanted, devices = int(np.prod(shape)), jax.devices()
    named = ",".join(f"{name}={size}" for name, size in sizes.items())
    if wanted > len(devices) or (jax.process_count() > 1 and wanted < len(devices)):
        raise ValueError(
            f"mesh {named} is for {wanted} devices, and there are {len(devices)}"
            + ("; on a CPU, JAX_NUM_CPU_DEVICES sets how many" if devices[0].platform == "cpu" else "")
        )
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices[:wanted])


def check_divides(mesh: Mesh, *, batch_size: int, hidden_size: int) -> None:
    """Raise ValueError unless batches and hidden units can be dealt out evenly.

    Args:
      batch_size: examples of a step, dealt out over `data`.
      hidden_size: K, dealt out over `hidden`.
    """
    for axis, name, size in (("data", "batch_size", batch_size), ("hidden", "hidden", hidden_size)):
        parts = mesh.shape[axis]
        if size % parts:
            near = f"{size // parts * parts} or {-(-size // parts) * parts}" if size > parts else str(parts)
            raise ValueError(f"{name}={size} cannot be split evenly over {axis}={parts}; take {near}")


def spread(tree: PyTree, mesh: Mesh, *, stacked: bool = False) -> PyTree:
    """The place of each leaf: every Params in the tree is split by hidden unit, the rest is on all devices.

    Args:
      tree: a state, or its shapes. Gradients and optimiser moments are Params too.
      stacked: whether every leaf has a leading axis of networks; they are split over `nets`.
    """
    nets = ("nets",) if stacked else ()
    specs = P(*nets, "hidden", None), P(*nets, "hidden"), P(*nets, None, "hidden"), P(*nets)  # of W1, b1, W2, b2

    def place(node: PyTree) -> PyTree:
        if isinstance(node, Params):
            places: Any = (NamedSharding(mesh, spec) for spec in specs)
            return Params(*places)
        return NamedSharding(mesh, P(*nets))

    return jax.tree.map(place, tree, is_leaf=lambda node: isinstance(node, Params))


def everywhere(mesh: Mesh) -> NamedSharding:
    """The place of what every device has: the data set, whose batches are drawn from all of it."""
    return NamedSharding(mesh, P())


def put(tree: PyTree, places: PyTree) -> PyTree:
    """`tree` on the devices. Each process copies its own share of an array that all processes hold on the host.

    Args:
      places: a sharding for each leaf, or one for all.
    """
    if isinstance(places, NamedSharding):
        places = jax.tree.map(lambda _: places, tree)

    def copy(leaf: Array | np.ndarray, place: NamedSharding) -> Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(copy(jax.random.key_data(leaf), place), impl=jax.random.key_impl(leaf))
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, place, lambda index: host[index])

    return jax.tree.map(copy, tree, places)


def split_examples(x: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """`x` with its examples dealt out over the `data` axis of the mesh in use, if there is one."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.shape["data"] == 1:
        return x
    return jax.lax.with_sharding_constraint(x, P("data", None))


def bytes_of_arrays(shapes: PyTree, places: PyTree) -> int:
    """Bytes on each device of arrays of these shapes and types in these places.

    Args:
      shapes: a tree of arrays, or of their shapes and types.
      places: a sharding for each leaf, as from `spread`.
    """
    pairs = zip(jax.tree.leaves(shapes), jax.tree.leaves(places), strict=True)
    return sum(math.prod(place.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf, place in pairs)


def bytes_of_program(program: jax.stages.Compiled) -> int:
    """Bytes on each device while a compiled program runs: arguments, results, and all that lies between them."""
    found = program.memory_analysis()
    if found is None:  # not every platform tells
        return 0
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return held + found.temp_size_in_bytes
