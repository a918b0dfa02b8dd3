"""What is worth saying of a program whose rounding is right."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from twolayer.verification.interpreter import where
from twolayer.verification.numbers.units import unit
from twolayer.verification.programs import operations
from twolayer.verification.stepwise import Compared, Instrumented, running

# Outputs at which exp overflows if it can: beyond 709 in float64, beyond 88 in the others.
LARGE, LARGE_FLOAT64 = 200.0, 2000.0


def remarks(program: Instrumented, arguments: Sequence[np.ndarray], compared: Sequence[Compared]) -> list[str]:
    """Sentences about casts, masks and overflow; none for most programs."""
    return [*casts(program), *signs(compared), *overflow(program, arguments)]


def casts(program: Instrumented) -> list[str]:
    """Conversions to a float type smaller than the precision: the bound has room for them, the user may not."""
    with running(program.precision) as dtype:
        u = unit(dtype).u
    found = {}
    for eqn in operations(program.closed):
        target = eqn.outvars[0].aval if eqn.primitive.name == "convert_element_type" else None
        if target is not None and jnp.issubdtype(target.dtype, jnp.floating) and unit(target.dtype).u > u:
            found[f"rounds to {target.dtype} on its way ({where(eqn)})"] = None
    return list(found)


def signs(compared: Sequence[Compared]) -> list[str]:
    """How many masks differ from those of exact arithmetic. They do so within their bound, or else Z is wrong."""
    found = []
    for name in ("Z1", "Z2"):
        parts = [one for one in compared if one.step == name]
        other = sum(int(((one.mine > 0) != (one.right.numbers > 0)).sum()) for one in parts)
        near = sum(int((abs(one.right.numbers) <= one.right.bound).sum()) for one in parts)
        if other:
            found.append(f"{other} signs of {name} differ from exact arithmetic, all among the {near} too close to 0")
    return found


def overflow(program: Instrumented, arguments: Sequence[np.ndarray]) -> list[str]:
    """Whether a number overflows when the outputs are large, as in a softmax without a shift."""
    W1, b1, W2, b2, x, y = (array.astype(np.float64) for array in arguments)
    largest = LARGE_FLOAT64 if program.precision == "float64" else LARGE
    Z2 = np.maximum(x @ W1.T + b1, 0) @ W2.T + b2
    scale = largest / max(abs(Z2).max(), np.finfo(np.float64).tiny)
    scaled = [array.astype(arguments[0].dtype) for array in (W1, b1, scale * W2, scale * b2, x, y)]
    outputs, _ = program.run(scaled)
    if all(np.isfinite(leaf.astype(np.float64)).all() for leaf in outputs):
        return []
    cause = program.compare(scaled).system.overflow
    return [f"not finite at outputs of {largest:.0f}" + (f": {cause} is out of range" if cause else "")]
