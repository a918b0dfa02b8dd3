"""How primitives act on the values of any number system: movement of entries, loops, and what follows from a few sums.

Most of JAX's primitives only move entries. Those are NumPy functions of the entries, or positions 0, 1, 2, ... that the
entries follow. Arithmetic is a method of the system; integers are plain NumPy arrays.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from twolayer.verification.programs.interpreter import Call, Rules, System, Value, is_key, on_integers, plain
from twolayer.verification.programs.jaxprs import is_complex, is_float

RULES = Rules()
rule = RULES.rule


def move(system: System, f: Callable, *values: Value) -> Value:
    """Move the entries of values of the system, or of plain arrays."""
    if is_key(values[0]):
        return _move_keys(f, *values)
    return np.asarray(f(*values)) if plain(values[0]) else system.move(f, *values)


def _move_keys(f: Callable, *keys: Any) -> jax.Array:
    """Move random keys, each of which is some integers, as one entry each."""
    data = [np.ascontiguousarray(jax.random.key_data(key)) for key in keys]
    entry = np.dtype((np.void, data[0].shape[-1] * data[0].itemsize))
    moved = np.asarray(f(*(a.view(entry)[..., 0] for a in data)))
    flat = np.frombuffer(moved.tobytes(), data[0].dtype).reshape(*moved.shape, -1)
    return jax.random.wrap_key_data(jax.numpy.asarray(flat), impl=jax.random.key_impl(keys[0]))


def as_value(system: System, a: Value) -> Value:
    """Integers and booleans, such as a mask in a matrix product, as the numbers that they are."""
    return system.constant(a) if plain(a) else a


# Arithmetic: a method of the system, NumPy's function on integers.

INTEGERS = {"add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative}
INTEGERS |= {"max": np.maximum, "min": np.minimum, "abs": np.abs, "sign": np.sign, "square": np.square}
INTEGERS |= {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater}
INTEGERS |= {"ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or, "not": np.invert, "rem": np.fmod}
INTEGERS |= {"xor": np.bitwise_xor}


def of_system(name: str, method: Callable | None = None) -> None:
    """A rule that is a method of the system (or `method(system, ...)`) on its values, and exact on integers."""

    def apply(call: Call, *inputs: Value) -> Value:
        if all(map(plain, inputs)):
            return integers(call, *inputs)
        return method(call.system, *inputs) if method else getattr(call.system, name)(*inputs)

    RULES[name] = apply


def integers(call: Call, *inputs: Value) -> Any:
    """An operation on data: NumPy's where it has it under the same meaning, or else JAX's own."""
    f = INTEGERS.get(call.eqn.primitive.name)
    return np.asarray(f(*inputs)).astype(call.out.dtype) if f else on_integers(call, *inputs)


for _name in ("add", "sub", "mul", "neg", "div"):
    of_system(_name)
RULES["add_any"] = RULES["add"]
of_system("square", lambda system, a: system.mul(a, a))
for _name in ("and", "or", "not", "xor"):
    of_system(_name)


@rule("integer_pow")
def _integer_pow(call: Call, a: Value) -> Value:
    n = call.params["y"]
    return np.asarray(a**n) if plain(a) else call.system.power(a, n)


@rule("dot_general")
def dot_general(call: Call, a: Value, b: Value) -> Value:
    """Any contraction as a batched matrix product: (batch, rows, contracted) @ (batch, contracted, columns)."""
    (contract_a, contract_b), (batch_a, batch_b) = call.params["dimension_numbers"]
    sizes_a, sizes_b = (var.aval.shape for var in call.eqn.invars)
    free_a = [axis for axis in range(len(sizes_a)) if axis not in (*contract_a, *batch_a)]
    free_b = [axis for axis in range(len(sizes_b)) if axis not in (*contract_b, *batch_b)]

    def size(sizes: tuple[int, ...], axes: Any) -> int:
        return int(np.prod([sizes[axis] for axis in axes], dtype=int))

    batch, inner = size(sizes_a, batch_a), size(sizes_a, contract_a)
    rows, columns = (batch, size(sizes_a, free_a), inner), (batch, inner, size(sizes_b, free_b))
    left = move(call.system, lambda a: a.transpose([*batch_a, *free_a, *contract_a]).reshape(rows), a)
    right = move(call.system, lambda b: b.transpose([*batch_b, *contract_b, *free_b]).reshape(columns), b)
    if plain(left) and plain(right):
        return (left @ right).reshape(call.out.shape).astype(call.out.dtype)
    product = call.system.matmul(*(as_value(call.system, factor) for factor in (left, right)))
    return move(call.system, lambda p: p.reshape(call.out.shape), product)


@rule("reduce_sum")
def _reduce_sum(call: Call, a: Value) -> Value:
    axes = tuple(map(int, call.params["axes"]))
    if plain(a):
        return np.asarray(a.sum(axis=axes, dtype=call.out.dtype))
    return call.system.sum(a, axes) if axes else a


@rule("reduce_and", "reduce_or")
def _reduce_logic(call: Call, a: Value) -> Value:
    both = np.bitwise_and if call.eqn.primitive.name == "reduce_and" else np.bitwise_or
    return both.reduce(a, axis=tuple(map(int, call.params["axes"])))


@rule("reduce_prod")
def _reduce_prod(call: Call, a: Value) -> Value:
    if plain(a):
        return on_integers(call, a)
    for axis in sorted(map(int, call.params["axes"]), reverse=True):
        a = product(call.system, a, axis)
    return a


def product(system: System, a: Value, axis: int) -> Value:
    """The product along an axis, one factor after the other."""
    parts = [move(system, lambda a, i=i: np.take(a, i, axis=axis), a) for i in range(a.shape[axis])]
    return functools.reduce(system.mul, parts)


@rule("reduce")
def _reduce(call: Call, a: Value, start: Value, *more: Value) -> Any:
    """A reduction by a function of the user's own: where that is a sum, it is one."""
    body = call.params["jaxpr"].eqns
    if more or [eqn.primitive.name for eqn in body] != ["add"] or plain(a):
        return call.system.unknown(call, a, start, *more)
    return [call.system.add(call.system.sum(a, tuple(call.params["dimensions"])), start)]


@rule("convert_element_type")
def _convert(call: Call, a: Value) -> Value:
    if plain(a):
        return call.system.constant(a) if is_float(call.out) else np.asarray(a).astype(call.out.dtype)
    if is_complex(call.eqn.invars[0].aval) and not is_complex(call.out):
        a = call.system.rules["real"](call, a)
    return a if is_float(call.out) else call.system.integers(a, call.out.dtype)


_SAME = "copy copy_p device_put optimization_barrier stop_gradient name reduce_precision sharding_constraint reshard"


@rule(*_SAME.split(), "layout_constraint", "pvary", "nextafter")
def _unchanged(call: Call, *inputs: Value) -> Any:
    """What is the same number over the reals; so is the next float in some direction."""
    return inputs if call.eqn.primitive.multiple_results else inputs[0]


# Movement that NumPy does.


def _moves(name: str, build: Callable[[Call], Callable]) -> None:
    RULES[name] = lambda call, *values: move(call.system, build(call), *values)


def _slice(call: Call) -> Callable:
    p = call.params
    strides = p["strides"] or [1] * len(p["start_indices"])
    return operator.itemgetter(tuple(map(slice, p["start_indices"], p["limit_indices"], strides)))


def _broadcast(call: Call) -> Callable:
    ones = [1] * len(call.out.shape)
    for axis, size in zip(call.params["broadcast_dimensions"], call.eqn.invars[0].aval.shape, strict=True):
        ones[axis] = size
    return lambda a: np.broadcast_to(np.reshape(a, ones), call.out.shape)


def _reshape(call: Call) -> Callable:
    order = call.params["dimensions"] or range(call.eqn.invars[0].aval.ndim)
    return lambda a: np.transpose(a, order).reshape(call.out.shape)


_moves("reshape", _reshape)
_moves("transpose", lambda call: lambda a: np.transpose(a, call.params["permutation"]))
for _name in ("squeeze", "expand_dims"):
    _moves(_name, lambda call: lambda a: np.reshape(a, call.out.shape))
_moves("broadcast_in_dim", _broadcast)
_moves("rev", lambda call: lambda a: np.flip(a, call.params["dimensions"]))
_moves("slice", _slice)
_moves("tile", lambda call: lambda a: np.tile(a, call.params["reps"]))
_moves("concatenate", lambda call: lambda *parts: np.concatenate(parts, axis=call.params["dimension"]))
_moves("stack", lambda call: lambda *parts: np.stack(parts, axis=call.params["axis"]))


@rule("split")
def _split(call: Call, a: Value) -> list:
    cuts = np.cumsum(call.params["sizes"])[:-1]
    return [
        move(call.system, lambda a, i=i: np.split(a, cuts, axis=call.params["axis"])[i], a)
        for i in range(len(cuts) + 1)
    ]


@rule("unstack")
def _unstack(call: Call, a: Value) -> list:
    axis = call.params["axis"]
    return [move(call.system, lambda a, i=i: np.take(a, i, axis=axis), a) for i in range(len(call.eqn.outvars))]


@rule("iota")
def _iota(call: Call) -> Value:
    ones = [1] * len(call.out.shape)
    ones[call.params["dimension"]] = -1
    n = call.out.shape[call.params["dimension"]]
    counts = np.broadcast_to(np.arange(n).reshape(ones), call.out.shape)
    return call.system.constant(counts) if is_float(call.out) else counts.astype(call.out.dtype)


@rule("platform_index")
def _platform_index(call: Call) -> np.ndarray:
    """Of code that differs by platform, what stands for all others."""
    named = call.params["platforms"]
    return np.array(next(i for i, names in enumerate(named) if names is None or "cpu" in names), np.int32)


def choose(system: System, which: np.ndarray, *cases: Value) -> Value:
    """Entry by entry the case that `which` (booleans or integers) names. All broadcast against each other."""
    which = np.asarray(which).astype(int)
    if len(cases) == 2:
        return move(system, lambda a, b: np.where(which, b, a), *cases)

    def pick(*arrays: np.ndarray) -> Any:
        shape = np.broadcast_shapes(which.shape, *(np.shape(a) for a in arrays))
        stacked = np.stack([np.broadcast_to(a, shape) for a in arrays])
        return np.take_along_axis(stacked, np.broadcast_to(which, shape)[None], axis=0)[0]

    return move(system, pick, *cases)


@rule("select_n")
def _select(call: Call, which: Any, *cases: Value) -> Value:
    return choose(call.system, which, *cases)


# Loops and branches. Integers and booleans decide how often and which way.


@rule("scan")
def _scan(call: Call, *inputs: Value) -> list:
    p = call.params
    consts, carry = list(inputs[: p["num_consts"]]), list(inputs[p["num_consts"] :][: p["num_carry"]])
    stacked, rows = inputs[p["num_consts"] + p["num_carry"] :], []
    for i in reversed(range(p["length"])) if p["reverse"] else range(p["length"]):
        xs = [move(call.system, lambda a, i=i: a[i], a) for a in stacked]
        outputs = call.run(p["jaxpr"], [*consts, *carry, *xs], loop=True)
        carry, _ = outputs[: p["num_carry"]], rows.append(outputs[p["num_carry"] :])
    if not p["length"]:
        empty = [np.zeros(var.aval.shape, int) for var in call.eqn.outvars[p["num_carry"] :]]
        return [*carry, *(as_value(call.system, a) for a in empty)]
    columns = zip(*(reversed(rows) if p["reverse"] else rows), strict=True)
    return [*carry, *(move(call.system, lambda *parts: np.stack(parts), *column) for column in columns)]


@rule("while")
def _while(call: Call, *inputs: Value) -> list:
    p = call.params
    test_consts, rest = inputs[: p["cond_nconsts"]], inputs[p["cond_nconsts"] :]
    body_consts, carry = rest[: p["body_nconsts"]], list(rest[p["body_nconsts"] :])

    def goes_on() -> np.ndarray:
        return np.asarray(call.run(p["cond_jaxpr"], [*test_consts, *carry], loop=True)[0])

    while (on := goes_on()).any():
        after = call.run(p["body_jaxpr"], [*body_consts, *carry], loop=True)
        pairs = zip(carry, after, strict=True)
        # Under vmap each example has a loop of its own, and those that have ended stay as they are.
        carry = [
            choose(call.system, on.reshape(on.shape + (1,) * (len(a.shape) - on.ndim)), a, b) if on.ndim else b
            for a, b in pairs
        ]
    return carry


@rule("cond")
def _cond(call: Call, which: Any, *inputs: Value) -> list:
    branches = call.params["branches"]
    return call.run(branches[int(np.clip(np.asarray(which).astype(int), 0, len(branches) - 1))], inputs, loop=True)


@rule("custom_linear_solve")
def _custom_linear_solve(call: Call, *inputs: Value) -> list:
    n = call.params["const_lengths"]
    consts, b = inputs[n.matvec + n.vecmat :][: n.solve], inputs[sum(n) :]
    return call.run(call.params["jaxprs"].solve, [*consts, *b])


@rule("pallas_call")
def _pallas_call(call: Call, *inputs: Value) -> list:
    """A kernel, block by block as Pallas interprets it: its meaning, not what a device makes of it."""
    return call.run(_without_blocks(call.eqn), inputs, loop=True)


@functools.lru_cache(maxsize=64)
def _without_blocks(eqn: Any) -> Any:
    from jax._src.pallas.hlo_interpreter import pallas_call_hlo_interpret  # there is no public way

    params = {name: value for name, value in eqn.params.items() if name not in ("interpret", "backend")}
    shapes = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in eqn.invars]
    return jax.make_jaxpr(lambda *arrays: pallas_call_hlo_interpret(*arrays, **params))(*shapes)
