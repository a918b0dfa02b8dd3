"""The edits of a user's code that are tried: one expression, and a text in his own names that takes its place.

Stages, the fewer changes first: a constant, an index, a name, a transposition, a part of itself, another function of its
kind; then a factor or a derivative that is missing; then a term. What is put in comes from the expressions of the same
function, so that it can be said in the user's words.
"""

import ast
import copy
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain.sites import Site

LONGEST = 48  # characters of an expression that is put in elsewhere


class Edit(NamedTuple):
    """An expression by its number, and the text in its place; `__v__` is its value, `__c__` a constant.

    id: of the cause. said: the cause in words, of {old} and {new}. solves: whether `__c__` is solved for, a factor on
    what is there or the size of a term; the outputs are linear in it.
    """

    site: int
    text: str
    id: str = ""
    said: str = "`{old}` should be `{new}`"
    stage: int = 1
    solves: bool = False


class Known(NamedTuple):
    """An expression that can be put in somewhere, and its value when it was last met."""

    text: str
    value: Any

    @property
    def is_plain(self) -> bool:
        """Whether it is a variable or an entry of one."""
        return isinstance(ast.parse(self.text, mode="eval").body, (ast.Name, ast.Subscript, ast.Attribute))

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @property
    def kind(self) -> str:
        return np.asarray(self.value).dtype.kind

    @property
    def key(self) -> tuple:
        return self.shape, self.kind, np.asarray(self.value).tobytes()


class Pool:
    """What every expression was at each point, and what is at hand where it stands.

    Args:
      sites: all expressions.
      runs: what was seen, for each point: the values by site, and the variables at hand.
      numbers: what a constant may be.
    """

    def __init__(self, sites: Sequence[Site], runs: Sequence[Mapping[int, Any]], numbers: Sequence[float]):
        self.sites, self.runs, self.numbers = sites, runs, numbers
        self.expressions: dict[int, list[Known]] = {}
        for i, values in runs[0].items():
            if i >= 0 and len(sites[i].text) <= LONGEST and not _is_number(sites[i].node) and values[-1] is not None:
                self.expressions.setdefault(id(sites[i].function), []).append(Known(sites[i].text, values[-1]))
        self.whole = {id(site.statement): i for i, site in enumerate(sites) if site.whole and -1 - i in runs[0]}
        self._known: dict[int, list[Known]] = {}

    def known(self, site: int) -> list[Known]:
        """The variables at hand where a site stands, and the expressions of its function that are none of them."""
        statement = id(self.sites[site].statement)
        if statement not in self._known:
            at_hand = self.runs[0][-1 - self.whole[statement]] if statement in self.whole else {}
            found = [Known(name, value) for name, value in at_hand.items() if value is not None]
            values = {one.key for one in found}
            rest = self.expressions.get(id(self.sites[site].function), [])
            for one in sorted(rest, key=lambda one: len(one.text)):
                if one.key not in values and (not one.text.isidentifier() or not at_hand):
                    values.add(one.key)
                    found.append(one)
            self._known[statement] = found
        return self._known[statement]

    def scalars(self, site: int) -> Iterator[tuple[str, list[float]]]:
        """The numbers among them at every point."""
        statement = self.sites[site].statement
        hand = [run.get(-1 - self.whole.get(id(statement), 0), {}) for run in self.runs]
        for name in hand[0]:
            values = [one.get(name) for one in hand]
            if all(v is not None and np.ndim(v) == 0 for v in values):
                yield name, [float(v) for v in values]
        for i, other in enumerate(self.sites):
            values = [run.get(i, [None])[-1] for run in self.runs]
            if other.function is self.sites[site].function and not _is_number(other.node) and len(other.text) <= LONGEST:
                if all(v is not None and np.ndim(v) == 0 for v in values):
                    yield other.text, [float(v) for v in values]

    def at(self, site: int) -> Known | None:
        """A site's own value at the first point; None if they are no numbers."""
        values = self.runs[0].get(site)
        return Known(self.sites[site].text, values[-1]) if values and values[-1] is not None else None

    def disturbed(self, site: int) -> str | None:
        """A text that makes another value of an expression; None where it has no numbers."""
        own = self.at(site)
        if own is None:
            return None
        return {"f": "__v__ * -1.3 + 0.01", "b": "__v__ == False"}.get(own.kind, "__v__ + 1")


def edits(sites: Sequence[Site], pool: Pool, acting: Sequence[int]) -> Iterator[Edit]:
    """All edits of some expressions, stage by stage."""
    for number, stage in enumerate((_constants, _scaled, _exchanged, _parts, _accumulated), 1):
        yield from _stage(stage, number, sites, pool, acting)
    whole = [i for i in acting if sites[i].whole]
    rest = [i for i in acting if not sites[i].whole]
    for number, (stage, own) in enumerate(((_factors, whole), (_terms, whole), (_factors, rest)), 6):
        yield from _stage(stage, number, sites, pool, own)


def _stage(stage: Callable, number: int, sites: Sequence[Site], pool: Pool, acting: Sequence[int]) -> Iterator[Edit]:
    for i in acting:
        own = pool.at(i)
        if own is not None:
            yield from (edit._replace(stage=number) for edit in stage(i, sites[i], own, pool))


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant))


def _counts(site: Site) -> bool:
    """Whether an expression is an index, a bound of a slice, the length of a loop or an axis."""
    parent = site.parent
    called = getattr(parent.func, "id", getattr(parent.func, "attr", "")) if isinstance(parent, ast.Call) else ""
    inside = isinstance(parent, ast.Subscript) and site.node is not parent.value
    return called in ("range", "arange") or inside or isinstance(parent, (ast.Slice, ast.keyword))


def _constants(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another number: one more or less, one of the reference, of the code, or a simple one."""
    if own.kind == "b":
        yield Edit(i, "__v__ == False", "derivative", "the mask `{old}` is the wrong way round")
    yield from _repeated(i, site, pool)
    if own.shape or own.kind not in "if":
        return
    if _counts(site):
        id = "other_factor" if isinstance(site.parent, ast.keyword) else "off_by_one"
        yield from (Edit(i, f"{site.text} {step} 1", id) for step in "+-")
    elif isinstance(site.node, ast.Constant):
        exponent = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Pow)
        for number in pool.numbers:
            if number != site.node.value:
                yield Edit(i, repr(number), "other_factor" if exponent else "literal")


def _repeated(i: int, site: Site, pool: Pool) -> Iterator[Edit]:
    """Another number in all places of a call where one stands, as the bounds of a clip."""
    numbers = [ast.unparse(n) for n in ast.walk(site.node) if isinstance(n, ast.Constant) and type(n.value) in (int, float)]
    if not isinstance(site.node, ast.Call):
        return
    id = "clip" if site.text.split("(")[0].endswith("clip") else "literal"
    for number in {n for n in numbers if numbers.count(n) > 1}:
        names = [one.text for one in pool.known(i) if not one.shape and one.kind == "f" and one.is_plain]
        for other in (*names, *map(repr, pool.numbers)):
            if other != number:
                yield Edit(i, re.sub(rf"(?<![\w.]){re.escape(number)}(?![\w.])", f"({other})", site.text), id)


def _scaled(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A constant factor, whatever it is."""
    if own.kind == "f" or (isinstance(site.node, ast.Constant) and not _counts(site)):
        yield Edit(i, "__c__ * __v__", "factor", solves=True)


# What is taken for one another.
TWINS = {
    "mean": "sum", "sum": "mean", "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum",
    "argmax": "argmin", "argmin": "argmax", "sin": "cos", "cos": "sin", "set": "add", "add": "set",
    "tril": "triu", "triu": "tril", "inv": "transpose", "std": "var", "var": "std",
}  # fmt: skip


def _exchanged(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another array of the same shape, the same one transposed or turned around, another function."""
    node, ndim = site.node, len(own.shape)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        for other in pool.known(i):
            if other.shape == own.shape and other.kind == own.kind and other.key != own.key:
                yield Edit(i, other.text, _kind_of_exchange(node, other.text))
            elif ndim == 2 and other.shape == own.shape[::-1] and other.kind == own.kind:
                yield Edit(i, f"{bracketed(other.text)}.T", "transposed")
    if isinstance(node, ast.Subscript):
        base = ast.unparse(node.value)
        yield from (Edit(i, text, "part") for text in (base, f"{base}[:, None]"))
        yield Edit(i, f"{base}[{ast.unparse(node.slice)}.argsort()]", "permuted")
    if own.kind in "fb" and ndim:
        turned = ["__v__.T"] if ndim == 2 else ["__v__.swapaxes(-1, -2)"] if ndim > 2 else []
        yield from (Edit(i, text, "transposed") for text in turned)
        yield from (Edit(i, f"__v__[{', '.join(['::-1'] * n)}]", "other_factor") for n in range(1, min(ndim, 2) + 1))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TWINS:
        twin = copy.deepcopy(node)
        twin.func.attr = TWINS[node.func.attr]
        yield Edit(i, ast.unparse(twin), "other_factor")


def _kind_of_exchange(node: ast.expr, other: str) -> str:
    """An index beside the right one of the same array, or another array."""
    name = ast.unparse(node.value) if isinstance(node, ast.Subscript) else None
    return "off_by_one" if name is not None and other.startswith(f"{name}[") else "other_factor"


def _parts(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A part of the expression in its place: a term, a factor, a power or a function too many."""
    for part in ast.walk(site.node):
        if part is not site.node and isinstance(part, ast.expr) and not isinstance(part, ast.Constant):
            yield Edit(i, ast.unparse(part), "other_factor")
    if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, (ast.Mult, ast.Div)):
        swapped = ast.BinOp(site.node.left, ast.Div() if isinstance(site.node.op, ast.Mult) else ast.Mult(), site.node.right)
        yield Edit(i, ast.unparse(swapped), "other_factor")
    yield Edit(i, "__v__**2", "other_factor")


def _accumulated(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """What is there already is kept; rows that occur twice count twice; rows in another order."""
    if not site.whole or own.kind != "f":
        return
    statement = site.statement
    target = _target(statement)
    if isinstance(statement, ast.Assign) and target:
        yield Edit(i, f"{target} + __v__", "path_missing", f"`{target} =` overwrites what is there; `+=` adds to it")
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Subscript):
        index = ast.unparse(statement.target.slice)
        said = f"rows that occur more than once in `{index}` count once; np.add.at counts all"
        yield Edit(i, f"({index}[:, None] == {index}) @ __v__", "path_missing", said)
    for other in pool.known(i):
        if other.kind == "i" and len(other.shape) == 1 and own.shape[:1] == other.shape:
            yield Edit(i, f"__v__[{other.text}]", "permuted")
            yield Edit(i, f"__v__[{other.text}.argsort()]", "permuted")


def _target(statement: ast.stmt) -> str | None:
    one = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return ast.unparse(one) if isinstance(one, (ast.Subscript, ast.Name, ast.Attribute)) else None


# Derivatives of activations by an array, and masks.
SLOPES = ("1 - {}", "1 - {}**2", "{} * (1 - {})", "({} > 0)", "({} <= 0)", "{}**2")


def _factors(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A factor, a divisor or a derivative that is missing."""
    if not own.shape and site.whole:
        for one in pool.known(i):
            sums = [f"{one.text}.sum(axis={axis})" for axis in range(len(one.shape))] if one.text.isidentifier() else []
            yield from (Edit(i, f"__v__ * {text}", "other_factor") for text in sums)
    if own.kind != "f" or isinstance(site.node, ast.Constant):
        return
    plain = [one for one in pool.known(i) if one.kind in "fb" and _fits_into(one, own) and one.key != own.key]
    for one in plain:
        text = bracketed(one.text)
        yield Edit(i, f"__v__ * {text}", "derivative_missing" if one.kind == "b" else "other_factor")
        if one.kind == "f":
            yield Edit(i, f"__v__ / {text}", "other_factor")
    for one in plain:
        if one.kind == "f" and one.is_plain:
            for slope in SLOPES:
                yield Edit(i, f"__v__ * ({slope.format(one.text, one.text)})", "derivative_missing")


def _terms(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A term that is missing, of any size: an array, a product of two, a mean or sum over an axis, a product of matrices."""
    if own.kind != "f":
        return
    known = [one for one in pool.known(i) if one.kind == "f"]
    near = [one for one in known if _fits_into(one, own)]
    names = [one for one in near if one.is_plain]
    texts = [one.text for one in near]
    for one in names:
        texts += [f"{one.text}.sum(axis={axis}, keepdims=True)" for axis in range(len(one.shape))]
    texts += [f"{a.text} * {b.text}" for a, b in itertools.combinations_with_replacement(names, 2)]
    flat = [one for one in known if len(one.shape) == 2 and one.text.isidentifier()]
    for a, b in itertools.product(flat, repeat=2) if len(own.shape) == 2 else ():
        texts += [f"{a.text}{s} @ {b.text}{t}" for s, t in (("", ""), (".T", ""), ("", ".T"))
                  if _product(a.shape[::-1] if s else a.shape, b.shape[::-1] if t else b.shape) == own.shape]  # fmt: skip
    for text in texts:
        yield Edit(i, f"__v__ + __c__ * ({text})", "path_missing", "a term with `{term}` is missing", solves=True)


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    return (a[0], b[1]) if a[1] == b[0] else None


def _fits_into(one: Known, own: Known) -> bool:
    """Whether an array has the shape of another, or is spread to it."""
    try:
        return np.broadcast_shapes(one.shape, own.shape) == own.shape or not own.shape
    except ValueError:
        return False


def bracketed(text: str) -> str:
    node = ast.parse(text, mode="eval").body
    return text if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) else f"({text})"
