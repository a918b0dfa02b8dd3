"""Which wrong lines explain a derivation? A search over one line a step, for the fewest wrong ones.

Back-propagation is a tree: dO2, dZ2, then dW2 and db2, then dO1, dZ1, then dW1 and db1. The search walks it in this
order and takes at each step the right line or a wrong one. What the derivation itself shows (a returned or named step)
must be matched before the search goes on, and is then what the later lines are given: errors are judged one by one.
Everything is equality in the prime field up to a constant factor; the factors are blamed at the end.
"""

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from twolayer.verification import scales
from twolayer.verification.catalogue import WRONG_LINES
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import Group, oriented
from twolayer.verification.forwards import Forward, wrong_forwards
from twolayer.verification.interpreter import interpret
from twolayer.verification.lines import UPSTREAM, Line, Scope
from twolayer.verification.numbers.field import Field, FieldValue
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, STEPS

INPUTS = ("W1", "b1", "W2", "b2", "x", "y")
TRACE = ("Z1", "O1", "Z2", "O2")
MOST_WRONG_LINES = 3
PROBED = 4  # draws that the search looks at; what it finds is then confirmed at all of them


class Choice(NamedTuple):
    """A line taken at a step, with its literal; `line` None says that no line of the catalogue fits what is shown."""

    step: str
    line: Line | None
    literal: Fraction | None = None

    @property
    def wrong(self) -> bool:
        return self.line is None or self.line.id != "right"


class Explanation(NamedTuple):
    """Choices for all steps, a wrong forward pass if that is part of it, and the wrong factors (step -> c)."""

    choices: tuple[Choice, ...]
    forward: tuple[Forward, Fraction | None] | None
    totals: dict[str, int]
    local: dict[str, int]

    @property
    def wrong(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.wrong)


class _Search:
    """The search at the draws of one group."""

    def __init__(self, setting: Setting, group: Group, literals: tuple[Fraction, ...], draws: np.ndarray):
        self.setting, self.sizes, self.literals = setting, group.sizes, literals
        self.field = Field(len(draws))
        pick = functools.partial(_pick, draws=draws)
        self.shown = {
            step: pick(_turned(value, group.right[step]))
            for step, value in (group.named | group.mine).items()
            if not opaque_mask(value.element[draws]).any()
        }
        weight = np.float64(1 / self.sizes.m if setting.reduction == "mean" else 1.0)
        arguments = {name: pick(value) for name, value in zip(INPUTS, group.point.arguments, strict=True)}
        self.base = {**arguments, "w": self.field.constant(weight)}
        self.trace = {name: pick(group.right[name]) for name in TRACE}
        self.right = right_lines(*setting)

    def forwards(self) -> Iterator[tuple[Forward | None, Fraction | None, dict, dict[str, Line]]]:
        yield None, None, self.base | self.trace, self.right
        for forward in wrong_forwards(self.setting.output):
            for literal in self.literals if forward.literal else (None,):
                values = self.evaluate(forward.compute, self.base, literal, "forward")
                if values is not None:
                    lines = {step: self.right[step]._replace(compute=f) for step, f in forward.lines.items()}
                    yield forward, literal, self.base | dict(zip(TRACE, values, strict=True)), self.right | lines

    def evaluate(
        self, compute: Any, scope: dict[str, FieldValue], literal: Fraction | None, step: str
    ) -> list[FieldValue] | None:
        """A line's value; None if it does not fit these sizes."""
        if literal is not None:
            scope = scope | {"t": self.field.rational(literal)}
        names = tuple(name for name in Scope._fields if name in scope)
        closed = _jaxpr(compute, names, self.sizes, step)
        if closed is None:
            return None
        return interpret(closed, self.field, *(scope[name] for name in names))

    def candidates(self, step: str, right: dict[str, Line], wrong: bool) -> Iterator[Choice]:
        yield Choice(step, right[step])
        for line in _wrong_lines(step, self.setting) if wrong else ():
            for literal in self.literals if line.literal else (None,):
                yield Choice(step, line, literal)

    def walk(self, scope: dict, right: dict[str, Line], budget: int, memo: dict) -> Iterator[tuple[list, dict, dict]]:
        """All ways through the tree with exactly... at most `budget` wrong lines: (choices, totals, local factors)."""

        def go(position: int, scope: dict, left: int, past: tuple, totals: dict, local: dict) -> Iterator:
            if position == len(STEPS):
                yield past, totals, local
                return
            step = STEPS[position]
            given = {name: scope[name] for name in scope if name in UPSTREAM[step] or name not in STEPS}
            matched = False
            for choice in self.candidates(step, right, left > 0):
                key = (choice, tuple(id(given[name]) for name in UPSTREAM[step] if name in given))
                if key not in memo:
                    value = self.evaluate(choice.line.compute, given, choice.literal, step)
                    memo[key] = (value[0] if value else None, given)  # `given` keeps the ids alive
                value = memo[key][0]
                if value is None:
                    continue
                c = 1
                if step in self.shown:
                    c = scales.ratio(self.shown[step].element, _full(value, self.shown[step]))
                    if c is None:
                        continue
                    value = self.shown[step]
                matched = True
                new_local = local | {step: c} if step in self.shown else local
                new_totals = totals
                if step in LEAVES and step in self.shown:
                    upstream = _carried(step, local)
                    new_totals = totals | {step: c * upstream % scales.P}
                yield from go(
                    position + 1, scope | {step: value}, left - choice.wrong, (*past, choice), new_totals, new_local
                )
            if not matched and left > 0 and step in self.shown and self._may_be_unknown(step, past):
                yield from go(
                    position + 1,
                    scope | {step: self.shown[step]},
                    left - 1,
                    (*past, Choice(step, None)),
                    totals,
                    local,
                )

        yield from go(0, scope, budget, (), {}, {})

    def _may_be_unknown(self, step: str, past: tuple[Choice, ...]) -> bool:
        """A leaf may be wrong in an unknown way if what it is computed from is known to be right otherwise."""
        if step not in LEAVES:
            return True
        dZ, sibling = f"dZ{step[2]}", f"dW{step[2]}" if step[1] == "b" else None
        if dZ in self.shown:
            return True
        return any(choice.step == sibling and choice.line is not None for choice in past)


def explanations(setting: Setting, groups: list[Group], literals: tuple[Fraction, ...]) -> list[Explanation]:
    """The explanations with the fewest errors, wrong lines and wrong factors together; none if there is none."""
    first = groups[0]
    chosen = np.flatnonzero(first.keep)[:PROBED]
    search = _Search(setting, first, literals, chosen)
    forwards = [(*one, {}) for one in search.forwards()]  # each with a memory of the lines evaluated on it
    found: list[tuple[int, Explanation]] = []
    for budget in range(MOST_WRONG_LINES + 1):
        if found and min(cost for cost, _ in found) <= budget:
            break
        for forward, literal, scope, right, memo in forwards:
            left = budget - (forward is not None)
            if left < 0 or (forward is not None and left > 1):
                continue
            for choices, totals, local in search.walk(scope, right, left, memo):
                if sum(choice.wrong for choice in choices) != left:
                    continue
                explanation = Explanation(choices, (forward, literal) if forward else None, totals, local)
                found.append((budget + len(scales.placements(totals)[0]), explanation))
    found.sort(key=lambda pair: (pair[0], sum(choice.line is None for choice in pair[1].wrong)))
    confirmed: list[tuple[int, Explanation]] = []
    for cost, explanation in found:
        if confirmed and cost > confirmed[0][0]:
            break
        if all(holds(explanation, setting, group, literals) is not None for group in groups):
            confirmed.append((cost, explanation))
    return [explanation for _, explanation in confirmed]


def holds(
    explanation: Explanation, setting: Setting, group: Group, literals: tuple[Fraction, ...]
) -> tuple[dict[str, int], dict[str, int]] | None:
    """Whether an explanation reproduces a group of draws; the total factor of each leaf there and the local ones."""
    kept = np.flatnonzero(group.keep)
    if not len(kept):
        return {}, {}
    search = _Search(setting, group, literals, kept)
    scope, right = search.base | search.trace, search.right
    if explanation.forward is not None:
        forward, literal = explanation.forward
        values = search.evaluate(forward.compute, search.base, literal, "forward")
        if values is None:
            return {}, {}  # it cannot occur at these sizes
        scope = search.base | dict(zip(TRACE, values, strict=True))
        right = right | {step: right[step]._replace(compute=f) for step, f in forward.lines.items()}
    totals: dict[str, int] = {}
    local: dict[str, int] = {}
    for step, line, literal in explanation.choices:
        if line is None:
            scope = scope | {step: search.shown[step]}
            continue
        line = right[step] if line.id == "right" else line
        given = {name: scope[name] for name in scope if name in UPSTREAM[step] or name not in STEPS}
        values = search.evaluate(line.compute, given, literal, step)
        if values is None:
            return None
        value = values[0]
        if step in search.shown:
            c = scales.ratio(search.shown[step].element, _full(value, search.shown[step]))
            if c is None:
                return None
            if step in LEAVES:
                totals[step] = c * _carried(step, local) % scales.P
            local[step] = c
            value = search.shown[step]
        scope = scope | {step: value}
    return totals, local


def _carried(step: str, local: dict[str, int]) -> int:
    """The factor that the shown steps before a leaf have gathered."""
    path = ("dO2", "dZ2") if step[2] == "2" else ("dO2", "dZ2", "dO1", "dZ1")
    product = 1
    for name in path:
        product = product * local.get(name, 1) % scales.P
    return product


def _turned(value: FieldValue, right: FieldValue) -> FieldValue:
    return FieldValue(*(None if a is None else oriented(a, right.element) for a in value))


def _full(value: FieldValue, like: FieldValue) -> np.ndarray:
    return np.broadcast_to(value.element, like.element.shape)


def _pick(value: FieldValue, draws: np.ndarray) -> FieldValue:
    return FieldValue(*(None if a is None else a[draws] for a in value))


@functools.cache
def _wrong_lines(step: str, setting: Setting) -> tuple[Line, ...]:
    return tuple(line for line in WRONG_LINES if line.step == step and line.fits(setting.loss, setting.output))


@functools.lru_cache(maxsize=4096)
def _jaxpr(compute: Any, names: tuple[str, ...], sizes: Sizes, step: str) -> ClosedJaxpr | None:
    """A line as a jaxpr, of a Scope with these names; None if it does not fit the sizes."""
    d, K, C, m = sizes
    shapes = {"W1": (K, d), "b1": (K,), "W2": (C, K), "b2": (C,), "x": (m, d), "y": (m, C), "w": (), "t": ()}
    shapes |= dict.fromkeys(("Z1", "O1"), (m, K)) | dict.fromkeys(("Z2", "O2"), (m, C))
    shapes |= {f"d{name}": shape for name, shape in shapes.items()}
    scope = Scope(**{name: jax.ShapeDtypeStruct(shapes[name], "float64") for name in names})
    try:
        with jax.numpy_rank_promotion("allow"):
            closed = jax.make_jaxpr(compute)(scope)
    except (TypeError, ValueError):
        return None
    wanted = [shapes[name] for name in (TRACE if step == "forward" else (step,))]
    return closed if [aval.shape for aval in closed.out_avals] == wanted else None
