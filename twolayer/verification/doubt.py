"""Predicates under rounding errors: where a bound allows both outcomes, both are followed.

A comparison of numbers that lie closer than their bounds is in doubt: the program may see either. Its result is then
Unsure, an array with a second one that marks the entries in doubt; choosing by it takes a bound that covers every case.
Whatever wants a plain answer for an entry in doubt (the length of a loop, an index) raises DecidedByRounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification import arrays, rules, selection
from twolayer.verification.interpreter import is_float
from twolayer.verification.numbers.rounding import DecidedByRounding, Rounded, raised
from twolayer.verification.numbers.system import Numbers

RULES: dict[str, Callable] = {}
# Operations that hand on a doubt as it is. A loop or branch asks for a plain answer where it needs one.
_HAND_ON = "transpose reshape squeeze expand_dims broadcast_in_dim rev slice copy stop_gradient name scan while".split()


def rule_of(eqn: Any) -> Callable:
    """The rule of an operation where predicates may be in doubt."""
    return RULES.get(eqn.primitive.name, _common)


def _common(call: Any, *inputs: Any) -> Any:
    """The rule that holds in any system, for operations that have nothing to do with doubts."""
    name = call.eqn.primitive.name
    if any(isinstance(a, Unsure) for a in inputs) and name not in _HAND_ON and rules.nested_call(call.eqn) is None:
        raise DecidedByRounding("a decision")
    return rules.RULES.get(name, rules.opaque_rule)(call, *inputs)


class Unsure(NamedTuple):
    """Booleans or integers, and where the program may hold others."""

    value: Numbers
    doubt: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    def __array__(self, *args: Any, **kwargs: Any) -> Numbers:
        raise DecidedByRounding("a decision")


def unsure(value: Any, doubt: Any) -> Any:
    """A plain array where nothing is in doubt."""
    value, doubt = np.asarray(value), np.broadcast_to(doubt, np.shape(value))
    return Unsure(value, doubt) if doubt.any() else value


def _parts(a: Any) -> tuple[Numbers, Numbers]:
    return (a.value, a.doubt) if isinstance(a, Unsure) else (np.asarray(a), np.zeros(np.shape(a), bool))


def _close(a: Rounded, b: Rounded) -> Numbers:
    """Where the program may see either order. Numbers without a bound are what the program holds."""
    room = a.bound + b.bound
    with np.errstate(invalid="ignore"):
        return (room > 0) & ~(abs(a.numbers - b.numbers) > raised(room))


def _comparison(op: Callable) -> Callable:
    def rule(call: Any, a: Any, b: Any) -> Any:
        a, b = arrays.same_rank(call, (a, b))
        if isinstance(a, Rounded):
            same = call.eqn.invars[0] is call.eqn.invars[1]  # as in a != a, which asks for NaN
            return unsure(op(a.numbers, b.numbers), _close(a, b) & (not same))
        (a, doubt_a), (b, doubt_b) = _parts(a), _parts(b)
        return unsure(op(a, b), doubt_a | doubt_b)

    return rule


RULES |= {name: _comparison(op) for name, op in [("eq", np.equal), ("ne", np.not_equal), ("lt", np.less)]}
RULES |= {name: _comparison(op) for name, op in [("le", np.less_equal), ("gt", np.greater), ("ge", np.greater_equal)]}


def _logic(name: str, settles: Callable) -> Callable:
    """A rule for booleans. settles(a): where a alone decides, whatever the other operand is."""

    def rule(call: Any, *inputs: Any) -> Any:
        if not any(isinstance(a, Unsure) for a in inputs):
            return rules.opaque_rule(call, *inputs)
        parts = [_parts(a) for a in arrays.same_rank(call, inputs)]
        if any(value.dtype != bool for value, _ in parts):
            raise DecidedByRounding("the bits of an integer")
        doubt = np.logical_or.reduce(np.broadcast_arrays(*(doubt for _, doubt in parts)))
        for value, open_ in parts:
            doubt = doubt & ~(settles(value) & ~open_)
        return unsure(getattr(np, f"logical_{name}")(*(value for value, _ in parts)), doubt)

    return rule


RULES |= {"and": _logic("and", np.logical_not), "or": _logic("or", np.asarray)}
RULES |= {name: _logic(name, np.zeros_like) for name in ("xor", "not")}


def _select(call: Any, which: Any, *cases: Any) -> Any:
    which, *cases = arrays.same_rank(call, (which, *cases))
    value, doubt = _parts(which)
    if any(isinstance(case, Unsure) for case in cases):
        cases = [Unsure(*_parts(case)) for case in cases]
    chosen = selection.choose(call.system, value, *cases)
    if not isinstance(chosen, Rounded):
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


def _pick(call: Any, sign: int, a: Rounded, b: Rounded) -> Rounded:
    """The larger (sign 1) or smaller (-1) of two numbers: it moves no further than the one that moves most."""
    chosen = selection.choose(call.system, sign * b.numbers > sign * a.numbers, a, b)
    return chosen._replace(bound=np.where(_close(a, b), np.maximum(a.bound, b.bound), chosen.bound))


def _of_two(name: str, sign: int) -> Callable:
    def rule(call: Any, a: Any, b: Any) -> Any:
        if not isinstance(a, Rounded):
            return selection.RULES[name](call, a, b)
        return _pick(call, sign, *arrays.same_rank(call, (a, b)))

    return rule


def _clamp(call: Any, low: Any, a: Any, high: Any) -> Any:
    if not isinstance(a, Rounded):
        return selection.RULES["clamp"](call, low, a, high)
    low, a, high = arrays.same_rank(call, (low, a, high))
    return _pick(call, -1, _pick(call, 1, a, low), high)


RULES |= {"max": _of_two("max", 1), "min": _of_two("min", -1), "clamp": _clamp}


def _axes(call: Any) -> tuple[int, ...]:
    return tuple(axis - call.ranks[0] for axis in call.params["axes"])


def _of_many(name: str, extreme: Callable) -> Callable:
    """reduce_max or reduce_min: it moves no further than the entry that moves most."""

    def rule(call: Any, a: Any) -> Any:
        if not isinstance(a, Rounded):
            return selection.RULES[name](call, a)
        axes = _axes(call)
        return Rounded(extreme(a.numbers, axis=axes), a.bound.max(axis=axes), a.size.max(axis=axes))

    return rule


RULES |= {"reduce_max": _of_many("reduce_max", np.max), "reduce_min": _of_many("reduce_min", np.min)}


def _position(name: str, sign: int) -> Callable:
    """The place of the largest or smallest: in doubt where another entry may be as large."""

    def rule(call: Any, a: Any) -> Any:
        if not isinstance(a, Rounded):
            return selection.RULES[name](call, a)
        (axis,) = _axes(call)
        at = np.expand_dims((sign * a.numbers).argmax(axis=axis), axis)
        best = call.system.move(lambda part: np.take_along_axis(part, at, axis=axis), a)
        rivals = _close(a, best)
        np.put_along_axis(rivals, at, False, axis=axis)
        return unsure(at.squeeze(axis).astype(call.params["index_dtype"]), rivals.any(axis=axis))

    return rule


RULES |= {"argmax": _position("argmax", 1), "argmin": _position("argmin", -1)}


def _sort(call: Any, *values: Any) -> list:
    """Sorted numbers move no further than the one that moves most; what goes along with them needs their order."""
    if not isinstance(values[0], Rounded):
        return _common(call, *values)
    if call.params["num_keys"] > 1 or any(isinstance(value, Unsure) for value in values):
        raise DecidedByRounding("an order")
    axis, numbers = call.params["dimension"] - call.ranks[0], values[0].numbers
    order = np.argsort(numbers, axis=axis, kind="stable")
    first, *along = (
        arrays.apply(
            call.system, lambda a: np.take_along_axis(np.broadcast_to(a, order.shape), order, axis=axis), value
        )
        for value in values
    )
    lower, upper = (
        call.system.move(lambda a, part=part: a.swapaxes(axis, -1)[..., part], first)
        for part in (slice(None, -1), slice(1, None))
    )
    if not _close(lower, upper).any():
        return [first, *along]
    if along:
        raise DecidedByRounding("an order")
    return [Rounded(first.numbers, *(np.broadcast_to(a.max(axis=axis, keepdims=True), a.shape) for a in first[1:]))]


RULES["sort"] = _sort


def _step_function(name: str, f: Callable) -> Callable:
    """A monotone step function takes the values between those at the two ends."""

    def rule(call: Any, a: Any) -> Any:
        stepped = rules.RULES[name](call, a)
        if not isinstance(a, Rounded):
            return stepped
        with np.errstate(invalid="ignore"):
            up, down = f(a.numbers + a.bound) - stepped.numbers, stepped.numbers - f(a.numbers - a.bound)
        return stepped._replace(bound=np.nan_to_num(np.maximum(up, down), nan=np.inf, posinf=np.inf))

    return rule


RULES |= {name: _step_function(name, getattr(np, name)) for name in ("sign", "floor", "ceil", "round")}


def _smooth(name: str) -> Callable:
    """A function that has a bound though it has no algebra."""

    def rule(call: Any, a: Any) -> Any:
        return getattr(call.system, name)(a) if isinstance(a, Rounded) else rules.opaque_rule(call, a)

    return rule


RULES |= {name: _smooth(name) for name in ("sqrt", "rsqrt", "sin", "cos")}


def _pow(call: Any, a: Any, b: Any) -> Any:
    if not (isinstance(a, Rounded) and isinstance(b, Rounded)) or b.bound.any() or len(np.unique(b.numbers)) != 1:
        return _common(call, a, b)
    exponent = float(b.numbers.flat[0])
    return _common(call, a, b) if exponent.is_integer() else call.system.pow(a, exponent)


RULES["pow"] = _pow


def _convert(call: Any, a: Any) -> Any:
    target, source = call.eqn.outvars[0].aval, call.eqn.invars[0].aval
    if not is_float(target):
        return _to_integers(a, target.dtype)
    if isinstance(a, Rounded):
        new, old = call.system.unit(target.dtype), call.system.unit(source.dtype)
        narrower = new.u > old.u or new.tiny > old.tiny or new.largest < old.largest
        return call.system.rounded(a.numbers, a.bound, 1, a.size) if narrower else a
    value, doubt = _parts(a)
    if doubt.any() and value.dtype != bool:
        raise DecidedByRounding("a number")
    exact = value.astype(np.float64)
    return Rounded(exact, abs(value.astype(target.dtype).astype(np.float64) - exact) + doubt, abs(exact))


def _to_integers(a: Any, dtype: Any) -> Any:
    if not isinstance(a, Rounded):
        value, doubt = _parts(a)
        return unsure(value.astype(dtype), doubt)
    if np.dtype(dtype).kind == "b":
        return unsure(a.numbers != 0, (abs(a.numbers) <= a.bound) & (a.bound > 0))
    with np.errstate(invalid="ignore"):
        low, value, high = (part.astype(dtype) for part in (a.numbers - a.bound, a.numbers, a.numbers + a.bound))
    return unsure(value, (low != value) | (high != value))


def _reduce_precision(call: Any, a: Rounded) -> Rounded:
    u, tiny = 2.0 ** -(call.params["mantissa_bits"] + 1), 2.0 ** (2 - 2 ** (call.params["exponent_bits"] - 1))
    return a._replace(bound=raised(a.bound * (1 + u) + u * abs(a.numbers) + tiny))


RULES |= {"convert_element_type": _convert, "reduce_precision": _reduce_precision}
