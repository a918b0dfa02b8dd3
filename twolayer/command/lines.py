"""Naming the line of the user's file: where it failed, where it is now."""

import linecache
import pathlib
import sys
import traceback
from types import FrameType

LONGEST = 300  # characters of an exception's message; some of JAX's fill a page


def blame(error: BaseException, path: pathlib.Path | None) -> str:
    """One line: the last line of `path` that led to the error, its code, and the exception."""
    what = f"{type(error).__name__}: {_first_line(str(error))}".removesuffix(": ")
    numbers = [number for frame, number in traceback.walk_tb(error.__traceback__) if _is_in(frame, path)]
    if path and numbers:
        return f"{_place(path, numbers[-1])}: {what}"
    if isinstance(error, SyntaxError) and path:  # no line ran, so it is the file itself that cannot be read
        return f"{_place(path, error.lineno) if error.lineno else path.name}: {type(error).__name__}: {error.msg}"
    return what


def current(path: pathlib.Path | None) -> str | None:
    """The line of `path` that some thread is in, innermost first, as `file.py:12: code`; None if none is."""
    for frame in sys._current_frames().values():
        while frame is not None:
            if path and _is_in(frame, path):
                return _place(path, frame.f_lineno)
            frame = frame.f_back
    return None


def _is_in(frame: FrameType, path: pathlib.Path | None) -> bool:
    return path is not None and frame.f_code.co_filename == str(path)


def _place(path: pathlib.Path, number: int) -> str:
    code = linecache.getline(str(path), number).strip()
    place = f"{path.name}:{number}"
    if path.suffix == ".ipynb":
        from twolayer.verification.programs.source import Source

        place = Source(str(path), "".join(linecache.getlines(str(path)))).place(number)
    return f"{place}: {code}" if code else place


def _first_line(message: str) -> str:
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= LONGEST else line[:LONGEST] + " ..."
