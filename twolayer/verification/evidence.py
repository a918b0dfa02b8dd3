"""What a derivation does at many points: its values in the prime field beside the right ones."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification import draws
from twolayer.verification.draws import Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.field import Field, FieldValue
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Point, Setting, check_oracles, over_the_field, truth
from twolayer.verification.tracing import RaisedInside, Refused, Traced, check_repeats, trace
from twolayer.verification.verdict import STEPS

PROBED = 2  # draws that a search looks at before all others confirm


class Group(NamedTuple):
    """Draws of one kind ("ordinary", "extreme", "every pattern"), those left out removed.

    mine, right: step -> values with a leading axis of draws; right has Z1, O1, Z2, O2 too.
    named: the same of steps named inside by jax.ad_checkpoint.checkpoint_name.
    inside: elements of every array (m, K) or (m, C) that the program computes on its way, turned if need be.
    """

    kind: str
    setting: Setting
    traced: Traced
    point: Point
    right: dict[str, FieldValue]
    mine: dict[str, FieldValue]
    named: dict[str, FieldValue]
    inside: list[np.ndarray]
    keep: np.ndarray

    @property
    def sizes(self) -> Sizes:
        return self.point.sizes

    def pair(self, step: str) -> tuple[np.ndarray, np.ndarray]:
        """The derivation's elements of a step and the right ones, at the draws that count."""
        mine = self.mine.get(step, self.named.get(step))
        assert mine is not None
        return oriented(mine.element, self.right[step].element)[self.keep], self.right[step].element[self.keep]


class Subject(NamedTuple):
    """A derivation, traced at every size that it accepts."""

    traced: tuple[Traced, ...]
    note: str | None
    shapes: str | None

    @property
    def at_any_sizes(self) -> bool:
        """Whether it runs at whatever sizes it is given."""
        return self.note is None and self.shapes is None


def subject(gradients: Callable, setting: Setting) -> Subject:
    """Trace at two sizes of distinct primes and at a square one; if that raises, at sizes that code may have built in.

    Raises:
      Refused, NotTraceable: see tracing.trace.
    """
    try:
        first = [trace(gradients, sizes) for sizes in draws.PRIME_SIZES]
    except RaisedInside as error:
        return _at_other_sizes(gradients, setting, error)
    check_repeats(gradients, first[0])
    return Subject((*first, trace(gradients, draws.SQUARE), trace(gradients, draws.SMALL)), None, None)


def _at_other_sizes(gradients: Callable, setting: Setting, error: RaisedInside) -> Subject:
    others = [draws.MNIST] + ([draws.ONE_OUTPUT] if setting.loss == "quadratic" else [])
    for sizes in others:
        try:
            traced = trace(gradients, sizes)
        except RaisedInside:
            continue
        note = f"the code does not run at other sizes ({error}); it was judged at d={sizes.d}, K={sizes.K}, C={sizes.C}"
        return Subject((traced,), note, None)
    try:
        return Subject((trace(gradients, draws.SQUARE),), None, str(error))
    except RaisedInside:
        raise error from None


def gather(
    subject: Subject, setting: Setting, seed: int = 0, effort: int = 1, unclear: frozenset[float] = frozenset()
) -> list[Group]:
    """Interpret the derivation at every group of draws; `effort` multiplies their number.

    `unclear` are literals that are not to be read as fractions.

    Raises:
      OraclesDisagree: the two oracles differ, so nothing can be judged.
      Refused: what is returned is finite nowhere.
    """
    groups = []
    for i, traced in enumerate(subject.traced):
        large = traced.sizes == draws.MNIST
        if traced.sizes == draws.SMALL:
            groups.append(_group("every pattern", traced, setting, 0, seed, unclear))
            continue
        groups.append(_group("ordinary", traced, setting, 2 if large else 8 * effort, seed, unclear))
        if i == 0:
            groups.append(_group("extreme", traced, setting, 6 if large else 48 * effort, seed, unclear))
    return groups


@functools.lru_cache(maxsize=128)
def _right(
    kind: str, setting: Setting, sizes: Sizes, draws_wanted: int, seed: int
) -> tuple[Point, dict[str, FieldValue], np.ndarray]:
    """The draws of one group and the truth there: the same for every derivation, so computed once."""
    rng = np.random.default_rng([seed, *sizes])
    if kind == "every pattern":
        shadows = draws.every_pattern(rng, sizes, setting.loss, setting.hidden)
    else:
        shadows = getattr(draws, kind)(rng, sizes, draws_wanted, setting.loss, setting.output, setting.hidden)
    point = over_the_field(rng, sizes, shadows, setting.loss, setting.output, setting.hidden)
    values, lost = truth(setting, point)
    if kind == "ordinary":
        check_oracles(setting, point, values)
    return point, values, lost


def ordinary(setting: Setting, sizes: Sizes, draws: int = 8) -> tuple[Point, dict[str, FieldValue], np.ndarray]:
    """Ordinary draws, the truth there, and which draws float64 cannot follow; for any loss that could be declared."""
    return _right("ordinary", setting, sizes, draws, 0)


def at_sizes(traced: Traced, setting: Setting, draws: int, seed: int = 0) -> Group:
    """A few ordinary draws at the sizes of one trace.

    Raises:
      Refused: what is returned is finite nowhere.
    """
    return _group("ordinary", traced, setting, draws, seed, frozenset())


def _group(
    kind: str, traced: Traced, setting: Setting, draws_wanted: int, seed: int, unclear: frozenset[float]
) -> Group:
    point, right, lost = _right(kind, setting, traced.sizes, draws_wanted, seed)
    n = len(point.shadows.x)
    field = Field(n, unclear)
    named: dict[str, FieldValue] = {}
    inside: list[np.ndarray] = []
    _, K, C, m = traced.sizes
    shapes = {"1": (m, K), "2": (m, C)}

    def note(path: Any, eqn: Any, outputs: list) -> list:
        name = eqn.params.get("name") if eqn.primitive.name == "name" else None
        if name in STEPS and eqn.outvars[0].aval.shape in (shapes[name[2]], shapes[name[2]][::-1]):
            named[name] = _with_draws(outputs[0], 2, n)
        for value, var in zip(outputs, eqn.outvars, strict=True):
            if isinstance(value, FieldValue) and value.element.ndim == 3:
                turned = value.element.swapaxes(1, 2)
                inside.extend([value.element] if var.aval.shape in shapes.values() else [])
                inside.extend([turned] if var.aval.shape[::-1] in shapes.values() else [])
        return outputs

    outputs = interpret(traced.jaxpr, field, *point.arguments, visit=note)
    mine = {
        name: _with_draws(value, len(var.aval.shape), n)
        for name, value, var in zip(traced.names, outputs, traced.jaxpr.jaxpr.outvars, strict=True)
    }
    keep = ~lost & ~field.lost
    for name, value in mine.items():
        finite = np.isfinite(value.shadow).reshape(n, -1).all(axis=1)
        if kind == "ordinary" and not finite.any():
            raise Refused(f"{name} is not finite at any of {n} inputs of ordinary size: NaN or infinity comes out")
        keep &= finite
    return Group(kind, setting, traced, point, right, mine, named, inside, keep)


def _with_draws(value: FieldValue, rank: int, draws: int) -> FieldValue:
    """A result that depends on nothing, such as a leaf that is zero, has no axis of draws; give it one."""
    if value.shadow.ndim > rank:
        return value
    return FieldValue(*(None if a is None else np.broadcast_to(a, (draws, *a.shape)) for a in value))


def oriented(mine: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Step arrays may have examples as columns; turn them."""
    if mine.shape == right.shape:
        return mine
    return mine.swapaxes(-1, -2)


def opaque_reason(elements: np.ndarray) -> str | None:
    """Why a step cannot be judged: the first operation without algebraic meaning on its way."""
    mask = opaque_mask(elements)
    return elements[mask][0].reason if mask.any() else None
