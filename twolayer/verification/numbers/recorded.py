"""Numbers that remember how they were made: the exact derivative of any code that runs on balls, by one reverse pass.

Each operation keeps its operands and the slopes by them; a maximum or a comparison follows the branch that was taken.
Where arrays meet in one operation, `note` keeps that too, so that a reverse pass can be told, and changed, operation by
operation.
"""

import contextlib
import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, array_of
from twolayer.verification.numbers.complexes import holds_complex


class Node(NamedTuple):
    """One operation on arrays: its name, operands and result, its line, and which numbers were made for it.

    stack: the lines of the calls through which it came to run, the innermost first.
    """

    op: str
    operands: tuple[np.ndarray, ...]
    output: np.ndarray
    line: int | None
    start: int
    stop: int
    stack: tuple[int, ...] = ()


class Record:
    """What is being recorded: the operations on arrays in their order, and the user's line that runs now."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.line: int | None = None
        self.stack: tuple[int, ...] = ()


_count = itertools.count()
_active: list[Record] = []


class Recorded(Ball):
    """A ball with its operands, and the slopes by them. `order` counts all numbers made."""

    __slots__ = ("line", "operands", "order", "slopes")
    line: int | None
    operands: tuple
    order: int
    slopes: Callable[[], tuple] | None

    def __init__(self, value: Any = 0):
        super().__init__(value)
        self.order, self.operands, self.slopes, self.line = next(_count), (), None, None

    @classmethod
    def made(cls, v: flint.arb, operands: tuple = (), slopes: Callable[[], tuple] | None = None) -> Self:
        ball = object.__new__(cls)
        ball.v, ball.order, ball.operands, ball.slopes = v, next(_count), operands, slopes
        ball.line = _active[-1].line if _active else None
        return ball

    def edges(self) -> Iterator[tuple["Recorded", flint.arb]]:
        """The recorded operands with the slopes by them."""
        if self.slopes is not None:
            for operand, slope in zip(self.operands, self.slopes(), strict=True):
                if isinstance(operand, Recorded):
                    yield operand, slope


@contextlib.contextmanager
def recording() -> Iterator[Record]:
    """Keep the operations on arrays that run inside."""
    _active.append(Record())
    try:
        yield _active[-1]
    finally:
        _active.pop()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles inside: numbers have none, and there are so many that the search costs more than they do."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def active() -> Record | None:
    """What is being recorded now, if anything is."""
    return _active[-1] if _active else None


def clock() -> int:
    """How many numbers have been made."""
    return next(_count)


def note(op: str, operands: Sequence[Any], output: Any, start: int) -> None:
    """Keep an operation on arrays whose numbers were made since `start`."""
    record = active()
    if record is not None and not any(holds_complex(np.asarray(a, object)) for a in (*operands, output)):
        arrays = tuple(np.asarray(operand, object) for operand in operands)
        result = np.asarray(output, object)
        record.nodes.append(Node(op, arrays, result, record.line, start, clock(), record.stack))


def told_apart(values: Any) -> Any:
    """An array whose constants are numbers of their own, so that it is known which one stood beside which operand."""
    if not isinstance(values, np.ndarray) or values.dtype != object or holds_complex(values):
        return values
    flat = values.ravel().tolist()
    if all(isinstance(v, Recorded) for v in flat):
        return values
    own = [v if isinstance(v, Recorded) else Recorded(v) for v in flat]
    into = values if values.flags.writeable else values.copy()
    into[...] = array_of(values.shape, own)
    return into


def chosen(result: Any, operands: Sequence[Any]) -> Any:
    """The entries of a maximum as numbers of their own: slope 1 by the operand that each is, 0 by the other."""
    arrays = np.broadcast_arrays(*(np.asarray(operand, object) for operand in operands))
    flat = np.asarray(result, object).ravel().tolist()
    out = np.empty(len(flat), object)
    for i, (v, *pair) in enumerate(zip(flat, *(a.ravel().tolist() for a in arrays), strict=True)):
        slopes = tuple(flint.arb(1 if operand is v else 0) for operand in pair)
        out[i] = Recorded.made(v.v, tuple(pair), lambda slopes=slopes: slopes) if isinstance(v, Ball) else v
    out = out.reshape(np.shape(result))
    return out if out.ndim else out.item()


def reached(output: Ball) -> list[Recorded]:
    """All recorded numbers that a number was made of, the latest first."""
    found: dict[int, Recorded] = {}
    todo = [output] if isinstance(output, Recorded) else []
    while todo:
        number = todo.pop()
        if number.order not in found:
            found[number.order] = number
            todo += [operand for operand in number.operands if isinstance(operand, Recorded)]
    return [found[order] for order in sorted(found, reverse=True)]


def cotangents(output: Ball) -> dict[int, flint.arb]:
    """The derivative of a number by each of the recorded numbers that it was made of, by their order."""
    found = {output.order: flint.arb(1)} if isinstance(output, Recorded) else {}
    for number in reached(output):
        outer = found.get(number.order)
        if outer is None or outer.is_zero():
            continue
        for operand, slope in number.edges():
            found[operand.order] = found.get(operand.order, 0) + outer * slope
    return found


def gradient(output: Any, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The derivative of a number by arrays of recorded numbers, as arrays of balls."""
    found = cotangents(output) if isinstance(output, Recorded) else {}
    return [by(array, found) for array in inputs]


def by(array: Any, found: dict[int, flint.arb]) -> np.ndarray:
    """The cotangent of each number of an array; 0 for one that is not reached."""
    array, zero = np.asarray(array, object), flint.arb(0)
    slopes = [found.get(v.order, zero) if isinstance(v, Recorded) else zero for v in array.ravel().tolist()]
    return array_of(array.shape, list(map(Ball, slopes)))
