"""Runs a program as it is compiled, with some of its own intermediates handed out, and each of these held in memory.

A compiler may compute an array twice, in two ways, or never round it: XLA turns a / b / c into a / (b c). So that the
array handed out is the one that the rest of the program uses, each is kept behind an optimization_barrier.
"""

from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from twolayer.verification.interpreter import Path
from twolayer.verification.rules import nested_call

Place = tuple[Path, int]


def evaluate(closed: ClosedJaxpr, arguments: Sequence, places: Collection[Place] = ()) -> tuple[list, dict[Place, Any]]:
    """The outputs of a jaxpr, and the arrays at these places: (path of an operation, number of its output).

    To be traced by jit; called by itself it runs one operation at a time. Paths are those of interpreter.interpret.
    """
    handed_out: dict[Place, Any] = {}
    outputs = _run(closed.jaxpr, closed.consts, arguments, frozenset(places), handed_out, ())
    return outputs, handed_out


def _run(jaxpr: Jaxpr, consts: Sequence, arguments: Sequence, places: frozenset, out: dict, path: Path) -> list:
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atom: Any) -> Any:
        return np.asarray(atom.val, atom.aval.dtype) if isinstance(atom, Literal) else known[atom]

    for number, eqn in enumerate(jaxpr.eqns):
        here, inputs = (*path, number), [read(atom) for atom in eqn.invars]
        nested = nested_call(eqn)
        if nested is not None:
            inner, inner_consts = (nested.jaxpr, nested.consts) if isinstance(nested, ClosedJaxpr) else (nested, ())
            outputs = _run(inner, inner_consts, inputs, places, out, here)
        else:
            bound = eqn.primitive.bind(*inputs, **eqn.params)
            outputs = list(bound) if eqn.primitive.multiple_results else [bound]
        for i in range(len(outputs)):
            if (here, i) in places:
                outputs[i] = out[here, i] = jax.lax.optimization_barrier(outputs[i])
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def signature(jaxpr: ClosedJaxpr | Jaxpr) -> tuple:
    """The names of all operations, nested as they are: programs of one signature have the same places."""
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    called = [(eqn.primitive.name, nested_call(eqn)) for eqn in inner.eqns]
    return tuple((name, None if nested is None else signature(nested)) for name, nested in called)
