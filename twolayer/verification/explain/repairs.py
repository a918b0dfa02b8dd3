"""Where and why: which one edit of the user's code makes all that is wrong right, and leaves right what is?

The user's functions run on floats, again and again, each time with one expression changed (sites.py): multiplied with a
constant that is solved for, put in place of another, transposed, cut down to a part of itself, multiplied with or added
to what else is at hand. An edit counts if it gives the right outputs at every point and size that is tried, so what is
told is a repair that works. Where several lines can be repaired, it is the one whose value is wrong before and right
after, by the numbers of the right computation.
"""

import ast
import contextlib
import functools
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.edits_of import FACTORS, Edit, Pool, bracketed, edits
from twolayer.verification.explain.sites import NUMBER, RIGHT, VALUE, Edited, Site
from twolayer.verification.numbers.balls import floats
from twolayer.verification.numbers.factors import CLOSE, decimal
from twolayer.verification.programs import Refused
from twolayer.verification.programs.execution import quiet
from twolayer.verification.programs.numpy_code import mapped, run_floats
from twolayer.verification.programs.source import number_of

EXACT = 1e-11  # of floats that are computed in two ways; more where the user's own floats are further from his balls
SECONDS = 8.0  # of work
SIMPLE = (1.0, -1.0, 2.0, 0.5)
LAST = 7  # the last stage that is looked at where all that can be mended is right as it stands
STEPS = 8  # of the secants
SIGNS = (ast.Add, ast.Sub)  # what a wrong sign is mistaken for
DIGITS = 8  # and characters of a factor that somebody forgot
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


class Repairs:
    """The search for edits of one function.

    Args:
      question: what was asked (derivatives.Question).
      cases: both sides at ordinary points (derivatives.Compared), the first one with something wrong.
      others: more of them, at which a repair must hold too.
      right: all numbers that the right computation meets at the first.
      cotangents: those of them that are the derivative by a whole array.

    Raises:
      Refused: its code cannot be run so.
    """

    def __init__(self, question: Any, cases: Sequence[Any], others: Sequence[Any], right: Numbers, cotangents: Numbers):
        program, self.cases, self.right, self.cotangents = question.program, cases, right, cotangents
        self.started = time.process_time()
        jax = hasattr(program, "trace")
        for self.jax in (False, True) if jax else (False,):  # by NumPy, and by JAX itself where that knows too little
            try:
                self.edited = Edited(program, floats=jax and not self.jax)
                self.points = [self._point(question, case) for case in cases]
                if max(point.tolerance for point in self.points) > NOISE:
                    raise Refused("its floats are too far from its balls")
                break
            except Refused:
                if self.jax == jax:
                    raise
        self.others = functools.cache(lambda: self._usable(question, others))  # made when they are asked for
        self.wrong = {name for name in self.points[0].right if not self._same(self.points[0], name)}
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
        noise = max((_distance(found[name], mine[name]) for name in found), default=0.0) if alike else math.inf
        return Point(case.at.sizes, call, right, mine, max(EXACT, 30 * noise), [])

    def _usable(self, question: Any, cases: Sequence[Any]) -> list[Point]:
        """The points at which floats can be run, near enough to the balls: not where a matrix becomes singular."""
        found: list[Point] = []
        for case in cases:
            with contextlib.suppress(Refused):
                found.append(self._point(question, case))
        return [point for point in found if point.tolerance <= NOISE]

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

    def _same(self, point: Point, name: str, found: Mapping[str, np.ndarray] | None = None) -> bool:
        a, b, mine = (found or point.mine).get(name), point.right[name], point.mine[name]
        return a is not None and a.shape == b.shape and _distance(a, b, mine) <= point.tolerance

    def _fits(self, point: Point, found: Mapping[str, np.ndarray] | None) -> bool:
        return found is not None and all(self._same(point, name, found) for name in point.right)

    def under(self, edit: Edit, number: float, point: Point) -> dict[str, np.ndarray] | None:
        """The outputs under an edit; None where the code then raises."""
        try:
            return self.edited.under(edit.site, edit.text, number, point.arrays, point.call)
        except Exception:  # an edit of another shape, a name that is not set yet
            return None

    def found(self, reference: Callable[[Any], list[tuple[str, np.ndarray]]]) -> list[Repair]:
        """The repairs of the fewest changes; more where those add something to lines alone that are right already.

        reference: from a case to the arrays of the right reverse pass there, with the lines that they belong to.
        """
        found: list[Repair] = []
        told = False  # whether no factor or term is found, or of a line that is wrong, or makes the derivative then
        self.pool.reference = functools.cache(lambda: self._arrays(reference))
        with self.running():
            self.base, last = self.points[0].call(), 0
            for edit in edits(self.edited.sites, self.pool, self.acts):
                if (
                    (told and edit.stage > last)
                    or (found and edit.stage > max(last, LAST))
                    or time.process_time() - self.started > SECONDS
                ):
                    break
                last = edit.stage
                numbers = self._solved(edit) if edit.solves else self._tried(edit)
                if (
                    numbers is not None
                    and self._holds(edit, numbers)
                    and self._words(Repair(edit, numbers)) is not None
                ):
                    found.append(Repair(edit, numbers))
                    was, _, another = self._was_and_is(found[-1])
                    told = told or another or not was or edit.stage < FACTORS
        return found

    def _arrays(self, reference: Callable[[Any], list[tuple[str, np.ndarray]]]) -> list[tuple[str, np.ndarray]]:
        for point, case in zip(self.points, self.cases, strict=True):
            point.arrays[:] = [array for _, array in reference(case)]
        alike = len({len(point.arrays) for point in self.points}) == 1
        return reference(self.cases[0]) if alike else []

    def _holds(self, edit: Edit, numbers: Sequence[float]) -> bool:
        """Whether an edit is right at the other points too; a constant that depends on sizes is not asked there."""
        points = self.others() if len(set(numbers)) == 1 and RIGHT not in edit.text else []
        return all(self._fits(point, self.under(edit, numbers[0], point)) for point in points)

    def acts(self, site: int) -> bool:
        """Whether all wrong outputs, and no right one, depend on an expression."""
        text = self.pool.disturbed(site)
        other = None if text is None else self.under(Edit(site, text), 0.0, self.points[0])
        if other is None:
            return True
        moved = {n for n, a in self.base.items() if n not in other or other[n].shape != a.shape
                 or _distance(other[n], a) > self.points[0].tolerance}  # fmt: skip
        return moved == self.wrong

    def _tried(self, edit: Edit) -> tuple[float, ...] | None:
        return (1.0,) * len(self.points) if all(self._fits(p, self.under(edit, 1.0, p)) for p in self.points) else None

    def _solved(self, edit: Edit) -> tuple[float, ...] | None:
        """The constant at each point with which an edit, in which it is linear, gives what is right."""
        numbers: list[float] = []
        for point in self.points:
            c = numbers[-1] if numbers else None
            if c is None or not self._fits(point, self.under(edit, c, point)):
                c = self._constant(edit, point)
                if c is None or not self._fits(point, self.under(edit, c, point)):
                    return None
            numbers.append(c)
        return tuple(numbers)

    def _constant(self, edit: Edit, point: Point) -> float | None:
        """The number with which an edit gives what is right, by least squares along a line, or by secants if it bends.

        What a loop carries along bends, and what a literal does.
        """
        wrong, literal = sorted(self.wrong & point.right.keys()), edit.text == NUMBER
        right = np.concatenate([np.ravel(point.right[name]) for name in wrong])
        bends = literal or len(self.pool.runs[0][edit.site]) > 1

        def off(c: float) -> np.ndarray | None:
            found = self.under(edit, c, point)
            if found is None or any(
                name not in found or found[name].shape != point.right[name].shape for name in wrong
            ):
                return None
            rest = np.concatenate([np.ravel(found[name]) for name in wrong]) - right
            return rest if np.isfinite(rest).all() else None

        as_it_is = 0.0 if "+" in edit.text else 1.0
        if literal:
            as_it_is = float(number_of(self.edited.sites[edit.site].node) or 0)
        tried = not literal and (bends or edit.id == "factor")  # a product that bends has a sign too
        for c in SIMPLE if tried else ():
            if self._fits(point, self.under(edit, c, point)):
                return c
        a, b = as_it_is, as_it_is * 1.01 + 1e-9 if literal else 1.0 - as_it_is
        at_a = np.concatenate([np.ravel(point.mine[name]) for name in wrong]) - right if VALUE in edit.text else off(a)
        at_b = off(b)
        for _ in range(STEPS):
            if at_a is None or at_b is None or not (slope := (at_b - at_a) / (b - a)).any():
                return None
            c = b - float(slope @ at_b) / float(slope @ slope)
            straight = np.abs(at_b + (c - b) * slope).max() <= 1e-6 * np.abs(at_a).max()
            if not (straight or bends) or not math.isfinite(c) or (c == b and not straight):
                return None
            if straight and self._fits(point, self.under(edit, c, point)):
                near = float(Fraction(c).limit_denominator(1000))
                return near if abs(near - c) <= CLOSE * abs(c) else c
            a, at_a, b, at_b = b, at_b, c, off(c)
        return None

    def told(self, found: Sequence[Repair]) -> tuple[int, list[tuple[str, str]]] | None:
        """The line to be mended, and the causes there as ids and sentences."""
        said = [(self._rank(one), one, words) for one in found if (words := self._words(one)) is not None]
        if not said:
            return None
        line = self.edited.sites[min(said, key=lambda one: one[0])[1].edit.site].node.lineno
        here = [(one, words) for _, one, words in said if self.edited.sites[one.edit.site].node.lineno == line]
        here.sort(key=lambda one: -len(self.edited.sites[one[0].edit.site].text) if one[0].edit.solves else 0)
        here.sort(key=lambda one: max(one[0].numbers) - min(one[0].numbers) > CLOSE)  # one constant before several
        causes: dict[str, str] = {}
        for one, (id, text) in here:
            if id:
                causes.setdefault(id, text + self._of_rule(self.edited.sites[one.edit.site]))
        return line, list(causes.items())

    def _of_rule(self, site: Site) -> str:
        """Which part of a custom rule an expression belongs to; "" of no rule."""
        rule = getattr(self.edited.function, "rule", None) or ()
        names = [getattr(part, "__name__", "") for part in rule]
        name = getattr(site.function, "name", "")
        if len(rule) != 2 or name not in names:
            return ""
        returned = site.statement.value if isinstance(site.statement, ast.Return) else None
        kept = returned.elts[-1] if isinstance(returned, ast.Tuple) and name == names[0] else None
        for i, part in enumerate(kept.elts if isinstance(kept, ast.Tuple) else filter(None, [kept])):
            if any(node is site.node for node in ast.walk(part)):
                return f": residual {i + 1} of the forward rule"
        return f", in the {'forward' if name == names[0] else 'backward'} rule"

    def _rank(self, repair: Repair) -> tuple:
        """The line that is wrong as it stands and right when it is repaired before others, then the first one.

        A factor of many digits is the rounding of a literal somewhere else; a term of another size at each point has
        its reason somewhere else too; a sign is wrong where something is added or
        subtracted. A return of names hands on what was made before. Of other lines that hand right numbers on, it is
        the last that should have changed them; and a mean may be taken late.
        """
        site = repair.edit.site
        was, now, _ = self._was_and_is(repair)
        one = self.edited.sites[site]
        returned = one.statement.value if isinstance(one.statement, ast.Return) else None
        handed = returned is not None and one.whole and isinstance(one.node, ast.Name)
        if any(not isinstance(part, ast.Name) for part in getattr(returned, "elts", ())):  # something is made there
            handed = handed and repair.edit.stage < FACTORS and not (was and now)
        late = was or (repair.edit.id == "factor" and len(set(repair.numbers)) > 1)
        c = repair.numbers[0]
        odd = VALUE in repair.edit.text and len(set(repair.numbers)) == 1 and len(f"{c:.12g}") > DIGITS
        odd = odd or (repair.edit.id == "path_missing" and max(repair.numbers) - min(repair.numbers) > CLOSE)
        signed = repair.numbers[0] == -1 and any(
            isinstance(getattr(n, "op", None), SIGNS) for n in (one.node, one.parent)
        )
        return handed, odd, was, not (was or now), not signed, -self.order[site] if late else self.order[site]

    def _was_and_is(self, repair: Repair) -> tuple[bool, bool, bool]:
        """Whether what a line makes is right as it stands; when it is repaired; and then the derivative by an array."""
        site = repair.edit.site
        with self.running():
            seen = self.edited.values(lambda: self.under(repair.edit, repair.numbers[0], self.points[0]))[1]
        is_right = self.pool.is_right
        return is_right(site), is_right(site, seen), is_right(site, seen, self.cotangents)

    def _words(self, repair: Repair) -> tuple[str, str] | None:
        """An id and a sentence; None for a constant that is another at each point and not known."""
        edit, old = repair.edit, self.edited.sites[repair.edit.site].text
        new = re.sub(r"\b__v__\b", bracketed(old), edit.text)
        if not edit.solves:
            return edit.id, edit.said.format(old=old, new=ast.unparse(ast.parse(new, mode="eval")))
        if RIGHT in edit.text:
            return edit.id, edit.said.format(old=old)
        constant = self._constant_in_words(repair)
        if constant is None:
            return None
        if edit.id == "path_missing":
            term = new.split(f"{NUMBER} * ")[1][1:-1]
            return edit.id, f"to `{old}` a term is missing: `{term}` times {constant}"
        if constant == "-1" or (edit.text == NUMBER and repair.numbers == tuple(-float(old) for _ in repair.numbers)):
            return "sign", f"`{old}` has the wrong sign"
        if VALUE not in edit.text and edit.id == "derivative" and len(set(repair.numbers)) > 1:
            return None
        if VALUE not in edit.text:
            return edit.id, f"`{old}` should be `{new.replace(NUMBER, constant)}`"
        alike = len({round(c, 9) for c, point in zip(repair.numbers, self.points, strict=True)
                     if point.sizes == self.points[0].sizes}) == 1  # fmt: skip
        id = edit.id if alike else "other_factor"
        return id, f"`{old}` should be times {constant}"

    def _constant_in_words(self, repair: Repair) -> str | None:
        """A constant, or what it is at all points: sizes and numbers of the code."""
        c = repair.numbers
        if min(map(abs, c)) < CLOSE:
            return None  # that would be to leave it out
        if max(c) - min(c) <= CLOSE * max(map(abs, c)):
            near = Fraction(c[0]).limit_denominator(1000)
            return decimal(near) if float(near) == c[0] else f"{c[0]:.10g}"
        site = repair.edit.site
        if site not in self.scalars:
            self.scalars[site] = list(self._scalars(site))
        known = self.scalars[site]
        for k in (1.0, *SIMPLE[1:], -2.0, -0.5):
            for text, values in known:
                if all(abs(a - k * b) <= CLOSE * abs(a) for a, b in zip(c, values, strict=True)):
                    return text if k == 1 else f"{k:g} * {text}"
        return None

    def _scalars(self, site: int) -> Iterator[tuple[str, tuple[float, ...]]]:
        """Numbers at hand at every point, and what is made of them: sizes, norms."""
        letters = {name: tuple(float(point.sizes[name]) for point in self.points) for name in self.points[0].sizes}
        known = letters | dict(self.pool.scalars(site))
        known = {text: values for text, values in known.items() if all(values)}
        less = {f"({text} - 1)": tuple(v - 1 for v in values) for text, values in letters.items() if min(values) > 1}
        for rule, of in POWERS.items():
            for text, values in (known | less).items():
                yield rule.format(text), tuple(map(of, values))
        for (s, a), (t, b) in itertools.permutations((known | less).items(), 2):
            yield f"{s}/{t}", tuple(x / y for x, y in zip(a, b, strict=True))
            yield f"{s} * {t}", tuple(x * y for x, y in zip(a, b, strict=True))


POWERS: dict[str, Callable[[float], float]] = {
    "{}": lambda v: v, "1/{}": lambda v: 1 / v, "sqrt({})": lambda v: abs(v) ** 0.5,
    "1/sqrt({})": lambda v: abs(v) ** -0.5, "{}**2": lambda v: v * v, "1/{}**2": lambda v: 1 / (v * v),
}  # fmt: skip


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _distance(a: np.ndarray, b: np.ndarray, scale: np.ndarray | None = None) -> float:
    """The largest difference of two arrays of one shape, relative to the largest entry of the second, or of a third."""
    if not a.size:
        return 0.0
    if not np.isfinite(a).all():
        return math.inf
    largest = max(np.abs(b).max(), 1e-290, 0.0 if scale is None else np.nan_to_num(np.abs(scale)).max())
    return float(np.abs(a - b).max() / largest)
