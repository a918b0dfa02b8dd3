"""Custom rules of JAX: the plain program without them, and a pullback with or without them, as programs over balls."""

import functools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from twolayer.verification.programs import Program
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.jaxprs import bind, is_float, opened, operations, walk

RULES = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin")
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "remat2")
LOOPS = ("while", "scan")


class Rule(NamedTuple):
    """A custom rule inside of a function: its name, those of its arguments ("" of constants), itself as a function."""

    name: str
    arguments: tuple[str, ...]
    function: Callable


def plain(function: Callable, bound: Callable = bind) -> Callable:
    """The function with every custom rule in it taken out, so that it is differentiated through what it computes.

    bound: how an operation is traced anew.
    """

    @functools.wraps(function, assigned=())
    def run(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _inlined(closed.jaxpr, closed.consts, jax.tree.leaves(arguments), [], bound)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return run


def plain_program(program: Program) -> JaxProgram:
    """`plain` of a program."""
    return JaxProgram(plain(program.function), program.filename, program.source)


def _inlined(jaxpr: Jaxpr, consts: Any, arguments: Any, met: list, bound: Callable = bind) -> list:
    """Evaluate a jaxpr with its calls and custom rules written out; `met` gets the rules with what they are given."""

    def apply(number: int, eqn: Any, inputs: list) -> list:
        inner = _inner(eqn) if eqn.primitive.name in (*RULES, *CALLS) else None
        if eqn.params.get("name") == "expm" and len(inputs) == 1:
            return [_expm(inputs[0])]
        if eqn.primitive.name in (*LOOPS, "cond"):
            eqn = _without_rules(eqn)
        if inner is None:
            return bound(eqn, inputs)
        if eqn.primitive.name in RULES:
            met.append((eqn, inputs))
        return _inlined(*opened(inner), inputs, met, bound)

    return walk(jaxpr, consts, arguments, apply, lambda value, aval: value)


def _without_rules(eqn: Any) -> Any:
    """A loop or a branch whose body has its custom rules written out."""

    def changed(inner: Any) -> Any:
        if isinstance(inner, tuple):
            return tuple(map(changed, inner))
        if not isinstance(inner, ClosedJaxpr) or not any(e.primitive.name in RULES for e in operations(inner)):
            return inner
        given = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in inner.jaxpr.invars]
        return jax.make_jaxpr(lambda *own: _inlined(inner.jaxpr, inner.consts, own, []))(*given)

    return eqn.replace(params={name: changed(value) for name, value in eqn.params.items()})


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


def _inner(eqn: Any) -> Any:
    return next((eqn.params[name] for name in ("call_jaxpr", "fun_jaxpr", "jaxpr") if name in eqn.params), None)


def is_rule(program: JaxProgram, arguments: list) -> bool:
    """Whether a function is one custom rule, and nothing else."""
    eqns = program.trace(*arguments).jaxpr.jaxpr.eqns
    while len(eqns) == 1 and eqns[0].primitive.name in CALLS:
        eqns = _inner(eqns[0]).eqns
    return len(eqns) == 1 and eqns[0].primitive.name in RULES


def inside(program: JaxProgram, arguments: list) -> list[tuple[Rule, list]]:
    """The custom rules in a function with what they are applied to, but those of JAX itself.

    Rules in loops are left out, since they have no single value.
    """
    rules: list[Rule] = []

    def operands(*own: Any) -> list:
        met: list = []
        closed = jax.make_jaxpr(program.function)(*own)
        _inlined(closed.jaxpr, closed.consts, jax.tree.leaves(own), met)
        own_rules = [(eqn, inputs) for eqn, inputs in met if "/jax/" not in _source(eqn)]
        rules[:] = [_rule(eqn) for eqn, _ in own_rules]
        return [[jnp.asarray(a) for a in inputs] for _, inputs in own_rules]

    found = JaxProgram(operands, program.filename, program.source).run(*arguments).result
    return list(zip(rules, found, strict=True))


def _info(eqn: Any) -> Any:
    return opened(_inner(eqn))[0].debug_info


def _source(eqn: Any) -> str:
    """The name and the place of what a rule was made of: "square at homework.py:12"."""
    return str(getattr(_info(eqn), "func_src_info", None) or "rule")


def _rule(eqn: Any) -> Rule:
    name = _source(eqn).split(" at ")[0]
    known = tuple(str(one) for one in getattr(_info(eqn), "arg_names", None) or ())
    n, consts = len(eqn.invars), eqn.params.get("num_consts", 0)
    own = known[-(n - consts) :] if len(known) >= n - consts > 0 else tuple(str(i) for i in range(n - consts))
    return Rule(name, ("",) * consts + own, lambda *inputs: bind(eqn, list(inputs)))


class _OfReal:
    """The real outputs of a function of nested arguments, as one of their real arrays, `values`."""

    def __init__(self, function: Callable, arguments: Any):
        self.function = function
        self.leaves, self.structure = jax.tree.flatten(arguments)
        self.real = [i for i, leaf in enumerate(self.leaves) if _is_real(leaf)]
        self.values = [self.leaves[i] for i in self.real]

    def result(self, own: list) -> Any:
        """What the function returns."""
        given = dict(enumerate(self.leaves)) | dict(zip(self.real, own, strict=True))
        return self.function(*jax.tree.unflatten(self.structure, given.values()))

    def __call__(self, own: list) -> list:
        return [jnp.asarray(a) for a in jax.tree.leaves(self.result(own)) if _is_real(a)]

    def pulled(self, own: list, outer: list) -> list:
        """The cotangents of the real arrays."""
        value, pull = jax.vjp(self, own)
        return pull([jnp.asarray(g, a.dtype) for g, a in zip(outer, value, strict=True)])[0]

    def along(self, function: Callable, directions: Any) -> Any:
        """The derivative of a function of the real arrays along directions in the structure of the arguments."""
        ways = jax.tree.leaves(directions)
        return jax.jvp(function, (self.values,), ([ways[i] for i in self.real],))[1]

    def nested(self, found: list) -> Any:
        """Arrays in the structure of the arguments, None for what is not real."""
        by_place = dict(zip(self.real, found, strict=True))
        return jax.tree.unflatten(self.structure, [by_place.get(i) for i in range(len(self.leaves))])


def pullback(program: Program, *, plain: bool) -> JaxProgram:
    """(arguments, cotangents of the real outputs) -> cotangents of all arguments, None for those of integers."""
    function = plain_program(program).function if plain else program.function

    def pull(arguments: list, outer: list) -> Any:
        of = _OfReal(function, arguments)
        return of.nested(of.pulled(of.values, outer))

    return JaxProgram(pull, program.filename, program.source)


def second(program: Program) -> JaxProgram:
    """(arguments, directions in their structure, cotangents) -> the derivative of the pullback along the directions."""
    function = plain_program(program).function

    def product(arguments: list, directions: list, outer: list) -> Any:
        of = _OfReal(function, arguments)
        return of.nested(of.along(lambda own: of.pulled(own, outer), directions))

    return JaxProgram(product, program.filename, program.source)


def slope(program: Program) -> JaxProgram:
    """(arguments, directions in their structure, cotangents) -> the derivative of sum(cotangents * outputs) along them.

    In forward mode, which goes through loops of unknown length too.
    """
    function = plain_program(program).function

    def along(arguments: list, directions: list, outer: list) -> Any:
        of = _OfReal(function, arguments)
        moved = of.along(of, directions)
        return sum((jnp.asarray(g) * t).sum() for g, t in zip(outer, moved, strict=True))

    return JaxProgram(along, program.filename, program.source)


def forward_value(program: Program) -> JaxProgram:
    """The value that the forward rule returns, which need not be that of the plain program."""

    def value(*arguments: Any) -> Any:
        of = _OfReal(program.function, arguments)
        return jax.vjp(of.result, of.values)[0] if of.real else of.result([])

    return JaxProgram(value, program.filename, program.source)


def _is_real(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def has(program: JaxProgram, arguments: list, primitives: Collection[str]) -> bool:
    """Whether one of these operations is in a function, in loops and nested calls included."""
    return any(eqn.primitive.name in primitives for eqn in operations(program.trace(*arguments).jaxpr))


def iterates(program: JaxProgram, arguments: list) -> bool:
    """Whether a loop of it goes on until numbers are near enough: the derivative of its steps is then no standard."""
    loops = [eqn for eqn in operations(program.trace(*arguments).jaxpr) if eqn.primitive.name == "while"]
    tests = [loop.params["cond_jaxpr"].jaxpr for loop in loops]
    floats = any(is_float(atom.aval) for test in tests for eqn in test.eqns for atom in eqn.invars)
    return floats or any(var.aval.dtype == bool for test in tests for var in test.invars)  # decided in the body


def repeats(program: JaxProgram, arguments: list) -> bool:
    """Whether a loop of it does the same steps a fixed number of times, which may not be enough everywhere."""
    loops = [eqn for eqn in operations(program.trace(*arguments).jaxpr) if eqn.primitive.name == "scan"]
    return any(
        len(loop.invars) == loop.params["num_consts"] + loop.params["num_carry"]
        and any(is_float(var.aval) for var in loop.outvars)
        for loop in loops
    )
