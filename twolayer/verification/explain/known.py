"""What is known when causes are sought: the derivation at all points, and which right arrays its variables are."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case
from twolayer.verification.explain import where
from twolayer.verification.explain.mended import Mended
from twolayer.verification.explain.search import Explanation, confirm
from twolayer.verification.numbers.balls import BITS, Ball, precision
from twolayer.verification.problem import STEPS, Setting
from twolayer.verification.verdict import Cause, StepVerdict


class Evidence(NamedTuple):
    """What is known when causes are sought.

    cases: the derivation at all points. probe: one of them, with the user's locals.
    leaves: each leaf's own verdict.
    scale, decay: what the own loss is times the declared one behind it, and so all its steps; what is added to a leaf,
      times its parameter, by the L2 terms of the own loss; decays: that as a formula of the sizes.
    thresholds: comparisons, clips and roundings of the code, with their lines. source: the text of its file.
    mended: finds the line of the user's code that is to be mended; asked only where nothing here explains an error.
    """

    setting: Setting
    cases: Sequence[Case]
    probe: Case | None
    leaves: Mapping[str, StepVerdict]
    scale: Fraction = Fraction(1)
    thresholds: Sequence[str] = ()
    decay: Mapping[str, Fraction] = MappingProxyType({})
    decays: Mapping[str, str] = MappingProxyType({})
    source: str = ""
    mended: Callable[[], Mended | None] = lambda: None

    @property
    def right_inside(self) -> frozenset[str]:
        """Which of the right arrays the user's variables are, factor included."""
        return frozenset(one.step for one in self.seen if one.factor == 1)

    @property
    def seen(self) -> list[where.Seen]:
        if self.probe is None:
            return []
        return self.seen_as({name: self.probe.right[name] for name in where.NAMED})

    def seen_as(self, arrays: Mapping[str, np.ndarray]) -> list[where.Seen]:
        """The user's variables that are one of these arrays, which are by the loss that can be declared."""
        if self.probe is None:
            return []
        found = where.seen(self.probe.locals, self.by_own_loss(arrays))
        return [one._replace(factor=one.factor / self.scale) if one.step in STEPS else one for one in found]

    def by_own_loss(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of the loss that can be declared with the L2 terms of the own loss, but for its constant."""
        if self.probe is None or not self.decay:
            return dict(arrays)
        with precision(BITS):
            parts = {f"d{n}": Ball(t / self.scale) * self.probe.right[n] for n, t in self.decay.items()}
            return {name: array + parts[name] if name in parts else array for name, array in arrays.items()}

    @property
    def known(self) -> dict[str, np.ndarray]:
        """The right arrays at the probe, as the user's variables may show them."""
        return {} if self.probe is None else self.by_own_loss(where.known(self.setting, self.probe.right))

    @property
    def returned(self) -> frozenset[str]:
        return frozenset(name for case in self.cases for name in case.mine)


class Alternative(NamedTuple):
    """One explanation with its wrong factors placed: the causes, and the steps that they make wrong.

    mends: whether it is an edit of the user's code that puts everything right.
    """

    causes: tuple[Cause, ...]
    steps: tuple[str, ...]
    explanation: Explanation | None = None
    mends: bool = False


def arrays_of(explanation: Explanation, evidence: Evidence) -> dict[str, np.ndarray]:
    """The arrays of an explanation at the probe."""
    if evidence.probe is None:
        return {}
    held = confirm(explanation, evidence.setting, [evidence.probe], _literals(explanation))
    return {name: value[0] for name, value in held.scope.items()} if held else {}


def _literals(explanation: Explanation) -> tuple[Fraction, ...]:
    return tuple(choice.literal for choice in explanation.choices if choice.literal is not None)


def inside_of(explanation: Explanation, evidence: Evidence) -> dict[str, frozenset[Fraction]]:
    """Which arrays of an explanation the user's variables are: step -> the factors with which they are."""
    found: dict[str, set[Fraction]] = {}
    if evidence.probe is not None:
        arrays = arrays_of(explanation, evidence)
        for one in evidence.seen_as({n: arrays[n] for n in where.NAMED if n in arrays}):
            found.setdefault(one.step, set()).add(one.factor)
    return {step: frozenset(factors) for step, factors in found.items()}
