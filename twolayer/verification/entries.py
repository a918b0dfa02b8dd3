"""Is an entry of one's own right, before a network is trained with it? A loss, an activation, a start, an optimiser.

Derivatives are verified over the program that would be trained. A start must have variances, an optimiser must leave
the sign of a gradient.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer import losses
from twolayer.activations import Activation, compiled
from twolayer.network import Params
from twolayer.starts import Scheme
from twolayer.updates import Direction
from twolayer.verification import equal, verify_gradient, verify_vjp
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.verdict import Judgement


class NotRight(Exception):
    """What is said of an entry: "is wrong: ...", "is undecided: ..." or "cannot be computed (...)"."""


@functools.lru_cache(maxsize=64)  # a sweep has many parts
def verify_entry(kind: str, entry: Any, *, outputs: int, regression: bool) -> str:
    """Say in what an entry is right.

    Args:
      kind: "loss", "output", "activation", "init" or "optimizer".
      entry: in the form that twolayer/own.py says of its kind.
      outputs: C of the network.
      regression: whether targets are real.

    Raises:
      NotRight: it is wrong, with an example, undecided, or it raises itself.
    """
    try:
        if kind == "loss":
            return _verify_loss(entry, outputs, regression)
        if kind == "init":
            return _check_init(entry, outputs)
        if kind == "optimizer":
            return _check_optimizer(entry, outputs)
        return _verify_activation(entry)
    except NotRight:
        raise
    except NotJudged as error:
        raise NotRight(f"is undecided: {error} is not known over the reals") from error
    except (Exception, SystemExit) as error:  # it is anybody's code
        reason = " ".join(str(error).split())[:300]
        raise NotRight(f"cannot be computed ({type(error).__name__}: {reason})") from error


def _verify_loss(entry: Any, outputs: int, regression: bool) -> str:
    """The residual of a loss against the derivative of its value, for targets such as the data has."""
    cost = losses.find("loss", entry)
    m = 4 if outputs == 3 else 3  # another size, so that a sum over the examples shows
    O2 = jax.ShapeDtypeStruct((m, outputs), "float32")
    y = jax.ShapeDtypeStruct((m,), "int32") if cost.labels else O2
    value, residual = jax.eval_shape(lambda O2, y: tuple(cost(O2, y)), O2, y)
    if value.shape != (m,) or residual.shape != O2.shape:
        raise NotRight(
            f"is wrong: for O2 {O2.shape} value must be {(m,)} and residual {O2.shape}, they are {value.shape} "
            f"and {residual.shape}"
        )
    shapes = {"O2": f"m {outputs}", "y": "m" if cost.labels else f"m {outputs}"}
    domain = f"labels:{outputs}" if cost.labels else "real" if regression else "onehot"
    loss = JaxProgram(lambda O2, y: cost(O2, y).value.sum())
    residuals = JaxProgram(lambda O2, y: {"O2": cost(O2, y).residual})
    _must_be_right("the residual", verify_gradient(loss, residuals, shapes, domains={"y": domain}))
    return "the residual is the derivative of the value, to 60 digits"


def _verify_activation(entry: Activation) -> str:
    """Its derivative against that of its value; where it has other forms for training, those against its texts."""
    value, slope = compiled("Z", entry.value), compiled("Z, O", entry.derivative)
    apply, back = JaxProgram(entry.apply), JaxProgram(lambda Z, dO: entry.back(Z, entry.apply(Z), dO))
    pullback = JaxProgram(lambda Z, dO: dO * slope(Z, value(Z)))
    _must_be_right("the derivative", verify_vjp(JaxProgram(value), pullback, {"Z": "n"}, argnums=0))
    if entry.stable:
        _must_be_right("its `stable` form", equal(apply, JaxProgram(value), {"Z": "n"}))
    if entry.stable or entry.stable_back:
        _must_be_right("its `stable_back` form", equal(back, pullback, {"Z": "n", "dO": "n"}))
    return "the derivative is that of the value, to 60 digits"


def _must_be_right(what: str, found: Judgement) -> None:
    """Raise NotRight with the first wrong number, or why it is undecided."""
    if found.verdict != "right":
        reasons = [str(one["reason"]) for one in found.outputs.values() if one["reason"]]
        example = [line for line in found.text.splitlines() if ": yours " in line]
        raise NotRight(f"is {found.verdict}: {what}: {' '.join((example or reasons)[:1]).strip()}")


def _check_init(entry: Scheme, outputs: int) -> str:
    """The variances of a start must be numbers."""
    found = {"W1": entry.W1(7, 5), "W2": entry.W2(5, outputs), "bias": entry.bias}
    for name, variance in found.items():
        if not 0 <= float(variance) < np.inf:
            raise NotRight(f"is wrong: the variance of {name} is {variance}, it must be finite and not negative")
    if not np.isfinite(float(entry.output_bias(outputs))):
        raise NotRight(f"is wrong: output_bias({outputs}) is {entry.output_bias(outputs)}")
    return "its variances are finite"


def _check_optimizer(entry: Direction, outputs: int) -> str:
    """An optimiser must leave the sign of a gradient."""
    shapes = {"W1": (5, 7), "b1": (5,), "W2": (outputs, 5), "b2": (outputs,)}
    params = Params(**{name: jnp.ones(shape) for name, shape in shapes.items()})
    gradients = jax.tree.map(lambda leaf: 0.5 * leaf, params)
    rule = entry.make(0.9)
    updates, _ = jax.jit(lambda gradients, params: rule.update(gradients, rule.init(params), params))(gradients, params)
    along = sum(float((g * u).sum()) for g, u in zip(gradients, updates, strict=True))
    if not np.isfinite(along):
        raise NotRight("is wrong: its first step is not finite")
    if along < 0:
        raise NotRight(
            "is wrong: its first step goes against the gradient, so it has a learning rate in it; leave that out "
            "(optax.scale_by_adam() for optax.adam(rate)), --learning_rate is applied after it"
        )
    return "its first step goes along the gradient, before the learning rate"
