"""Run what a function needs of a file, quietly, and say in one line what went wrong and where."""

import ast
import contextlib
import copy
import io
import pathlib
import re
import sys
import time
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import Ball, Undecided
from twolayer.verification.programs import NotJudged, RaisedInside, Refused
from twolayer.verification.programs.source import Source

TOP_LEVEL_SECONDS = 10.0  # for what stands outside all functions and is needed


class _Exact(ast.NodeTransformer):
    """Python's own numbers are divided and raised to powers exactly, and text takes balls: `"%.3f" % loss`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        helper = {ast.Div: "__divide__", ast.Mod: "__percent__", ast.Pow: "__power__"}.get(type(node.op))
        if helper is None:
            return node
        call = ast.Call(ast.Name(helper, ast.Load()), [node.left, node.right], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def divide(a: Any, b: Any) -> Any:
    """Divide a by b; integers exactly."""
    return Ball(a) / b if isinstance(a, int) and isinstance(b, int) and b and a % b else a / b


def power(a: Any, b: Any) -> Any:
    """Raise a to the power b; Python's own numbers exactly where Python would give a float."""
    if type(a) in (int, float) and type(b) in (int, float) and (float in (type(a), type(b)) or b < 0) and a:
        return Ball(a) ** b
    return a**b


def percent(a: Any, b: Any) -> Any:
    """The remainder a % b; or a may be a text with places for numbers."""
    if not isinstance(a, (str, bytes)):
        return a % b
    return a % (tuple(map(_shown, b)) if isinstance(b, tuple) else _shown(b))


def _shown(value: Any) -> Any:
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return float(value.v) if isinstance(value, Ball) else value


HELPERS = {"__divide__": divide, "__power__": power, "__percent__": percent}


def execute(source: Source, wanted: set[str], builtins: dict, exact: bool = True) -> dict[str, Any]:
    """Run what the wanted names need, statement by statement, and give the names of the top level.

    Raises:
      RaisedInside, Refused, NotJudged: a statement raised, or takes too long.
    """
    name = pathlib.Path(source.filename).stem
    module = types.ModuleType(name)
    space = module.__dict__
    space.update(__file__=source.filename, __builtins__=builtins | HELPERS)
    sys.modules.setdefault(f"__derivation__.{name}", module)  # dataclasses look their module up
    space["__name__"] = f"__derivation__.{name}"
    deadline = time.monotonic() + TOP_LEVEL_SECONDS
    for statement in source.needed(wanted):
        tree = ast.Module([statement], [])
        tree = _Exact().visit(copy.deepcopy(tree)) if exact else tree
        with explained(source), _until(deadline, source, statement), quiet():
            exec(compile(tree, source.filename, "exec"), space)
    return space


@contextlib.contextmanager
def _until(deadline: float, source: Source, statement: ast.stmt) -> Iterator[None]:
    """Stop a statement of the top level that runs on and on, as training does."""

    def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
        if time.monotonic() > deadline:
            place, text = source.place(statement.lineno), source.quoted(statement.lineno)
            raise Refused(
                f"{place}: {text} takes more than {TOP_LEVEL_SECONDS:.0f} s; put it under if __name__ == '__main__':"
            )
        return trace

    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        yield
        return
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that the code writes reaches the screen."""
    sink = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(np.errstate(all="ignore"))  # the code may set both
        stack.enter_context(np.printoptions())
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def explained(source: Source) -> Iterator[None]:
    """Turn what the user's code raises into one line with its place, also where it catches our exceptions."""
    before = Undecided.raised, NotJudged.raised
    try:
        yield
        if Undecided.raised > before[0]:
            raise Undecided("an except clause of the code hides a comparison of numbers that are too close")
        if NotJudged.raised > before[1]:
            raise NotJudged("an operation that an except clause of the code hides", source.filename)
    except (Undecided, RaisedInside, MemoryError):
        raise
    except NotJudged as e:
        line = _line_of(e, source) or e.line
        raise NotJudged(e.operation, source.place(line) if line else source.filename, line) from e
    except Refused:
        raise
    except (Exception, SystemExit) as e:
        line = _line_of(e, source)
        if _is_ours(e):
            raise not_known(e, source) from e
        place = f"{source.place(line)}: {source.quoted(line)} raised " if line else f"{source.filename}: raised "
        raise RaisedInside(f"{place}{_short(e)}") from e


def not_known(error: BaseException, source: Source) -> NotJudged:
    """The statement that failed over balls, as an operation that is not known."""
    line = _line_of(error, source)
    text = source.quoted(line) if line else ""
    return NotJudged(f"{text} ({_short(error)})", source.place(line) if line else source.filename, line)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _is_ours(error: BaseException) -> bool:
    """Whether the code failed because it met a ball where it would have a float."""
    return bool(re.search(r"Ball|dtype\('O'\)|object array|Nothing|not a float|must be real number", str(error)))


def _line_of(error: BaseException, source: Source) -> int | None:
    """The innermost line of the file in an error's traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
