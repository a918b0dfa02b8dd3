"""A jaxpr as data: a walk through its operations, their lines, and the numbers that stand in it."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

_PACKAGE = str(pathlib.Path(__file__).parents[2]) + "/"
MOST_LITERALS = 12  # of one array


def walk(
    jaxpr: Jaxpr,
    consts: Sequence,
    arguments: Sequence,
    apply: Callable[[int, Any, list], Sequence],
    constant: Callable[[Any, Any], Any],
) -> list:
    """The outputs of a jaxpr, operation by operation.

    Args:
      apply: from the number of an operation, itself and its inputs to its outputs.
      constant: what a constant or literal with its shape and type is.
    """
    known = {var: constant(value, var.aval) for var, value in zip(jaxpr.constvars, consts, strict=True)}
    known.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return constant(atom.val, atom.aval) if isinstance(atom, Literal) else known[atom]

    for number, eqn in enumerate(jaxpr.eqns):
        outputs = apply(number, eqn, [read(atom) for atom in eqn.invars])
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def opened(nested: ClosedJaxpr | Jaxpr) -> tuple[Jaxpr, Sequence]:
    """A jaxpr and its constants."""
    return (nested.jaxpr, nested.consts) if isinstance(nested, ClosedJaxpr) else (nested, ())


def bind(eqn: Any, inputs: Sequence) -> list:
    """The outputs of an operation as JAX computes, or traces, it."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    outputs = eqn.primitive.bind(*functions, *inputs, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def bind_at_its_line(eqn: Any, inputs: Sequence) -> list:
    """The same, traced as of the line of the user's that the operation comes from."""
    from jax._src import source_info_util  # there is no public way

    with source_info_util.user_context(eqn.source_info.traceback):
        return bind(eqn, inputs)


def is_float(aval: Any) -> bool:
    """Whether a variable holds floats or complex numbers, which are values of the system."""
    return jnp.issubdtype(aval.dtype, jnp.inexact)


def is_complex(aval: Any) -> bool:
    """Whether a variable holds complex numbers."""
    return jnp.issubdtype(aval.dtype, jnp.complexfloating)


# No calls: loops, and operations whose jaxpr says how two entries combine.
_NO_CALLS = ("scan", "while", "cond", "reduce", "scatter", "select_and", "pallas")


def nested_call(eqn: Any) -> ClosedJaxpr | Jaxpr | None:
    """The jaxpr that an operation calls with its own inputs, if it is a call: jit, custom_jvp_call, checkpoint, ..."""
    nested = [value for value in eqn.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
    if len(nested) != 1 or eqn.primitive.name.startswith(_NO_CALLS):
        return None
    return (
        nested[0] if len(opened(nested[0])[0].invars) == len(eqn.invars) else None
    )  # a kernel has its outputs among its inputs


def where(eqn: Any) -> str:
    """The operation and its line in the user's file, if it has one of its own: "sqrt at homework.py:12"."""
    return name_of(eqn) if line(eqn) is None else f"{name_of(eqn)} at {line(eqn)}"


def line(eqn: Any) -> str | None:
    """The innermost line outside of libraries: "homework.py:12"."""
    traceback = eqn.source_info.traceback
    for frame in traceback.frames if traceback else ():
        if not ("site-packages" in frame.file_name or frame.file_name.startswith(("<frozen", _PACKAGE))):
            return f"{frame.file_name.rsplit('/', 1)[-1]}:{frame.line_num}"
    return None


def name_of(eqn: Any) -> str:
    """The name of an operation; of a jitted function its own."""
    return eqn.params.get("name", eqn.primitive.name) if eqn.primitive.name == "jit" else eqn.primitive.name


def literals(jaxpr: ClosedJaxpr | Jaxpr) -> list[float]:
    """The float literals and small constant arrays of a program, those of nested calls included."""
    written = [np.asarray(a) for a in opened(jaxpr)[1] if np.size(a) <= MOST_LITERALS]
    atoms = [atom for eqn in operations(jaxpr) for atom in eqn.invars]
    atoms += opened(jaxpr)[0].outvars
    written += [np.asarray(atom.val) for atom in atoms if isinstance(atom, Literal)]
    floats = [a.astype(np.float64).ravel().tolist() for a in written if jnp.issubdtype(a.dtype, jnp.floating)]
    numbers = dict.fromkeys(number for one in floats for number in one)
    return [number for number in numbers if np.isfinite(number) and number not in (0, 1, -1)]


THRESHOLDS = ("gt", "ge", "lt", "le", "max", "min", "clamp")
ROUNDINGS = ("round", "floor", "ceil")


def thresholds(jaxpr: ClosedJaxpr | Jaxpr) -> list[str]:
    """The comparisons with a number other than 0, clips and roundings of a program, with their lines."""
    found = []
    for eqn in operations(jaxpr):
        scalars = [a.val for a in eqn.invars if isinstance(a, Literal) and is_float(a.aval) and np.ndim(a.val) == 0]
        real = map(float, filter(np.isrealobj, scalars))
        compared = any(np.isfinite(number) and number != 0 for number in real)  # a softmax has -inf
        clips = eqn.primitive.name == "clamp" or eqn.params.get("name") in ("clip", "round")
        if clips or eqn.primitive.name in ROUNDINGS or (eqn.primitive.name in THRESHOLDS and compared):
            found.append(where(eqn))
    return found


def written_out(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """How many operations there are when each loop is written out."""
    count = 0
    for eqn in jaxpr.eqns:
        nested = [v for v in jax.tree.leaves(list(eqn.params.values())) if isinstance(v, ClosedJaxpr | Jaxpr)]
        count += 1 + eqn.params.get("length", 1) * sum(map(written_out, nested))
    return count


def operations(jaxpr: ClosedJaxpr | Jaxpr) -> Any:
    """Every operation, those of nested calls and loops included."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            for nested in value if isinstance(value, tuple | list) else (value,):
                if isinstance(nested, ClosedJaxpr | Jaxpr):
                    yield from operations(nested)
