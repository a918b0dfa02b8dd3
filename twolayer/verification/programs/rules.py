"""Custom rules of JAX: the plain program without them, and a pullback with or without them, as programs over balls."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from twolayer.verification.programs.jax_code import JaxProgram

RULES = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin")
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "remat2")


def plain(function: Callable) -> Callable:
    """The function with every custom rule in it taken out, so that it is differentiated through what it computes."""

    def run(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _inlined(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return run


def _inlined(jaxpr: Jaxpr, consts: Any, arguments: Any) -> list:
    """Evaluate a jaxpr with its calls and custom rules written out."""
    known: dict = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(atom) for atom in eqn.invars]
        inner = _inner(eqn) if eqn.primitive.name in (*RULES, *CALLS) else None
        if eqn.params.get("name") == "expm" and len(inputs) == 1:
            outputs = [_expm(inputs[0])]
        elif inner is not None:
            closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
            outputs = _inlined(closed.jaxpr, closed.consts, inputs)
        else:
            outputs = _bind(eqn, inputs)
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _expm(a: Any) -> Any:
    """The exponential of a matrix, in place of JAX's approximation: 24 terms of a series after 64 halvings."""
    small = a / 2.0**64
    total = term = jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, 25):
        term = term @ small / k
        total = total + term
    for _ in range(64):
        total = total @ total
    return total


def _bind(eqn: Any, inputs: list) -> list:
    bound = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    outputs = eqn.primitive.bind(*functions, *inputs, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _inner(eqn: Any) -> Any:
    return next((eqn.params[name] for name in ("call_jaxpr", "fun_jaxpr", "jaxpr") if name in eqn.params), None)


def pullback(program: JaxProgram, *, plain: bool) -> JaxProgram:
    """(arguments, cotangents of the real outputs) -> cotangents of all arguments, None for those of integers."""
    function = plain_of(program.function) if plain else program.function

    def pull(arguments: list, outer: list) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        real = [i for i, leaf in enumerate(leaves) if _is_real(leaf)]

        def of(own: list) -> list:
            given = list(leaves)
            for i, leaf in zip(real, own, strict=True):
                given[i] = leaf
            outputs = jax.tree.leaves(function(*jax.tree.unflatten(structure, given)))
            return [jnp.asarray(a) for a in outputs if _is_real(a)]

        _, vjp = jax.vjp(of, [leaves[i] for i in real])
        found: list = [None] * len(leaves)
        cotangents = [jnp.asarray(a) for a in outer]
        for i, leaf in zip(real, vjp(cotangents)[0], strict=True):
            found[i] = leaf
        return jax.tree.unflatten(structure, found)

    return JaxProgram(pull, program.filename, program.source)


def plain_of(function: Callable) -> Callable:
    """`plain`, under a name that an argument does not hide."""
    return plain(function)


def _is_real(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def rules(program: JaxProgram, arguments: Sequence) -> Iterator[Any]:
    """The custom rules in a function, as equations of its jaxpr."""
    yield from _rules(program.trace(*arguments).jaxpr.jaxpr)


def _rules(jaxpr: Jaxpr) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in RULES:
            yield eqn
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda v: isinstance(v, ClosedJaxpr | Jaxpr)):
            if isinstance(value, ClosedJaxpr):
                yield from _rules(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from _rules(value)


def forward_value(program: JaxProgram) -> JaxProgram:
    """The value that the forward rule returns, which need not be that of the plain program."""

    def value(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        real = [i for i, leaf in enumerate(leaves) if _is_real(leaf)]

        def of(own: list) -> Any:
            given = list(leaves)
            for i, leaf in zip(real, own, strict=True):
                given[i] = leaf
            return program.function(*jax.tree.unflatten(structure, given))

        return jax.vjp(of, [leaves[i] for i in real])[0] if real else program.function(*arguments)

    return JaxProgram(value, program.filename, program.source)
