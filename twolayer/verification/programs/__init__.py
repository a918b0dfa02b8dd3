"""People's code, run over balls: NumPy as it stands, and JAX through its jaxpr. What both kinds of program share."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


class Refused(ValueError):
    """The code cannot be run, in one line that says what to do."""


class RaisedInside(Refused):
    """The code itself raised, in one line: 'file.py:12: `line` raised TypeError: ...'."""


class NotJudged(Exception):
    """An operation whose meaning over the reals is not known here, with its line: 'np.packbits at file.py:12'.

    operation: the name alone. line: 1-based, None where it is not known. raised: how many there have been, so that
      whoever runs code that catches all exceptions can tell.
    """

    raised = 0

    def __init__(self, operation: str, place: str = "", line: int | None = None):
        NotJudged.raised += 1
        super().__init__(f"{operation} at {place}" if place else operation)
        self.operation, self.line = operation, line


class Local(NamedTuple):
    """One setting of a local variable by the user's own code, in the order of running.

    line: 1-based, in the file; for a notebook within its joined code cells.
    name: as the user would write it: "delta1", "self.cache['Z1']", "return['dW1']" for what a function hands back
      without having named it.
    value: an object array of balls, a copy as it was just after the line.
    text: the statement, stripped.
    """

    line: int
    name: str
    value: np.ndarray
    text: str


class Run(NamedTuple):
    """What a program returned, its floats as balls or object arrays of balls, and its locals if they were watched."""

    result: Any
    locals: tuple[Local, ...] = ()


@runtime_checkable
class Program(Protocol):
    """A function of the user's that runs over balls."""

    function: Callable
    filename: str | None
    source: str | None

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        """Run on nested structures with object arrays of balls, which are not changed, and int arrays."""
        ...

    def literals(self) -> tuple[float, ...]:
        """The numbers that stand in the code, without 0, 1 and -1."""
        ...

    def thresholds(self) -> tuple[str, ...]:
        """What may act at some sizes of numbers only: "clip at file.py:12"."""
        ...
