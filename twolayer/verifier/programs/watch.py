"""The local variables of people's functions as they are set, each with its line."""

import contextlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from twolayer.verifier.numbers.balls import Ball
from twolayer.verifier.programs import Local
from twolayer.verifier.programs.source import Source
from twolayer.verifier.programs.stand_ins.arrays import is_real, lift

FIRST = 64  # settings of one name at one line that are kept, beside the last: a loop over examples has one for each
DEEPEST, LARGEST = 3, 200_000  # nesting of dicts, lists and objects; entries of an array


class Watch:
    """Follows the frames of a file. `settings()` gives what was set, in order."""

    def __init__(self, source: Source):
        self.source = source
        self.kept: list[Local] = []
        self.counts: dict[tuple[int, str], list[int]] = {}
        self.states: dict[int, dict[str, tuple]] = {}  # for each frame: what its names held, by identity
        self.known: dict[tuple, Any] = {}  # contents that some name has had
        self.lines: dict[int, int] = {}

    def settings(self) -> tuple[Local, ...]:
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
            for path, array in _parts(name, value, 0):
                stamp = _stamp(array)
                if state.get(path, (None,))[0] == stamp[0]:
                    continue
                state[path] = stamp  # the objects stay alive with it, so an identity means one of them
                if line is not None and not (new_only and stamp[0] in self.known):
                    self._note(line, path, array)
                self.known[stamp[0]] = stamp

    def _returned(self, frame: types.FrameType, value: Any) -> None:
        """What a function hands back without having named it."""
        for path, array in _parts("return", value, 0):
            stamp = _stamp(array)
            if stamp[0] not in self.known:
                self.known[stamp[0]] = stamp
                self._note(frame.f_lineno, path, array)

    def _note(self, line: int, name: str, array: Any) -> None:
        first = self.source.span(line)[0]
        entry = Local(first, name, np.array(lift(array), object), self.source.statement(line))
        places = self.counts.setdefault((first, name), [])
        if len(places) > FIRST:
            self.kept[places.pop()] = None  # only the last of those beyond
        places.append(len(self.kept))
        self.kept.append(entry)


def _stamp(array: Any) -> tuple:
    """What an array holds, by identity of its numbers, with those numbers."""
    flat = array.ravel().tolist() if isinstance(array, np.ndarray) else [array]
    if isinstance(array, np.ndarray) and np.asarray(array).dtype != object:
        return ((np.shape(array), tuple(flat)), None)
    return ((np.shape(array), tuple(map(id, flat))), flat)


def _parts(name: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The arrays and balls in a variable: itself, its entries, its attributes."""
    if isinstance(value, (np.ndarray, Ball)):
        kept = np.asarray(value, object) if isinstance(value, np.ndarray) else value
        if isinstance(value, Ball) or (
            kept.size <= LARGEST and np.asarray(value).dtype.kind in "Ofb" and _of_numbers(value)
        ):
            yield name, value
    elif depth >= DEEPEST:
        return
    elif isinstance(value, dict):
        for key, entry in list(value.items())[:100]:
            yield from _parts(f"{name}[{key!r}]", entry, depth + 1)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key in value._fields:
            yield from _parts(f"{name}.{key}", getattr(value, key), depth + 1)
    elif isinstance(value, (list, tuple)):
        if is_real(value) and not any(isinstance(v, np.ndarray) for v in value):
            with contextlib.suppress(ValueError):
                yield name, np.asarray(lift(list(value)), object)
            return
        for i, entry in enumerate(value[:100]):
            yield from _parts(f"{name}[{i}]", entry, depth + 1)
    elif hasattr(value, "__dict__") and not isinstance(
        value, (type, types.FunctionType, types.ModuleType, types.MethodType)
    ):
        with contextlib.suppress(TypeError):
            for key, entry in list(vars(value).items())[:100]:
                if not key.startswith("__"):
                    yield from _parts(f"{name}.{key}", entry, depth + 1)


def _of_numbers(value: np.ndarray) -> bool:
    array = np.asarray(value)
    return array.dtype != object or all(isinstance(v, (Ball, int, float)) for v in array.ravel().tolist())


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Trace the file's functions inside."""
    before = sys.gettrace()
    sys.settrace(watch.trace)
    try:
        yield
    finally:
        sys.settrace(before)
