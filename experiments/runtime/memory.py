"""What arrays and programs take on a device, and whether it has so much."""

import math
import os

import jax
from jax.sharding import Mesh
from jaxtyping import PyTree

from experiments.runtime.cli import BadInput


def of_arrays(shapes: PyTree, places: PyTree) -> int:
    """Bytes on each device of arrays of these shapes and types in these places."""
    pairs = zip(jax.tree.leaves(shapes), jax.tree.leaves(places), strict=True)
    return sum(math.prod(place.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf, place in pairs)


def of_program(program: jax.stages.Compiled) -> int:
    """Bytes on each device while a compiled program runs: arguments, results, and all that lies between them."""
    found = program.memory_analysis()
    if found is None:  # not every platform tells
        return 0
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return held + found.temp_size_in_bytes


def check_fits(needed: int, what: str, mesh: Mesh) -> None:
    """Raise BadInput if a device of the mesh has not so many bytes."""
    limit = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")
    if limit is None:  # the devices of a CPU share its memory
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // len(mesh.local_devices)
    if needed > limit:
        raise BadInput(
            f"{what} take {needed / 2**30:,.1f} GiB on a device, which has {limit / 2**30:,.1f} GiB; take fewer hidden "
            "units, smaller batches, fewer networks at once, or more devices with --mesh"
        )
