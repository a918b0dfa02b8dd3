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
from twolayer.verification.explain.sites import HANDED, NUMBER, RIGHT, SETS, VALUE, Edited, Site, root
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
MEANT = "d|g|out|res|ret|total"  # how names of what is to be returned begin
DIGITS = 8  # and characters of a factor that somebody forgot
NOISE = 1e-7  # the most that the user's floats may differ from his balls


class Repair(NamedTuple):
    """An edit that makes everything right, with the constants that it takes at each point, 1 where it has none."""

    edit: Edit
    numbers: tuple[float, ...]


class Told(NamedTuple):
    """The line to be mended, the causes there as ids and sentences, and what it makes then, run by run."""

    line: int
    causes: list[tuple[str, str]]
    made: tuple[np.ndarray, ...]


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
        likely, told = False, math.inf  # whether a line is wrong, and the stage at which that is sure
        self.pool.reference = functools.cache(lambda: self._arrays(reference))
        with self.running():
            self.base, last = self.points[0].call(), 0
            for edit in edits(self.edited.sites, self.pool, self.acts):
                if ((likely or told < math.inf) and edit.stage > max(last, LAST)) or self._is_late():
                    break
                if edit.stage > told:
                    continue
                last = max(last, edit.stage)
                numbers = self._solved(edit) if edit.solves else self._tried(edit)
                if (
                    numbers is not None
                    and self._matters(edit, numbers[0])
                    and self._holds(edit, numbers)
                    and self._words(Repair(edit, numbers)) is not None
                ):
                    found.append(Repair(edit, numbers))
                    was, now, another = self._was_and_is(found[-1])
                    if edit.id != "path_missing" or self._by_size(numbers):
                        likely = likely or now or not was
                        told = edit.stage if another or not was or edit.stage < FACTORS else told
        return [one for one in found if one.edit.stage <= told]

    def _is_late(self) -> bool:
        return time.process_time() - self.started > self.seconds

    def _arrays(self, reference: Callable[[Any], list[tuple[str, np.ndarray]]]) -> list[tuple[str, np.ndarray]]:
        for point, case in zip(self.points, self.cases, strict=True):
            point.arrays[:] = [array for _, array in reference(case)]
        alike = len({len(point.arrays) for point in self.points}) == 1
        return reference(self.cases[0]) if alike else []

    def _matters(self, edit: Edit, c: float) -> bool:
        """Whether not any other constant does as well in the place of what is there; a factor of a bound need not."""
        first = self.points[0]
        return not edit.solves or VALUE in edit.text or not self._fits(first, self.under(edit, 1.7 * c + 0.3, first))

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

    def told(self, found: Sequence[Repair]) -> Told | None:
        """The line to be mended, and why; None where nothing can be said."""
        said = [(self._rank(one), one, words) for one in found if (words := self._words(one)) is not None]
        if not said:
            return None
        best = min(said, key=lambda one: one[0])[1]
        line = self._line(best)
        here = [(one, words) for _, one, words in said if self._line(one) == line]
        here.sort(key=lambda one: -len(self.edited.sites[one[0].edit.site].text) if one[0].edit.solves else 0)
        here.sort(key=lambda one: max(one[0].numbers) - min(one[0].numbers) > CLOSE)  # one constant before several
        causes: dict[str, str] = {}
        for one, (id, text) in here:
            if id:
                causes.setdefault(id, text + self._of_rule(self.edited.sites[one.edit.site]))
        return Told(line, list(causes.items()), self.pool.made(best.edit.site, self._seen(best)))

    def _seen(self, repair: Repair) -> dict[int, Any]:
        """The values of all expressions at the first point under a repair."""
        with self.running():
            return self.edited.values(lambda: self.under(repair.edit, repair.numbers[0], self.points[0]))[1]

    def _line(self, repair: Repair) -> int:
        """The line of an edit; of one of a variable that is returned, the line that made it."""
        site = self.edited.sites[repair.edit.site]
        moved = self._is_handed(repair) and VALUE in repair.edit.text and not hasattr(site.statement, HANDED)
        return _made_at(site) if moved else site.node.lineno

    def _is_handed(self, repair: Repair) -> bool:
        """Whether an edit is of a variable that is only handed on, and that is not the derivative by another array."""
        site = self.edited.sites[repair.edit.site]
        if hasattr(site.statement, HANDED):
            return True
        if not (isinstance(site.statement, ast.Return) and site.whole and isinstance(site.node, ast.Name)):
            return False
        made = any(not isinstance(part, (ast.Name, ast.Constant)) for part in returned_parts(site))
        uses = (n for n in ast.walk(site.function) if isinstance(n, ast.Name) and n.id == site.text)
        used = sum(isinstance(n.ctx, ast.Load) and n.lineno > _made_at(site) for n in uses)
        if (made and repair.edit.stage >= FACTORS) or used > 1:
            return False
        name = site.node.id.lower()
        wanted = [output[1:].rsplit(".")[-1].lower() for output in self.wrong]
        own = any(one in name or name.removeprefix("d") in one for one in wanted)
        meant = re.match(MEANT, name) is not None
        return own or (meant and not self.pool.is_right(repair.edit.site, right=self.cotangents))

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
        its reason somewhere else too; where no numbers tell, a sign is wrong where something is added or subtracted. A
        return of names hands on what was made before. A term that may be added after a loop is not missing inside. Of
        other lines that hand right numbers on, it is the last that should have changed them; a mean may be taken late.
        """
        site = repair.edit.site
        was, now, _ = self._was_and_is(repair)
        one = self.edited.sites[site]
        late = was or (repair.edit.id == "factor" and self._by_size(repair.numbers) and len(set(repair.numbers)) > 1)
        sums = any(isinstance(getattr(n, "op", None), SIGNS) for n in (one.node, one.parent))
        unlikely = repair.numbers[0] == -1 and not (sums or now)
        inside = repair.edit.id == "path_missing" and len(self.pool.runs[0][site]) > 1
        order = -self.order[site] if late else self.order[site]
        return self._is_handed(repair), self._is_odd(repair), was, not (was or now), unlikely, inside, order

    def _is_odd(self, repair: Repair) -> bool:
        """Whether a factor has many digits, or a term another size at each point: then its reason is somewhere else."""
        c = repair.numbers[0]
        many = VALUE in repair.edit.text and len(set(repair.numbers)) == 1 and len(f"{c:.12g}") > DIGITS
        return many or (repair.edit.id == "path_missing" and not self._by_size(repair.numbers))

    def _was_and_is(self, repair: Repair) -> tuple[bool, bool, bool]:
        """Whether what a line makes is right as it stands; when it is repaired; and then the derivative by an array."""
        site, one = repair.edit.site, self.edited.sites[repair.edit.site].statement
        seen, is_right = self._seen(repair), self.pool.is_right
        alias = isinstance(one, ast.Assign) and isinstance(one.value, ast.Name) and not hasattr(one, HANDED)
        another = is_right(site, seen, self.cotangents)
        made = another and not is_right(site, right=self.cotangents)  # it was right as something else
        values = self.pool.runs[0].get(site, ()), seen.get(site, ())
        made = made or any(np.shape(a) != np.shape(b) for a, b in zip(*values, strict=False))
        return is_right(site) and not (alias or made), is_right(site, seen) or alias, another

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
        if VALUE not in edit.text and not self._by_size(repair.numbers):
            return None
        if VALUE not in edit.text:
            return edit.id, f"`{old}` should be `{new.replace(NUMBER, constant)}`"
        id = edit.id if self._by_size(repair.numbers) else "other_factor"
        return id, f"`{old}` should be {'divided by' if '/' in edit.text else 'times'} {constant}"

    def _by_size(self, numbers: Sequence[float]) -> bool:
        """Whether a constant is the same at points of one size."""
        first = self.points[0].sizes
        return len({round(c, 9) for c, p in zip(numbers, self.points, strict=True) if p.sizes == first}) == 1

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
        simple = (1.0, *SIMPLE[1:], -2.0, -0.5)
        for k in dict.fromkeys((*simple, *(n * s for n in self.pool.numbers if n for s in simple[::2]))):
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


def returned_parts(site: Site) -> list[ast.expr]:
    """The parts of the tuple or dict that is returned around an expression."""
    value = site.statement.value if isinstance(site.statement, ast.Return) else None
    return value.values if isinstance(value, ast.Dict) else getattr(value, "elts", [])


def _made_at(site: Site) -> int:
    """The line of the last statement before an expression that sets the variable that it is."""
    before = [node for node in ast.walk(site.function) if isinstance(node, SETS) and node.lineno < site.node.lineno]
    targets = [(one, node.lineno) for node in before for one in getattr(node, "targets", [getattr(node, "target", 0)])]
    lines = [line for one, line in targets for part in getattr(one, "elts", [one]) if root(part) == site.text]
    return max(lines, default=site.node.lineno)


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
