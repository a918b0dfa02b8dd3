"""Edits that put something in another place: an array, a function, a part, the same with brackets elsewhere."""

import ast
import itertools
import re
from collections.abc import Iterator

from twolayer.verification.explain.repairs.numbers import counts, other_axes
from twolayer.verification.explain.repairs.pool import Edit, Known, Pool, bracketed, with_parts
from twolayer.verification.explain.repairs.sites import HANDED, MODULES, Site
from twolayer.verification.programs.source import number_of


def scaled(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
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
OPERATORS = {
    ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Div, ast.Mod), ast.Mod: (ast.FloorDiv,),
}  # fmt: skip


def exchanged(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
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
    yield from other_axes(i, site, pool)
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
        id = "off_by_one" if re.search(r"[+-] 1$", other.text) else "other_factor"
        return id if counts(site) else "factor"
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
        id = "off_by_one" if indices else "other_factor"
        yield from (Edit(i, with_parts(site.node, dict.fromkeys(places, f"({text})")), id) for text in texts)
    for a, b in itertools.combinations(names, 2) if isinstance(site.node, (ast.BinOp, ast.Call)) else ():
        yield Edit(i, with_parts(site.node, dict.fromkeys(names[a], b) | dict.fromkeys(names[b], a)), "other_factor")


def parts(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A part of the expression in its place: a term, a factor, a power or a function too many."""
    for part in ast.walk(site.node):
        if part is not site.node and isinstance(part, ast.expr) and not isinstance(part, ast.Constant):
            yield Edit(i, ast.unparse(part), "other_factor")
    if isinstance(site.node, ast.BinOp) and type(site.node.op) in OPERATORS:
        left, right = site.node.left, site.node.right
        for op in OPERATORS[type(site.node.op)]:
            yield Edit(i, ast.unparse(ast.BinOp(left, op(), right)), "other_factor")
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
    for call in (node.left, node.right):  # what stands outside of a function, and belongs inside
        if isinstance(call, ast.Call) and len(call.args) == 1 and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            left, right = (call.args[0] if side is call else side for side in (node.left, node.right))
            yield ast.unparse(_with_part(call, call.args[0], ast.BinOp(left, node.op, right)))
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
    return ast.parse(with_parts(node, {old: f"({ast.unparse(new)})"}), mode="eval").body


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


def accumulated(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """What is there already is kept; rows that occur twice count twice; rows in another order."""
    statement = site.statement
    if own.kind not in "fi" or hasattr(statement, HANDED):
        return
    target = _target(statement)
    if isinstance(statement, ast.Assign) and target:
        yield Edit(i, f"{target} + __v__", "path_missing", f"`{target} =` overwrites what is there; `+=` adds to it")
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        yield from _not_begun_anew(i, site, statement.target.id)
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


def _not_begun_anew(i: int, site: Site, name: str) -> Iterator[Edit]:
    """A sum that goes on from the one before: it should be zero at the first run of its loop."""
    loop = next((node for node in reversed(site.around) if isinstance(node, ast.For)), None)
    if loop is None or not isinstance(loop.target, ast.Name) or not isinstance(loop.iter, ast.Call):
        return
    if getattr(loop.iter.func, "id", "") == "range" and len(loop.iter.args) < 3:
        first = ast.unparse(loop.iter.args[0]) if len(loop.iter.args) == 2 else "0"
        said = f"`{name}` is not set to zero again before the loop over {loop.target.id}"
        yield Edit(i, f"__v__ - {name} * ({loop.target.id} == {first})", "other_factor", said)


def _target(statement: ast.stmt) -> str | None:
    one = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return ast.unparse(one) if isinstance(one, (ast.Subscript, ast.Name, ast.Attribute)) else None


# Derivatives of activations by an array, and masks.
SLOPES, MASKS = ("1 - {}", "1 - {}**2", "{} * (1 - {})", "{}**2"), ("({} > 0)", "({} <= 0)")
CALLED = ("exp({})", "cos({})", "sin({})", "sign({})")
