"""A walk through back-propagation, one line a step: which choices of lines reproduce what a derivation shows?

The order is dO2, dZ2, dW2, db2, dO1, dZ1, dW1, db1. What the derivation itself shows (a returned step) must be matched
before the walk goes on, and is then what the later lines are given, so errors are judged one by one. Everything is
equality up to a constant factor. Floats propose, balls decide: the walk looks at two points in float64; what it finds
must hold at every point in balls, since a mistake that shows at some patterns or sizes only is another mistake.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case, usable, wrong_entries
from twolayer.verification.explain.catalogue import wrong_lines
from twolayer.verification.explain.forwards import Forward, wrong_forwards
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, arb, floats, precision
from twolayer.verification.numbers.factors import placements, ratio, same, short
from twolayer.verification.problem import (
    CHAIN,
    INPUTS,
    LEAVES,
    STEPS,
    TRACE,
    UPSTREAM,
    Line,
    Setting,
    Sizes,
    right_lines,
)

AFTER = {"dO2": ("dZ2", "dW2", "db2"), "dZ2": ("dW2", "db2"), "dO1": ("dZ1", "dW1", "db1"), "dZ1": ("dW1", "db1")}
MOST_WRONG_LINES = 3
CANCELLED = 1e-14  # of the numbers that are summed
GLANCE = 12  # one in so many of the patterns is looked at first
SIZED = frozenset(("W1", "W2", "x", "t"))  # what shows the sizes at a point, and a constant
PROBED = 2  # points that the walk looks at

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


class Explanation(NamedTuple):
    """One line a step, a wrong forward pass if that is part of it, and the factors left at the leaves.

    local: the factor shown at each step that the derivation shows. scope: the arrays of the walk, in its numbers.
    each: (totals, local, sizes) at each size where it was confirmed.
    """

    choices: tuple[Choice, ...]
    forward: Forward | None
    literal: Fraction | None
    totals: dict[str, Fraction]
    local: dict[str, Fraction]
    scope: Scope
    each: tuple[tuple[dict[str, Fraction], dict[str, Fraction], Sizes], ...] = ()

    @property
    def wrong(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.wrong)

    @property
    def errors(self) -> int:
        """Wrong lines, wrong factors and a wrong forward pass together."""
        return len(self.wrong) + len(placements(self.totals)[0]) + (self.forward is not None)

    @property
    def unknown(self) -> int:
        return sum(choice.line is None for choice in self.wrong)


class Search:
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


def explanations(setting: Setting, cases: Sequence[Case], literals: tuple[Fraction, ...]) -> list[Explanation]:
    """The explanations with the fewest errors that hold at every case; none if there is none."""
    probe = telling(cases)
    if not probe:
        return []
    search = Search(setting, probe, literals, exact=probe[0].point.kind == "extreme")
    confirmed: list[Explanation] = []
    found: list[Explanation] = []
    known, tried = usable(cases), {}
    starts = search.starts()
    # Without anything of the output layer to match, three wrong lines are too many to try; in balls, two.
    most = MOST_WRONG_LINES if {"dO2", "dZ2", "dW2", "db2"} & set(search.shown) else MOST_WRONG_LINES - 1
    for budget in range((1 if search.exact else most) + 1):
        if confirmed and confirmed[0].errors <= budget:
            break
        found += _with_budget(search, starts, budget)
        confirmed = _confirmed(sorted(found, key=_rank), setting, known, literals, tried)
    return confirmed


def _with_budget(search: Search, starts: Iterable[Start], budget: int) -> Iterator[Explanation]:
    """The ways with just so many wrong lines."""
    with precision(BITS):
        for start in starts:
            left = budget - (start.forward is not None)
            if left < 0 or (start.forward is not None and left > 1):
                continue
            for way in search.walk(start, left):
                if sum(choice.wrong for choice in way.choices) == left:
                    yield Explanation(way.choices, start.forward, start.literal, way.totals, way.local, way.scope)


def _confirmed(
    found: Iterable[Explanation],
    setting: Setting,
    known: Sequence[Case],
    literals: tuple[Fraction, ...],
    tried: dict[int, Explanation | None],
) -> list[Explanation]:
    """Those of lowest rank that hold in balls at every case. `tried`: what is known already, by identity."""
    confirmed: list[Explanation] = []
    for explanation in found:
        if confirmed and explanation.errors > confirmed[0].errors:
            break
        if id(explanation) not in tried:
            tried[id(explanation)] = _confirm(explanation, setting, known, literals)
        exact = tried[id(explanation)]
        if exact is not None:
            confirmed.append(exact)
    confirmed.sort(key=_rank)
    return [one for one in confirmed if _rank(one) == _rank(confirmed[0])]


def _rank(explanation: Explanation) -> tuple[int, int]:
    return explanation.errors, explanation.unknown


def telling(cases: Sequence[Case]) -> list[Case]:
    """The few cases of one kind and size at which most entries of most leaves are wrong, so that every error shows."""
    known = usable(cases)
    groups: dict[tuple, list[Case]] = {}
    for case in known:
        groups.setdefault((case.point.kind, case.sizes), []).append(case)
    best: tuple[float, list[Case]] = (0.0, [])
    for group in groups.values():
        scored = sorted(((_shown(case), i) for i, case in enumerate(group)), reverse=True)
        kept = [(score, group[i]) for score, i in scored[:PROBED] if score]
        if kept and kept[0][0] > best[0] + 0.5 * (best[0] > 0):  # another kind of point must show more
            best = (kept[0][0], [case for _, case in kept])
    return best[1]


def _shown(case: Case) -> float:
    shares = [wrong_entries(case, leaf).mean() for leaf in LEAVES if leaf in case.mine]
    return sum(share > 0 for share in shares) + float(np.mean(shares)) if any(shares) else 0.0


def confirm(
    explanation: Explanation, setting: Setting, cases: Sequence[Case], literals: tuple[Fraction, ...]
) -> Explanation | None:
    """The explanation with its exact factors, if it holds at every case; None if not."""
    return _confirm(explanation, setting, usable(cases), literals)


def _confirm(
    explanation: Explanation, setting: Setting, known: Sequence[Case], literals: tuple[Fraction, ...]
) -> Explanation | None:
    first: Explanation | None = None
    each: dict[Sizes, tuple[dict[str, Fraction], dict[str, Fraction], Sizes]] = {}
    few = [case for case in known if case.point.kind == "pattern"][::GLANCE]
    if few and not any(choice.line and choice.line.affine for choice in explanation.choices):
        with precision(BITS):  # small and of all patterns: most of what does not hold fails here
            if _holds(explanation, Search(setting, few, literals, exact=True), False) is None:
                return None
    for size in dict.fromkeys(case.sizes for case in known):
        now, solve = explanation, True  # constants, solved for at the first points of a size, hold at the others
        for part in _by_kind([case for case in known if case.sizes == size]):
            with precision(BITS):
                held = _holds(now, Search(setting, part, literals, exact=True), solve)
            if held is None or (isinstance(held, Explanation) and not _agrees(held, each.get(size))):
                return None
            if isinstance(held, Explanation):
                first, now, solve = first or held, held, False
                each.setdefault(size, (held.totals, held.local, size))
    return first and first._replace(each=tuple(each.values()))


def _agrees(held: Explanation, before: tuple | None) -> bool:
    """Whether the factors are those found at other points of this size."""
    return before is None or all(same(c, before[0][leaf]) for leaf, c in held.totals.items() if leaf in before[0])


def _by_kind(cases: list[Case]) -> Iterator[list[Case]]:
    """The ordinary cases first, then the others."""
    for kind in ("ordinary", "pattern", "extreme"):
        part = [case for case in cases if case.point.kind == kind]
        if part:
            yield part


def _holds(explanation: Explanation, search: Search, solve: bool) -> Explanation | bool | None:
    """The explanation at the cases of a search; None if it does not hold, False if it cannot be tried there.

    `solve`: the constants of its lines are solved for again.
    """
    start = search.start(explanation.forward, explanation.literal)
    if start is None:
        return False
    way = Way((), {}, {}, start.scope)
    for choice in explanation.choices:
        step, line, literal = choice
        if line is not None and line.affine and solve:
            literal = search.solve(step, line, start, way.scope)
            if literal is None:
                return None
        choice = choice._replace(literal=literal)
        way = search.advance(way, choice, _value(choice, search, start, way.scope))
        if way is None:
            return None
    return explanation._replace(choices=way.choices, totals=way.totals, local=way.local, scope=way.scope)


def _value(choice: Choice, search: Search, start: Start, scope: Scope) -> Value | None:
    """What a choice computes at other points."""
    step, line, literal = choice
    if line is None:
        return search.shown.get(step)
    return search.step(step, start.right[step] if line.id == "right" else line, scope, literal)
