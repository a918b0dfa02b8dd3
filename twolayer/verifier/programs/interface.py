"""What every dialect of program offers to the verifier, and how a program that cannot be judged says so."""

from typing import Any, NamedTuple, Protocol

import numpy as np


class Local(NamedTuple):
    """One setting of a local variable by the user's own code, in the order of running.

    Attributes:
      line: 1-based, in the user's file.
      name: as a reader would write it: "delta1", "cache['Z1']", "self.Z1".
      value: an object array of Ball, as it was just after the line.
      text: the source of the statement, stripped.
    """

    line: int
    name: str
    value: np.ndarray
    text: str


class Run(NamedTuple):
    """What a function returned, floats as Ball or object arrays of Ball, and its locals if it was watched."""

    result: Any
    locals: tuple[Local, ...] = ()


class Program(Protocol):
    """A user's function that can be run on balls."""

    filename: str | None
    source: str | None

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        """Run it. Arguments are nested structures of object arrays of Ball (floats) and integer arrays."""
        ...

    def literals(self) -> tuple[float, ...]:
        """The float literals that stand in the code, without 0, 1 and -1."""
        ...


class Refused(ValueError):
    """What is wrong with the user's code, in one line; nothing could be judged."""


class RaisedInside(Refused):
    """The user's function raised an exception: "file.py:12: `line` raised TypeError: ..."."""


class NotJudged(Exception):
    """An operation that is not known here, with its line: "eigh at file.py:12"."""
