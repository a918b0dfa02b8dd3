"""How each primitive of JAX acts on the values of a number system.

Three kinds: arithmetic, which each system defines; movement of entries, which knows no numbers; and predicates, which
the shadows decide. Anything else has no algebraic meaning: its shadow is computed, its value is opaque.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from twolayer.verification import arrays, control, movement, positions, selection
from twolayer.verification.contraction import dot_general
from twolayer.verification.interpreter import Call, is_float

RULES: dict[str, Callable] = {}


def rule(*names: str) -> Callable:
    """Register a rule for these primitives."""

    def register(function: Callable) -> Callable:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def _arithmetic(name: str, on_integers: Callable) -> Callable:
    def apply(call: Call, *inputs: Any) -> Any:
        if isinstance(inputs[0], np.ndarray):
            return np.asarray(on_integers(*inputs)).astype(call.eqn.outvars[0].aval.dtype)
        return getattr(call.system, name)(*arrays.same_rank(call, inputs))

    return apply


RULES["add"] = RULES["add_any"] = _arithmetic("add", operator.add)
RULES["sub"] = _arithmetic("sub", operator.sub)
RULES["mul"] = _arithmetic("mul", operator.mul)
RULES["neg"] = _arithmetic("neg", operator.neg)
RULES["square"] = lambda call, a: a * a if isinstance(a, np.ndarray) else call.system.mul(a, a)
for _name in ("exp", "log", "logistic", "tanh", "expm1", "log1p"):
    RULES[_name] = _arithmetic(_name, operator.neg)


@rule("div")
def _div(call: Call, a: Any, b: Any) -> Any:
    return _on_integers(call, a, b) if isinstance(a, np.ndarray) else call.system.div(*arrays.same_rank(call, (a, b)))


@rule("integer_pow")
def _integer_pow(call: Call, a: Any) -> Any:
    n = call.params["y"]
    return a**n if isinstance(a, np.ndarray) else call.system.power(a, n)


@rule("split")
def _split(call: Call, a: Any) -> list:
    axis = call.params["axis"] - call.ranks[0]
    ends = np.cumsum(call.params["sizes"])
    starts = ends - call.params["sizes"]
    return [
        arrays.apply(call.system, lambda a, i=i, n=n: np.take(a, range(i, n), axis=axis), a)
        for i, n in zip(starts, ends, strict=True)
    ]


@rule("exp2")
def _exp2(call: Call, a: Any) -> Any:
    return opaque_rule(call, a)


@rule("pow")
def _pow(call: Call, a: Any, b: Any) -> Any:
    exponents = np.unique(b if isinstance(b, np.ndarray) else call.system.shadow(b))
    if len(exponents) == 1 and float(exponents[0]).is_integer() and abs(exponents[0]) <= 64:
        base, shape = arrays.same_rank(call, (a, b))[0], arrays.shape(b)
        raised = call.system.power(base, int(exponents[0]))
        return arrays.apply(call.system, lambda a: np.broadcast_to(a, np.broadcast_shapes(a.shape, shape)), raised)
    return opaque_rule(call, a, b)


RULES["dot_general"] = dot_general


@rule("reduce_sum")
def _reduce_sum(call: Call, a: Any) -> Any:
    axes = tuple(axis - call.ranks[0] for axis in call.params["axes"])
    if isinstance(a, np.ndarray):
        return a.sum(axis=axes, dtype=call.eqn.outvars[0].aval.dtype)
    return call.system.sum(a, axes) if axes else a


@rule("reduce")
def _reduce(call: Call, a: Any, start: Any, *more: Any) -> list:
    """A reduction by a function of the user's own: where that is a sum, it is one."""
    body = call.params["jaxpr"].eqns
    if more or [eqn.primitive.name for eqn in body] != ["add"] or isinstance(a, np.ndarray):
        return opaque_rule(call, a, start, *more)
    total = call.system.sum(a, tuple(axis - call.ranks[0] for axis in call.params["dimensions"]))
    return [call.system.add(total, start)]


@rule("cumsum")
def _cumsum(call: Call, a: Any) -> Any:
    if isinstance(a, np.ndarray):
        return _on_integers(call, a)
    axis, n = call.params["axis"] - call.ranks[0], call.eqn.invars[0].aval.shape[call.params["axis"]]
    below = np.tri(n) if call.params["reverse"] else np.tri(n).T
    last = call.system.move(lambda a: np.moveaxis(a, axis, -1)[..., None, :], a)
    total = call.system.matmul(last, call.system.constant(below))
    return call.system.move(lambda a: np.moveaxis(a[..., 0, :], -1, axis), total)


@rule("reduce_prod")
def _reduce_prod(call: Call, a: Any) -> Any:
    if isinstance(a, np.ndarray):
        return _on_integers(call, a)
    for axis in sorted(call.params["axes"], reverse=True):
        at = axis - call.ranks[0] + (len(call.params["axes"]) - 1 - sorted(call.params["axes"]).index(axis))
        slices = [call.system.move(lambda a, i=i, at=at: np.take(a, i, axis=at), a) for i in range(_size(call, axis))]
        product = slices[0]
        for one in slices[1:]:
            product = call.system.mul(product, one)
        a = product
    return a


def _size(call: Call, axis: int) -> int:
    return call.eqn.invars[0].aval.shape[axis]


# Predicates: decided by the shadows, and from then on exact data.

for _name, _op in {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater}.items():
    RULES[_name] = lambda call, a, b, op=_op: selection.compare(call, op, a, b)
RULES["ge"] = lambda call, a, b: selection.compare(call, np.greater_equal, a, b)
RULES["is_finite"] = lambda call, a: np.isfinite(call.system.shadow(a))


def _step_function(function: Callable) -> Callable:
    """Of a piecewise constant function only the value counts: between its jumps it has no algebra."""

    def apply(call: Call, a: Any) -> Any:
        if isinstance(a, np.ndarray):
            return _on_integers(call, a)
        with np.errstate(all="ignore"):
            return call.system.constant(function(call.system.shadow(a)))

    return apply


RULES["sign"] = _step_function(np.sign)
RULES["floor"] = _step_function(np.floor)
RULES["ceil"] = _step_function(np.ceil)
RULES["round"] = _step_function(np.round)


@rule("convert_element_type")
def _convert(call: Call, a: Any) -> Any:
    target = call.eqn.outvars[0].aval
    if isinstance(a, np.ndarray):
        return call.system.constant(a.astype(np.float64)) if is_float(target) else a.astype(target.dtype)
    return call.system.round_off(a, target.dtype) if is_float(target) else call.system.shadow(a).astype(target.dtype)


@rule("reduce_precision")
def _reduce_precision(call: Call, a: Any) -> Any:
    return call.system.round_off(a, call.eqn.invars[0].aval.dtype)


@rule("copy", "copy_p", "optimization_barrier", "stop_gradient", "name", "sharding_constraint", "reduce_with_identity")
def _unchanged(call: Call, *inputs: Any) -> Any:
    return inputs if call.eqn.primitive.multiple_results else inputs[0]


@rule("abs")
def _abs(call: Call, a: Any) -> Any:
    if isinstance(a, np.ndarray):
        return abs(a)
    return selection.choose(call.system, call.system.shadow(a) < 0, a, call.system.neg(a))


RULES.update(movement.RULES)
RULES.update(selection.RULES)
RULES.update(positions.RULES)
RULES.update(control.RULES)


_COMBINE = ("reduce", "scatter", "select_and")  # their jaxpr says how two entries combine; it is no call


def nested_call(eqn: Any) -> ClosedJaxpr | Jaxpr | None:
    """The jaxpr that an operation calls with its own inputs, if it is a call: jit, custom_jvp_call, checkpoint, ..."""
    nested = [value for value in eqn.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
    if len(nested) != 1 or eqn.primitive.name in RULES or eqn.primitive.name.startswith(_COMBINE):
        return None
    inner = nested[0].jaxpr if isinstance(nested[0], ClosedJaxpr) else nested[0]
    return nested[0] if len(inner.invars) == len(eqn.invars) else None  # a kernel has its outputs among its inputs


def opaque_rule(call: Call, *inputs: Any) -> Any:
    """A call, or an operation on integers alone, or one without algebraic meaning: its value is known to be unknown."""
    nested = nested_call(call.eqn)
    if nested is not None:
        return call.run(nested, inputs)
    if all(isinstance(a, np.ndarray) or not hasattr(a, "_fields") for a in inputs):
        return _on_integers(call, *inputs)
    shadows = _shadows(call, inputs)
    outputs = [
        call.system.opaque(shadow, f"{call.reason()}") if is_float(var.aval) else shadow
        for shadow, var in zip(shadows, call.eqn.outvars, strict=True)
    ]
    return outputs if call.eqn.primitive.multiple_results else outputs[0]


def _on_integers(call: Call, *inputs: Any) -> Any:
    """JAX's own operation on data that holds no value of the system; each draw by itself where there are draws."""
    outputs = [
        call.system.constant(np.asarray(a, np.float64)) if is_float(a) else a if _is_key(a) else np.asarray(a)
        for a in _bind(call, inputs)
    ]
    return outputs if call.eqn.primitive.multiple_results else outputs[0]


def _bind(call: Call, inputs: Sequence) -> list:
    """The outputs of JAX's own operation, for each draw by itself where there are draws."""

    def bind(*arguments: Any) -> list:
        outputs = call.eqn.primitive.bind(*arguments, **call.params)
        return outputs if call.eqn.primitive.multiple_results else [outputs]

    batched = [np.ndim(a) > rank for a, rank in zip(inputs, call.ranks, strict=True)]
    if any(batched):
        bind = jax.vmap(bind, in_axes=[0 if one else None for one in batched])
    return bind(*inputs)


def _is_key(array: Any) -> bool:
    return jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)


def _shadows(call: Call, inputs: tuple) -> list[np.ndarray]:
    """JAX's own operation on the shadows; not a number where it refuses them."""
    plain = [a if isinstance(a, np.ndarray) else call.system.shadow(a) for a in inputs]
    typed = [np.asarray(a, var.aval.dtype) for a, var in zip(plain, call.eqn.invars, strict=True)]
    try:
        outputs = _bind(call, typed)
    except Exception:  # whatever an operation of somebody else's raises, its value is unknown
        outputs = [
            np.full(var.aval.shape, np.nan if is_float(var.aval) else 0, var.aval.dtype) for var in call.eqn.outvars
        ]
    return [np.asarray(a, np.float64 if is_float(a) else None) for a in outputs]
