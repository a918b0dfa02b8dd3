"""Small edits of a formula: the mistakes that a hand makes in any formula, whatever it is of.

    sign      1 - O**2            ->  1 + O**2
    exponent  1 - O**2            ->  1 - O
    factor    O * (1 - O)         ->  O
    term      a + Z * b           ->  a
    constant  where(Z > 0, 1, 0.01)  ->  where(Z > 0, 1, t)

So a new loss or activation has its wrong lines as soon as it has its formula. Here too is what turns a formula of the
catalogue's tables into one that can be computed: names are put in for names, formulas for slope(Z) and its like.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

MOST = 24  # edits of one formula; a long one has them at its beginning


class Edit(NamedTuple):
    """An edited formula, the kind of the edit, and the part of it that is edited, before and after."""

    kind: str
    formula: str
    old: str
    new: str


def edits(formula: str) -> Iterator[Edit]:
    """Every formula that differs by one edit; constants other than 0, 1 and 2 become t."""
    count = 0
    for at, node in enumerate(ast.walk(ast.parse(formula, mode="eval").body)):
        for kind, change in _changes(node):
            count += kind != "constant"
            if count <= MOST or kind == "constant":
                yield Edit(kind, _with(formula, at, change), ast.unparse(node), ast.unparse(change()))
    for constant in constants(formula):
        everywhere = with_constant(formula, constant)
        if len(re.findall(r"\bt\b", everywhere)) > 1:
            yield Edit("constant", everywhere, constant, "t")


def constants(formula: str) -> list[str]:
    """The numbers in a formula other than 0, 1 and 2, as they are written."""
    return sorted({ast.unparse(node) for node in ast.walk(ast.parse(formula, mode="eval")) if _is_constant(node)})


def with_constant(formula: str, constant: str) -> str:
    """The formula with t wherever this number stands."""
    return re.sub(rf"(?<![\w.]){re.escape(constant)}(?![\w.])", "t", formula)


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and node.value not in (0, 1, 2)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], ast.expr]]]:
    if _is_constant(node):
        yield "constant", lambda: ast.Name("t", ast.Load())
    if not isinstance(node, ast.BinOp):
        return
    left, op, right = node.left, node.op, node.right
    if isinstance(op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
        yield "sign", lambda: ast.BinOp(left, other, right)
        yield "term", lambda: left
        yield "term", lambda: right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right)
    elif isinstance(op, (ast.Mult, ast.Div)):
        yield "factor", lambda: left
        yield "factor", lambda: right if isinstance(op, ast.Mult) else ast.BinOp(ast.Constant(1), op, right)
    elif isinstance(op, ast.Pow):
        yield "exponent", lambda: left


def _with(formula: str, at: int, change: Callable[[], ast.expr]) -> str:
    """The formula with its node number `at`, in the order of ast.walk, exchanged."""
    tree = ast.parse(formula, mode="eval")
    old = list(ast.walk(tree.body))[at]

    class Exchange(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return new if node is old else self.generic_visit(node)

    new = _same(change(), old)
    return ast.unparse(ast.fix_missing_locations(Exchange().visit(tree)))


def _same(change: ast.expr, old: ast.AST) -> ast.expr:
    return ast.copy_location(change, old)


def renamed(formula: str, names: Mapping[str, str]) -> str:
    """A formula with other names in it, all at once."""
    return re.sub(r"(?<![\w.])[A-Za-z_]\w*\b", lambda word: names.get(word[0], word[0]), formula)


def expanded(formula: str, macros: Mapping[str, Callable[[str], str]]) -> str:
    """A formula with formulas put in for calls such as slope(Z), innermost last; a name alone is a call of nothing."""
    names = "|".join(macros)
    while found := re.search(rf"(?<![\w.])({names})\b(?!\w)", formula):
        start, end = found.end(), found.end()
        if formula[start : start + 1] == "(":
            end = _closing(formula, start) + 1
        argument = formula[start + 1 : end - 1] if end > start else ""
        formula = f"{formula[: found.start()]}({macros[found[1]](argument)}){formula[end:]}"
    return formula


def _closing(formula: str, start: int) -> int:
    """Where the bracket closes that opens at `start`."""
    depth = 0
    for at in range(start, len(formula)):
        depth += {"(": 1, ")": -1}.get(formula[at], 0)
        if not depth:
            return at
    raise SyntaxError(f"a bracket is not closed in {formula}")


def exchanged(formula: str, argument: str) -> str:
    """A formula with the exchange that "O:=Z" asks for; "" asks for none."""
    name, _, value = argument.partition(":=")
    return renamed(formula, {name.strip(): f"({value.strip()})"})


def said(text: str, names: Mapping[str, str]) -> str:
    """A sentence with its names in braces filled in; {t} stays, since it is known later."""
    return re.sub(r"\{(\w+)\}", lambda brace: names.get(brace[1], brace[0]), text)


def tidy(formula: str) -> str:
    """A formula without brackets that say nothing."""
    return ast.unparse(ast.parse(formula, mode="eval")).replace(" ** ", "**")


def readable(formula: str) -> str:
    """A formula as it stands in a sentence."""
    return formula.replace("np.", "").replace(" ** ", "^").replace("**", "^")
