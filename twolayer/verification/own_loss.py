"""A derivation's own statement of the loss, judged by its gradient: constants are settled before anything else."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from twolayer.losses import LOSSES, REDUCTIONS
from twolayer.verification import scales
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import Group, opaque_reason, ordinary
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.field import Field, FieldValue
from twolayer.verification.numeric import beyond_rounding
from twolayer.verification.reference import HIDDEN, OUTPUTS, Point, Setting, shapes
from twolayer.verification.tracing import NotTraceable, Parameters, Refused, Traced, raised
from twolayer.verification.verdict import LEAVES


class OwnLoss(NamedTuple):
    """What the own loss turned out to be.

    text: one sentence for the screen.
    agrees: whether it has the gradient of the declared loss; None if that cannot be decided.
    gradients: its own gradient at each group of draws, to hold the derivation against.
    """

    text: str
    agrees: bool | None
    gradients: list[dict[str, FieldValue]]


def check_own_loss(own_loss: Callable, setting: Setting, groups: list[Group]) -> OwnLoss:
    """Compare the gradient of the derivation's own loss with that of the declared one, and with those of the others.

    Raises:
      Refused: it raises an exception, or does not return one number.
    """
    try:
        mine = [_gradient(own_loss, group.point) for group in groups]
    except NotTraceable:
        return OwnLoss("your own loss was not checked: it is NumPy code, which cannot be differentiated", None, [])
    found = (opaque_reason(_joined(own, group.keep)) for own, group in zip(mine, groups, strict=True))
    unknown = next(filter(None, found), None)
    if unknown:
        return _by_numbers(own_loss, setting, groups[0], unknown)
    constants = _ratios(mine, [group.right for group in groups], groups)
    if constants is not None and all(c == 1 for c, _ in constants):
        return OwnLoss(f"your own loss is the declared one, {describe(setting)}", True, mine)
    if constants is not None:
        found = scales.factors(constants)
        product = " times ".join(factor.text for factor in found)
        reductions = {"m": "the sum", "1/m": "the mean"}
        said = reductions.get(product, f"the declared loss times {product}")
        return OwnLoss(f"your own loss is {said}; you declared {describe(setting)}", False, mine)
    for other in itertools.starmap(Setting, itertools.product(LOSSES, OUTPUTS, REDUCTIONS, HIDDEN)):
        if _is_the_loss(own_loss, other, groups[0].sizes):
            return OwnLoss(f"your own loss is {describe(other)}; you declared {describe(setting)}", False, mine)
    return OwnLoss(f"your own loss is not the declared one, {describe(setting)}, nor a multiple of it", False, mine)


def _by_numbers(own_loss: Callable, setting: Setting, group: Group, unknown: str) -> OwnLoss:
    """The verdict on a loss whose gradient has an operation without algebra: its float64 numbers can refute it."""
    traced = Traced(_trace(own_loss, group.sizes), LEAVES, group.sizes)
    if beyond_rounding(traced, setting, group.point.shadows):
        return OwnLoss(f"your own loss is not the declared one, {describe(setting)}: its numbers differ", False, [])
    text = f"your own loss was compared with {describe(setting)} by its numbers alone, and not refuted"
    return OwnLoss(f"{text}: {unknown} has no algebraic meaning", None, [])


def _is_the_loss(own_loss: Callable, other: Setting, sizes: Sizes) -> bool:
    """Whether it is another loss that could have been declared, on targets such as that one has."""
    point, right, lost = ordinary(other, sizes)
    return scales.ratio(_joined(_gradient(own_loss, point), ~lost), _joined(right, ~lost)) == 1


def describe(setting: Setting) -> str:
    """The declared loss in words."""
    names = {"cross_entropy": "cross-entropy", "quadratic": "the quadratic loss"}
    names["binary_cross_entropy"] = "binary cross-entropy"
    hidden = f", hidden {setting.hidden}" if setting.hidden != "relu" else ""
    return f"the {setting.reduction} of {names[setting.loss]}, output {setting.output}{hidden}"


def _trace(own_loss: Callable, sizes: Sizes) -> ClosedJaxpr:
    """Its gradient: (W1, b1, W2, b2, x, y) -> dW1, db1, dW2, db2."""

    @functools.partial(jax.grad, argnums=0)
    def gradient(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        value = jnp.asarray(own_loss(Parameters(*params), x, y))
        if value.shape != ():
            raise Refused(f"loss must return one number; it returned an array of shape {value.shape}")
        return value

    try:
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            return jax.make_jaxpr(gradient)(*shapes(sizes))
    except Refused:
        raise
    except Exception as error:
        if _runs_on_numpy(own_loss, sizes):
            raise NotTraceable(raised(own_loss, error)) from error
        raise Refused(raised(own_loss, error).replace("gradients raised", "loss raised")) from error


def _runs_on_numpy(own_loss: Callable, sizes: Sizes) -> bool:
    params, x, y = (jax.tree.map(lambda a: np.ones(a.shape), part) for part in shapes(sizes))
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(own_loss(Parameters(*params), x, y))
    except Exception:  # whatever the user's code raises
        return False
    return value.shape == () and value.dtype.kind == "f"


def _gradient(own_loss: Callable, point: Point) -> dict[str, FieldValue]:
    closed, n = _trace(own_loss, point.sizes), len(point.shadows.x)
    values = interpret(closed, Field(n), *point.arguments)
    return {
        leaf: FieldValue(*(None if a is None else np.broadcast_to(a, (n, *var.aval.shape)) for a in value))
        for leaf, value, var in zip(LEAVES, values, closed.jaxpr.outvars, strict=True)
    }


def _ratios(mine: list[dict], right: list[dict], groups: list[Group]) -> list[tuple[int, Any]] | None:
    """The one constant between two gradients, at each group; None if there is none."""
    constants = []
    for own, true, group in zip(mine, right, groups, strict=True):
        if not group.keep.any():
            continue
        c = scales.ratio(_joined(own, group.keep), _joined(true, group.keep))
        if c is None:
            return None
        constants.append((c, group.sizes))
    return constants


def _joined(gradient: dict[str, FieldValue], keep: np.ndarray) -> np.ndarray:
    """All leaves as one row of numbers a draw."""
    parts = [gradient[leaf].element[keep] for leaf in LEAVES]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def right_for_own_loss(own: OwnLoss, groups: Sequence[Group]) -> bool:
    """Whether the derivation is the gradient of its own loss, whatever was declared."""
    if not own.gradients:
        return False
    for gradient, group in zip(own.gradients, groups, strict=True):
        for leaf in LEAVES:
            if leaf not in group.mine or (group.mine[leaf].element != gradient[leaf].element)[group.keep].any():
                return False
    return True
