"""Walks a jaxpr over a number system. One interpreter; the rules stand in rules.py, the number systems in numbers/.

Floats are values of the system. Integers and booleans are plain NumPy arrays, because they are data: the shadows
decided them. Every array may have one more leading axis than the jaxpr knows of, along which lie independent draws.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from twolayer.verification.numbers.system import System

Path = tuple[int, ...]
Visit = Callable[[Path, Any, list], list]


def interpret(closed: ClosedJaxpr, system: System, *arguments: Any, visit: Visit | None = None) -> list:
    """The outputs of a jaxpr for arguments that are values of `system` (floats) or NumPy arrays (integers, booleans).

    Args:
      closed: what jax.make_jaxpr returns.
      system: the number system.
      arguments: one for each input variable, each with or without a leading axis of draws.
      visit: called after each operation outside of loops with its path (the position in each nesting of calls), the
        operation and its outputs; what it returns takes the place of the outputs.
    """
    return _run(closed.jaxpr, closed.consts, arguments, system, visit, ())


def where(eqn: Any, filename: str | None = None) -> str:
    """The operation and its line in the user's file: "sqrt at homework.py:12"."""
    traceback = eqn.source_info.traceback
    for frame in traceback.frames if traceback else ():
        if frame.file_name == filename or (filename is None and not _is_library(frame.file_name)):
            name = eqn.params.get("name", eqn.primitive.name) if eqn.primitive.name == "jit" else eqn.primitive.name
            return f"{name} at {frame.file_name.rsplit('/', 1)[-1]}:{frame.line_num}"
    return eqn.primitive.name


def is_float(aval: Any) -> bool:
    """Whether a variable holds floats, which are values of the system."""
    return jnp.issubdtype(aval.dtype, jnp.floating)


class Call:
    """What a rule gets besides its inputs: the operation, the system, and a way to run a nested jaxpr."""

    def __init__(self, eqn: Any, system: System, visit: Visit | None, path: Path):
        self.eqn, self.params, self.system, self._visit, self._path = eqn, eqn.params, system, visit, path
        self.ranks = [var.aval.ndim for var in eqn.invars]

    def run(self, jaxpr: ClosedJaxpr | Jaxpr, arguments: Sequence, *, loop: bool = False) -> list:
        """Interpret a nested jaxpr. Operations inside of loops are not visited: they have no single value."""
        inner, consts = (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, ClosedJaxpr) else (jaxpr, ())
        return _run(inner, consts, arguments, self.system, None if loop else self._visit, self._path)

    def reason(self) -> str:
        return where(self.eqn)


def _run(jaxpr: Jaxpr, consts: Sequence, arguments: Sequence, system: System, visit: Visit | None, path: Path) -> list:
    from twolayer.verification.rules import RULES, opaque_rule

    known: dict = {}

    def read(atom: Any) -> Any:
        return _constant(atom.val, system, atom.aval) if isinstance(atom, Literal) else known[atom]

    for var, const in zip(jaxpr.constvars, consts, strict=True):
        known[var] = _constant(const, system, var.aval)
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for number, eqn in enumerate(jaxpr.eqns):
        call = Call(eqn, system, visit, (*path, number))
        inputs = [read(atom) for atom in eqn.invars]
        rule = system.rule(eqn) or RULES.get(eqn.primitive.name, opaque_rule)
        outputs = rule(call, *inputs)
        outputs = list(outputs) if eqn.primitive.multiple_results else [outputs]
        outputs = [np.asarray(a) if isinstance(a, np.generic) else a for a in outputs]  # 0-d arrays turn into scalars
        if visit is not None:
            outputs = visit((*path, number), eqn, outputs)
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _constant(array: Any, system: System, aval: Any) -> Any:
    if jax.dtypes.issubdtype(array.dtype if hasattr(array, "dtype") else type(array), jax.dtypes.prng_key):
        return array
    array = np.asarray(array)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return system.literal(array, aval.dtype)
    return array.astype(aval.dtype)  # a Python integer has the type that the program gave it


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or "/twolayer/" in filename or filename.startswith("<frozen")
