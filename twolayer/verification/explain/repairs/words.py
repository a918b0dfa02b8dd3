"""What is told of repairs: the line to be mended, and an edit in words, with its constant as sizes and numbers."""

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.explain.repairs.pool import LONGEST, bracketed, is_number, with_parts
from twolayer.verification.explain.repairs.runs import Repair, Runs
from twolayer.verification.explain.repairs.sites import HANDED, NUMBER, RIGHT, SETS, VALUE, Site, root
from twolayer.verification.explain.repairs.stages import FACTORS
from twolayer.verification.numbers.factors import CLOSE, decimal

SIGNS = (ast.Add, ast.Sub)  # what a wrong sign is mistaken for
MEANT = "d|g|out|res|ret|total"  # how names of what is to be returned begin
DIGITS = 8  # characters of a factor that somebody forgot
SIMPLE = (1.0, -1.0, 2.0, 0.5)


class Told(NamedTuple):
    """The line to be mended, the causes there as ids and sentences, and what it makes then, run by run."""

    line: int
    causes: list[tuple[str, str]]
    made: tuple[np.ndarray, ...]


def told(runs: Runs, found: Sequence[Repair]) -> Told | None:
    """The line to be mended, and why; None where nothing can be said."""
    said = [(_rank(runs, one), one, words) for one in found if (words := in_words(runs, one)) is not None]
    if not said:
        return None
    best = min(said, key=lambda one: one[0])[1]
    line = _line(runs, best)
    here = [(one, words) for _, one, words in said if _line(runs, one) == line]
    here.sort(key=lambda one: -len(runs.edited.sites[one[0].edit.site].text) if one[0].edit.solves else 0)
    here.sort(key=lambda one: max(one[0].numbers) - min(one[0].numbers) > CLOSE)  # one constant before several
    causes: dict[str, str] = {}
    for one, (id, text) in here:
        if id:
            causes.setdefault(id, text + _of_rule(runs, runs.edited.sites[one.edit.site]))
    return Told(line, list(causes.items()), runs.pool.made(best.edit.site, runs.seen(best)))


def _line(runs: Runs, repair: Repair) -> int:
    """The line of an edit; of one of a variable that is returned, the line that made it."""
    site = runs.edited.sites[repair.edit.site]
    moved = _is_handed(runs, repair) and VALUE in repair.edit.text and not hasattr(site.statement, HANDED)
    return _made_at(site) if moved else site.node.lineno


def _is_handed(runs: Runs, repair: Repair) -> bool:
    """Whether an edit is of a variable that is only handed on, and that is not the derivative by another array."""
    site = runs.edited.sites[repair.edit.site]
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
    wanted = [output[1:].rsplit(".")[-1].lower() for output in runs.wrong]
    own = any(one in name or name.removeprefix("d") in one for one in wanted)
    meant = re.match(MEANT, name) is not None
    return own or (meant and not runs.pool.is_right(repair.edit.site, right=runs.cotangents))


def _of_rule(runs: Runs, site: Site) -> str:
    """Which part of a custom rule an expression belongs to; "" of no rule."""
    rule = getattr(runs.edited.function, "rule", None) or ()
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


def _rank(runs: Runs, repair: Repair) -> tuple:
    """The line that is wrong as it stands and right when it is repaired before others, then the first one.

    A factor of many digits is the rounding of a literal somewhere else; a term of another size at each point has
    its reason somewhere else too; where no numbers tell, a sign is wrong where something is added or subtracted. A
    return of names hands on what was made before. A term that may be added after a loop is not missing inside. Of
    other lines that hand right numbers on, it is the last that should have changed them; a mean may be taken late.
    """
    site = repair.edit.site
    was, now, _ = runs.was_and_is(repair)
    one = runs.edited.sites[site]
    late = was or (repair.edit.id == "factor" and runs.by_size(repair.numbers) and len(set(repair.numbers)) > 1)
    sums = any(isinstance(getattr(n, "op", None), SIGNS) for n in (one.node, one.parent))
    unlikely = repair.numbers[0] == -1 and not (sums or now)
    inside = repair.edit.id == "path_missing" and len(runs.pool.runs[0][site]) > 1
    order = -runs.order[site] if late else runs.order[site]
    return _is_handed(runs, repair), _is_odd(runs, repair), was, not (was or now), unlikely, inside, order


def _is_odd(runs: Runs, repair: Repair) -> bool:
    """Whether a factor has many digits, or a term another size at each point: then its reason is somewhere else."""
    c = repair.numbers[0]
    many = VALUE in repair.edit.text and len(set(repair.numbers)) == 1 and len(f"{c:.12g}") > DIGITS
    return many or (repair.edit.id == "path_missing" and not runs.by_size(repair.numbers))


def in_words(runs: Runs, repair: Repair) -> tuple[str, str] | None:
    """An id and a sentence; None for a constant that is another at each point and not known."""
    edit, site = repair.edit, runs.edited.sites[repair.edit.site]
    old, new = site.text, re.sub(r"\b__v__\b", bracketed(site.text), repair.edit.text)
    if not edit.solves:
        old, new = _with_what_is_around(site, ast.unparse(ast.parse(new, mode="eval")))
        return edit.id, edit.said.format(old=old, new=new)
    if RIGHT in edit.text:
        return edit.id, edit.said.format(old=old)
    constant = _constant_in_words(runs, repair)
    if constant is None:
        return None
    if edit.id == "path_missing":
        term = new.split(f"{NUMBER} * ")[1][1:-1]
        return edit.id, f"to `{old}` a term is missing: `{term}` times {constant}"
    if constant == "-1" or (edit.text == NUMBER and repair.numbers == tuple(-float(old) for _ in repair.numbers)):
        return "sign", f"`{old}` has the wrong sign"
    if VALUE not in edit.text and not runs.by_size(repair.numbers):
        return None
    if VALUE not in edit.text:
        return edit.id, f"`{old}` should be `{new.replace(NUMBER, constant)}`"
    id = edit.id if runs.by_size(repair.numbers) else "other_factor"
    return id, f"`{old}` should be {'divided by' if '/' in edit.text else 'times'} {constant}"


def _with_what_is_around(site: Site, new: str) -> tuple[str, str]:
    """An expression and what should stand there; of a number what it stands in, as an axis or a bound."""
    around = next((node for node in reversed(site.around) if isinstance(node, ast.expr)), None)
    if is_number(site.node) and isinstance(around, (ast.Call, ast.Subscript, ast.BinOp, ast.Compare)):
        old, changed = ast.unparse(around), with_parts(around, {site.node: new})
        if len(changed) <= LONGEST:
            return old, changed
    return site.text, new


def _constant_in_words(runs: Runs, repair: Repair) -> str | None:
    """A constant, or what it is at all points: sizes and numbers of the code."""
    c = repair.numbers
    if min(map(abs, c)) < CLOSE:
        return None  # that would be to leave it out
    if max(c) - min(c) <= CLOSE * max(map(abs, c)):
        near = Fraction(c[0]).limit_denominator(1000)
        return decimal(near) if float(near) == c[0] else f"{c[0]:.10g}"
    site = repair.edit.site
    if site not in runs.scalars:
        runs.scalars[site] = list(_scalars(runs, site))
    known = runs.scalars[site]
    simple = (1.0, *SIMPLE[1:], -2.0, -0.5)
    for k in dict.fromkeys((*simple, *(n * s for n in runs.pool.numbers if n for s in simple[::2]))):
        for text, values in known:
            if all(abs(a - k * b) <= CLOSE * abs(a) for a, b in zip(c, values, strict=True)):
                return text if k == 1 else f"{k:g} * {text}"
    return None


def _scalars(runs: Runs, site: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Numbers at hand at every point, and what is made of them: sizes, norms."""
    letters = {name: tuple(float(point.sizes[name]) for point in runs.points) for name in runs.points[0].sizes}
    known = letters | dict(runs.pool.scalars(site))
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
