"""Predicates under rounding errors: where a bound allows both outcomes, both are followed.

A comparison of numbers that lie closer than their bounds is in doubt: the program may see either. Its result is then
Unsure, an array with a second one that marks the entries in doubt; choosing by it takes a bound that covers every case.
Whatever wants a plain answer for an entry in doubt (the length of a loop, an index) raises DecidedByRounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.programs import positions
from twolayer.verification.programs.interpreter import Call, Rule, plain
from twolayer.verification.programs.jaxprs import is_float
from twolayer.verification.programs.primitives import choose, integers, move
from twolayer.verification.rounding.bounded import SMOOTH, Bounded, DecidedByRounding, Numbers, raised
from twolayer.verification.rounding.units import unit

# Operations that hand on a doubt as it is. A loop or branch asks for a plain answer where it needs one.
_HAND_ON = "transpose reshape squeeze expand_dims broadcast_in_dim rev slice copy stop_gradient name scan while".split()


class Unsure(NamedTuple):
    """Booleans or integers, and where the program may hold others."""

    value: Numbers
    doubt: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    def __array__(self, *args: Any, **kwargs: Any) -> Numbers:
        raise DecidedByRounding("a decision")


def _asks_for_plain(rule: Rule) -> Rule:
    def apply(call: Call, *inputs: Any) -> Any:
        if any(isinstance(a, Unsure) for a in inputs):
            raise DecidedByRounding("a decision")
        return rule(call, *inputs)

    return apply


RULES: dict[str, Rule] = {
    name: rule if name in _HAND_ON else _asks_for_plain(rule) for name, rule in positions.RULES.items()
}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for values; integers that are sure are left to NumPy and JAX."""

    def register(rule: Rule) -> Rule:
        def apply(call: Call, *inputs: Any) -> Any:
            return integers(call, *inputs) if all(map(plain, inputs)) else rule(call, *inputs)

        RULES.update(dict.fromkeys(names, apply))
        return rule

    return register


def unsure(value: Any, doubt: Any) -> Any:
    """A plain array where nothing is in doubt."""
    value, doubt = np.asarray(value), np.broadcast_to(doubt, np.shape(value))
    return Unsure(value, doubt) if doubt.any() else value


def _parts(a: Any) -> tuple[Numbers, Numbers]:
    return (a.value, a.doubt) if isinstance(a, Unsure) else (np.asarray(a), np.zeros(np.shape(a), bool))


def _close(a: Bounded, b: Bounded) -> Numbers:
    """Where the program may see either order. Numbers without a bound are what the program holds."""
    room = a.bound + b.bound
    with np.errstate(invalid="ignore"):
        return (room > 0) & ~(abs(a.numbers - b.numbers) > raised(room))


def _comparison(name: str, op: Callable) -> None:
    @_rule(name)
    def rule(call: Call, a: Any, b: Any) -> Any:
        if isinstance(a, Bounded):
            same = call.eqn.invars[0] is call.eqn.invars[1]  # as in a != a, which asks for NaN
            return unsure(op(a.numbers, b.numbers), _close(a, b) & (not same))
        (a, doubt_a), (b, doubt_b) = _parts(a), _parts(b)
        return unsure(op(a, b), doubt_a | doubt_b)


for _name, _op in {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}.items():
    _comparison(_name, _op)
_comparison("gt", np.greater)
_comparison("ge", np.greater_equal)


def _logic(name: str, settles: Callable) -> None:
    """A rule for booleans. settles(a): where a alone decides, whatever the other operand is."""

    @_rule(name)
    def rule(call: Call, *inputs: Any) -> Any:
        parts = [_parts(a) for a in inputs]
        if any(value.dtype != bool for value, _ in parts):
            raise DecidedByRounding("the bits of an integer")
        doubt = np.logical_or.reduce(np.broadcast_arrays(*(doubt for _, doubt in parts)))
        for value, open_ in parts:
            doubt = doubt & ~(settles(value) & ~open_)
        return unsure(getattr(np, f"logical_{name}")(*(value for value, _ in parts)), doubt)


_logic("and", np.logical_not)
_logic("or", np.asarray)
_logic("xor", np.zeros_like)
_logic("not", np.zeros_like)


def _select(call: Call, which: Any, *cases: Any) -> Any:
    value, doubt = _parts(which)
    if any(isinstance(case, Unsure) for case in cases):
        cases = tuple(Unsure(*_parts(case)) for case in cases)
    chosen = choose(call.system, value, *cases)
    if not isinstance(chosen, Bounded):
        value, unsettled = _parts(chosen)
        differ = np.logical_or.reduce([_parts(case)[0] != value for case in cases])
        return unsure(value, unsettled | (doubt & differ))
    if not doubt.any():
        return chosen
    with np.errstate(invalid="ignore"):
        reaches = [abs(case.numbers - chosen.numbers) + case.bound for case in cases]
    reach = raised(np.maximum.reduce(np.broadcast_arrays(*reaches)))
    return chosen._replace(bound=np.where(doubt, np.where(np.isnan(reach), np.inf, reach), chosen.bound))


RULES["select_n"] = _select


def _pick(call: Call, sign: int, a: Bounded, b: Bounded) -> Bounded:
    """The larger (sign 1) or smaller (-1) of two numbers: it moves no further than the one that moves most."""
    chosen = choose(call.system, sign * b.numbers > sign * a.numbers, a, b)
    return chosen._replace(bound=np.where(_close(a, b), np.maximum(a.bound, b.bound), chosen.bound))


_rule("max")(lambda call, a, b: _pick(call, 1, a, b))
_rule("min")(lambda call, a, b: _pick(call, -1, a, b))
_rule("clamp")(lambda call, low, a, high: _pick(call, -1, _pick(call, 1, a, low), high))
_rule("reduce_max")(lambda call, a: call.system.extreme(a, call.params["axes"], 1))
_rule("reduce_min")(lambda call, a: call.system.extreme(a, call.params["axes"], -1))


def place(call: Call, a: Bounded, axis: int, sign: int) -> Any:
    """The place of the largest or smallest: in doubt where another entry may be as large."""
    at = np.expand_dims((sign * a.numbers).argmax(axis=axis), axis)
    best = call.system.move(lambda part: np.take_along_axis(part, at, axis=axis), a)
    rivals = _close(a, best)
    np.put_along_axis(rivals, at, False, axis=axis)
    return unsure(at.squeeze(axis).astype(call.params.get("index_dtype", int)), rivals.any(axis=axis))


_rule("argmax")(lambda call, a: place(call, a, call.params["axes"][0], 1))
_rule("argmin")(lambda call, a: place(call, a, call.params["axes"][0], -1))


def _order_of_integers(axis: int, keys: tuple, values: tuple) -> list:
    order = np.lexsort(keys[::-1], axis=axis)
    return [
        Bounded(*(np.take_along_axis(part, order, axis=axis) for part in value))
        if isinstance(value, Bounded)
        else np.take_along_axis(value, order, axis=axis)
        for value in values
    ]


@_rule("sort")
def _sort(call: Call, *values: Any) -> list:
    """Sorted numbers move no further than the one that moves most; what goes along with them needs their order."""
    axis, keys = call.params["dimension"], values[: call.params["num_keys"]]
    if any(isinstance(value, Unsure) for value in values) or (len(keys) > 1 and not all(map(plain, keys))):
        raise DecidedByRounding("an order")
    if plain(values[0]):
        return _order_of_integers(axis, keys, values)
    order = np.argsort(values[0].numbers, axis=axis, kind="stable")
    first, *along = (move(call.system, lambda a: np.take_along_axis(a, order, axis=axis), value) for value in values)
    lower, upper = (
        call.system.move(lambda a, part=part: a.swapaxes(axis, -1)[..., part], first)
        for part in (slice(None, -1), slice(1, None))
    )
    if not _close(lower, upper).any():
        return [first, *along]
    if along:
        raise DecidedByRounding("an order")
    return [Bounded(first.numbers, *(np.broadcast_to(a.max(axis=axis, keepdims=True), a.shape) for a in first[1:]))]


def _step_function(name: str, f: Callable) -> None:
    """A monotone step function takes the values between those at the two ends."""

    @_rule(name)
    def rule(call: Call, a: Bounded) -> Bounded:
        with np.errstate(invalid="ignore"):
            stepped = f(a.numbers)
            up, down = f(a.numbers + a.bound) - stepped, stepped - f(a.numbers - a.bound)
        bound = np.nan_to_num(np.maximum(up, down), nan=np.inf, posinf=np.inf)
        return call.system.constant(stepped)._replace(bound=bound)


for _name in ("sign", "floor", "ceil", "round"):
    _step_function(_name, getattr(np, _name))
for _name in SMOOTH:
    _rule(_name)(_asks_for_plain(lambda call, a, name=_name: call.system.smooth(name, a)))
_rule("exp")(_asks_for_plain(lambda call, a: call.system.exp(a)))
_rule("is_finite")(lambda call, a: np.isfinite(a.numbers))
_rule("abs")(lambda call, a: choose(call.system, a.numbers < 0, a, call.system.neg(a)))


def _arithmetic(call: Call) -> Any:
    """The system as bounds.Rounding, which imports this file."""
    return call.system


@_rule("pow")
def _pow(call: Call, a: Any, b: Any) -> Any:
    if not (isinstance(a, Bounded) and isinstance(b, Bounded)) or b.bound.any() or len(np.unique(b.numbers)) != 1:
        return call.system.unknown(call, a, b)
    exponent, system = float(b.numbers.flat[0]), _arithmetic(call)
    if exponent.is_integer() and abs(exponent) <= 64:
        return system.move(lambda part: np.broadcast_to(part, call.out.shape), system.power(a, int(exponent)))
    return system.pow(a, exponent)


@_rule("cumsum")
def _cumsum(call: Call, a: Bounded) -> Bounded:
    axis, n = call.params["axis"], a.shape[call.params["axis"]]
    below = call.system.constant(np.tri(n) if call.params["reverse"] else np.tri(n).T)
    last = call.system.move(lambda a: np.moveaxis(a, axis, -1).reshape(1, -1, n), a)
    total = call.system.matmul(last, call.system.move(lambda b: b[None], below))
    shape = np.moveaxis(a.numbers, axis, -1).shape
    return call.system.move(lambda a: np.moveaxis(a.reshape(shape), -1, axis), total)


def _convert(call: Call, a: Any) -> Any:
    target, source = call.out, call.eqn.invars[0].aval
    if not is_float(target):
        return _to_integers(a, target.dtype)
    if isinstance(a, Bounded):
        new, old = unit(target.dtype), unit(source.dtype)
        narrower = new.u > old.u or new.tiny > old.tiny or new.largest < old.largest
        return _arithmetic(call).rounded(a.numbers, a.bound, 1, a.size) if narrower else a
    value, doubt = _parts(a)
    if doubt.any() and value.dtype != bool:
        raise DecidedByRounding("a number")
    exact = value.astype(np.float64)
    return Bounded(exact, abs(value.astype(target.dtype).astype(np.float64) - exact) + doubt, abs(exact))


def _to_integers(a: Any, dtype: Any) -> Any:
    if not isinstance(a, Bounded):
        value, doubt = _parts(a)
        return unsure(value.astype(dtype), doubt)
    if np.dtype(dtype).kind == "b":
        return unsure(a.numbers != 0, (abs(a.numbers) <= a.bound) & (a.bound > 0))
    with np.errstate(invalid="ignore"):
        low, value, high = (part.astype(dtype) for part in (a.numbers - a.bound, a.numbers, a.numbers + a.bound))
    return unsure(value, (low != value) | (high != value))


def _reduce_precision(call: Call, a: Bounded) -> Bounded:
    u, tiny = 2.0 ** -(call.params["mantissa_bits"] + 1), 2.0 ** (2 - 2 ** (call.params["exponent_bits"] - 1))
    return a._replace(bound=raised(a.bound * (1 + u) + u * abs(a.numbers) + tiny))


RULES |= {"convert_element_type": _convert, "reduce_precision": _reduce_precision}
