"""The local variables of a function while JAX traces it: what their values are in the trace of the whole program.

Functions under vmap, grad and linearize are seen inside: a variable there stands for an array of the whole program, of
all examples at once, or for the value without its derivative. What JAX traces apart (loops, rules) is not seen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.core import Tracer

from twolayer.verification.programs.local_variables import Watch
from twolayer.verification.programs.source import Source


class Outer(NamedTuple):
    """A tracer of the whole program, and the axis that vmap made of it, if any."""

    value: Any
    batch_axis: int | None


class Setting(NamedTuple):
    """A local variable, set at a line, and what it holds."""

    line: int
    name: str
    array: Outer
    text: str


class TraceWatch(Watch):
    """Notes each local variable that holds another array of the program than before."""

    def __init__(self, source: Source):
        super().__init__(source)
        self._trace: Any = None

    def begin(self, tracers: Sequence[Any]) -> None:
        """`tracers` are the arguments of the whole program."""
        self._trace = tracers[0]._trace if tracers else None
        self.known.update((id(tracer), tracer) for tracer in tracers)

    def array(self, value: Any) -> Outer | None:
        axis = None
        while isinstance(value, Tracer) and value._trace is not self._trace:
            if hasattr(value, "batch_dim"):
                axis, value = (value.batch_dim if isinstance(value.batch_dim, int) else None), value.val
            else:
                value = getattr(value, "primal", None)
        return Outer(value, axis) if isinstance(value, Tracer) else None

    def stamp(self, array: Outer) -> tuple:
        return id(array.value), array.value

    def entry(self, line: int, name: str, array: Outer, text: str) -> Setting:
        return Setting(line, name, array, text)
