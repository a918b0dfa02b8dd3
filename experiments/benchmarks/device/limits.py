"""What the device itself can do: its data sheet, its matrix products alone, and its memory read and written."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.device.correctness import running
from experiments.benchmarks.device.paper import SHEETS
from experiments.benchmarks.device.steps import make
from experiments.benchmarks.peers import gemms

BLOCK_SECONDS = 0.05


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


_ANY: Any = None  # the product needs no problem


def rates(size: int, megabytes: int, precision: str) -> dict[str, float]:
    """Operations a second of a square product, and bytes a second of an addition to an array that no cache holds."""
    rng = np.random.default_rng(0)
    with running(precision) as dtype:
        square = rng.normal(size=(size, size)).astype(dtype)
        seconds = _seconds(gemms.XLA.repeat(_ANY, square, square))
        array = jnp.zeros(megabytes * 2**18, jnp.float32)
        add = jax.jit(
            lambda count, array: jax.lax.fori_loop(0, count, lambda _, a: jax.lax.optimization_barrier(a + 1), array)
        )
        moved = _seconds(lambda count: add(count, array).block_until_ready())
    return {"flops_per_second": 2 * size**3 / seconds, "bytes_per_second": 2 * array.nbytes / moved}


def products(hidden: int, batch_size: int, precision: str) -> dict[str, Any]:
    """Seconds of the five matrix products of a step, each alone, in the layout in which the step has them."""
    problem = make(hidden, batch_size, precision, examples=2 * batch_size)
    found = {}
    with running(precision) as dtype:
        for name, (A, B) in gemms.products(problem).items():
            found[name] = _seconds(gemms.XLA.repeat(_ANY, A.astype(dtype), B.astype(dtype)))
    return {"step_us": 1e6 * sum(found.values()), "products_us": {name: 1e6 * s for name, s in found.items()}}


def _seconds(run: gemms.Repeat) -> float:
    """Of one repetition, in the best of a few blocks."""
    run(1)
    once = gemms.best_seconds(run, 1)
    return gemms.best_seconds(run, max(1, math.ceil(BLOCK_SECONDS / once)))
