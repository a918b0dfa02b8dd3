"""The local variables of people's functions as they are set, each with its line."""

import contextlib
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from twolayer.verification.numbers import recorded
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.complexes import Complex
from twolayer.verification.programs import Local
from twolayer.verification.programs.source import Source
from twolayer.verification.programs.stand_ins.arrays import lift

FIRST = 64  # settings of one name at one line that are kept, beside the last: a loop over examples has one for each
STEPS = 10_000  # lines run, after which no more is noted
DEEPEST, MOST, LARGEST = 3, 100, 200_000  # nesting of dicts, lists and objects; their entries; entries of an array


class Watch:
    """Follows the frames of a file. `settings()` gives what was set, in order.

    Contents are told apart by the identity of their numbers: an assignment in place puts other balls into an array.
    Another kind of number needs `array`, what a variable holds if it is one; `stamp`, what that is by identity, and
    what must stay alive for it; and `entry`, what is kept of a setting.
    """

    def __init__(self, source: Source):
        self.source = source
        self.kept: list = []
        self.counts: dict[tuple[int, str], list[int]] = {}
        self.states: dict[int, dict[str, Any]] = {}  # for each frame: what its names held
        self.known: dict[Any, Any] = {}  # contents that some name has had; their numbers stay alive
        self.lines: dict[int, int] = {}
        self.stored: dict[int | None, str | None] = {}
        self.steps = 0

    def settings(self) -> tuple:
        return tuple(local for local in self.kept if local is not None)

    def trace(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        """The trace function (sys.settrace)."""
        inside = frame.f_code.co_name.startswith("<") and frame.f_code.co_name != "<lambda>"
        if frame.f_code.co_filename != self.source.filename or inside:
            return None
        self.steps += 1
        if self.steps > STEPS:
            sys.settrace(None)
            return None
        key, record = id(frame), recorded.active()
        if record is not None:
            record.line, record.stack = frame.f_lineno, self._stack(frame)
        if event == "call":
            self.states[key], self.lines[key] = {}, frame.f_lineno
            caller = self.lines.get(id(frame.f_back))  # an argument that has no name yet is set where it is given
            self._compare(frame, caller, arguments=True)
        else:
            self._compare(frame, self.lines[key])
            self.lines[key] = frame.f_lineno
        if event == "return":
            for path, array in parts("return", arg, self.array):
                contents, numbers = self.stamp(array)
                if contents not in self.known:  # handed back without a name
                    self.known[contents] = numbers
                    self._note(frame.f_lineno, path, array)
            del self.states[key], self.lines[key]
        return self.trace

    def _stack(self, frame: types.FrameType | None) -> tuple[int, ...]:
        """The file's lines that run now, the innermost first."""
        lines = []
        while frame is not None and len(lines) < DEEPEST:
            if frame.f_code.co_filename == self.source.filename:
                lines.append(frame.f_lineno)
            frame = frame.f_back
        return tuple(lines)

    def _compare(self, frame: types.FrameType, line: int | None, arguments: bool = False) -> None:
        """Note what has changed since the last look, as set at `line`; None: it was given from outside."""
        state, changed, stored = self.states[id(frame)], [], self._stored(line)
        for name, value in list(frame.f_locals.items()):
            if name.startswith(".") or name == "__class__" or isinstance(value, _PLAIN):
                continue
            for path, array in parts(name, value, self.array):
                contents, numbers = self.stamp(array)
                if state.get(path) == contents and path != stored:
                    continue
                state[path] = contents
                shown_before = contents in self.known and (arguments or not path.isidentifier())
                self.known.setdefault(contents, numbers)
                if not shown_before:
                    changed.append((path, contents, array))
        if line is None:
            return
        words = set(re.findall(r"\w+", self.source.statement(line))) if len(changed) > 1 else set()
        spoken = {contents for path, contents, _ in changed if _name(path) in words}
        for path, contents, array in changed:  # of names for one array that is changed in place those in the statement
            if contents not in spoken or _name(path) in words:
                self._note(line, path, array)

    def _stored(self, line: int | None) -> str | None:
        """The variable whose entries the statement at a line sets: it is noted though they are what they were."""
        if line not in self.stored:
            found = re.match(r"(\w+)\[.*\]\s*[-+*/@]?=(?!=)", self.source.statement(line)) if line else None
            self.stored[line] = found and found.group(1)
        return self.stored[line]

    def _note(self, line: int, name: str, array: Any) -> None:
        key = re.search(r"\['(\w+)'\]$", name)
        first, text = self.source.entry(line, key.group(1) if key else None)
        places = self.counts.setdefault((first, name), [])
        if len(places) > FIRST:
            self.kept[places.pop()] = None  # only the last of those beyond
        places.append(len(self.kept))
        self.kept.append(self.entry(first, name, array, text))

    def entry(self, line: int, name: str, array: Any, text: str) -> Any:
        return Local(line, name, np.array(lift(array), object), text)

    def array(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            fits = np.asarray(value).dtype.kind in "fb" or _holds_balls(value)
            return value if value.size <= LARGEST and fits else None
        if isinstance(value, Complex):
            return None
        return value if isinstance(value, Ball) or (isinstance(value, list) and _is_table(value)) else None

    def stamp(self, array: Any) -> tuple[Any, Any]:
        if isinstance(array, np.ndarray):  # an object array's bytes are the places of its balls
            return (array.shape, array.tobytes()), array.ravel().tolist()
        numbers = list(_flat(array))
        places = tuple(id(v) if isinstance(v, Ball) else v for v in numbers)
        return (len(array) if isinstance(array, list) else (), places), numbers


def _name(path: str) -> str:
    return re.split(r"\W", path, maxsplit=1)[0]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _flat(entry)
    else:
        yield value


def _is_table(value: list) -> bool:
    """Whether a list is a vector or a matrix: numbers, as many in each row, not all of them integers."""
    leaves = list(_flat(value))
    if not leaves or not all(isinstance(v, (Ball, float, int)) for v in leaves):
        return False
    rows = [len(row) if isinstance(row, (list, tuple)) else -1 for row in value]
    return any(isinstance(v, (Ball, float)) for v in leaves) and all(row == rows[0] for row in rows)


_PLAIN = (int, float, str, types.NoneType, types.FunctionType, types.ModuleType, type)
_CONTAINERS = (dict, list, tuple)
_OPAQUE = (type, types.FunctionType, types.ModuleType, types.MethodType, np.ndarray, Ball)


def parts(name: str, value: Any, array: Callable[[Any], Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The arrays in a variable, as `array` knows them: itself, its entries, its attributes."""
    found = array(value)
    if found is not None:
        yield name, found
        return
    if depth == DEEPEST or isinstance(value, _OPAQUE):
        return
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{name}[{key!r}]", entry) for key, entry in list(value.items())[:MOST]]
    elif isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
        inner = [(f"{name}.{key}", getattr(value, key)) for key in fields]
    elif isinstance(value, (list, tuple)):
        shown = ((i, v) for i, v in enumerate(value[:MOST]) if isinstance(v, _CONTAINERS) or array(v) is not None)
        inner = [(f"{name}[{i}]", entry) for i, entry in shown]  # objects show their parts under names of their own
    elif hasattr(value, "__dict__") and not type(value).__module__.startswith("jax"):
        inner = [(f"{name}.{key}", entry) for key, entry in list(vars(value).items())[:MOST] if key[:2] != "__"]
    for path, entry in inner:
        yield from parts(path, entry, array, depth + 1)


_REAL = (Ball, int, float)


def _holds_balls(array: np.ndarray) -> bool:
    kinds = set(map(type, array.ravel().tolist()))
    return np.asarray(array).dtype == object and all(issubclass(kind, _REAL) and kind is not Complex for kind in kinds)


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Trace the file's functions inside."""
    before = sys.gettrace()
    sys.settrace(watch.trace)
    try:
        yield
    finally:
        sys.settrace(before)
