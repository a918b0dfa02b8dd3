"""The right answer: all eight cotangents by jax.grad, and a second opinion that never goes backwards.

Both are interpreted in the prime field at the same draws. They must agree before anybody's derivation is judged.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Float

from twolayer.activations import ACTIVATIONS
from twolayer.losses import LOSSES, OF_LABELS, example_weights
from twolayer.network import Params
from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.dual import Dual, DualValue
from twolayer.verification.numbers.field import Field, FieldValue, P

# The activations that derivations are judged for.
HIDDEN = ("relu", "sigmoid")
OUTPUTS = ("relu", "identity", "sigmoid")


class Setting(NamedTuple):
    """What a derivation claims to differentiate."""

    loss: str
    output: str
    reduction: str
    hidden: str = "relu"


class Point(NamedTuple):
    """One group of draws: its sizes, its shadows, and the arguments (W1, b1, W2, b2, x, y) over the field."""

    sizes: Sizes
    shadows: Shadows
    arguments: tuple[FieldValue, ...]


class OraclesDisagree(RuntimeError):
    """The two oracles give different derivatives: a mistake of this package, so nothing is judged."""


def total(setting: Setting, params: Params, x: Float[Array, "m d"], y: Float[Array, "m C"]) -> Float[Array, ""]:
    """The declared loss of a batch; y is one-hot for the cross-entropies."""
    return _with_taps(setting, params, _Taps(0.0, 0.0, 0.0, 0.0), x, y)[0]


class _Taps(NamedTuple):
    Z1: Array | float
    O1: Array | float
    Z2: Array | float
    O2: Array | float


def _with_taps(setting: Setting, params: Params, taps: _Taps, x: Array, y: Array) -> tuple[Array, _Taps]:
    """The loss with something added to each intermediate: the derivative by it is the cotangent there."""
    Z1 = x @ params.W1.T + params.b1[None, :] + taps.Z1
    O1 = ACTIVATIONS[setting.hidden].apply(Z1) + taps.O1
    Z2 = O1 @ params.W2.T + params.b2[None, :] + taps.Z2
    O2 = ACTIVATIONS[setting.output].apply(Z2) + taps.O2
    value = LOSSES[setting.loss](O2, jnp.argmax(y, axis=1) if setting.loss in OF_LABELS else y).value
    return (example_weights(setting.reduction, len(x), None, value.dtype) * value).sum(), _Taps(Z1, O1, Z2, O2)


def backward(
    setting: Setting, params: Params, x: Float[Array, "m d"], y: Float[Array, "m C"]
) -> dict[str, Float[Array, "..."]]:
    """Z1, O1, Z2, O2 and the eight cotangents, by one reverse pass of jax.grad."""
    (m, _), (C, K) = x.shape, params.W2.shape
    taps = _Taps(jnp.zeros((m, K)), jnp.zeros((m, K)), jnp.zeros((m, C)), jnp.zeros((m, C)))
    (d, by_tap), trace = jax.grad(lambda p, t: _with_taps(setting, p, t, x, y), argnums=(0, 1), has_aux=True)(
        params, taps
    )
    cotangents = {"dO2": by_tap.O2, "dZ2": by_tap.Z2, "dW2": d.W2, "db2": d.b2}
    cotangents |= {"dO1": by_tap.O1, "dZ1": by_tap.Z1, "dW1": d.W1, "db1": d.b1}
    return trace._asdict() | cotangents


def shapes(sizes: Sizes, dtype: str = "float64") -> tuple[Params, jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The abstract arguments (params, x, y) of a derivation."""
    d, K, C, m = sizes
    of = functools.partial(jax.ShapeDtypeStruct, dtype=dtype)
    return Params(of((K, d)), of((K,)), of((C, K)), of((C,))), of((m, d)), of((m, C))


@functools.lru_cache(maxsize=64)
def backward_jaxpr(setting: Setting, sizes: Sizes) -> tuple[ClosedJaxpr, tuple[str, ...]]:
    """`backward`, traced at these sizes, and the names of its outputs in order."""
    closed, out = jax.make_jaxpr(functools.partial(backward, setting), return_shape=True)(*shapes(sizes))
    return closed, tuple(sorted(out))  # as jax.tree flattens a dict


def over_the_field(
    rng: np.random.Generator, sizes: Sizes, shadows: Shadows, loss: str, output: str = "relu", hidden: str = "relu"
) -> Point:
    """Independent uniform field elements under these shadows; one-hot targets are the exact numbers 0 and 1."""
    depth = 4 if "sigmoid" in (output, hidden) else 2  # or there is one exp at most on a way
    field = Field(len(shadows.x))
    *inputs, y = shadows
    target = field.constant(y) if loss in OF_LABELS else field.random(rng, y, depth)
    return Point(sizes, shadows, (*(field.random(rng, part, depth) for part in inputs), target))


def truth(setting: Setting, point: Point) -> tuple[dict[str, FieldValue], np.ndarray]:
    """Z1, O1, Z2, O2 and the eight cotangents at a group of draws, and which of the draws float64 cannot follow."""
    closed, names = backward_jaxpr(setting, point.sizes)
    field = Field(len(point.shadows.x))
    values = dict(zip(names, interpret(closed, field, *point.arguments), strict=True))
    return values, field.lost


def check_oracles(setting: Setting, point: Point, cotangents: dict[str, FieldValue]) -> None:
    """Hold jax.grad against the derivative of the forward pass along one random direction for each parameter.

    Raises:
      OraclesDisagree: <dL/dW, U> differs from the exact directional derivative of L along U.
    """
    closed = jax.make_jaxpr(functools.partial(total, setting))(*shapes(point.sizes))
    field = Field(len(point.shadows.x))
    rng = np.random.default_rng(0)
    for i, leaf in enumerate(("dW1", "db1", "dW2", "db2")):
        direction = rng.integers(1, P, size=point.arguments[i].element.shape).astype(object)
        arguments = [
            DualValue(value, direction if i == j else np.zeros(value.element.shape, object))
            for j, value in enumerate(point.arguments)
        ]
        (loss,) = interpret(closed, Dual(field), *arguments)
        axes = tuple(range(1, direction.ndim))
        if ((cotangents[leaf].element * direction).sum(axis=axes) % P != loss.slope).any():
            raise OraclesDisagree(f"jax.grad and the forward derivative disagree on {leaf} of {setting}")
