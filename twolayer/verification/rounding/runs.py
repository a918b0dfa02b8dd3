"""Runs a compiled program with some of its own intermediates handed out, and holds each against its exact value.

Each step is judged from the program's own arrays before it, so the bound is that of one step, and sharp. A compiler may
compute an array twice, in two ways, or never round it: XLA turns a / b / c into a / (b c). So that the array handed out
is the one that the rest of the program uses, each is kept behind an optimization_barrier.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from twolayer.verification.evidence.calls import Call, named
from twolayer.verification.evidence.points import Floats
from twolayer.verification.problem import Sizes, shape
from twolayer.verification.programs import Refused
from twolayer.verification.programs.interpreter import Path, interpret
from twolayer.verification.programs.jax_code import JaxProgram, make_tree
from twolayer.verification.programs.jaxprs import bind, nested_call, opened, walk
from twolayer.verification.rounding.bounded import Bounded, DecidedByRounding
from twolayer.verification.rounding.bounds import Rounding, exactly
from twolayer.verification.rounding.compared import Compared

Place = tuple[Path, int]  # of an array: the operation, and the number of its output

# LLVM at its lowest level compiles in half the time; the operations that it is given, and their bounds, are the same.
QUICK = {"xla_backend_optimization_level": 0}


class Traced(NamedTuple):
    """A derivation at one size and precision: its jaxpr, and which output is what ("dW1", ...), in their order."""

    jaxpr: ClosedJaxpr
    names: tuple[str, ...]
    sizes: Sizes
    precision: str
    call: Call


@contextlib.contextmanager
def running(precision: str) -> Iterator[str]:
    """The state of JAX in which a program of this precision is traced and run; yields the type of its arrays."""
    dtype = "float32" if precision == "tensorfloat32" else precision
    products = jax.default_matmul_precision("tensorfloat32" if precision == "tensorfloat32" else None)
    with jax.enable_x64(dtype == "float64"), products if precision == "tensorfloat32" else contextlib.nullcontext():
        yield dtype


def trace(gradients: JaxProgram, call: Call, sizes: Sizes, precision: str) -> Traced:
    """Trace a derivation at these sizes.

    Raises:
      RaisedInside, NotTraceable, Refused: see JaxProgram.trace.
    """
    names: list[str] = []

    def leaves(*arguments: Any) -> list:
        result = named(gradients.function(*arguments))
        names[:] = result
        return [_floats(name, array) for name, array in result.items()]

    zeros = {name: np.zeros(shape(name, sizes)) for name in ("W1", "b1", "W2", "b2", "x", "y")}
    program = JaxProgram(leaves, gradients.filename, gradients.source)
    with running(precision) as dtype:
        traced = program.trace(*call.arguments(zeros, zeros["x"], zeros["y"]), dtype=dtype)
    return Traced(traced.jaxpr, tuple(names), sizes, precision, call)


def _floats(name: str, array: Any) -> Any:
    array = jnp.asarray(array)
    if jnp.iscomplexobj(array):
        raise Refused(f"{name} is complex: {array.dtype}")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def inputs(traced: Traced, floats: Floats) -> list[np.ndarray]:
    """A problem as the arrays that a program takes, in their order and in the type of its run."""
    arguments = traced.call.arguments(floats, floats["x"], floats["y"])
    for one in arguments:
        make_tree(one)
    avals: list[Any] = [var.aval for var in traced.jaxpr.jaxpr.invars]
    return [np.asarray(a).astype(aval.dtype) for a, aval in zip(jax.tree.leaves(arguments), avals, strict=True)]


def evaluate(closed: ClosedJaxpr, arguments: Sequence, places: Collection[Place] = ()) -> tuple[list, dict[Place, Any]]:
    """The outputs of a jaxpr, and the arrays at these places; their paths are those of interpreter.interpret.

    To be traced by jit; called by itself it runs one operation at a time.
    """
    handed_out: dict[Place, Any] = {}
    outputs = _run(closed.jaxpr, closed.consts, arguments, frozenset(places), handed_out, ())
    return outputs, handed_out


def _run(jaxpr: Jaxpr, consts: Sequence, arguments: Sequence, places: frozenset, out: dict, path: Path) -> list:
    def apply(number: int, eqn: Any, inputs: list) -> list:
        here, nested = (*path, number), nested_call(eqn)
        outputs = bind(eqn, inputs) if nested is None else _run(*opened(nested), inputs, places, out, here)
        for i in range(len(outputs)):
            if (here, i) in places:
                outputs[i] = out[here, i] = jax.lax.optimization_barrier(outputs[i])
        return outputs

    def constant(value: Any, aval: Any) -> Any:
        return value if isinstance(value, jax.Array) else np.asarray(value, aval.dtype)

    return walk(jaxpr, consts, arguments, apply, constant)


def signature(jaxpr: ClosedJaxpr | Jaxpr) -> tuple:
    """The names of all operations, nested as they are: programs of one signature have the same places."""
    called = [(eqn.primitive.name, nested_call(eqn)) for eqn in opened(jaxpr)[0].eqns]
    return tuple((name, None if nested is None else signature(nested)) for name, nested in called)


class Steps(NamedTuple):
    """All arrays compared, in the order of computing, and the number system that was used."""

    compared: list[Compared]
    system: Rounding


class Instrumented:
    """A program compiled so that it hands out the arrays at some places, and uses what it hands out."""

    def __init__(self, traced: Traced, places: dict[Place, str]):
        """`places`: where the steps stand inside of it."""
        self.traced, self.places, self.precision = traced, places, traced.precision
        self._order = list(places)
        quick = QUICK if traced.precision == "bfloat16" else None  # CPUs emulate it, whatever LLVM does
        self._run = jax.jit(self._evaluate, compiler_options=quick)
        self._ready: Future[Callable] | None = None

    def compile_in(self, pool: Executor) -> None:
        """Begin to compile it in a thread; the first run waits for that."""
        self._ready = pool.submit(self._compiled)

    def _compiled(self) -> Callable:
        with running(self.precision):
            return self._run.lower(*self.traced.jaxpr.in_avals).compile()

    def _evaluate(self, *arguments: Any) -> tuple[list, list]:
        outputs, handed_out = evaluate(self.traced.jaxpr, arguments, self.places)
        return outputs, [handed_out[place] for place in self._order]

    def run(self, floats: Floats) -> tuple[list[np.ndarray], dict[Place, np.ndarray]]:
        """The outputs, and the arrays at the places."""
        run = self._ready.result() if self._ready else self._run
        with running(self.precision):
            outputs, handed_out = jax.tree.map(np.asarray, run(*inputs(self.traced, floats)))
        return outputs, dict(zip(self._order, handed_out, strict=True))

    def compare(self, floats: Floats) -> Steps:
        """Run it, and hold each step against its value from the program's own arrays before it."""
        outputs, handed_out = self.run(floats)
        system, compared = Rounding(self.precision), []

        def cut(path: Any, eqn: Any, values: list) -> list:
            for i, value in enumerate(values):
                if (path, i) in handed_out:
                    compared.append(Compared(self.places[path, i], handed_out[path, i], value))
                    values = [*values[:i], exactly(handed_out[path, i]), *values[i + 1 :]]
            return values

        right = follow(self.traced.jaxpr, system, inputs(self.traced, floats), cut)
        compared += map(Compared, self.traced.names, outputs, right)
        return Steps(compared, system)


def follow(
    closed: ClosedJaxpr, system: Rounding, arguments: Sequence[np.ndarray], visit: Callable | None = None
) -> list[Bounded]:
    """The outputs with their bounds.

    Raises:
      DecidedByRounding: where an operation cannot be followed for that reason; the line is named.
    """
    values = [a if a.dtype.kind in "iub" else exactly(a) for a in arguments]
    try:
        with jax.enable_x64(True):
            return interpret(closed, system, *values, visit=visit)
    except DecidedByRounding as error:
        raise DecidedByRounding(f"{system.here()}: rounding has a say in {error}") from None
