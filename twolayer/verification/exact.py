"""A derivation on the user's own batch, to the last bit: by integers, or enclosed in balls where exp comes in.

The floats are taken for the numbers that they are, and nothing is rounded on the way, so no tolerance is needed. What
is judged is the formula, not its rounding: the user's program is followed in exact arithmetic.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal
from jaxtyping import Float, Shaped

from twolayer.losses import OF_LABELS
from twolayer.network import Params
from twolayer.verification import agreement
from twolayer.verification.agreement import BITS, INTEGERS, Agreement
from twolayer.verification.arrays import as_value
from twolayer.verification.draws import Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.balls import Ball, Balls, FlintMissing
from twolayer.verification.numbers.integers import Integers, Rational, Undecided
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.tracing import NotTraceable, trace
from twolayer.verification.verdict import LEAVES


class ExactBatch(NamedTuple):
    """Each leaf's verdict ("right", "wrong", "undecided", "not_derived"), and sentences that say how it was reached."""

    leaves: dict[str, str]
    text: str


class _Batch(NamedTuple):
    """The user's program and the right one, each with the names of its outputs, and (W1, b1, W2, b2, x, y)."""

    setting: Setting
    yours: tuple[ClosedJaxpr, tuple[str, ...]]
    right: tuple[ClosedJaxpr, tuple[str, ...]]
    numbers: tuple[np.ndarray, ...]


def check_batch(
    gradients: Callable, setting: Setting, params: Params, x: Float[np.ndarray, "m d"], y: Shaped[np.ndarray, "m *C"]
) -> ExactBatch:
    """Decide whether a derivation gives the gradient of the declared loss on one batch, exactly.

    Under the quadratic loss integers are compared by ==. Under cross-entropy, and for a leaf that leaves the rationals,
    balls of 128, 256 or 512 bits enclose the difference. It is wrong where the ball excludes zero, and right where the
    ball holds zero and is at most 2^-100 of the terms that add up to the entry, those that a ReLU switches off
    included. An entry that depends on ReLU'(0) is right if it is so with ReLU'(0) = 0; if not, it is left out, because
    any number in [0, 1] would do.

    Args:
      gradients: as in the contract of a derivation file.
      setting: the loss, output and reduction it claims to differentiate.
      params, x, y: float32 or float64 arrays; for the cross-entropies y is one-hot, or labels (m,).

    Raises:
      Refused: the function cannot be judged; one line says why.
      ValueError: a number is not finite.
    """
    numbers = _numbers(setting, params, x, y)
    (K, d), (m, C) = numbers[0].shape, numbers[5].shape
    sizes = Sizes(d, K, C, m)
    with jax.enable_x64(True):
        try:
            traced = trace(gradients, sizes)
        except NotTraceable as error:
            return ExactBatch(dict.fromkeys(LEAVES, "undecided"), f"The program cannot be followed: {error}.")
        judged = _judge(_Batch(setting, (traced.jaxpr, traced.names), backward_jaxpr(setting, sizes), numbers))
    text = " ".join([f"{d}-{K}-{C}, m = {m}, {numbers[0].dtype}.", *agreement.sentences(judged)])
    return ExactBatch({leaf: one.verdict for leaf, one in judged.items()}, text)


def needed(closed: ClosedJaxpr, which: Sequence[int]) -> ClosedJaxpr:
    """The part of a jaxpr that some of its outputs depend on."""
    jaxpr = closed.jaxpr
    outvars = [jaxpr.outvars[i] for i in which]
    wanted, eqns = {var for var in outvars if not isinstance(var, Literal)}, []
    for eqn in reversed(jaxpr.eqns):
        if wanted.intersection(eqn.outvars):
            wanted.update(var for var in eqn.invars if not isinstance(var, Literal))
            eqns.append(eqn)
    return closed.replace(jaxpr=jaxpr.replace(eqns=eqns[::-1], outvars=outvars))


def _numbers(setting: Setting, params: Params, x: Any, y: Any) -> tuple[np.ndarray, ...]:
    y = np.asarray(y)
    if setting.loss in OF_LABELS and y.ndim == 1:
        y = np.eye(len(params[3]))[y]
    numbers = tuple(np.asarray(a) for a in (*params, x, y))
    for name, a in zip((*Params._fields, "x", "y"), numbers, strict=True):
        if not np.isfinite(a).all():
            raise ValueError(f"{name} holds a number that is not finite")
    return numbers


def _judge(batch: _Batch) -> dict[str, Agreement]:
    """Every leaf, by integers where they will do, and by balls of more and more bits where they will not."""
    judged = {leaf: Agreement("not_derived") for leaf in LEAVES}
    judged |= {leaf: Agreement("undecided") for leaf in LEAVES if leaf in batch.yours[1]}
    for bits in (INTEGERS, *BITS) if batch.setting.loss == "quadratic" else BITS:
        open_ = [leaf for leaf, one in judged.items() if one.verdict == "undecided"]
        try:
            judged |= _judge_with(batch, open_, bits) if open_ else {}
        except FlintMissing as error:
            return judged | {leaf: judged[leaf]._replace(said=judged[leaf].said or str(error)) for leaf in open_}
    return judged


def _judge_with(batch: _Batch, leaves: list[str], bits: int) -> dict[str, Agreement]:
    system = Integers() if bits == INTEGERS else Balls(bits)
    inputs = [system.exact(a) for a in batch.numbers]
    wanted = [name for name in batch.right[1] if name != "O2"]
    right = _values(*batch.right, wanted, system, inputs)
    unknown = [value for value in right.values() if isinstance(value, str)]
    if unknown:
        return {leaf: Agreement("undecided", unknown[0]) for leaf in leaves}
    touched, judged = _touched(batch, right), {}
    for leaf, yours in _values(*batch.yours, leaves, system, inputs).items():
        if isinstance(yours, str):
            judged[leaf] = Agreement("undecided", yours)
            continue
        compared = (leaf, yours, right[leaf], touched[leaf])
        if isinstance(system, Integers):
            judged[leaf] = agreement.by_integers(*compared)
        else:
            judged[leaf] = agreement.by_balls(*compared, _terms(batch, right, leaf), system)
    return judged


def _values(closed: ClosedJaxpr, names: Sequence[str], wanted: Sequence[str], system: Any, inputs: list) -> dict:
    """The wanted outputs by name; in place of one that cannot be followed, the reason."""
    part = needed(closed, [names.index(name) for name in wanted])
    try:
        outputs = interpret(part, system, *inputs)
    except (Undecided, NotImplementedError, IndexError) as error:
        if len(wanted) == 1:
            return {wanted[0]: str(error)}
        return {name: _values(closed, names, [name], system, inputs)[name] for name in wanted}
    return {name: as_value(system, value) for name, value in zip(wanted, outputs, strict=True)}


def _touched(batch: _Batch, right: dict[str, Any]) -> dict[str, np.ndarray]:
    """Which entries of each leaf depend on the derivative of a ReLU at exactly zero."""
    nonzero = {name: _nonzero(right[name]) for name in ("Z1", "O1", "Z2", "dO2", "dO1")}
    W2, x = batch.numbers[2] != 0, batch.numbers[4] != 0
    dZ2 = ~nonzero["Z2"] & nonzero["dO2"] & (batch.setting.output == "relu")
    dO1 = dZ2 @ W2
    if batch.setting.hidden == "relu":
        dZ1 = (nonzero["O1"] & dO1) | (~nonzero["Z1"] & (nonzero["dO1"] | dO1))
    else:
        dZ1 = dO1
    return {"dW1": dZ1.T @ x, "db1": dZ1.any(axis=0), "dW2": dZ2.T @ nonzero["O1"], "db2": dZ2.any(axis=0)}


def _nonzero(value: Rational | Ball) -> np.ndarray:
    if isinstance(value, Rational):
        return np.asarray(value.numerator != 0, bool)
    return np.asarray(np.frompyfunc(lambda ball: not ball.is_zero(), 1, 1)(value.balls), bool)


def _terms(batch: _Batch, right: dict[str, Ball], leaf: str) -> np.ndarray:
    """The sum of the absolute values of the terms of each entry of a leaf, those that a ReLU switches off included."""
    dO = np.abs(right["dO" + leaf[-1]].balls.astype(np.float64))
    if leaf[1] == "b":
        return dO.sum(axis=0)
    return dO.T @ np.abs(right["Z1"].balls if leaf == "dW2" else batch.numbers[4]).astype(np.float64)
