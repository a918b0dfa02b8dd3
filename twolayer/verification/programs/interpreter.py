"""Walks a jaxpr over a number system: one interpreter for balls (reals.py) and for rounding errors (rounding/).

Floats are values of the system. Integers and booleans are plain NumPy arrays: they are data by then.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.jaxprs import is_complex, is_float, line, name_of, nested_call, opened, walk

Path = tuple[int, ...]
Visit = Callable[[Path, Any, list], list]
Value = Any  # a value of a number system, or a plain array
Rule = Callable[..., Any]


class Rules(dict[str, Rule]):
    """Rules by the name of their primitive."""

    def rule(self, *names: str) -> Callable[[Rule], Rule]:
        """Register a rule for these primitives."""

        def register(function: Rule) -> Rule:
            self.update(dict.fromkeys(names, function))
            return function

        return register


class System:
    """How the operations of a jaxpr act on the values of a number system.

    Attributes:
      rules: primitive's name -> rule(call, *inputs), which returns an output or a list of them; "jit:name" for a
        function of JAX's own that is known as a whole.
      complex: whether it has complex numbers.
    """

    rules: Mapping[str, Rule] = Rules()
    complex = False

    # Arithmetic. The sign of an extreme is 1 for the largest and -1 for the smallest; `place` is where it stands.
    add: Callable[[Value, Value], Value]
    mul: Callable[[Value, Value], Value]
    neg: Callable[[Value], Value]
    power: Callable[[Value, int], Value]
    sum: Callable[[Value, tuple[int, ...]], Value]  # along some axes
    matmul: Callable[[Value, Value], Value]  # of (batch, rows, inner) and (batch, inner, columns)
    extreme: Callable[[Value, tuple[int, ...], int], Value]  # along some axes, and by the sign
    place: Callable[[Value, int, int], Any]  # along an axis, and by the sign
    integers: Callable[[Value, Any], np.ndarray]  # numbers cut off, or whether they are not zero, as a dtype

    def literal(self, array: np.ndarray, dtype: Any) -> Value:
        """Floats that stand in the program, where they have this type; a Python number comes as it was written."""
        raise NotImplementedError

    def constant(self, array: np.ndarray) -> Value:
        """Integers and booleans as the numbers that they are."""
        raise NotImplementedError

    def move(self, f: Callable[..., np.ndarray], *values: Value) -> Value:
        """Apply a function that only moves entries."""
        raise NotImplementedError

    def unknown(self, call: "Call", *inputs: Value) -> Value:
        """An operation for which there is no rule."""
        raise call.not_judged()

    def enter(self, call: "Call") -> None:
        """Told of each operation before it runs."""


class Call:
    """What a rule gets besides its inputs: the operation, the system, and a way to run a nested jaxpr."""

    def __init__(self, eqn: Any, system: System, visit: Visit | None, path: Path, outer: "Call | None"):
        self.eqn, self.params, self.system, self.outer = eqn, eqn.params, system, outer
        self._visit, self.path = visit, path

    @property
    def out(self) -> Any:
        """The shape and type of the first output."""
        return self.eqn.outvars[0].aval

    def run(self, jaxpr: ClosedJaxpr | Jaxpr, arguments: Sequence, *, loop: bool = False) -> list:
        """Interpret a nested jaxpr. Operations inside of loops are not visited: they have no single value."""
        return _run(*opened(jaxpr), arguments, self.system, None if loop else self._visit, self.path, self)

    def where(self) -> str:
        """The operation, and the line in the user's file from which it, or the call around it, comes."""
        place = self._place()
        return f"{name_of(self.eqn)} at {place}" if place else name_of(self.eqn)

    def not_judged(self) -> NotJudged:
        """What to raise where the operation has no meaning here."""
        place = self._place()
        return NotJudged(name_of(self.eqn), place or "", self.line)

    @functools.cached_property
    def line(self) -> int | None:
        """The line in the user's file."""
        place = self._place()
        return int(place.rsplit(":", 1)[1]) if place else None

    def _place(self) -> str | None:
        call: Call | None = self
        while call is not None and line(call.eqn) is None:
            call = call.outer
        return line(call.eqn) if call is not None else None


def interpret(closed: ClosedJaxpr, system: System, *arguments: Value, visit: Visit | None = None) -> list:
    """The outputs of a jaxpr for arguments that are values of `system` (floats) or NumPy arrays (integers, booleans).

    Args:
      closed: what jax.make_jaxpr returns.
      system: the number system.
      arguments: one for each input variable.
      visit: called after each operation outside of loops with its path (the position in each nesting of calls), the
        operation and its outputs; what it returns takes the place of the outputs.

    Raises:
      NotJudged: an operation is not known; its line is named.
    """
    return _run(closed.jaxpr, closed.consts, arguments, system, visit, (), None)


def _run(
    jaxpr: Jaxpr,
    consts: Sequence,
    arguments: Sequence,
    system: System,
    visit: Visit | None,
    path: Path,
    outer: Call | None,
) -> list:
    def apply(number: int, eqn: Any, inputs: list) -> list:
        call = Call(eqn, system, visit, (*path, number), outer)
        system.enter(call)
        try:
            outputs = _apply(call, inputs)
        except _NOT_FORESEEN as error:
            raise call.not_judged() from error
        outputs = list(outputs) if eqn.primitive.multiple_results else [outputs]
        outputs = [np.asarray(a) if isinstance(a, np.generic) else a for a in outputs]  # 0-d arrays turn into scalars
        return outputs if visit is None else visit((*path, number), eqn, outputs)

    return walk(jaxpr, consts, arguments, apply, lambda value, aval: _constant(value, system, aval))


def _apply(call: Call, inputs: list) -> Any:
    name = call.eqn.primitive.name
    if not call.system.complex and any(is_complex(v.aval) for v in call.eqn.outvars):
        raise NotJudged("complex numbers", call.where(), call.line)
    rule = call.system.rules.get(f"jit:{call.params['name']}" if name in ("jit", "pjit") else name)
    if rule is not None:
        return rule(call, *inputs)
    nested = nested_call(call.eqn)
    if nested is not None:
        return call.run(nested, inputs)
    return on_integers(call, *inputs) if all(map(plain, inputs)) else call.system.unknown(call, *inputs)


def on_integers(call: Call, *inputs: Any) -> Any:
    """JAX's own operation on data that holds no value of the system."""
    bound = call.eqn.primitive.bind(*inputs, **call.params)
    outputs = [
        a if is_key(a) else call.system.literal(np.asarray(a), a.dtype) if is_float(a) else np.asarray(a)
        for a in (bound if call.eqn.primitive.multiple_results else [bound])
    ]
    return outputs if call.eqn.primitive.multiple_results else outputs[0]


def plain(value: Value) -> bool:
    """Whether it is an array of integers or booleans (or random keys), and no value of a system."""
    return (isinstance(value, np.ndarray | np.generic) and value.dtype != object) or isinstance(value, jax.Array)


def is_key(array: Any) -> bool:
    """Whether it is an array of random keys."""
    return jnp.issubdtype(getattr(array, "dtype", type(array)), jax.dtypes.prng_key)


def _constant(array: Any, system: System, aval: Any) -> Value:
    if is_key(array):
        return array
    array = np.asarray(array)
    if is_float(array):
        return system.literal(array, aval.dtype)
    return array.astype(aval.dtype)  # a Python integer has the type that the program gave it


# What a rule may raise of an operation in a form that it was not written for.
_NOT_FORESEEN = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, NotImplementedError, ImportError)
