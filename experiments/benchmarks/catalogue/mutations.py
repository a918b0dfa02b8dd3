"""Mechanical errors: every small edit of a derivation's backward lines. Held out: nobody had a cause in mind."""

import ast
import copy
from collections.abc import Iterator

from experiments.benchmarks.catalogue.base import STEPS

# Names that stand for arrays of one shape.
SAME_SHAPE = (("O2", "Z2", "P", "y", "Y"), ("dO2", "dZ2"), ("O1", "Z1"), ("dO1", "dZ1"))
OPERATORS = {ast.Mult: ast.Add, ast.Add: ast.Mult, ast.Sub: ast.Add, ast.Div: ast.Mult}
COMPARISONS = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE}


def mutations(source: str) -> Iterator[tuple[str, str]]:
    """Pairs (description, source of a derivation with one edit), in the order of the lines.

    Only lines that assign one of the eight steps are edited, each time in one place: * and + are swapped, - becomes +,
    / becomes *; one side of them is dropped; a comparison is turned round; a .T is dropped; axis 0 becomes 1 and 1
    becomes 0; the whole line gets a minus sign or a factor 2; a name becomes another one of the file that stands for an
    array of the same shape.
    Nothing promises that an edit is an error, that it runs, or that its leaves have the right shapes: ask an oracle.
    """
    tree = ast.parse(source)
    for number, statement in enumerate(ast.walk(tree)):
        if not isinstance(statement, ast.Assign | ast.AugAssign) or _target(statement) not in STEPS:
            continue
        for edited in _edited(statement.value, _defined(tree, statement.lineno)):
            changed = copy.deepcopy(tree)
            place = next(node for n, node in enumerate(ast.walk(changed)) if n == number)
            before = ast.unparse(place)
            place.value = edited
            yield f"{before}  ->  {ast.unparse(place)}", ast.unparse(changed)


def _target(statement: ast.Assign | ast.AugAssign) -> str | None:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return target.id if isinstance(target, ast.Name) else None


def _defined(tree: ast.Module, line: int) -> set[str]:
    """The arguments, and the names that are assigned before a line."""
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return arguments | {name.id for name in names if name.lineno < line}


def _edited(value: ast.expr, defined: set[str]) -> Iterator[ast.expr]:
    """The expression with one edit, for every edit there is."""
    yield ast.UnaryOp(ast.USub(), copy.deepcopy(value))
    yield ast.BinOp(ast.Constant(2), ast.Mult(), copy.deepcopy(value))
    for number, node in enumerate(ast.walk(value)):
        for replacement in _replacements(node, defined):
            holder = ast.Expression(copy.deepcopy(value))
            place = next(n for k, n in enumerate(ast.walk(holder.body)) if k == number)
            yield _Put(place, replacement).visit(holder).body


def _replacements(node: ast.AST, defined: set[str]) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        yield from (node.left, node.right)
    if isinstance(node, ast.Compare):
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    if isinstance(node, ast.keyword) and node.arg == "axis" and isinstance(node.value, ast.Constant):
        yield ast.keyword("axis", ast.Constant(1 - node.value.value))
    if isinstance(node, ast.Name):
        others = {name for names in SAME_SHAPE if node.id in names for name in names if name != node.id}
        yield from (ast.Name(name) for name in sorted(others & defined))


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, place: ast.AST, replacement: ast.AST) -> None:
        self.place, self.replacement = place, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        return self.replacement if node is self.place else self.generic_visit(node)
