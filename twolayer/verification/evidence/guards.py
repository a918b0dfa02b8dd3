"""Guards: small constants that keep a logarithm from 0 or a quotient from 0/0, as the 1e-8 in log(p + 1e-8).

They make a derivation differ from the declared loss, strictly, and by little. So they are looked for by taking them
out: a derivation that is right without them is right but for them; by how much they change it is said.
"""

import ast
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case, Subject, gather, usable, verdict_of
from twolayer.verification.numbers.balls import Undecided, floats
from twolayer.verification.problem import LEAVES
from twolayer.verification.programs import NotJudged, Refused

LARGEST = 1e-3
GUARDED = set("clip maximum minimum max min log sqrt log1p where nan_to_num full full_like".split())


class Guard(NamedTuple):
    """A small constant of the code: its line, its digits, and the 0 or 1 that it stands for."""

    line: int
    text: str
    meant: float


class Guarded(NamedTuple):
    """A derivation that is right but for its guards: what it is without them, and a sentence for each."""

    subject: Subject
    cases: Sequence[Case]
    said: tuple[str, ...]


def without(subject: Subject, cases: Sequence[Case]) -> Guarded | None:
    """The derivation without its guards, if it is right then; None if it has none, or something else is wrong."""
    try:
        source, guards = without_guards(subject.program.source or "")
    except SyntaxError:
        return None
    with_source = getattr(subject.program, "with_source", None)
    if not guards or with_source is None:
        return None
    try:
        bare = subject._replace(program=with_source(source))
        found = gather(bare)
    except (Refused, NotJudged, Undecided):
        return None
    known = usable(found)
    if not known or any(verdict_of(leaf, known) != "right" for leaf in LEAVES if leaf in known[0].mine):
        return None
    return Guarded(bare, found, _said(guards, cases))


def _said(guards: Sequence[Guard], cases: Sequence[Case]) -> tuple[str, ...]:
    """Each guard with its line, and the largest relative change of a gradient on ordinary inputs."""
    change = 0.0
    for case in usable(cases):
        if case.point.kind == "ordinary":
            for leaf in LEAVES:
                if leaf in case.mine:
                    mine, right = floats(case.mine[leaf]), floats(case.right[leaf])
                    change = max(change, float(np.abs(mine - right).max() / max(np.abs(right).max(), 1e-300)))
    unique = dict.fromkeys((guard.text, guard.line) for guard in guards)
    listed = " and ".join(f"{text} at line {line}" for text, line in unique)
    word = "guard" if len(unique) == 1 else "guards"
    return (
        f"differs from the declared loss by the {word} {listed}, by at most {change:.1g} relative on ordinary inputs",
    )


def without_guards(source: str) -> tuple[str, list[Guard]]:
    """The source with every guard as the 0 or 1 that it stands for, and the guards; no guards where there are none.

    A guard is a constant up to 1e-3, or as near below 1, that is added, subtracted, or an argument of a clip, maximum,
    minimum or logarithm. A threshold of a comparison and a factor are none.
    """
    tree = ast.parse(source)
    taker = _Taker()
    tree = ast.fix_missing_locations(taker.visit(tree))
    return (ast.unparse(tree) if taker.found else source), taker.found


class _Taker(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found: list[Guard] = []
        self._names: dict[str, Guard] = {}

    def visit_Assign(self, node: ast.Assign) -> ast.AST:  # eps = 1e-8
        guard = _guard(node.value)
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if guard and names and any("eps" in name.lower() or "tiny" in name.lower() for name in names):
            self.found.append(guard)
            return ast.copy_location(ast.Assign(node.targets, ast.Constant(guard.meant)), node)
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:  # def softmax(z, eps=1e-8)
        named = node.args[len(node.args) - len(node.defaults) :]
        node.defaults = [
            self._taken(default) if "eps" in arg.arg.lower() else default
            for arg, default in zip(named, node.defaults, strict=True)
        ]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node = self.generic_visit(node)  # type: ignore[assignment]
        if isinstance(node.op, (ast.Add, ast.Sub)):
            node.left, node.right = self._taken(node.left), self._taken(node.right)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node = self.generic_visit(node)  # type: ignore[assignment]
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in GUARDED:
            node.args = [self._taken(arg) for arg in node.args]
            for keyword in node.keywords:
                keyword.value = self._taken(keyword.value)
        return node

    def _taken(self, node: ast.expr) -> ast.expr:
        guard = _guard(node)
        if guard is None:
            return node
        self.found.append(guard)
        return ast.copy_location(ast.Constant(guard.meant), node)


def _guard(node: ast.expr) -> Guard | None:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, float)):
        return None
    number = node.value
    if 0 < number <= LARGEST:
        return Guard(node.lineno, repr(number), 0.0)
    return Guard(node.lineno, repr(number), 1.0) if 1 - LARGEST <= number < 1 else None
