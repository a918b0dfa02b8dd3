"""Errors that name the argument: what a function was given, what it needs.

Shapes, types and names are known while JAX traces, so those checks always run. Values (a NaN pixel, a label
out of range) are known only outside of jit, so those checks run on concrete arrays and cost nothing inside.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Shaped

from twolayer.names import check_choice as check_choice


def check_features(x: Shaped[Array, "..."], W1: Shaped[Array, "..."]) -> None:
    """Raise ValueError unless x is (m, d) with m >= 1 for W1 (K, d), and free of NaN where its values are known."""
    if x.ndim != 2 or W1.ndim != 2 or x.shape[1] != W1.shape[1]:
        raise ValueError(f"x must be (m, d) for W1 (K, d): x has shape {x.shape}, W1 has shape {W1.shape}")
    if x.shape[0] == 0:
        raise ValueError(f"x must hold at least one example: x has shape {x.shape}")
    if _any(x, jnp.isnan):
        raise ValueError(f"x of shape {x.shape} holds a NaN")


def check_labels(loss: str, y: Shaped[Array, "..."], O2: Shaped[Array, "..."]) -> None:
    """Raise ValueError unless y is (m,) integer labels for O2 (m, C), in 0..C-1 where its values are known."""
    if not jnp.issubdtype(y.dtype, jnp.integer) or y.shape != O2.shape[:1]:
        raise ValueError(
            f"{loss} needs y as integer labels (m,) for O2 (m, C): y is {y.dtype} of shape {y.shape}, "
            f"O2 has shape {O2.shape}"
        )
    if _any(y, lambda y: (y < 0) | (y >= O2.shape[1])):
        known = np.asarray(y)
        raise ValueError(f"y holds a label outside 0..{O2.shape[1] - 1}: y in {known.min()}..{known.max()}")


def check_targets(y: Shaped[Array, "..."], O2: Shaped[Array, "..."]) -> None:
    """Raise ValueError unless y is (m, C) real targets for O2 (m, C), free of NaN where its values are known."""
    if not jnp.issubdtype(y.dtype, jnp.floating) or y.shape != O2.shape:
        raise ValueError(
            f"quadratic needs y as real targets (m, C) for O2 (m, C): y is {y.dtype} of shape {y.shape}, "
            f"O2 has shape {O2.shape}"
        )
    if _any(y, jnp.isnan):
        raise ValueError(f"y of shape {y.shape} holds a NaN")


def check_examples(x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."], outputs: int | None) -> None:
    """Raise ValueError unless x and real targets are finite, and labels are classes of a network with `outputs`."""
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} examples and y has {len(y)}")
    for name, array in (("x", x), ("y", y)):
        broken = ~np.isfinite(array) if jnp.issubdtype(array.dtype, jnp.inexact) else np.zeros(0, bool)
        if broken.any():
            row = int(np.argwhere(broken)[0, 0])
            raise ValueError(f"{name} has a value that is not finite in row {row}, counted from 0")
    if y.ndim == 1 and len(y) and (y.min() < 0 or y.max() >= (np.inf if outputs is None else outputs)):
        classes = "from 0 on" if outputs is None else f"0..{outputs - 1}"
        raise ValueError(f"y holds labels {y.min()}..{y.max()}, and the classes are {classes}; number them from 0")


def _any(array: Shaped[Array, "..."], test: Callable) -> bool:
    """Whether `test` holds of an entry, where entries are known."""
    if isinstance(array, Tracer):
        return False
    with jax.ensure_compile_time_eval():  # an array that a jitted function closes over is known while JAX traces
        return bool(test(array).any())
