"""A user's function run on floats at some points, as it stands and under an edit, beside what is right there."""

import ast
import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.repairs.pool import Edit, Pool
from twolayer.verification.explain.repairs.sites import HANDED, Edited
from twolayer.verification.numbers.balls import floats
from twolayer.verification.programs import Refused
from twolayer.verification.programs.execution import quiet
from twolayer.verification.programs.numpy_code import mapped, run_floats

EXACT = 1e-11  # of floats that are computed in two ways; more where the user's own floats are further from his balls
SECONDS = 8.0  # of work
NOISE = 1e-7  # the most that the user's floats may differ from his balls


class Repair(NamedTuple):
    """An edit that makes everything right, with the constants that it takes at each point, 1 where it has none."""

    edit: Edit
    numbers: tuple[float, ...]


class Point(NamedTuple):
    """A point: its sizes, how the edited function is called there, what is right and what comes out.

    tolerance: how close is equal there; closer than the user's floats are to his balls nothing can be. arrays: those of
      the reference, by which the edits of the last stages are made.
    """

    sizes: Mapping[str, int]
    call: Callable[[], dict[str, np.ndarray]]
    right: dict[str, np.ndarray]
    mine: dict[str, np.ndarray]
    tolerance: float
    arrays: list[np.ndarray]


class Runs:
    """The runs of one function and of its edits.

    Args:
      question: what was asked (derivatives.Question).
      cases: both sides at ordinary points (derivatives.Compared), the first one with something wrong.
      others: more of them, at which a repair must hold too.
      right: all numbers that the right computation meets at the first.
      cotangents: those of them that are the derivative by a whole array.
      seconds: of work.

    Raises:
      Refused: its code cannot be run so.
    """

    def __init__(
        self,
        question: Any,
        cases: Sequence[Any],
        others: Sequence[Any],
        right: Numbers,
        cotangents: Numbers,
        seconds: float = SECONDS,
    ):
        program, self.right, self.cotangents, self.seconds = question.program, right, cotangents, seconds
        self.started = time.process_time()
        jax = hasattr(program, "trace")
        for self.jax in (False, True) if jax else (False,):  # by NumPy, and by JAX itself where that knows too little
            try:
                self.edited = Edited(program, floats=jax and not self.jax)
                points = [(self._point(question, case), case) for case in cases]
                usable = [one for one in points if one[0].tolerance <= NOISE]
                if not usable:
                    raise Refused("its floats are too far from its balls")
                self.points, self.cases = [list(some) for some in zip(*usable, strict=True)]
                break
            except Refused:
                if self.jax == jax:
                    raise
        self.others = functools.cache(lambda: self._usable(question, others))  # made when they are asked for
        self.wrong = {name for name in self.points[0].right if not self.same(self.points[0], name)}
        if not self.wrong:
            raise Refused("its floats are not wrong")
        with self.running():
            runs = [self.edited.values(point.call)[1] for point in self.points]
        written = question.reference.program.literals() if question.reference is not None else ()
        constants = (node.value for node in ast.walk(self.edited.source.tree) if isinstance(node, ast.Constant))
        numbers = [*written, *(n for n in constants if type(n) in (int, float)), 0.5, 1, 2, 3, 0]
        literals = [int(n) if n == int(n) else n for number in numbers for n in (number, -number)]
        module = next((name for name in ("np", "jnp") if name in self.edited.space), "numpy")
        self.pool = Pool(self.edited.sites, runs, list(dict.fromkeys(literals)), right, module)
        self.scalars: dict[int, list[tuple[str, tuple[float, ...]]]] = {}  # by the site at which they are at hand
        self.order = {site: i for i, site in enumerate(s for s in runs[0] if s >= 0)}

    def _point(self, question: Any, case: Any) -> Point:
        again = question.again
        given = run_floats(lambda *given: given, tuple(again.given(case.at)), "float64")
        function = again.of(self.edited.function)

        def call() -> dict[str, np.ndarray]:
            result = again.named(function(*mapped(given, _copied)))
            return zero | {name: np.asarray(array, np.float64) for name, array in result.items()}

        mine = {name: floats(array) for name, array in case.mine.items()}
        zero = {name: array for name, array in mine.items() if not array.any()}  # it may be left out
        right = {name: floats(array) for name, array in case.right.items()}
        try:
            with self.running():
                found = call()
        except Exception as error:  # what cannot run apart from its file
            raise Refused(f"it cannot be run on its own: {error}") from error
        alike = found.keys() == mine.keys() and all(found[n].shape == mine[n].shape for n in found)
        noise = max((distance(found[name], mine[name]) for name in found), default=0.0) if alike else math.inf
        return Point(case.at.sizes, call, right, mine, max(EXACT, 30 * noise), [])

    def _usable(self, question: Any, cases: Sequence[Any]) -> list[Point]:
        """The points at which floats can be run, near enough to the balls: not where a matrix becomes singular."""
        found: list[Point] = []
        for case in cases:
            with contextlib.suppress(Refused):
                found.append(self._point(question, case))
        return [point for point in found if point.tolerance <= 100 * EXACT]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Under which the edited code is run."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet())
            if self.jax:
                import jax

                stack.enter_context(jax.enable_x64(True))
                stack.enter_context(jax.disable_jit())
            yield

    def same(self, point: Point, name: str, found: Mapping[str, np.ndarray] | None = None) -> bool:
        a, b, mine = (found or point.mine).get(name), point.right[name], point.mine[name]
        return a is not None and a.shape == b.shape and distance(a, b, mine) <= point.tolerance

    def fits(self, point: Point, found: Mapping[str, np.ndarray] | None) -> bool:
        return found is not None and all(self.same(point, name, found) for name in point.right)

    def under(self, edit: Edit, number: float, point: Point) -> dict[str, np.ndarray] | None:
        """The outputs under an edit; None where the code then raises."""
        try:
            return self.edited.under(edit.site, edit.text, number, point.arrays, point.call)
        except Exception:  # an edit of another shape, a name that is not set yet
            return None

    def seen(self, repair: Repair) -> dict[int, Any]:
        """The values of all expressions at the first point under a repair."""
        with self.running():
            return self.edited.values(lambda: self.under(repair.edit, repair.numbers[0], self.points[0]))[1]

    def was_and_is(self, repair: Repair) -> tuple[bool, bool, bool]:
        """Whether what a line makes is right as it stands; when it is repaired; and then the derivative by an array."""
        site, one = repair.edit.site, self.edited.sites[repair.edit.site].statement
        seen, is_right = self.seen(repair), self.pool.is_right
        alias = isinstance(one, ast.Assign) and isinstance(one.value, ast.Name) and not hasattr(one, HANDED)
        another = is_right(site, seen, self.cotangents)
        made = another and not is_right(site, right=self.cotangents)  # it was right as something else
        values = self.pool.runs[0].get(site, ()), seen.get(site, ())
        made = made or any(np.shape(a) != np.shape(b) for a, b in zip(*values, strict=False))
        return is_right(site) and not (alias or made), is_right(site, seen) or alias, another

    def by_size(self, numbers: Sequence[float]) -> bool:
        """Whether a constant is the same at points of one size."""
        first = self.points[0].sizes
        return len({round(c, 9) for c, p in zip(numbers, self.points, strict=True) if p.sizes == first}) == 1


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def distance(a: np.ndarray, b: np.ndarray, scale: np.ndarray | None = None) -> float:
    """The largest difference of two arrays of one shape, relative to the largest entry of the second, or of a third."""
    if not a.size:
        return 0.0
    if not np.isfinite(a).all():
        return math.inf
    largest = max(np.abs(b).max(), 1e-290, 0.0 if scale is None else np.nan_to_num(np.abs(scale)).max())
    return float(np.abs(a - b).max() / largest)
