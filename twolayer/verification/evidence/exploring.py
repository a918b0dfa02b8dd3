"""Where any function is tested: sizes, scales, and points that are sought because they enter a branch.

An error in a rare branch is found by entering it. For a comparison of which one side was not seen the difference of the
two numbers is followed along lines, by the secant rule, until it changes its sign. On both sides of each threshold lie
points close to it, so that narrow pieces between two are entered too.
"""

import inspect
import math
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flint
import numpy as np

from twolayer.verification.evidence.branches import Branches, Key, Seen
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import At, Question, looked
from twolayer.verification.evidence.shapes import Arguments
from twolayer.verification.numbers.balls import BITS, floats, precision
from twolayer.verification.programs.copies import global_names
from twolayer.verification.programs.load import filled

ORDINARY, MANY = 2, 400  # points at each size, but one where it has so many numbers
SCALES = (1e-12, 1e-6, 1e-3, 1e3, 1e6, 1e12)
SMOOTH = ("real", "positive", "unit")  # domains whose numbers may be moved a little
LINES, STEPS = 3, 6  # directions for each comparison, and steps on each
FARTHEST = 1e40
RUNS, SECONDS = 240, 4.0  # of the program, in search of branches
HALVINGS = 10  # of the way to a threshold: so close to it are the points on both sides
WHOLE = range(5, 131)  # whole numbers of the code that may be blocks or thresholds on sizes
MASK = 1e8  # a number of the code from here on stands for infinity
MOST_ENTRIES = 3_000  # of a point at such a size


def drawn(arguments: Arguments, program: Any, seed: int, most: int | None = None) -> list[At]:
    """Ordinary points at every size, points of all scales at the first, and sizes beyond the whole numbers of the code.

    Raises:
      BadShapes: a domain gives what it should not.
    """
    rng, found = np.random.default_rng(seed), []

    def at(kind: str, sizes: dict[str, int], scale: Callable[[str], float] | None = None) -> At:
        values = arguments.draw(sizes, rng, scale)
        return At(kind, sizes, {p: exactly(a) if a.dtype.kind == "f" else a for p, a in values.items()})

    sizes = arguments.sizes()
    for one in sizes:
        count = sum(math.prod(array.shape(one)) for array in arguments.arrays)
        found += [at("ordinary", one) for _ in range(ORDINARY if count < MANY else 1)]
    often = [(one, values) for one in found[: 2 * ORDINARY : ORDINARY] for values in arguments.repeated(one.values)]
    found += [one._replace(kind="repeated", values=values) for one, values in often]
    found += [at("scaled", sizes[0], lambda path, s=s: s) for s in SCALES]
    for reach in (3, 3, 3, 3, 12, 12):
        each = {path: 10.0 ** rng.uniform(-reach, reach) for path in arguments.floating}
        found.append(at("scaled", sizes[0], lambda path, each=each: each.get(path, 1.0)))
    found += [at("sizes", one) for one in _beyond(arguments, program)]
    return found if most is None else _first(found, most)


def _first(points: list[At], most: int) -> list[At]:
    """As many points as hold so many numbers, the smallest sizes first, and two at least."""
    points = sorted(points, key=lambda one: sum(np.size(a) for a in one.values.values()))
    counts = np.cumsum([sum(np.size(a) for a in one.values.values()) for one in points])
    return points[: max(2, int(np.searchsorted(counts, most, side="right")))]


def _beyond(arguments: Arguments, program: Any) -> Iterator[dict[str, int]]:
    """Sizes with one letter larger than a whole number of the code, where they are not too large to be followed."""
    known = [n for draw in arguments.sizes() for n in draw.values()]
    numbers = sorted({int(n) for n in constants(program.function) if n in WHOLE and n >= max(known, default=0)})
    for n in numbers[-2:]:
        for letter in arguments.letters:
            sizes = {other: max(2, arguments.least.get(other, 1)) for other in arguments.letters} | {letter: n + 1}
            if sum(int(np.prod(array.shape(sizes), dtype=int)) for array in arguments.arrays) <= MOST_ENTRIES:
                yield sizes


def reach(program: Any) -> float | None:
    """How large the numbers of a point may be where the code has a number such as -1e9 that stands for infinity.

    So far below it that products of several of them stay below it as well; None where there is no such number.
    """
    masks = [abs(n) for n in constants(program.function) if isinstance(n, float) and MASK <= abs(n) < float("inf")]
    return min(masks) ** (1 / 6) if masks else None


def within(at: At, largest: float | None) -> bool:
    """Whether the numbers of a point are no larger than that."""
    arrays = (floats(a) for a in at.values.values() if np.asarray(a).dtype == object)
    return largest is None or all(np.all(abs(a) <= largest) for a in arrays)


def constants(function: Any) -> list[int | float]:
    """The numbers in the code of a function and of those of its module that it calls."""
    found: list[int | float] = []
    seen: set[int] = set()
    todo: list[Any] = [inspect.unwrap(getattr(function, "func", getattr(function, "fun", function)))]
    while todo:
        one = todo.pop()
        if isinstance(one, int | float | np.floating) and not isinstance(one, bool):
            found.append(float(one) if isinstance(one, np.floating) else one)
        elif isinstance(one, types.CodeType):
            todo += one.co_consts
        elif isinstance(one, tuple):
            todo += one
        elif isinstance(one, types.FunctionType) and id(one) not in seen:
            seen.add(id(one))
            names = global_names(one.__code__)
            todo += [one.__code__, one.__defaults__ or (), tuple((one.__kwdefaults__ or {}).values())]
            inside = [one.__globals__[name] for name in names if name in one.__globals__]
            inside += [cell.cell_contents for cell in one.__closure__ or () if filled(cell)]
            todo += [
                v
                for v in inside
                if isinstance(v, int | float | np.floating) or getattr(v, "__module__", None) == one.__module__
            ]
        else:
            inside = (getattr(one, name, None) for name in ("__wrapped__", "fun"))
            todo += [v for v in inside if v is not None][:1]
    return found


class Search:
    """Looks for points that enter the branches that were not seen yet."""

    def __init__(self, question: Question, branches: Branches, start: At, seed: int):
        self.question, self.branches, self.start = question, branches, start
        self.rng, self.left, self.started = np.random.default_rng([seed, 11]), RUNS, time.process_time()
        self.domains = {array.path: array.domain for array in question.arguments.arrays}
        self.smooth = [path for path, domain in self.domains.items() if isinstance(domain, str) and domain in SMOOTH]

    def found(self) -> list[At]:
        """The points: those that enter a new side, and those close to each threshold, on both sides."""
        if not self.smooth or not self.branches.outcomes:
            return []
        found = list(self._signs())
        for key in list(self.branches.outcomes):
            found += self._towards(key)
        return found

    def _signs(self) -> Iterable[At]:
        """All numbers positive, all negative, and all equal: what is kept where it enters something new."""
        reals = [path for path in self.smooth if self.domains[path] == "real"]
        for change in (abs, lambda a: -abs(a), lambda a: a * 0 + a.ravel()[0] if a.size else a):
            at = self._moved({path: change(self.start.values[path]) for path in reals})
            if self._enters(at):
                yield at

    def _enters(self, at: At) -> bool:
        """Whether a point has an outcome that was not seen."""
        seen = self._look(at)
        known = self.branches.outcomes
        return seen is not None and any(not some <= known.get(key, set()) for key, some in seen.outcomes.items())

    def _towards(self, key: Key) -> list[At]:
        """Points on both sides of a threshold, close to it, on lines through the start."""
        found: list[At] = []
        missing = len(self.branches.outcomes[key]) == 1
        first = self._look(self.start)
        if first is None or not first.margins.get(key):
            return found
        index = int(np.argmin([abs(float(m)) for m in first.margins[key]]))
        for _ in range(LINES if missing else 1):
            directions = {path: self._direction(path) for path in self.smooth}
            crossing = self._crossing(key, index, first.margins[key][index], directions)
            if crossing:
                found += [self._along(directions, t) for t in crossing]
                break
        return found

    def _crossing(
        self, key: Key, index: int, margin: flint.arb, directions: dict[str, np.ndarray]
    ) -> tuple[float, float] | None:
        """Two points on a line between which the difference changes its sign, by the secant rule."""
        t0, m0, t1 = 0.0, margin, 0.5
        for _ in range(STEPS):
            seen = self._look(self._along(directions, t1))
            margins = seen.margins.get(key, []) if seen is not None else []
            if len(margins) <= index:
                return None
            m1 = margins[index]
            if m1 * margin < 0:
                return self._narrowed(key, index, margin, directions, t1)
            with precision(BITS):
                step = float(-m1 * (t1 - t0) / (m1 - m0))
            if not abs(step) < FARTHEST:
                return None
            t0, m0, t1 = t1, m1, t1 + 1.5 * step
        return None

    def _narrowed(
        self, key: Key, index: int, margin: flint.arb, directions: dict[str, np.ndarray], beyond: float
    ) -> tuple[float, float]:
        """Bisection between the start and a point beyond the threshold."""
        low, high = 0.0, beyond
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            seen = self._look(self._along(directions, middle))
            margins = seen.margins.get(key, []) if seen is not None else []
            if len(margins) <= index:
                break
            low, high = (low, middle) if margins[index] * margin < 0 else (middle, high)
        return low, high

    def _direction(self, path: str) -> np.ndarray:
        values = self.start.values[path]
        along = np.asarray(self.rng.normal(size=np.shape(values)))
        if self.domains[path] == "real":
            return along
        return np.asarray(0.9 * abs(np.tanh(along)) * floats(values))

    def _along(self, directions: dict[str, np.ndarray], t: float) -> At:
        moved = {}
        for path, along in directions.items():
            at, domain = self.start.values[path], self.domains[path]
            step = t if domain == "real" else max(t, -1.0) if domain == "positive" else -min(abs(t), 1.0)
            moved[path] = at + exactly(np.asarray(along * step))
        return self._moved(moved)

    def _moved(self, values: dict[str, Any]) -> At:
        whole = {path: np.asarray(a, object) for path, a in values.items()}
        return At("branch", self.start.sizes, dict(self.start.values) | whole)

    def _look(self, at: At) -> Seen | None:
        """The comparisons at a point, none of which counts as seen."""
        if self.left <= 0 or time.process_time() - self.started > SECONDS:
            return None
        self.left -= 1
        return looked(self.question, at, self.branches)
