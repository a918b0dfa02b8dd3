"""A derivation's own statement of the loss, as a standard of its own: what it is, and its gradient.

Its gradient is taken by the record of its operations, and held against its central difference. It is then compared with
the declared loss: the same, a constant times it, an L2 term more, or another loss that could have been declared.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verifier import problem
from twolayer.verifier.evidence import points as where
from twolayer.verifier.evidence.calls import Call
from twolayer.verifier.evidence.cases import EQUAL, Case, compare
from twolayer.verifier.numbers.balls import BITS, Ball, balls, precision
from twolayer.verifier.numbers.factors import Factor, factors, ratio, short
from twolayer.verifier.problem import LEAVES, LOSSES, Setting
from twolayer.verifier.programs import Program, Refused

REDUCTIONS, OUTPUTS = ("mean", "sum"), ("relu", "identity", "sigmoid", "tanh")


class Relation(NamedTuple):
    """An own loss as `constant` times a loss that could be declared, plus decay/2 times the squares of some parameters.

    constant: its value at each size. decay: parameter -> the coefficient, at each size.
    """

    setting: Setting
    constant: tuple[Fraction, ...]
    decay: dict[str, tuple[Fraction, ...]]
    sizes: tuple[problem.Sizes, ...]

    @property
    def plain(self) -> bool:
        """Whether it is the declared loss itself."""
        return all(c == 1 for c in self.constant) and not self.decay

    def said(self) -> str:
        """The own loss in words."""
        found: list[Factor] = []
        if any(c != 1 for c in self.constant):
            found = factors(list(zip(self.constant, self.sizes, strict=True)))
        product = " times ".join(factor.text for factor in found)
        other = "sum" if self.setting.reduction == "mean" else "mean"
        if product in ("m", "1/m") and (product == "m") == (other == "sum"):
            text = describe(self.setting._replace(reduction=other))
        else:
            words = {"2": "twice ", "1/2": "half "}
            text = words.get(product, f"{product} times " if product else "") + describe(self.setting)
        terms = [_decay(name, c, self.sizes) for name, c in self.decay.items()]
        return text + (f", plus {' and '.join(terms)}" if terms else "")


def _decay(name: str, values: Sequence[Fraction], sizes: Sequence) -> str:
    coefficient = " times ".join(factor.text for factor in factors(list(zip(values, sizes, strict=True))))
    return f"{coefficient}/2 times the squares of {name}"


def describe(setting: Setting) -> str:
    """A loss that can be declared, in words."""
    hidden = f", hidden {setting.hidden}" if setting.hidden != "relu" else ""
    biases = "" if setting.biases else ", no biases"
    return f"the {setting.reduction} of {LOSSES[setting.loss].said}, output {setting.output}{hidden}{biases}"


def gradient(loss: Program, call: Call, point: where.Point) -> dict[str, np.ndarray]:
    """The own loss's gradient at a point, through the record of its operations.

    Raises:
      Refused: it raises, or does not return one number.
    """
    from twolayer.verifier.numbers.recorded import Recorded, gradient

    with precision(BITS):
        scope = dict(point.right)
        for name in where.INPUTS[:4]:
            scope[name] = balls(point.right[name], Recorded)
        inputs = [scope[name].copy() for name in where.INPUTS[:4]]
        value = call.run(loss, scope).result
        if np.shape(value) != () and np.size(value) != 1:
            raise Refused(f"loss must return one number; it returned an array of shape {np.shape(value)}")
        value = value if isinstance(value, Ball) else np.asarray(value, object).ravel()[0]
        return dict(zip(LEAVES, gradient(value, inputs), strict=True))


def relation(own: Sequence[dict[str, np.ndarray]], cases: Sequence[where.Point], declared: Setting) -> Relation | None:
    """What an own loss is, seen from the losses that can be declared, the declared one first; None if none of them.

    Args:
      own: its gradient at ordinary points of two sizes.
      cases: those points.
      declared: what was declared, whose activations are tried first.
    """
    for setting in _candidates(declared):
        found = _related(own, cases, setting)
        if found is not None:
            return found
    return None


def _candidates(declared: Setting) -> list[Setting]:
    others = (
        Setting(loss, output, declared.reduction, hidden, declared.biases)
        for hidden, output, loss in itertools.product(
            (declared.hidden, "relu", "sigmoid", "tanh"), (declared.output, *OUTPUTS), LOSSES
        )
    )
    return list(dict.fromkeys((declared, *others)))


def _related(own: Sequence[dict[str, np.ndarray]], cases: Sequence[where.Point], setting: Setting) -> Relation | None:
    constants, decays = [], []
    for mine, point in zip(own, cases, strict=True):
        with precision(BITS):
            right = problem.right(setting, {name: point.right[name] for name in where.INPUTS})
            parts = {leaf: _split(mine[leaf], right[leaf], point.right[leaf[1:]]) for leaf in LEAVES}
        known = {leaf: part for leaf, part in parts.items() if part is not None}
        c = {part[0] for part in known.values()}
        if len(known) < len(LEAVES) or len(c) != 1 or 0 in c:
            return None
        constants.append(c.pop())
        decays.append({leaf[1:]: part[1] for leaf, part in known.items() if part[1]})
    if len({tuple(decay) for decay in decays}) != 1:
        return None
    decay = {name: tuple(one[name] for one in decays) for name in decays[0]}
    return Relation(setting, tuple(constants), decay, tuple(point.sizes for point in cases))


def _split(mine: np.ndarray, right: np.ndarray, parameter: np.ndarray) -> tuple[Fraction, Fraction] | None:
    """The c and t with mine = c * right + t * parameter; None if there are none that somebody may have written."""
    c = ratio((mine,), (right,))
    if c is not None:
        return c, Fraction(0)
    a, b, p = (array.ravel() for array in (mine, right, parameter))
    for i, j in itertools.combinations(range(min(len(a), 4)), 2):
        determinant = b[i] * p[j] - b[j] * p[i]
        if determinant.v.contains(0):
            continue
        t = (a[j] * b[i] - a[i] * b[j]) / determinant
        rest = mine - t * parameter
        c = ratio((rest,), (right,))
        exact = ratio((np.array([t], object),), (balls([1]),))
        return None if c is None or exact is None or not short(exact) else (c, exact)
    return None


def agrees(mine: dict[str, np.ndarray], own: dict[str, np.ndarray]) -> dict[str, bool]:
    """Which leaves of a derivation are those of its own loss."""
    return {leaf: bool((compare(mine[leaf], own[leaf]) == EQUAL).all()) for leaf in LEAVES if leaf in mine}


def normalised(case: Case, found: Relation) -> Case:
    """A case with its leaves as those of the related loss: without the decay, divided by the constant."""
    i = found.sizes.index(case.sizes)
    c, mine = Ball(found.constant[i]), dict(case.mine)
    with precision(BITS):
        for leaf in LEAVES:
            if leaf in mine:
                t = found.decay.get(leaf[1:], (Fraction(0),) * len(found.sizes))[i]
                mine[leaf] = (mine[leaf] - Ball(t) * case.right[leaf[1:]]) / c
        for step in mine:
            if step not in LEAVES:
                mine[step] = mine[step] / c
        right = problem.right(found.setting, {name: case.right[name] for name in where.INPUTS})
    return case._replace(mine=mine, point=case.point._replace(right=right))
