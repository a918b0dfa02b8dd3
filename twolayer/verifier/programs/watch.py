"""The local variables of people's functions as they are set, each with its line."""

import contextlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from twolayer.verifier.numbers.balls import Ball
from twolayer.verifier.programs import Local
from twolayer.verifier.programs.source import Source
from twolayer.verifier.programs.stand_ins.arrays import is_real, lift

FIRST = 64  # settings of one name at one line that are kept, beside the last: a loop over examples has one for each
DEEPEST, MOST, LARGEST = 3, 100, 200_000  # nesting; parts of one object; entries of an array


class Watch:
    """Follows the frames of a file. `settings()` gives what was set, in order.

    Another kind of number needs `array`, what a variable holds if it is one; `stamp`, what that is by identity, and
    what must stay alive for it; and `entry`, what is kept of a setting.
    """

    def __init__(self, source: Source):
        self.source = source
        self.kept: list = []
        self.counts: dict[tuple[int, str], list[int]] = {}
        self.states: dict[int, dict[str, tuple]] = {}  # for each frame: what its names held, by identity
        self.known: dict[tuple, Any] = {}  # contents that some name has had
        self.lines: dict[int, int] = {}

    def settings(self) -> tuple:
        return tuple(local for local in self.kept if local is not None)

    def trace(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        """The trace function (sys.settrace)."""
        if frame.f_code.co_filename != self.source.filename:
            return None
        if frame.f_code.co_name.startswith("<") and frame.f_code.co_name != "<lambda>":
            return None
        key = id(frame)
        if event == "call":
            self.states[key] = {}
            self.lines[key] = frame.f_lineno
            caller = frame.f_back
            inside = caller is not None and id(caller) in self.states
            self._compare(frame, self.lines[id(caller)] if inside else None, new_only=True)
        else:
            self._compare(frame, self.lines[key])
            self.lines[key] = frame.f_lineno
        if event == "return":
            self._returned(frame, arg)
            del self.states[key], self.lines[key]
        return self.trace

    def _compare(self, frame: types.FrameType, line: int | None, new_only: bool = False) -> None:
        """Note what has changed since the last look, as set at `line`; None: what was given from outside."""
        state = self.states[id(frame)]
        for name, value in list(frame.f_locals.items()):
            if name.startswith(".") or name == "__class__":
                continue
            for path, array in parts(name, value, self.array):
                stamp = self.stamp(array)
                if state.get(path, (None,))[0] == stamp[0]:
                    continue
                state[path] = stamp  # the objects stay alive with it, so an identity means one of them
                shown = stamp[0] in self.known and (new_only or not path.isidentifier())  # as part of another object
                if line is not None and not shown:
                    self._note(line, path, array)
                self.known[stamp[0]] = stamp

    def _returned(self, frame: types.FrameType, value: Any) -> None:
        """What a function hands back without having named it."""
        for path, array in parts("return", value, self.array):
            stamp = self.stamp(array)
            if stamp[0] not in self.known:
                self.known[stamp[0]] = stamp
                self._note(frame.f_lineno, path, array)

    def _note(self, line: int, name: str, array: Any) -> None:
        first = self.source.span(line)[0]
        places = self.counts.setdefault((first, name), [])
        if len(places) > FIRST:
            self.kept[places.pop()] = None  # only the last of those beyond
        places.append(len(self.kept))
        self.kept.append(self.entry(first, name, array, self.source.statement(line)))

    def entry(self, line: int, name: str, array: Any, text: str) -> Any:
        return Local(line, name, np.array(lift(array), object), text)

    def array(self, value: Any) -> Any:
        if isinstance(value, Ball) or (isinstance(value, np.ndarray) and value.size <= LARGEST and _of_numbers(value)):
            return value
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields") and is_real(value):
            with contextlib.suppress(ValueError):
                return None if any(isinstance(v, np.ndarray) for v in value) else np.asarray(lift(list(value)), object)
        return None

    def stamp(self, array: Any) -> tuple:
        flat = array.ravel().tolist() if isinstance(array, np.ndarray) else [array]
        if isinstance(array, np.ndarray) and np.asarray(array).dtype != object:
            return ((np.shape(array), tuple(flat)), None)
        return ((np.shape(array), tuple(map(id, flat))), flat)


_OPAQUE = (type, types.FunctionType, types.ModuleType, types.MethodType, np.ndarray)


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
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        inner = [(f"{name}.{key}", getattr(value, key)) for key in value._fields]
    elif isinstance(value, (list, tuple)):
        inner = [(f"{name}[{i}]", entry) for i, entry in enumerate(value[:MOST])]
    elif hasattr(value, "__dict__") and not type(value).__module__.startswith("jax"):
        inner = [(f"{name}.{key}", entry) for key, entry in list(vars(value).items())[:MOST] if key[:2] != "__"]
    for path, entry in inner:
        yield from parts(path, entry, array, depth + 1)


def _of_numbers(array: np.ndarray) -> bool:
    plain = np.asarray(array)
    if plain.dtype != object:
        return plain.dtype.kind in "fb"
    return all(isinstance(v, (Ball, int, float)) for v in plain.ravel().tolist())


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Trace the file's functions inside."""
    before = sys.gettrace()
    sys.settrace(watch.trace)
    try:
        yield
    finally:
        sys.settrace(before)
