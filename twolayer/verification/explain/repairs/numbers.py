"""Edits of numbers: constants, comparisons, indices, bounds and axes."""

import ast
import itertools
import re
from collections.abc import Iterator

from twolayer.verification.explain.repairs.pool import Edit, Known, Pool, is_number, with_parts
from twolayer.verification.explain.repairs.sites import Site
from twolayer.verification.programs.source import number_of

REDUCED = ("sum", "mean", "max", "min", "var", "std", "prod", "softmax", "log_softmax", "logsumexp", "cumsum", "argmax")


def counts(site: Site) -> bool:
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


def constants(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
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
    if counts(site):
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
        isinstance(site.node, ast.UnaryOp) and is_number(site.node) and isinstance(site.parent, ast.Call)
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


def other_axes(i: int, site: Site, pool: Pool) -> Iterator[Edit]:
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
                yield Edit(i, with_parts(call, {given: str(axes if count > 1 else axes[0])}), "other_factor")


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
