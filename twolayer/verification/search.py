"""A walk through back-propagation, one line a step: which choices of lines reproduce what a derivation shows?

The order is dO2, dZ2, dW2, db2, dO1, dZ1, dW1, db1. What the derivation itself shows (a returned or named step) must be
matched before the walk goes on, and is then what the later lines are given, so errors are judged one by one.
Everything is equality in the prime field up to a constant factor.
"""

import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

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
from twolayer.verification.programs import uses_exp
from twolayer.verification.reference import Setting
from twolayer.verification.steps import right_lines
from twolayer.verification.verdict import LEAVES, STEPS

INPUTS = ("W1", "b1", "W2", "b2", "x", "y")
TRACE = ("Z1", "O1", "Z2", "O2")
CHAIN = ("dO2", "dZ2", "dO1", "dZ1")
AFTER = {"dO2": ("dZ2", "dW2", "db2"), "dZ2": ("dW2", "db2"), "dO1": ("dZ1", "dW1", "db1"), "dZ1": ("dW1", "db1")}


class Choice(NamedTuple):
    """A line taken at a step, with its literal; `line` None says that no line of the catalogue fits what is shown."""

    step: str
    line: Line | None
    literal: Fraction | None = None

    @property
    def wrong(self) -> bool:
        return self.line is None or self.line.id != "right"


class Way(NamedTuple):
    """One way through: the choices, the total factor of each leaf, the factor shown at each step, and its arrays."""

    choices: tuple[Choice, ...]
    totals: dict[str, int]
    local: dict[str, int]
    scope: dict[str, FieldValue]


class Start(NamedTuple):
    """Where a walk starts: the declared forward pass, or a wrong one, and the right lines that follow from it."""

    forward: Forward | None
    literal: Fraction | None
    scope: dict[str, FieldValue]
    right: dict[str, Line]
    memory: dict


class Search:
    """The walk at some draws of one group."""

    def __init__(self, setting: Setting, group: Group, literals: tuple[Fraction, ...], draws: np.ndarray):
        self.setting, self.sizes, self.literals = setting, group.sizes, literals
        self.field = Field(len(draws))
        pick = functools.partial(_pick, draws=draws)
        self.shown = {
            step: pick(_turned(value, group.right[step]))
            for step, value in (group.named | group.mine).items()
            if not opaque_mask(value.element[draws]).any()
        }
        weight = np.asarray(1 / self.sizes.m if setting.reduction == "mean" else 1.0)
        arguments = {name: pick(value) for name, value in zip(INPUTS, group.point.arguments, strict=True)}
        self.base = {**arguments, "w": self.field.constant(weight)}
        self.trace = {name: pick(group.right[name]) for name in TRACE}
        self.right = right_lines(*setting)

    def start(self, forward: Forward | None = None, literal: Fraction | None = None) -> Start | None:
        """The scope after a forward pass; None if a wrong one does not fit these sizes."""
        if forward is None:
            return Start(None, None, self.base | self.trace, self.right, {})
        values = self.evaluate(forward.compute, self.base, literal, "forward")
        if values is None:
            return None
        lines = {step: self.right[step]._replace(compute=f) for step, f in forward.lines.items()}
        scope = self.base | dict(zip(TRACE, values, strict=True))
        if literal is not None:
            scope["t"] = self.field.rational(literal)  # for the lines that follow from the wrong forward pass
        return Start(forward, literal, scope, self.right | lines, {})

    def starts(self) -> list[Start]:
        """The declared forward pass first, then every wrong one that fits."""
        wrong = [
            self.start(forward, literal)
            for forward in wrong_forwards(self.setting.output, self.setting.hidden)
            for literal in (self.literals if forward.literal else (None,))
        ]
        return [start for start in (self.start(), *wrong) if start is not None]

    def evaluate(
        self, compute: Callable, scope: dict[str, FieldValue], literal: Fraction | None, step: str
    ) -> list[FieldValue] | None:
        """What a line computes from a scope; None if it does not fit these sizes."""
        if literal is not None:
            scope = scope | {"t": self.field.rational(literal)}
        names = tuple(name for name in Scope._fields if name in scope)
        closed = _jaxpr(compute, names, self.sizes, step)
        if closed is None:
            return None
        plain = step != "forward" and not uses_exp(closed)  # then no exponents need be carried along
        return interpret(closed, self.field, *(_bare(scope[name]) if plain else scope[name] for name in names))

    def step(self, step: str, line: Line, scope: dict, literal: Fraction | None) -> FieldValue | None:
        """One step by one line."""
        given = {name: value for name, value in scope.items() if name in UPSTREAM[step] or name not in STEPS}
        values = self.evaluate(line.compute, given, literal, step)
        return values[0] if values else None

    def candidates(self, step: str, start: Start, scope: dict, wrong: bool, simple: bool) -> Iterator[Choice]:
        """The right line, then the wrong ones, each with every literal that may stand in it, or the one that fits.

        Constants are solved for only if what came before is `simple`: one wrong line at most.
        """
        yield Choice(step, start.right[step])
        for line in _wrong_lines(step, self.setting) if wrong else ():
            if line.affine and not simple:
                continue
            if line.affine:
                literal = self.solve(step, line, start, scope)
                yield from () if literal is None else (Choice(step, line, literal),)
            else:
                for literal in self.literals if line.literal else (None,):
                    yield Choice(step, line, literal)

    def solve(self, step: str, line: Line, start: Start, scope: dict) -> Fraction | None:
        """The constant t of a line that is affine in it, if what is shown next down the right lines is so too."""
        without, with_one = (self.step(step, line, scope, Fraction(t)) for t in (0, 1))
        if without is None or with_one is None:
            return None
        at = step
        follow = iter(AFTER.get(step, ()))
        a, b = scope | {step: without}, scope | {step: with_one}
        while at not in self.shown:
            at = next(follow, None)
            if at is None:
                return None
            a[at], b[at] = (self.step(at, start.right[at], s, None) for s in (a, b))
            if a[at] is None:
                return None
        rest = (self.shown[at].element - a[at].element) % scales.P
        t = scales.ratio(rest, (b[at].element - a[at].element) % scales.P)
        t = scales.rational(t) if t is not None and rest.any() else None
        return None if t in (0, 1, -1) else t  # those are other lines of the catalogue

    def walk(self, start: Start, budget: int) -> Iterator[Way]:
        """All ways with at most `budget` wrong lines."""
        return self._go(start, Way((), {}, {}, start.scope), budget)

    def _go(self, start: Start, way: Way, left: int) -> Iterator[Way]:
        if len(way.choices) == len(STEPS):
            yield way
            return
        step = STEPS[len(way.choices)]
        matched, simple = False, sum(choice.wrong for choice in way.choices) <= 1
        for choice in self.candidates(step, start, way.scope, left > 0, simple):
            further = self.advance(way, choice, self._remembered(choice, start, way.scope))
            if further is not None:
                matched = True
                yield from self._go(start, further, left - choice.wrong)
        if not matched and left > 0 and step in self.shown and self._may_be_unknown(step, start, way.scope):
            unknown = Choice(step, None)
            yield from self._go(start, self.advance(way, unknown, self.shown[step]), left - 1)

    def advance(self, way: Way, choice: Choice, value: FieldValue | None) -> Way | None:
        """One step further, by a choice that computes this value; None if that is not a multiple of what is shown."""
        step, choices, shown = choice.step, (*way.choices, choice), self.shown.get(choice.step)
        if value is None:
            return None
        if shown is None or choice.line is None:
            return way._replace(choices=choices, scope=way.scope | {step: value})
        c = scales.ratio(shown.element, np.broadcast_to(value.element, shown.element.shape))
        if c is None:
            return None
        total = {step: c * carried(step, way.local) % scales.P} if step in LEAVES else {}
        return Way(choices, way.totals | total, way.local | {step: c}, way.scope | {step: shown})

    def _remembered(self, choice: Choice, start: Start, scope: dict) -> FieldValue | None:
        upstream = [scope[name] for name in UPSTREAM[choice.step] if name in scope]
        key = (choice, tuple(map(id, upstream)))
        if key not in start.memory:  # the arrays are kept beside the result: an id must not be used twice
            start.memory[key] = self.step(choice.step, choice.line, scope, choice.literal), upstream
        return start.memory[key][0]

    def _may_be_unknown(self, step: str, start: Start, scope: dict) -> bool:
        """A leaf is wrong in a way of its own only if its dZ, or its sibling, shows that the rest is right."""
        if step not in LEAVES or f"dZ{step[2]}" in self.shown:
            return True
        sibling = f"{'dW' if step[1] == 'b' else 'db'}{step[2]}"
        value = self.step(sibling, start.right[sibling], scope, None) if sibling in self.shown else None
        return value is not None and scales.ratio(self.shown[sibling].element, value.element) is not None


def carried(step: str, local: dict[str, int]) -> int:
    """The factor that the shown steps before a leaf have gathered."""
    product = 1
    for name in CHAIN[:2] if step[2] == "2" else CHAIN:
        product = product * local.get(name, 1) % scales.P
    return product


def met(scope: dict[str, FieldValue], group: Group, draws: np.ndarray) -> dict[str, frozenset[int]]:
    """Which arrays of a scope occur inside the program: step -> the factors with which they do."""
    found = {}
    for step in (*TRACE, *CHAIN):
        if step in scope:
            right = scope[step].element
            ratios = (scales.ratio(mine[draws], right) for mine in group.inside if mine.shape[1:] == right.shape[1:])
            found[step] = frozenset(c for c in ratios if c is not None)
    return found


def _bare(value: FieldValue) -> FieldValue:
    return value._replace(exponent=None, deeper=None, deepest=None)


def _turned(value: FieldValue, right: FieldValue) -> FieldValue:
    return FieldValue(*(None if a is None else oriented(a, right.element) for a in value))


def _pick(value: FieldValue, draws: np.ndarray) -> FieldValue:
    return FieldValue(*(None if a is None else a[draws] for a in value))


@functools.cache
def _wrong_lines(step: str, setting: Setting) -> tuple[Line, ...]:
    return tuple(
        line for line in WRONG_LINES if line.step == step and line.fits(setting.loss, setting.output, setting.hidden)
    )


@functools.lru_cache(maxsize=4096)
def _jaxpr(compute: Callable, names: tuple[str, ...], sizes: Sizes, step: str) -> ClosedJaxpr | None:
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
