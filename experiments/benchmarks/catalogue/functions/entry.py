"""How a function is entered, and how it is made wrong: a text of its file is replaced by another.

The wrong line is that of the new text; `causes` are the ids that a teacher would accept.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A fault: the outputs that it makes wrong, the text that it replaces, and the causes that fit."""

    outputs: str
    old: str
    new: str
    causes: tuple[str, ...]


class Case(NamedTuple):
    """A question, "gradient", "vjp", "hvp", "rule" or "equal", about functions of a file, the judged one last."""

    file: str
    ask: str
    functions: tuple[str, ...]
    shapes: Mapping[str, Any]
    faults: tuple[Fault, ...]
    options: Mapping[str, Any] = {}


ANY = ("derivative", "derivative_missing", "other_factor", "factor", "path_missing")
CUT = ("path_missing", "zero")
SCALE = ("factor",)
SIGN = ("sign",)
SLOPE = ("derivative_missing", "derivative", "other_factor")
PART = ("part", "off_by_one", "path_missing")
