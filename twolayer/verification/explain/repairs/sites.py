"""The expressions of a user's functions, each of which can be given another value while the functions run on floats.

Every expression is put through one call, which knows its number, and gives its value on or, for the one that is being
edited, the value of a text in its place. The text is in the user's own names and is evaluated where the expression
stands, so that an edit acts on every run of a line, in loops too.
"""

import ast
import copy
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from twolayer.verification.programs import Refused
from twolayer.verification.programs.execution import quiet
from twolayer.verification.programs.source import Source
from twolayer.verification.programs.stand_ins import jax_floats

HOOK, VALUE, NUMBER, RIGHT = "__at__", "__v__", "__c__", "__r__"
HANDED = "__handed__"  # the attribute of a statement that hands on what others made in place
SETS = (ast.Assign, ast.AugAssign, ast.AnnAssign)
RUNS = 64  # runs of one expression whose values are kept
LARGEST = 2000  # entries of an array that is kept


class Site(NamedTuple):
    """An expression: itself and its text, the function that it stands in, and the syntax around it, outermost first.

    whole: whether it is all that a statement assigns or returns, or one part of a tuple or dict of that.
    """

    node: ast.expr
    text: str
    function: ast.AST
    around: tuple[ast.AST, ...]
    whole: bool

    @property
    def parent(self) -> ast.AST:
        return self.around[-1]

    @property
    def statement(self) -> ast.stmt:
        return next(node for node in reversed(self.around) if isinstance(node, ast.stmt))


class Hook:
    """What every expression goes through. Slots, so that nothing copies it.

    site, code, names: which expression is edited, and how; -1 for none. seen: values by site while they are kept, and
    by -1 - site the variables at hand there, last run, and under "" what the statement makes of them; `whole`: where,
    and how.
    """

    __slots__ = ("code", "filename", "names", "seen", "site", "whole")

    def __init__(self, whole: Mapping[int, str], filename: str) -> None:
        self.filename = filename
        self.site, self.whole = -1, whole
        self.code: Any = None
        self.names: dict[str, Any] = {}
        self.seen: dict[int, Any] | None = None

    def __call__(self, site: int, value: Any) -> Any:
        if site == self.site:
            frame = self._frame()
            value = eval(self.code, frame.f_globals, {**self._at_hand(frame), **self.names, VALUE: value})
        if self.seen is not None and len(runs := self.seen.setdefault(site, [])) < RUNS:
            runs.append(_kept(value))
            if site in self.whole:
                frame = self._frame()
                made = eval(compiled(self.whole[site]), frame.f_globals, {**frame.f_locals, VALUE: value})
                self.seen[-1 - site] = {n: _kept(v) for n, v in self._at_hand(frame).items()} | {"": _kept(made)}
        return value

    def _frame(self) -> types.FrameType:
        """The frame of the code that is edited."""
        frame: Any = sys._getframe(2)
        while frame.f_code.co_filename != self.filename:
            frame = frame.f_back
        return frame

    def _at_hand(self, frame: Any) -> dict[str, Any]:
        """The variables of a frame, and of the functions that its own stands in."""
        inner = [frame]
        while ".<locals>." in inner[-1].f_code.co_qualname and (outer := inner[-1].f_back) is not None:
            while outer is not None and outer.f_code.co_filename != self.filename:
                outer = outer.f_back
            if outer is None or not inner[-1].f_code.co_qualname.startswith(f"{outer.f_code.co_qualname}.<locals>."):
                break
            inner.append(outer)
        return {name: value for one in reversed(inner) for name, value in one.f_locals.items()}


def _kept(value: Any) -> Any:
    """A copy of a number or an array; None of all else."""
    if isinstance(value, (bool, int, float, np.number)):
        return value
    try:
        array = np.array(value) if hasattr(value, "shape") and hasattr(value, "dtype") else None
    except Exception:  # a tracer has no numbers
        return None
    return array if array is not None and array.dtype.kind in "fibc" and array.size <= LARGEST else None


class Edited:
    """A function of a module, in a copy of it in which expressions can be edited.

    Args:
      program: a function of a file.
      floats: whether JAX's functions are NumPy's in it, which is faster.

    Raises:
      Refused: its definition is not found, or does not run so.
    """

    def __init__(self, program: Any, floats: bool = False):
        function = (getattr(program, "floats", None) or (lambda: program.function))()
        name = getattr(function, "__name__", "")
        self.source = source = Source(program.filename or "", program.source or "")
        self.space: dict[str, Any] = {"__name__": f"__derivation__.{name}", "__file__": source.filename}
        if floats:
            self.space["__builtins__"] = jax_floats.builtins_of()
        if name in source.names():
            statements = source.needed({name})
        else:
            statements = [_inner(function, source)]
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            outside = function.__globals__ | {name: cell.cell_contents for name, cell in cells}
            if floats:
                outside = {name: jax_floats.stand_in(value) or value for name, value in outside.items()}
            self.space = outside | self.space
        finder = _Finder()
        for statement in statements:
            for function in [node for node in ast.walk(statement) if isinstance(node, ast.FunctionDef)]:
                function.body = _with_handed(function.body, {one.arg for one in function.args.args})
            finder.visit(statement)
        self.sites = finder.sites
        self.hook = Hook({i: _made(site) for i, site in enumerate(self.sites) if site.whole}, source.filename)
        through: list[Any] = [_Through().visit(copy.deepcopy(one)) for one in statements]
        tree = ast.Module(through, [])
        self.space[HOOK] = self.hook
        try:
            with quiet():
                exec(compile(ast.fix_missing_locations(tree), source.filename, "exec"), self.space)
        except Exception as error:
            raise Refused(f"it cannot be run apart from its file: {error}") from error
        if name not in self.space:
            raise Refused("it has no name in its file")
        self.function = self.space[name]

    def values(self, call: Callable[[], Any]) -> tuple[Any, dict[int, list]]:
        """What a call returns, and the values of all expressions in it, run after run."""
        self.hook.seen = seen = {}
        try:
            return call(), seen
        finally:
            self.hook.seen = None

    def under(self, site: int, text: str, number: float, right: Any, call: Callable[[], Any]) -> Any:
        """What a call returns while a text stands in the place of an expression.

        text: `__v__` is the value of the expression, `__c__` is `number`, and `__r__` are arrays of the reference;
          NumPy is at hand as `numpy`, for code that has no name for it.
        """
        names = {NUMBER: number, RIGHT: right, "numpy": np}
        self.hook.site, self.hook.code, self.hook.names = site, compiled(text), names
        try:
            return call()
        finally:
            self.hook.site = -1


_texts: dict[str, Any] = {}


def compiled(text: str) -> Any:
    """The code of an expression."""
    if text not in _texts:
        _texts[text] = compile(text, "<edit>", "eval")
    return _texts[text]


def _inner(function: Any, source: Source) -> ast.stmt:
    """The definition of a function inside of another."""
    first = getattr(getattr(function, "__code__", None), "co_firstlineno", None)
    found = (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef) and node.lineno == first)
    node = next(found, None)
    if node is None:
        raise Refused("its definition is not found")
    return node


def _made(site: Site) -> str:
    """What a statement makes of an expression, as a text."""
    statement = site.statement
    if isinstance(statement, ast.AugAssign):
        target = copy.copy(statement.target)
        target.ctx = ast.Load()
        return ast.unparse(ast.BinOp(target, statement.op, ast.Name(VALUE, ast.Load())))
    return VALUE


def _with_handed(body: list[ast.stmt], bound: set[str]) -> list[ast.stmt]:
    """Statements, with an `x = x` before the first use of what others made in place, so that it can be edited there.

    It has the line of the last statement that made it. bound: the names that are known to be set before.
    """
    found: list[ast.stmt] = []
    made: dict[str, int] = {}
    for statement in body:
        for part in ("body", "orelse") if not isinstance(statement, ast.FunctionDef) else ():
            if isinstance(inner := getattr(statement, part, None), list):
                setattr(statement, part, _with_handed(inner, set(bound)))
        sets = [node for node in ast.walk(statement) if isinstance(node, SETS) and not hasattr(node, HANDED)]
        targets = [(one, node) for node in sets for one in getattr(node, "targets", [getattr(node, "target", None)])]
        in_place = [one for one in targets if isinstance(one[0], ast.Subscript) or isinstance(one[1], ast.AugAssign)]
        stored = {id(part) for one, _ in in_place for part in ast.walk(one)}
        used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and id(n) not in stored}
        for name in sorted(used & made.keys()):
            same = ast.Assign([ast.Name(name, ast.Store())], ast.Name(name, ast.Load()), lineno=made.pop(name))
            same.value.lineno, vars(same)[HANDED] = same.lineno, True
            found.append(same)
        anew = {root(part) for one, node in targets if node is statement for part in getattr(one, "elts", [one])}
        bound |= anew
        made = {name: line for name, line in made.items() if name not in anew}
        made |= {root(one): node.lineno for one, node in in_place if root(one) in bound}
        found.append(statement)
    return found


def root(node: ast.AST | None) -> str:
    """The variable that is set, all of it or a part; "" of a tuple."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


class _Finder:
    """Numbers the expressions inside functions: each such node gets its number as the attribute `site`."""

    def __init__(self) -> None:
        self.sites: list[Site] = []

    def visit(self, node: ast.AST, around: tuple[ast.AST, ...] = (), function: ast.AST | None = None) -> None:
        if function is not None and _is_expression(node, around[-1]) and not _is_called(node, around[-1]):
            vars(node)["site"] = len(self.sites)
            self.sites.append(Site(node, ast.unparse(node), function, around, _is_whole(node, around)))
        inner = node if isinstance(node, ast.FunctionDef) else function
        parts = node.body if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node)
        for part in parts:
            if not isinstance(part, ast.JoinedStr) and not (isinstance(part, ast.keyword) and part.arg in _OPTIONS):
                self.visit(part, (*around, node), inner)


class _Through(ast.NodeTransformer):
    """Puts the numbered expressions through the hook."""

    def visit(self, node: ast.AST) -> ast.AST:
        changed = super().visit(node)
        number = getattr(node, "site", None)
        if number is None or not isinstance(changed, ast.expr):
            return changed
        call = ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(number), changed], [])
        return ast.copy_location(call, node)


def _is_expression(node: ast.AST, parent: ast.AST) -> TypeGuard[ast.expr]:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float) or (type(node.value) is bool and isinstance(parent, ast.keyword))
    return isinstance(node, _KINDS) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _is_called(node: ast.AST, parent: ast.AST) -> bool:
    """Whether a node is no value of its own: a function that is called, a module, the array that is assigned into."""
    if isinstance(parent, ast.Call) and node is parent.func:
        return True
    if isinstance(node, ast.Name) and node.id in MODULES:
        return True
    return (
        isinstance(parent, (ast.Subscript, ast.Attribute))
        and not isinstance(parent.ctx, ast.Load)
        and node is parent.value
    )


_KINDS = (
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Constant,
    ast.Compare,
    ast.IfExp,
)
MODULES = {"np", "numpy", "jnp", "jax", "lax", "math", "pl"}
_OPTIONS = {"keepdims", "dtype", "interpret", "mode"}


def _is_whole(node: ast.AST, around: tuple[ast.AST, ...]) -> bool:
    """Whether an expression is what a statement assigns or returns, or a part of a tuple or dict of that."""
    parent = around[-1]
    if isinstance(parent, (ast.Tuple, ast.List, ast.Dict)) and len(around) > 1:
        parent = around[-2]
    return isinstance(parent, (ast.Assign, ast.AugAssign, ast.Return)) and node is not getattr(parent, "target", None)
