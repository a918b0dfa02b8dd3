"""The edits of a user's code that are tried: one expression, and a text in his own names that takes its place.

Stages, the fewer changes first: a constant, an index, a name, a transposition, a part of itself, another function of
its kind; then a factor or a derivative that is missing; then a term. What is put in comes from the expressions of the
same function, so that it can be said in the user's words.
"""

import ast
import contextlib
import copy
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.sites import HANDED, MODULES, RIGHT, VALUE, Site, compiled, root
from twolayer.verification.programs.source import number_of

LONGEST = 48  # characters of an expression that is put in elsewhere
FACTORS = 5  # the stage at which a factor is added; before it something is put in another place
BARE = ("range", "len", "reversed", "float", "int", "list", "tuple", "enumerate", "print")
REDUCED = ("sum", "mean", "max", "min", "var", "std", "prod", "softmax", "log_softmax", "logsumexp", "cumsum", "argmax")
TRIPLES = 8  # arrays of one shape of which products of three are tried


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
      right: all numbers of the right computation at the first point.
      module: the name under which the code knows NumPy, or JAX's.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        runs: Sequence[Mapping[int, Any]],
        numbers: Sequence[float],
        right: Numbers,
        module: str,
    ):
        self.sites, self.runs, self.numbers, self.right, self.module = sites, runs, numbers, right, module
        self.reference: Callable[[], list[tuple[str, np.ndarray]]] = list
        self.expressions: dict[int, list[Known]] = {}
        for i, values in runs[0].items():
            if i >= 0 and len(sites[i].text) <= LONGEST and not _is_number(sites[i].node) and _is_finite(values[-1]):
                self.expressions.setdefault(id(sites[i].function), []).append(Known(sites[i].text, values[-1]))
        self.whole = {i: self._around(i) for i in range(len(sites))}
        self._known: dict[int, list[Known]] = {}
        self._entries: dict[int, list[Known]] = {}

    def _around(self, site: int) -> int | None:
        """The whole expression of a statement, or of a part of its tuple, that a site stands in."""
        numbered = (getattr(node, "site", -1) for node in (self.sites[site].node, *reversed(self.sites[site].around)))
        return next((i for i in numbered if i >= 0 and self.sites[i].whole and -1 - i in self.runs[0]), None)

    def known(self, site: int) -> list[Known]:
        """The variables at hand where a site stands, and the expressions of its function that are none of them."""
        whole = self.whole[site]
        if whole is None:  # of the statement after it that sets something, or the last one
            others = [i for i, one in enumerate(self.sites) if one.function is self.sites[site].function
                      and -1 - i in self.runs[0]]  # fmt: skip
            whole = next((i for i in others if i > site), others[-1] if others else None)
        key = -1 - site if whole is None else whole
        if key not in self._known:
            at_hand = {} if whole is None else self.runs[0][-1 - whole]
            found = [Known(name, value) for name, value in at_hand.items() if name and value is not None]
            values = {one.key for one in found}
            rest = self.expressions.get(id(self.sites[site].function), [])
            for one in sorted(rest, key=lambda one: len(one.text)):
                if one.key not in values and (not one.text.isidentifier() or not at_hand):
                    values.add(one.key)
                    found.append(one)
            self._known[key] = found
        return self._known[key]

    def entries(self, site: int) -> list[Known]:
        """Parts of the arrays at hand by the indices that the function has elsewhere, as y[t] where x[t] stands."""
        if site not in self._entries:
            arrays = {one.text: one.value for one in self.known(site)}
            inside = [node for node in ast.walk(self.sites[site].function) if isinstance(node, ast.Subscript)]
            indices = dict.fromkeys(ast.unparse(n.slice) for n in inside if not isinstance(n.slice, ast.Constant))
            texts = [
                f"{name}[{i}]" for name in arrays for i in indices if name.isidentifier() and np.ndim(arrays[name])
            ]
            found = self._entries[site] = []
            for text in texts:
                with contextlib.suppress(Exception):  # an index of another array
                    found.append(Known(text, eval(compiled(text), {"np": np}, arrays)))
        return [one for one in self._entries[site] if np.size(one.value)]

    def wider(self, site: int, own: Known) -> list[str]:
        """Factors besides arrays of the shape of a value: of an axis less, of more entries, parts of arrays."""
        around = self.whole[site]
        whole = None if around is None else self.at(around)
        shape = own.shape if whole is None else whole.shape
        arrays = [one for one in self.known(site) if one.kind == "f" and one.is_plain and one.shape]
        found = [one.text for one in self.entries(site) if one.kind == "f" and one.shape in (own.shape, ())]
        found += [one.text for one in arrays if own.shape and one.shape == shape != own.shape]
        less = [one.text for one in arrays if len(one.shape) + 1 == len(own.shape)]
        found += [f"{text}{index}" for text in less for index in ("[..., None]", "[:, None]")]
        ndim = len(own.shape)
        columns = [(one, axis) for one in arrays if len(one.shape) == 1 for axis in range(ndim - 1)]
        return found + [
            f"{one.text}[:{', None' * (ndim - 1 - axis)}]" for one, axis in columns
            if ndim > 2 and own.shape[axis] == one.shape[0]
        ]  # fmt: skip

    def called(self, site: int) -> list[str]:
        """The functions of one argument that the function around a site calls."""
        inside = (node for node in ast.walk(self.sites[site].function) if isinstance(node, ast.Call))
        texts = (ast.unparse(node.func) for node in inside if len(node.args) == 1 and not node.keywords)
        return [text for text in dict.fromkeys(texts) if re.fullmatch(r"[A-Za-z_][\w.]*", text) and text not in BARE]

    def is_right(self, site: int, run: Mapping[int, Any] | None = None, right: Numbers | None = None) -> bool:
        """Whether what the statement around a site makes is a right array of the computation, or of those given."""
        values = self.made(site, self.runs[0] if run is None else run)
        return bool(values) and all(v is not None and (right or self.right).all(v) for v in values)

    def made(self, site: int, run: Mapping[int, Any]) -> tuple[Any, ...]:
        """What the statement around a site makes, run by run, or at the end of all where it adds up."""
        whole = self.whole[site]
        if whole is None or -1 - whole not in run or run[-1 - whole][""] is None:
            return ()
        augmented = isinstance(self.sites[whole].statement, ast.AugAssign)
        return (run[-1 - whole][""],) if augmented else tuple(run[whole])

    def suspects(self, whole: Sequence[int]) -> list[int]:
        """The expressions of statements that make something else than a right array of right ones; what made those."""
        found, names, runs = [], set(), self.runs[0]
        parts = {i: [j for j in runs if j >= 0 and self.sites[i].node in (self.sites[j].node, *self.sites[j].around)]
                 for i in whole}  # fmt: skip
        for i in whole:
            used = [j for j in parts[i] if isinstance(self.sites[j].node, (ast.Name, ast.Attribute, ast.Subscript))]
            used = [j for j in used if np.ndim(v := runs[j][0]) and np.asarray(v).dtype.kind == "f"]
            rows = zip(runs[i], *(runs[j] for j in used), strict=False)
            rows = (row for row in rows if all(v is not None for v in row))
            wrong = next((row for row in rows if not self.right.all(row[0])), None)
            if used and wrong and all(map(self.right.all, wrong[1:])):
                found.append(i)
                names |= {(self.sites[i].function, root(self.sites[j].node)) for j in used}
        for i in (i for i in whole if i not in found):
            targets = getattr(self.sites[i].statement, "targets", [])
            found += [i] if names & {(self.sites[i].function, root(one)) for one in targets} else []
        return [j for i in found for j in parts[i]]

    def scalars(self, site: int) -> Iterator[tuple[str, tuple[float, ...]]]:
        """The numbers among them at every point."""
        whole = self.whole[site]
        hand = [{} if whole is None else run.get(-1 - whole, {}) for run in self.runs]
        for name in filter(None, hand[0]):
            values = _numbers([one.get(name) for one in hand])
            if values:
                yield name, values
        for i, other in enumerate(self.sites):
            values = _numbers([run.get(i, [None])[-1] for run in self.runs])
            beside = other.function is self.sites[site].function and not _is_number(other.node)
            if values and beside and len(other.text) <= LONGEST:
                if re.fullmatch(r"[\w.]+(\[-?\w+\])?|len\(\w+\)", other.text):
                    yield other.text, values

    def at(self, site: int) -> Known | None:
        """A site's own value at the first point; None if they are no numbers."""
        values = self.runs[0].get(site) if site >= 0 else None
        return Known(self.sites[site].text, values[-1]) if values and values[-1] is not None else None

    def disturbed(self, site: int) -> str | None:
        """A text that makes another value of an expression; None where it has no numbers."""
        own = self.at(site)
        if own is None:
            return None
        return {"f": "__v__ * -1.3 + 0.01", "b": "__v__ == False"}.get(own.kind, "__v__ + 1")


def edits(sites: Sequence[Site], pool: Pool, acting: Callable[[int], bool]) -> Iterator[Edit]:
    """All edits of the expressions that ran, stage by stage; after the first stage only of those that act."""
    kinds = {i: own.kind for i in pool.runs[0] if i >= 0 and (own := pool.at(i)) is not None}
    ran = list(kinds)
    yield from (edit for i, site in enumerate(sites) for edit in _backwards(i, site))
    yield from _stage(_accumulated, 1, sites, pool, [i for i in ran if sites[i].whole])
    yield from _stage(_constants, 2, sites, pool, sorted(ran, key=lambda i: kinds[i] != "f"))
    ran = sorted(filter(acting, ran), key=pool.is_right)  # the lines that are wrong already first
    whole = [i for i in ran if sites[i].whole]
    rest = [i for i in ran if not sites[i].whole]
    first = [i for i in pool.suspects(whole) if i in ran]
    near, far = [[i for i in some if i in first] for some in (whole, rest)]
    others, rest_of_others = [[i for i in some if i not in first] for some in (whole, rest)]
    handed = [i for i in ran if hasattr(sites[i].statement, HANDED)]  # a statement is missing before them
    ran = [i for i in ran if i not in handed]
    stages = ((_scaled, 2, ran), (_exchanged, 3, ran), (_parts, 4, ran), (_scaled, 4, handed),
              (_exchanged, 4, handed), (_factors, FACTORS, near), (_terms, 6, near),
              (_factors, 7, far), (_factors, FACTORS, others), (_terms, 6, others), (_factors, 7, rest_of_others),
              (_pairs, 8, whole), (_pairs, 9, rest), (_terms, 10, rest), (_removed, 10, rest))  # fmt: skip
    for stage, number, own in stages:
        yield from _stage(stage, number, sites, pool, own)
    for number, text in ((11, "__v__ + __c__ * {}"), (12, "__c__ * {}")):
        for i in whole:
            yield from (edit._replace(stage=number) for edit in _from_reference(i, pool, text))


def _backwards(i: int, site: Site) -> Iterator[Edit]:
    """A loop the other way round."""
    if isinstance(site.parent, (ast.For, ast.comprehension)) and site.node is site.parent.iter:
        if isinstance(site.node, ast.Call) and getattr(site.node.func, "id", "") in ("range", "reversed"):
            yield Edit(i, "list(__v__)[::-1]", "other_factor", "the loop over `{old}` should run the other way")


def _from_reference(i: int, pool: Pool, text: str) -> Iterator[Edit]:
    """What the right reverse pass has: as a term that is missing, or in the place of what is there."""
    own = pool.at(i)
    if own is None or own.kind != "f" or len(pool.runs[0][i]) > 1:
        return
    for k, (line, array) in enumerate(pool.reference()):
        said = f"to `{{old}}` a path is missing, that through `{line}`"
        id = "path_missing" if VALUE in text else ""
        if array.shape == own.shape:
            yield Edit(i, text.format(f"{RIGHT}[{k}]"), id, said, solves=True)
        elif array.shape == own.shape[::-1]:
            yield Edit(i, text.format(f"{RIGHT}[{k}].T"), id, said, solves=True)


def _stage(stage: Callable, number: int, sites: Sequence[Site], pool: Pool, acting: Sequence[int]) -> Iterator[Edit]:
    for i in acting:
        yield from (edit._replace(stage=number) for edit in stage(i, sites[i], pool.at(i), pool))


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    """The values as numbers; none if one of them is an array, or not known."""
    return tuple(map(float, values)) if all(v is not None and np.ndim(v) == 0 for v in values) else ()


def _is_finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value).all())


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant))


def _counts(site: Site) -> bool:
    """Whether an expression is an index, a bound of a slice, the length of a loop or an axis, or a part of one."""
    inner = site.node
    for outer in reversed(site.around):
        called = getattr(outer.func, "id", getattr(outer.func, "attr", "")) if isinstance(outer, ast.Call) else ""
        if called in ("range", "arange") or isinstance(outer, (ast.Slice, ast.keyword)):
            return True
        if isinstance(outer, ast.Subscript):
            return inner is not outer.value
        if not isinstance(outer, (ast.BinOp, ast.UnaryOp, ast.Tuple)):
            return False
        inner = outer
    return False


def _constants(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another number: one more or less, one of the reference, of the code, or a simple one."""
    if isinstance(site.node, ast.Constant) and own.kind == "b":
        yield Edit(i, "not __v__", "other_factor")
    elif own.kind == "b":
        yield Edit(i, "__v__ == False", "derivative", "the mask `{old}` is the wrong way round")
        yield from _compared(i, site)
    yield from _repeated(i, site, pool)
    yield from _windows(i, site, own, pool)
    if own.shape or own.kind not in "if":
        return
    if _axis(site.parent) is site.node and not isinstance(site.parent, ast.keyword):
        return
    if _counts(site):
        id = "other_factor" if isinstance(site.parent, ast.keyword) else "off_by_one"
        if not isinstance(site.parent, (ast.BinOp, ast.UnaryOp)):
            n = getattr(site.node, "value", None) if isinstance(site.node, ast.Constant) else None
            texts = (f"{site.text} + 1", f"{site.text} - 1") if n is None else (str(n + 1), str(n - 1))
            yield from (Edit(i, text, id) for text in texts)
    elif (value := number_of(site.node)) is not None:
        parent, id = site.parent, _kind_of_number(site, pool)
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and site.node is parent.right:
            numbers = [value + 1, value - 1, -value, value / 2]
        elif isinstance(parent, (ast.Compare, ast.Call)):
            numbers = pool.numbers
        else:
            numbers = [n for n in pool.numbers if type(n) is float and n > 0] if own.kind == "f" else []
        for number in numbers:
            if number != value:
                yield Edit(i, repr(number), "sign" if number == -value else id)
        if not isinstance(parent, ast.Compare):
            yield Edit(i, "__c__", id, solves=True)
    elif (
        isinstance(site.node, ast.UnaryOp) and _is_number(site.node) and isinstance(site.parent, ast.Call)
    ):  # as the -1 in np.roll(force, -1)
        yield Edit(i, ast.unparse(site.node.operand), "off_by_one" if own.kind == "i" else "sign")


COMPARED = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)  # comparisons that are taken for one another


def _compared(i: int, site: Site) -> Iterator[Edit]:
    """A comparison that takes equality the other way, or is the other way round."""
    node = site.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], COMPARED):
        for other in COMPARED:
            yield Edit(i, ast.unparse(ast.Compare(node.left, [other()], node.comparators)), "mask")


def _windows(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """The same number of entries of an array from another place on."""
    if not isinstance(site.node, ast.Subscript):
        return
    base = pool.at(getattr(site.node.value, "site", -1))
    if base is not None and own.shape and len(base.shape) == len(own.shape):
        more = [n - k for n, k in zip(base.shape, own.shape, strict=True)]
        for start in range(max(more) + 1) if 0 < max(more) <= 4 else ():
            index = ", ".join(f"{start}:{start} + __v__.shape[{k}]" if m else ":" for k, m in enumerate(more))
            yield Edit(i, f"{ast.unparse(site.node.value)}[{index}]", "part", "`{old}` should begin " + f"at {start}")


def _axis(node: ast.AST) -> ast.expr | None:
    """The axis, or several, along which a call works, as it is written."""
    if not isinstance(node, ast.Call):
        return None
    if ast.unparse(node.func).split(".")[-1] in REDUCED and node.args and number_of(node.args[-1]) is not None:
        return node.args[-1]
    return next((one.value for one in node.keywords if one.arg == "axis"), None)


def _axes(i: int, site: Site, pool: Pool) -> Iterator[Edit]:
    """Other axes that a call works along."""
    given, call = _axis(site.node), site.node
    if not isinstance(call, ast.Call) or given is None:
        return
    array = call.args[0] if call.args and call.args[0] is not given else getattr(call.func, "value", call)
    of = pool.at(getattr(array, "site", -1))
    written = [number_of(part) for part in getattr(given, "elts", [given])]
    ndim = len(of.shape) if of is not None and None not in written else 0
    for count in {len(written) - 1, len(written), len(written) + 1} - {0}:
        for axes in itertools.combinations(range(ndim), count):
            if {int(n or 0) % ndim for n in written} != {*axes}:
                yield Edit(i, _with(call, {given: str(axes if count > 1 else axes[0])}), "other_factor")


def _kind_of_number(site: Site, pool: Pool) -> str:
    """A factor, as 2 or the 1 in m - 1; a power; or another literal, as an epsilon."""
    parent = site.parent
    if isinstance(parent, ast.Compare):
        return "derivative"
    if not isinstance(parent, ast.BinOp):
        return "factor" if isinstance(parent, ast.UnaryOp) else "literal"
    if isinstance(parent.op, ast.Pow):
        return "other_factor"
    other = pool.at(getattr(parent.left if site.node is parent.right else parent.right, "site", -1))
    return "literal" if isinstance(parent.op, (ast.Add, ast.Sub)) and (other is None or other.kind == "f") else "factor"


def _repeated(i: int, site: Site, pool: Pool) -> Iterator[Edit]:
    """Another number in all places of a call where one stands, as the bounds of a clip."""
    numbers = [
        ast.unparse(n) for n in ast.walk(site.node) if isinstance(n, ast.Constant) and type(n.value) in (int, float)
    ]
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
    if own.kind == "f" and not isinstance(site.node, ast.Constant):
        divides = isinstance(getattr(site.parent, "op", None), ast.Div) and site.node is not getattr(
            site.parent, "left", 0
        )
        yield Edit(i, "__v__ / __c__" if divides else "__c__ * __v__", "factor", solves=True)
    if own.kind == "f" and own.shape and isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.Pow):
        power = number_of(site.node.right)
        for other in (power - 1, power + 1) if power else ():
            text = f"__c__ * {bracketed(ast.unparse(site.node.left))}**{other}"
            yield Edit(i, text, "derivative", "`{old}` should be `{new}`", solves=True)


# What is taken for one another.
TWINS = {
    "mean": "sum", "sum": "mean", "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum",
    "argmax": "argmin", "argmin": "argmax", "sin": "cos", "cos": "sin", "set": "add", "add": "set",
    "tril": "triu", "triu": "tril", "inv": "transpose", "std": "var", "var": "std", "pdf": "cdf", "cdf": "pdf",
    "fft": "ifft", "ifft": "fft", "rfft": "irfft", "irfft": "rfft", "fft2": "ifft2", "ifft2": "fft2",
    "floor": "ceil", "ceil": "floor", "cumsum": "cumprod", "cumprod": "cumsum", "sinh": "cosh", "cosh": "sinh",
}  # fmt: skip
OPERATORS = {ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mod, ast.Mod: ast.FloorDiv}


def _exchanged(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another array of the same shape, the same one transposed or turned around, another function."""
    node, ndim = site.node, len(own.shape)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        for other in (*pool.known(i), *pool.entries(i)):
            if other.shape == own.shape and other.kind == own.kind and other.key != own.key:
                yield Edit(i, other.text, _kind_of_exchange(site, other))
            elif (
                getattr(node, "attr", "") != "T"
                and ndim == 2
                and other.shape == own.shape[::-1]
                and other.kind == own.kind
            ):
                yield Edit(i, f"{bracketed(other.text)}.T", "transposed")
        if own.kind == "f":
            yield from (Edit(i, f"{called}(__v__)", "other_factor") for called in pool.called(i))
    if isinstance(node, ast.Subscript):
        base = ast.unparse(node.value)
        id = "other_factor" if "::" in site.text else "part"
        yield from (Edit(i, text, id) for text in (base, f"{base}[:, None]"))
        yield Edit(i, f"{base}[{ast.unparse(node.slice)}.argsort()]", "permuted")
    yield from _axes(i, site, pool)
    if own.kind == "c":
        yield Edit(i, "__v__.conj()", "other_factor", "the complex conjugate of `{old}` belongs there")
    if own.kind in "fb" and ndim:
        turned = ["__v__.T"] if ndim == 2 else ["__v__.swapaxes(-1, -2)"] if ndim > 2 else []
        yield from (Edit(i, text, "transposed") for text in turned)
        yield from (Edit(i, f"__v__[{', '.join(['::-1'] * n)}]", "other_factor") for n in range(1, min(ndim, 2) + 1))
        axes = [f"__v__.sum(axis={axis}, keepdims=True)" for axis in range(ndim)] if own.kind == "f" else []
        yield from (Edit(i, text, "path_missing", "`{old}` is not summed: `{new}`") for text in axes)
    if isinstance(node, ast.Call) and len(node.args) == 1 and ndim:
        yield Edit(i, f"{ast.unparse(node.func)}({ast.unparse(node.args[0])}[::-1])[::-1]", "other_factor")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TWINS:
        twin = ast.Attribute(node.func.value, TWINS[node.func.attr])
        id = "path_missing" if node.func.attr == "set" else "other_factor"
        yield Edit(i, ast.unparse(ast.Call(twin, node.args, node.keywords)), id)
        if node.func.attr == "sum" and len(node.args) < 2 and not node.keywords and not ndim:
            inner = ast.unparse(node.args[0] if node.args else node.func.value)
            yield Edit(i, f"{pool.module}.trace({inner})", "mask", "the diagonal of `{old}` alone counts: `{new}`")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) and not ndim:
        both = f"{ast.unparse(node.left)}, {ast.unparse(node.right)}"
        yield Edit(i, f"{pool.module}.outer({both})", "other_factor", "the outer product belongs there: `{new}`")
    if ndim == 2 and own.shape[0] == own.shape[1] and own.kind == "f":
        yield Edit(i, "(__v__ + __v__.T) / 2", "transposed")
        said = "one triangle of `{old}` alone counts: `{new}`"
        yield from (Edit(i, f"{pool.module}.{name}(__v__)", "mask", said) for name in ("tril", "triu"))


def _kind_of_exchange(site: Site, other: Known) -> str:
    """A neighbour of an entry, another size, the transpose, or another array."""
    if f"{site.text}.T" == other.text or site.text == f"{other.text}.T":
        return "transposed"
    if other.kind == "i" and not other.shape:
        counts = "off_by_one" if re.search(r"[+-] 1$", other.text) else "other_factor"
        return counts if _counts(site) else "factor"
    if isinstance(site.node, ast.Subscript):
        base, index = ast.unparse(site.node.value), ast.unparse(site.node.slice)
        if other.text in (f"{base}[{index} + 1]", f"{base}[{index} - 1]"):
            return "off_by_one"
    return "other_factor"


def _renamed(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another variable in all places of one: t - 1 or 2 t for t, 1 - a or a.T for a; two in the place of each other."""
    names: dict[str, list[ast.AST]] = {}
    for node in ast.walk(site.node):
        if isinstance(node, ast.Name) and node.id not in MODULES:
            names.setdefault(node.id, []).append(node)
    indices = isinstance(site.node, ast.Subscript)
    for name, places in names.items():
        value = next((one for one in pool.known(i) if one.text == name), None)
        if len(places) < 2 or value is None or value.kind not in "if" or (indices and value.kind == "f"):
            continue
        if value.kind == "i" and indices:
            steps = [one.text for one in pool.known(i) if one.kind == "i" and not one.shape and one.is_plain]
            texts = [f"{name} - 1", f"{name} + 1", *(f"{name} * {step}" for step in steps if step != name)]
        else:
            alike = (one.text for one in pool.known(i) if one.shape == value.shape and one.kind == value.kind)
            texts = [f"1 - {name}", f"{name}.T", *(text for text in alike if text != name)]
        for text in texts:
            yield Edit(
                i, _with(site.node, dict.fromkeys(places, f"({text})")), "off_by_one" if indices else "other_factor"
            )
    for a, b in itertools.combinations(names, 2) if isinstance(site.node, (ast.BinOp, ast.Call)) else ():
        yield Edit(i, _with(site.node, dict.fromkeys(names[a], b) | dict.fromkeys(names[b], a)), "other_factor")


def _parts(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A part of the expression in its place: a term, a factor, a power or a function too many."""
    for part in ast.walk(site.node):
        if part is not site.node and isinstance(part, ast.expr) and not isinstance(part, ast.Constant):
            yield Edit(i, ast.unparse(part), "other_factor")
    if isinstance(site.node, ast.BinOp) and type(site.node.op) in OPERATORS:
        left, right = site.node.left, site.node.right
        yield Edit(i, ast.unparse(ast.BinOp(left, OPERATORS[type(site.node.op)](), right)), "other_factor")
        for call, factor in ((left, right), (right, left)):  # outside of a linear function, and it belongs inside
            if isinstance(site.node.op, ast.Mult) and isinstance(call, ast.Call) and len(call.args) == 1:
                inner = f"{bracketed(ast.unparse(factor))} * {bracketed(ast.unparse(call.args[0]))}"
                yield Edit(i, _with(call, {call.args[0]: inner}), "other_factor")
    yield from _renamed(i, site, own, pool)
    yield from (Edit(i, text, "other_factor") for text in _regrouped(site.node))
    if own.kind == "f":
        yield Edit(i, "abs(__v__)", "other_factor")
        yield Edit(i, "__v__**2", "other_factor")
        yield from _slopes(i, site, own, pool)


def _regrouped(node: ast.AST) -> Iterator[str]:
    """The same operations with brackets elsewhere: a * (b - c) for a * b - c, 1 - a**2 for (1 - a)**2."""
    if isinstance(node, ast.Compare) and isinstance(node.left, ast.BinOp) and len(node.ops) == 1:
        inner = ast.Compare(node.left.right, node.ops, node.comparators)
        yield ast.unparse(ast.BinOp(node.left.left, node.left.op, inner))
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        if isinstance(inner := node.args[0], ast.BinOp):
            for left, right in ((inner.left, _with_part(node, inner, inner.right)),
                                (_with_part(node, inner, inner.left), inner.right)):  # fmt: skip
                yield ast.unparse(ast.BinOp(left, inner.op, right))
    if not isinstance(node, ast.BinOp):
        return
    for call, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(call, ast.Call) and len(call.args) == 1 and isinstance(node.op, (ast.Add, ast.Sub)):
            inside = ast.BinOp(call.args[0], node.op, other)
            yield ast.unparse(_with_part(call, call.args[0], inside))
    a, b = _summed(node.left), _summed(node.right)
    if a is not None and b is not None and isinstance(node.op, ast.Mult):  # a product of sums for a sum of products
        yield ast.unparse(_with_part(node.left, a, ast.BinOp(a, node.op, b)))
    if isinstance(inner := node.left, ast.BinOp):
        yield ast.unparse(ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, node.op, node.right)))
    if isinstance(inner := node.right, ast.BinOp):
        yield ast.unparse(ast.BinOp(ast.BinOp(node.left, node.op, inner.left), inner.op, inner.right))


def _summed(node: ast.expr) -> ast.expr | None:
    """What a method sums up."""
    method = node.func if isinstance(node, ast.Call) else None
    return method.value if isinstance(method, ast.Attribute) and method.attr == "sum" else None


def _with_part(node: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """An expression with another part."""
    return ast.parse(_with(node, {old: f"({ast.unparse(new)})"}), mode="eval").body


def _slopes(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """Another derivative of the array that an expression is made of, or of one beside it."""
    inside = {node.id for node in ast.walk(site.node) if isinstance(node, ast.Name)}
    names = [one for one in pool.known(i) if one.text.isidentifier() and one.kind == "f" and one.shape == own.shape]
    if isinstance(site.node, (ast.Name, ast.Subscript, ast.Attribute)):
        yield from (Edit(i, text.replace("{}", "__v__"), "derivative") for text in (*SLOPES, *MASKS))
    rest = _product_without(site.node)
    for a, s in itertools.product(names, repeat=2):
        if s.text in rest and a.text != s.text:
            text = f"{s.text} * (1 + {a.text} * (1 - {s.text}))"
            yield Edit(i, f"{rest[s.text]} * {text}" if rest[s.text] else text, "derivative")
        if len(own.shape) == 2 and {a.text, s.text} <= inside and a.text != s.text:
            said = "the Jacobian of the softmax is not diagonal: `{old}` should be `{new}`"
            for axis in (1, 0):
                text = f"{s.text} * ({a.text} - ({s.text} * {a.text}).sum(axis={axis}, keepdims=True))"
                yield Edit(i, text, "derivative", said)
    for one in names if not isinstance(site.node, ast.Constant) else ():
        if one.text in inside:
            called = (f"{pool.module}.{text.format(one.text)}" for text in CALLED)
            yield from (Edit(i, f"__c__ * {text}", "derivative", solves=True) for text in called if text != site.text)


def _product_without(node: ast.AST) -> dict[str, str]:
    """For each variable that stands in some factors of a product: the product of the others, "" for none."""
    factors: list[ast.AST] = [node] if isinstance(node, ast.BinOp) else []
    while factors and isinstance(first := factors[0], ast.BinOp) and isinstance(first.op, ast.Mult):
        factors[:1] = [first.left, first.right]
    texts = {bracketed(ast.unparse(one)): {n.id for n in ast.walk(one) if isinstance(n, ast.Name)} for one in factors}
    names = sorted({name for some in texts.values() for name in some})
    return {name: " * ".join(text for text, some in texts.items() if name not in some) for name in names}


def _accumulated(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """What is there already is kept; rows that occur twice count twice; rows in another order."""
    statement = site.statement
    if own.kind not in "fi" or hasattr(statement, HANDED):
        return
    target = _target(statement)
    if isinstance(statement, ast.Assign) and target:
        yield Edit(i, f"{target} + __v__", "path_missing", f"`{target} =` overwrites what is there; `+=` adds to it")
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Subscript):
        index = ast.unparse(statement.target.slice)
        said = f"rows that occur more than once in `{index}` count once; np.add.at counts all"
        yield Edit(i, f"({index}[:, None] == {index}) @ __v__", "path_missing", said)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        yield Edit(i, f"__c__ * {target}", "other_factor", "`{old}` should be {new}", solves=True)
    for other in pool.known(i):
        if other.kind == "i" and len(other.shape) == 1 and own.shape[:1] == other.shape:
            yield Edit(i, f"__v__[{other.text}]", "permuted")
            yield Edit(i, f"__v__[{other.text}.argsort()]", "permuted")


def _target(statement: ast.stmt) -> str | None:
    one = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return ast.unparse(one) if isinstance(one, (ast.Subscript, ast.Name, ast.Attribute)) else None


# Derivatives of activations by an array, and masks.
SLOPES, MASKS = ("1 - {}", "1 - {}**2", "{} * (1 - {})", "{}**2"), ("({} > 0)", "({} <= 0)")
CALLED = ("exp({})", "cos({})", "sin({})", "sign({})")


def _factors(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A factor, a divisor or a derivative that is missing."""
    if not own.shape and site.whole:
        for one in pool.known(i):
            if one.is_plain and one.shape and one.kind in "fib" and {*np.ravel(one.value).tolist()} <= {0, 1}:
                yield Edit(i, f"__v__ * (2 * {one.text} - 1)", "sign", "the sign depends on {new}")
            sums = [f"{one.text}.sum(axis={axis})" for axis in range(len(one.shape))] if one.text.isidentifier() else []
            yield from (Edit(i, f"__v__ * {text}", "other_factor") for text in sums)
    if own.kind != "f" or isinstance(site.node, ast.Constant):
        return
    plain = [one for one in pool.known(i) if one.kind in ("fbi" if one.shape else "fb") and _fits_into(one, own)]
    said = "a factor is missing: `{old}` should be `{new}`"
    yield from (Edit(i, f"__v__ * {text}", "other_factor", said) for text in pool.wider(i, own))
    called = [*(f"{pool.module}.{text}" for text in CALLED), f"1 / (1 + {pool.module}.exp(-{{}}))"]
    sums = [f"{one.text}.sum({axes})" for one in plain if one.text.isidentifier() and one.shape
            for axes in ("", "axis=-1, keepdims=True")]  # fmt: skip
    yield from (Edit(i, f"__v__ {op} {text}", "other_factor") for text in sums for op in "/*")
    counts = [one.text for one in pool.known(i) if one.kind == "i" and not one.shape and one.text.isidentifier()]
    yield from (Edit(i, f"__v__ {op} {text}", "factor") for text in counts for op in "/*")
    for one in plain:
        text = bracketed(one.text)
        said = f"the factor {text} is missing: `{{old}}` should be `{{new}}`"
        yield Edit(i, f"__v__ * {text}", "derivative_missing" if one.kind == "b" else "other_factor", said)
        if one.kind == "f" and one.key != own.key:
            yield Edit(i, f"__v__ / {text}", "other_factor")
    for one in plain:
        if one.kind == "f" and one.is_plain:
            for slope in (*SLOPES, *called, *MASKS) if one.shape else (*SLOPES, *called):
                yield Edit(i, f"__v__ * ({slope.format(one.text, one.text)})", "derivative_missing")


def _pairs(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A factor of two arrays that is missing: where one is the other, or larger; the exponential of a difference."""
    if own.kind != "f" or isinstance(site.node, ast.Constant):
        return
    names = [one for one in pool.known(i) if one.text.isidentifier() and one.kind == "f" and _fits_into(one, own)]
    for a, b in itertools.permutations(names, 2):
        if a.shape and b.shape:
            yield from (Edit(i, f"__v__ * ({a.text} {op} {b.text})", "derivative_missing") for op in ("==", ">"))
        if a.shape == b.shape:
            yield Edit(i, f"__v__ * {pool.module}.exp({a.text} - {b.text})", "other_factor")


def _terms(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A term that is missing, of any size: an array, a product, a sum over an axis, a product of matrices."""
    if own.kind != "f":
        return
    known = [one for one in pool.known(i) if one.kind == "f"]
    near = [one for one in known if _fits_into(one, own)]
    names = [one for one in near if one.is_plain]
    texts = ["1", *(one.text for one in near if one.key != own.key)]
    texts += [one.text for one in pool.entries(i) if one.kind == "f" and one.shape == own.shape]
    if not site.whole:
        yield from (_term(i, text) for text in texts)
        return
    for one in names:
        texts += [f"{one.text}.sum(axis={axis}, keepdims=True)" for axis in range(len(one.shape))]
    texts += [f"{a.text} * {b.text}" for a, b in itertools.combinations_with_replacement(names, 2)]
    whole = [one for one in names if one.shape == own.shape and one.text.isidentifier()]
    for a, b in itertools.product(whole, repeat=2) if own.shape else ():  # what a normalisation takes away
        texts += [f"{a.text} * ({a.text} * {b.text}).sum(axis={axis}, keepdims=True)" for axis in range(len(own.shape))]
    flat = [one for one in known if len(one.shape) in (1, 2) and one.text.isidentifier()]
    for a, b in itertools.product(flat, repeat=2) if len(own.shape) in (1, 2) else ():
        for s, t in (("", ""), (".T", ""), ("", ".T")):
            shapes = a.shape[::-1] if s else a.shape, b.shape[::-1] if t else b.shape
            if (s and len(a.shape) < 2) or (t and len(b.shape) < 2):
                continue
            texts += [f"{a.text}{s} @ {b.text}{t}"] if _product(*shapes) == own.shape else []
    if len(own.shape) == 2 and own.shape[0] == own.shape[1]:
        texts += [f"{pool.module}.eye(len(__v__))", "__v__.T"]
    for a, b in itertools.permutations((one for one in known if len(one.shape) == 1 and one.text.isidentifier()), 2):
        texts += [f"{pool.module}.outer({a.text}, {b.text})"] if (*a.shape, *b.shape) == own.shape else []
    if len(names) <= TRIPLES:
        texts += [" * ".join(one.text for one in three) for three in itertools.combinations(names, 3)]
    yield from (_term(i, text) for text in texts)


def _term(i: int, text: str) -> Edit:
    return Edit(i, f"__v__ + __c__ * ({text})", "path_missing", solves=True)


def _removed(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A term that is too many."""
    if own.kind == "f" and isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub)):
        yield Edit(i, "0 * __v__", "extra_term", "`{old}` is too many")


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    return (*a[:-1], *b[1:]) if a[-1] == b[0] else None


def _fits_into(one: Known, own: Known) -> bool:
    """Whether an array has the shape of another, or is spread to it."""
    try:
        return np.broadcast_shapes(one.shape, own.shape) == own.shape or not own.shape
    except ValueError:
        return False


def _with(node: ast.AST, texts: Mapping[ast.AST, str]) -> str:
    """An expression with other texts in the place of some of its parts."""
    return ast.unparse(copy.deepcopy(node, {id(part): ast.Name(text) for part, text in texts.items()}))


def bracketed(text: str) -> str:
    """An expression that can stand as a factor."""
    node = ast.parse(text, mode="eval").body
    return text if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) else f"({text})"
