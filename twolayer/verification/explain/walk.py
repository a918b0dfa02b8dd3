"""A walk through back-propagation, one line a step: which choices of lines reproduce what a derivation shows?

The order is dO2, dZ2, dW2, db2, dO1, dZ1, dW1, db1. What the derivation itself shows (a returned step) must be matched
before the walk goes on, and is then what the later lines are given, so errors are judged one by one. Everything is
equality up to a constant factor. Floats propose, balls decide: the walk looks at two points in float64; what it finds
must hold at every point in balls, since a mistake that shows at some patterns or sizes only is another mistake.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case
from twolayer.verification.explain.catalogue import wrong_lines
from twolayer.verification.explain.forwards import Forward, wrong_forwards
from twolayer.verification.numbers.balls import Ball, Undecided, arb, floats
from twolayer.verification.numbers.factors import ratio, short
from twolayer.verification.problem import (
    CHAIN,
    INPUTS,
    LEAVES,
    STEPS,
    TRACE,
    UPSTREAM,
    Line,
    Setting,
    right_lines,
)

AFTER = {"dO2": ("dZ2", "dW2", "db2"), "dZ2": ("dW2", "db2"), "dO1": ("dZ1", "dW1", "db1"), "dZ1": ("dW1", "db1")}


CANCELLED = 1e-14  # of the numbers that are summed


SIZED = frozenset(("W1", "W2", "x", "t"))  # what shows the sizes at a point, and a constant


Value = tuple[np.ndarray, ...]  # one array for each point


Scope = dict[str, Value]


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
    totals: dict[str, Fraction]
    local: dict[str, Fraction]
    scope: Scope


class Start(NamedTuple):
    """Where a walk starts: the declared forward pass, or a wrong one, and the right lines that follow from it."""

    forward: Forward | None
    literal: Fraction | None
    scope: Scope
    right: dict[str, Line]
    memory: dict


class Walks:
    """The walk at some cases of one size. `exact`: in balls; else in float64."""

    def __init__(self, setting: Setting, cases: Sequence[Case], literals: tuple[Fraction, ...], exact: bool = False):
        self.setting, self.literals, self.exact = setting, literals, exact
        number = (lambda a: a) if exact else _floats
        names = {name for name in cases[0].mine if all(name in case.mine for case in cases)}
        self.shown = {step: tuple(number(case.mine[step]) for case in cases) for step in STEPS if step in names}
        self.base = {name: tuple(number(case.right[name]) for case in cases) for name in (*INPUTS, "w")}
        self.trace = {name: tuple(number(case.right[name]) for case in cases) for name in TRACE}
        self.shapes = {step: tuple(np.shape(case.right[step]) for case in cases) for step in STEPS}
        self.right = right_lines(setting)
        self._sizes: dict[int, tuple[float, np.ndarray]] = {}

    def start(self, forward: Forward | None = None, literal: Fraction | None = None) -> Start | None:
        """The scope after a forward pass; None if a wrong one does not fit these sizes."""
        if forward is None:
            return Start(None, None, self.base | self.trace, self.right, {})
        tried = [self._forward(forward, self._at(self.base, i), literal) for i in range(self._points)]
        found = [one for one in tried if one is not None]
        if len(found) < len(tried):
            return None
        scope = self.base | {name: tuple(one[name] for one in found) for name in TRACE}
        if literal is not None:  # for the lines that follow from the wrong forward pass
            scope["t"] = tuple(np.asarray(self._number(literal)) for _ in found)
        return Start(forward, literal, scope, self.right | forward.lines, {})

    def starts(self) -> list[Start]:
        """The declared forward pass first, then every wrong one that fits."""
        wrong = [
            self.start(forward, literal)
            for forward in wrong_forwards(self.setting)
            for literal in (self.literals if forward.literal else (None,))
        ]
        return [start for start in (self.start(), *wrong) if start is not None]

    @property
    def _points(self) -> int:
        return len(self.base["x"])

    def _at(self, scope: Scope, i: int) -> dict[str, np.ndarray]:
        return {name: value[i] for name, value in scope.items()}

    def _number(self, literal: Fraction) -> Ball | float:
        return Ball(literal) if self.exact else float(literal)

    def _forward(self, forward: Forward, scope: dict, literal: Fraction | None) -> dict[str, np.ndarray] | None:
        try:
            with np.errstate(all="ignore"):
                found = forward.compute(scope, None if literal is None else self._number(literal))
        except (TypeError, ValueError, IndexError, NameError, Undecided):
            return None
        m, K, C = len(scope["x"]), len(scope["W1"]), len(scope["W2"])
        wanted = {"Z1": (m, K), "O1": (m, K), "Z2": (m, C), "O2": (m, C)}
        return found if all(np.shape(found[name]) == wanted[name] for name in TRACE) else None

    def step(
        self, step: str, line: Line, scope: Scope, literal: Fraction | None, points: int | None = None
    ) -> Value | None:
        """One step by one line, at the first `points` of the points; None if it does not fit these sizes."""
        allowed = line.reads | SIZED  # and what is not known yet is not there to be read
        given = {n: value for n, value in scope.items() if n in allowed and (n in UPSTREAM[step] or n not in STEPS)}
        t, found = None if literal is None else self._number(literal), []
        for i, shape in enumerate(self.shapes[step][:points]):
            try:
                with np.errstate(all="ignore"):
                    value = np.asarray(line.compute(self._at(given, i), t))
            except (TypeError, ValueError, IndexError, KeyError, NameError, Undecided):
                return None
            if value.shape != shape:
                return None
            found.append(value if self.exact else self._rounded_off(value, scope, step, i))
        return tuple(found)

    def _rounded_off(self, value: np.ndarray, scope: Scope, step: str, i: int) -> np.ndarray:
        """Float64 numbers with those at 0 that are nothing but the rounding of terms that cancel."""
        size = max((self._largest(scope[name][i]) for name in CHAIN if name in UPSTREAM[step]), default=0)
        return np.where(np.abs(value) < CANCELLED * size, 0.0, value) if size else value

    def _largest(self, array: np.ndarray) -> float:
        if id(array) not in self._sizes:  # the array is kept beside its size: an id must not be used twice
            self._sizes[id(array)] = float(np.abs(array).max(initial=0)), array
        return self._sizes[id(array)][0]

    def candidates(self, step: str, start: Start, scope: Scope, wrong: bool, simple: bool) -> Iterator[Choice]:
        """The right line, then the wrong ones, each with every literal that may stand in it, or the one that fits.

        Constants are solved for only if what came before is `simple`: one wrong line at most.
        """
        yield Choice(step, start.right[step])
        for line in wrong_lines(step, self.setting) if wrong else ():
            if line.affine and not simple:
                continue
            if line.affine:
                literal = self.solve(step, line, start, scope)
                yield from () if literal is None else (Choice(step, line, literal),)
            else:
                for literal in self.literals if line.literal else (None,):
                    yield Choice(step, line, literal)

    def solve(self, step: str, line: Line, start: Start, scope: Scope) -> Fraction | None:
        """The constant t of a line that is affine in it, if what is shown next down the right lines is so too."""
        a, b = (self.step(step, line, scope, Fraction(t)) for t in (0, 1))
        if a is None or b is None:
            return None
        at, follow = step, iter(AFTER.get(step, ()))
        below, above = scope | {step: a}, scope | {step: b}
        while at not in self.shown:
            at = next(follow, None)
            if at is None:
                return None
            a, b = (self.step(at, start.right[at], s, None) for s in (below, above))
            if a is None or b is None:
                return None
            below[at], above[at] = a, b
        if any(u.shape != v.shape for u, v in zip(self.shown[at], below[at], strict=True)):
            return None
        rest = tuple(u - v for u, v in zip(self.shown[at], below[at], strict=True))
        each = tuple(u - v for u, v in zip(above[at], below[at], strict=True))
        t = ratio(rest, each) or (None if self.exact else _small(rest, each, self.shown[at]))
        if t is None or t in (0, 1, -1):  # those are other lines of the catalogue
            return None
        return t if short(t) or not self.exact else None

    def walk(self, start: Start, budget: int) -> Iterator[Way]:
        """All ways with at most `budget` wrong lines."""
        return self._go(start, Way((), {}, {}, start.scope), budget)

    def _go(self, start: Start, way: Way, left: int) -> Iterator[Way]:
        if len(way.choices) == len(STEPS):
            yield way
            return
        step = STEPS[len(way.choices)]
        if step[:2] == "dW" and self._lost(start, way.scope, step[2]) > left:
            return
        matched, simple = False, sum(choice.wrong for choice in way.choices) <= 1
        for choice in self.candidates(step, start, way.scope, left > 0, simple):
            further = self.advance(way, choice, self._remembered(choice, start, way.scope))
            if further is not None:
                matched = True
                yield from self._go(start, further, left - choice.wrong)
        if not matched and left > 0 and step in self.shown and self._may_be_unknown(step, start, way.scope):
            unknown = self.advance(way, Choice(step, None), self.shown[step])
            if unknown is not None:
                yield from self._go(start, unknown, left - 1)

    def _lost(self, start: Start, scope: Scope, layer: str) -> int:
        """How many of a layer's leaves are no multiple, at one point, of what the right lines give: one error each."""
        upstream = [scope[name] for name in CHAIN if name in scope]
        key = (layer, tuple(map(id, upstream)))
        if key not in start.memory:
            lost = 0
            for leaf in (leaf for leaf in (f"db{layer}", f"dW{layer}") if leaf in self.shown):
                value = self.step(leaf, start.right[leaf], scope, None, points=1)
                lost += value is None or ratio(self.shown[leaf][:1], value) is None
            start.memory[key] = lost, upstream
        return start.memory[key][0]

    def advance(self, way: Way, choice: Choice, value: Value | None) -> Way | None:
        """One step further, by a choice that computes this value; None if that is not a multiple of what is shown."""
        step, choices, shown = choice.step, (*way.choices, choice), self.shown.get(choice.step)
        if value is None:
            return None
        if shown is None or choice.line is None:
            return way._replace(choices=choices, scope=way.scope | {step: value})
        c = ratio(shown, value)
        if c is None:
            return None
        total = {step: c * carried(step, way.local)} if step in LEAVES else {}
        return Way(choices, way.totals | total, way.local | {step: c}, way.scope | {step: shown})

    def _remembered(self, choice: Choice, start: Start, scope: Scope) -> Value | None:
        upstream = [scope[name] for name in UPSTREAM[choice.step] if name in scope]
        key = (choice, tuple(map(id, upstream)))
        if key not in start.memory:  # the arrays are kept beside the result: an id must not be used twice
            value = choice.line and self.step(choice.step, choice.line, scope, choice.literal)
            start.memory[key] = value, upstream
        return start.memory[key][0]

    def _may_be_unknown(self, step: str, start: Start, scope: Scope) -> bool:
        """A leaf is wrong in a way of its own only if its dZ, or its sibling, shows that the rest is right."""
        if step not in LEAVES or f"dZ{step[2]}" in self.shown:
            return True
        sibling = f"{'dW' if step[1] == 'b' else 'db'}{step[2]}"
        value = self.step(sibling, start.right[sibling], scope, None) if sibling in self.shown else None
        return value is not None and ratio(self.shown[sibling], value) is not None


def _floats(array: np.ndarray) -> np.ndarray:
    """Float64 numbers, 0 for a ball that holds it."""
    return np.where(np.asarray(np.frompyfunc(lambda v: arb(v).contains(0), 1, 1)(array), bool), 0.0, floats(array))


def _small(rest: Value, each: Value, shown: Value) -> Fraction | None:
    """A constant by which something small beside the numbers shown is the multiple of another, up to their rounding."""
    a, b, size = (np.concatenate([part.ravel() for part in parts]) for parts in (rest, each, shown))
    if not all(np.isfinite(part).all() for part in (a, b)) or not b.any():
        return None
    t, largest = float(a @ b / (b @ b)), np.abs(size).max()
    if np.abs(a).max() < 1e-11 * largest or np.abs(a - t * b).max() > 1e-13 * largest:
        return None
    return Fraction(f"{t:.4g}") if t else None


def carried(step: str, local: dict[str, Fraction]) -> Fraction:
    """The factor that the shown steps before a leaf have gathered."""
    product = Fraction(1)
    for name in CHAIN[:2] if step[2] == "2" else CHAIN:
        product *= local.get(name, 1)
    return product
