"""NumPy code, whose operations cannot be seen: its arrays are held against the package's closed form.

Nothing says how it computes, so no bound is its own. Two are at hand: that of the closed form (gradients.py), and that
of every program that spends at most two roundings where the closed form spends one, in each operation. Within the
second, the arrays are near enough to the gradient, and the verdict is "undecided", as the formula is not known. Beyond
it, they are not the gradient, computed in that precision with the care that the closed form takes: "wrong".
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from twolayer.gradients import closed_form
from twolayer.losses import OF_LABELS
from twolayer.network import Params
from twolayer.verification.numbers.rounding import Rounded, Rounding, exactly
from twolayer.verification.numbers.units import unit
from twolayer.verification.reference import Setting
from twolayer.verification.stepwise import ORDER, Compared, Instrumented, disagreement, follow, report
from twolayer.verification.tracing import Parameters, Refused, as_dict, check_shape, raised
from twolayer.verification.verdict import LEAVES, Program

DOUBLED = "even with two roundings for each operation"


def canonical(setting: Setting) -> Callable[[Params, Any, Any], dict[str, Any]]:
    """The package's closed form, as a derivation."""
    f = closed_form(setting.loss, setting.output, setting.reduction, hidden_activation=setting.hidden)

    def gradients(params: Params, x: Any, y: Any) -> dict[str, Any]:
        labels = jnp.argmax(y, axis=1) if setting.loss in OF_LABELS else y
        leaves = f(Params(*params), x, labels)[1]
        return {f"d{name}": leaf for name, leaf in leaves._asdict().items()}

    return gradients


def check(gradients: Callable, right: Instrumented, arguments: Sequence[np.ndarray]) -> Program:
    """Run NumPy code on these arrays and judge what it returns.

    Args:
      gradients: the code.
      right: the canonical derivation, in the precision of the arrays and of the bounds.
      arguments: W1, b1, W2, b2, x, y.

    Raises:
      Refused: it returns wrong keys, wrong shapes, or numbers that are not finite.
    """
    precision = right.precision
    if precision == "tensorfloat32":
        return Program(precision, "undecided", reason="NumPy does not compute in TensorFloat-32")
    *params, x, y = (array.copy() for array in arguments)
    try:
        with np.errstate(all="ignore"):
            returned = as_dict(gradients(Parameters(*params), x, y))
            mine = {name: np.asarray(a).astype(np.float64) for name, a in returned.items()}
    except Refused:
        raise
    except Exception as error:  # whatever the user's code raises
        return Program(precision, "undecided", reason=f"it does not run in {precision}: {raised(gradients, error)}")
    for name, array in mine.items():
        check_shape(name, array.shape, right.traced.sizes)
    bad = next((name for name, a in mine.items() if not np.isfinite(a).all()), None)
    if bad:
        raise Refused(f"{bad} is not finite in {precision}: NaN or infinity comes out")
    once, twice = (_compare(mine, right, arguments, roundings) for roundings in (1, 2))
    return _program(precision, unit(arguments[0].dtype).u, once, twice)


def _program(precision: str, u: float, once: list[Compared], twice: list[Compared]) -> Program:
    steps = report(once, u)
    wrong = sorted((one for one in twice if one.beyond.any()), key=lambda one: ORDER.index(one.step))
    if any(one.step in LEAVES for one in wrong):
        reason = disagreement(wrong[0], "by the closed form", DOUBLED)
        return Program(precision, "wrong", steps, reason=reason, wrong=tuple(one.step for one in wrong))
    share = max((step.error_over_bound for step in steps if step.step in LEAVES), default=0.0)
    reason = f"its operations cannot be seen; its leaves are within {share:.2g} times the bound of the closed form"
    return Program(precision, "undecided", steps, reason=reason)


def _compare(
    mine: dict[str, np.ndarray], right: Instrumented, arguments: Sequence[np.ndarray], roundings: int
) -> list[Compared]:
    """What was returned beside the closed form, which goes on from each returned step that is within its bound."""
    system, compared = Rounding(right.precision, "cpu", roundings), []
    u = roundings * unit(arguments[0].dtype).u

    def cut(path: Any, eqn: Any, values: list) -> list:
        for i, value in enumerate(values):
            name = right.places.get((path, i))
            if name in mine and not any(one.step == name for one in compared):
                array = mine[name] if mine[name].shape == value.shape else mine[name].T
                compared.append(Compared(name, array, value))
                if not compared[-1].beyond.any():  # what was returned may have been rounded once more
                    own = Rounded(*exactly(array))._replace(bound=u * abs(array))
                    values = [*values[:i], own, *values[i + 1 :]]
        return values

    leaves = zip(right.traced.names, follow(right.closed, system, arguments, cut), strict=True)
    return compared + [Compared(name, mine[name], value) for name, value in leaves if name in mine]
