"""Which local variables a user's function sets while JAX traces it, and what their values are in the trace.

Functions under vmap, grad and linearize are seen inside: a variable there stands for an array of the whole program, of
all examples at once or of the value without its derivative. Functions that JAX traces apart (loops, rules) are not.
"""

import ast
import contextlib
import functools
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

MOST_PARTS = 40  # of a list or dict
DEPTH = 3  # self.layers[0].W


class Setting(NamedTuple):
    """A local variable, set at a line; `value` is a tracer of the whole program, `batch_axis` the one of vmap."""

    line: int
    name: str
    value: Any
    batch_axis: int | None


class Watcher:
    """Notes each local variable of the user's file that holds another tracer than before.

    Attributes:
      settings: in the order of running.
    """

    def __init__(self, filename: str | None):
        self.settings: list[Setting] = []
        self._filename, self._trace = filename, None
        self._known: dict[int, Any] = {}  # arguments, and what was noted before, by id; they stay alive

    @contextlib.contextmanager
    def watching(self, tracers: Sequence[Any]) -> Iterator[None]:
        """Watch what runs inside. `tracers` are the arguments of the whole program."""
        self._trace, before = (tracers[0]._trace if tracers else None), sys.gettrace()
        self._known.update((id(tracer), tracer) for tracer in tracers)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._filename or frame.f_code.co_name.startswith("<"):
            return None
        seen, line = dict(parts(frame.f_locals)), frame.f_lineno

        def look(frame: types.FrameType, event: str, argument: Any) -> Any:
            nonlocal line
            for name, value in parts(frame.f_locals):
                if seen.get(name) is not value:
                    seen[name] = value
                    self._note(line, name, value)
            line = frame.f_lineno
            return look

        return look

    def _note(self, line: int, name: str, value: Any) -> None:
        axis = None
        while isinstance(value, jax.core.Tracer) and value._trace is not self._trace:
            if hasattr(value, "batch_dim"):
                axis, value = (value.batch_dim if isinstance(value.batch_dim, int) else None), value.val
            else:
                value = getattr(value, "primal", None)
        if not isinstance(value, jax.core.Tracer):
            return
        if name.isidentifier() or id(value) not in self._known:  # an object shows its parts wherever it goes
            self.settings.append(Setting(line, name, value, axis))
        self._known[id(value)] = value


def parts(variables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tracers that some variables hold, also in dicts, lists and objects: ("cache['Z1']", ...)."""
    for name, value in variables.items():
        yield from _parts(name, value, DEPTH)


def _parts(name: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, jax.core.Tracer):
        yield name, value
    elif depth == 0 or isinstance(value, type | types.ModuleType | types.FunctionType | jax.Array | str | int | float):
        return
    elif isinstance(value, dict) and len(value) <= MOST_PARTS:
        for key, part in value.items():
            yield from _parts(f"{name}[{key!r}]", part, depth - 1)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key in value._fields:
            yield from _parts(f"{name}.{key}", getattr(value, key), depth - 1)
    elif isinstance(value, list | tuple) and len(value) <= MOST_PARTS:
        for key, part in enumerate(value):
            yield from _parts(f"{name}[{key}]", part, depth - 1)
    elif hasattr(value, "__dict__") and not type(value).__module__.startswith(("jax", "numpy")):
        for key, part in vars(value).items():
            yield from _parts(f"{name}.{key}", part, depth - 1)


@functools.lru_cache(maxsize=64)
def _statements(source: str) -> list[ast.stmt]:
    try:
        return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    except SyntaxError:
        return []


@functools.lru_cache(maxsize=4096)
def statement(source: str, line: int) -> tuple[int, str]:
    """The first line of the statement at a line, and its source in one line; of one with a body the line alone."""
    inside = [node for node in _statements(source) if node.lineno <= line <= (node.end_lineno or node.lineno)]
    lines = source.splitlines()
    if not inside or hasattr(inside[-1], "body"):
        return line, lines[line - 1].strip() if 0 < line <= len(lines) else ""
    first, last = inside[-1].lineno, inside[-1].end_lineno
    return first, " ".join(text.strip() for text in lines[first - 1 : last])
