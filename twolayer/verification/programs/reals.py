"""JAX's primitives on real numbers: object arrays of FLINT's balls, at the precision that is set around them.

A conversion to a smaller float type changes nothing here: it is a rounding, and rounding is judged apart.
"""

import contextvars
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import flint
import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from twolayer.verification.numbers.balls import array_of
from twolayer.verification.numbers.functions import integer, whole_power
from twolayer.verification.numbers.literals import literal, watch_guards
from twolayer.verification.programs import decompositions, elementwise
from twolayer.verification.programs.decompositions import any_complex
from twolayer.verification.programs.elementwise import LARGER, SMALLER, ZERO, above, at_least, below, lifted, objects
from twolayer.verification.programs.interpreter import Call, Rule, Rules, System, Value, plain
from twolayer.verification.programs.jaxprs import is_float
from twolayer.verification.programs.positions import RULES
from twolayer.verification.programs.primitives import integers, move


def _of_arrays(op: Callable) -> Callable:
    """An operator of object arrays as a method."""
    return lambda self, *arrays: objects(op(*arrays))


_LESS = np.frompyfunc(lambda u, v: ZERO if u is v and u.is_finite() else u - v, 2, 1)


class Reals(System):
    """Real numbers, as object arrays of flint.arb.

    Attributes:
      said: what in the program means nothing over the reals, such as a conversion to a smaller type, with its line.
    """

    complex = True

    def __init__(self) -> None:
        self.rules: Mapping[str, Rule] = REAL_RULES
        self.said: dict[str, None] = {}
        self._call: Call | None = None

    def enter(self, call: Call) -> None:
        self._call = call

    def here(self) -> tuple[int, Any] | None:
        """The user's line from which the operation that runs now comes, and the operation."""
        call = self._call
        return None if call is None or call.line is None else (call.line, call.path)

    def unknown(self, call: Call, *inputs: Value) -> Value:
        """An operation that a library has made of others is run through those."""
        impl = call.eqn.primitive.impl
        if getattr(getattr(impl, "func", None), "__name__", "") == "apply_primitive":
            raise call.not_judged()
        shapes = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in call.eqn.invars]
        inner = jax.make_jaxpr(lambda *arrays: impl(*arrays, **call.params))(*shapes)
        if any(eqn.primitive is call.eqn.primitive for eqn in inner.jaxpr.eqns):
            raise call.not_judged()
        outputs = call.run(inner, inputs)
        return outputs if call.eqn.primitive.multiple_results else outputs[0]

    def literal(self, array: np.ndarray, dtype: Any) -> np.ndarray:
        if np.iscomplexobj(array):
            parts = [self.literal(part, np.float64).ravel().tolist() for part in (np.real(array), np.imag(array))]
            return array_of(np.shape(array), [flint.acb(*pair) for pair in zip(*parts, strict=True)])
        name = np.dtype(dtype).name if np.dtype(dtype).name in ("float32", "float16") else "float64"
        numbers = np.asarray(array).astype(np.float64).ravel().tolist()
        known = {number: literal(number, name) for number in set(numbers) if number == number}
        return array_of(np.shape(array), [known.get(number, flint.arb("nan")) for number in numbers])

    def constant(self, array: np.ndarray) -> np.ndarray:
        return array_of(np.shape(array), [flint.arb(int(n)) for n in np.ravel(array).tolist()])

    def move(self, f: Callable, *values: np.ndarray) -> np.ndarray:
        return objects(f(*values))

    add = _of_arrays(operator.add)

    def mul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        watch_guards((a, b), multiply=True)
        return objects(a * b)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """A number less itself is 0, however well it is known."""
        return objects(_LESS(a, b))

    div, neg = _of_arrays(operator.truediv), _of_arrays(operator.neg)

    def power(self, a: np.ndarray, n: int) -> np.ndarray:
        return lifted(lambda a: whole_power(a, n))(a)

    def sum(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return objects(np.add.reduce(a, axis=axes, initial=ZERO))

    def matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        shape = (*a.shape[:-1], b.shape[-1])
        if not a.shape[-1] or 0 in shape:
            return self.constant(np.zeros(shape, int))
        out = np.empty(shape, object)
        for left, right, into in zip(a, b, out, strict=True):
            matrix = flint.acb_mat if any_complex(left) or any_complex(right) else flint.arb_mat
            factors: list[Any] = [matrix(len(part), part.shape[1], part.ravel().tolist()) for part in (left, right)]
            into.ravel()[:] = (factors[0] * factors[1]).entries()
        return out

    def integers(self, a: np.ndarray, dtype: Any) -> np.ndarray:
        if np.dtype(dtype) == bool:
            return lifted(lambda a: not elementwise.equals(a, ZERO))(a).astype(bool)
        return lifted(lambda a: integer(elementwise.truncated(a)))(a).astype(dtype)

    def extreme(self, a: np.ndarray, axes: tuple[int, ...], sign: int) -> np.ndarray:
        for axis in sorted(axes, reverse=True):
            a = objects((LARGER if sign > 0 else SMALLER).reduce(a, axis=axis))
        return a

    def place(self, a: np.ndarray, axis: int, sign: int) -> np.ndarray:
        """Where the largest or smallest is, of equal ones the first."""
        better = above if sign > 0 else below

        def first(lane: np.ndarray) -> int:
            best = 0
            for i in range(1, len(lane)):
                best = i if better(lane[i], lane[best]) else best
            return best

        return np.asarray(np.apply_along_axis(first, axis, a)).astype(int)


REAL_RULES = Rules(RULES | decompositions.RULES | elementwise.RULES)
_rule = REAL_RULES.rule


@_rule("round")
def _round_rule(call: Call, a: Value) -> Value:
    to_even = int(call.params["rounding_method"]) == 1
    return integers(call, a) if plain(a) else lifted(lambda a: elementwise.rounded(a, to_even))(a)


@_rule("clamp")
def _clamp(call: Call, low: Value, a: Value, high: Value) -> Value:
    return integers(call, low, a, high) if plain(a) else objects(SMALLER(objects(LARGER(a, low)), high))


# Loops that go on until numbers are near enough.

TIGHT: contextvars.ContextVar[bool] = contextvars.ContextVar("tight", default=False)
LOOSEST, TIGHTER, LEAST = 1e-2, 8, 1e-40  # a tolerance is a number up to this; it becomes this power, or the least
FEWEST, LONGER = 8, 16  # a number of steps is a whole number from this one; so many times more are allowed


@_rule("while")
def _while_tight(call: Call, *inputs: Value) -> list:
    """A loop; where TIGHT is set its tolerances are far smaller: it gives the limit that it is meant to approach."""
    body = call.params["cond_jaxpr"]
    if TIGHT.get() and any(is_float(var.aval) for var in body.jaxpr.invars):
        n = call.params["cond_nconsts"]
        call.eqn = call.eqn.replace(params=call.params | {"cond_jaxpr": _tightened(body)})
        call.params = call.eqn.params
        inputs = (*map(_tighter, inputs[:n]), *inputs[n:])
    return RULES["while"](call, *inputs)


def _tighter(value: Any) -> Any:
    """A tolerance or a number of steps, as the ones that are meant; all else stays."""
    if np.ndim(value) or np.asarray(value).dtype == bool:
        return value
    if plain(value):
        return value * LONGER if value >= FEWEST else value
    one = value.item()
    small = isinstance(one, flint.arb) and 0 < float(one) <= LOOSEST
    return objects(flint.arb(_less(float(one)))) if small else value


def _less(tolerance: float) -> float:
    return max(tolerance**TIGHTER, LEAST)


def _tightened(closed: ClosedJaxpr) -> ClosedJaxpr:
    def literal(atom: Any) -> Any:
        if not isinstance(atom, Literal) or np.ndim(atom.val):
            return atom
        number = float(atom.val)
        aval: Any = atom.aval
        if aval.dtype == bool:
            return atom
        if is_float(aval):
            return Literal(_less(number), aval) if 0 < number <= LOOSEST else atom
        return Literal(np.asarray(int(atom.val) * LONGER, aval.dtype), aval) if number >= FEWEST else atom

    eqns = []
    for eqn in closed.jaxpr.eqns:
        inner = {k: _tightened(v) if isinstance(v, ClosedJaxpr) else v for k, v in eqn.params.items()}
        eqns.append(eqn.replace(invars=[literal(atom) for atom in eqn.invars], params=inner))
    return ClosedJaxpr(closed.jaxpr.replace(eqns=eqns), closed.consts)


@_rule("jit:signbit")
def _signbit(call: Call, a: Value) -> list:
    return [np.signbit(a) if plain(a) else lifted(lambda a: below(a, ZERO))(a).astype(bool)]


@_rule("reduce_precision", "convert_element_type")
def _rounds(call: Call, a: Value) -> Value:
    """A conversion; one to a smaller float type is said."""
    if isinstance(call.system, Reals) and not plain(a):
        new = call.params.get("mantissa_bits") or _mantissa(call.out.dtype)
        if new < _mantissa(call.eqn.invars[0].aval.dtype):
            call.system.said[f"{call.where()} rounds; its rounding is not part of the formula"] = None
    return RULES[call.eqn.primitive.name](call, a)


def _mantissa(dtype: Any) -> int:
    return {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}.get(np.dtype(dtype).name, 52)


def _reduction(name: str, sign: int) -> None:
    @_rule(f"reduce_{name}")
    def _reduce(call: Call, a: Value) -> Value:
        return integers(call, a) if plain(a) else call.system.extreme(a, call.params["axes"], sign)

    @_rule(f"arg{name}")
    def _place(call: Call, a: Value) -> Value:
        axis = call.params["axes"][0]
        place = getattr(np, f"arg{name}")(a, axis) if plain(a) else call.system.place(a, axis, sign)
        return np.asarray(place).astype(call.params["index_dtype"])


_reduction("max", 1)
_reduction("min", -1)


def _accumulation(name: str, ufunc: Any) -> None:
    @_rule(name)
    def _accumulate(call: Call, a: Value) -> Value:
        if plain(a) or not a.shape[call.params["axis"]]:
            return integers(call, a) if plain(a) else a
        turn = (lambda a: np.flip(a, call.params["axis"])) if call.params["reverse"] else (lambda a: a)
        return turn(ufunc.accumulate(turn(a), axis=call.params["axis"]))


def _logaddexp(a: flint.arb, b: flint.arb) -> flint.arb:
    least, most = (a, b) if at_least(b, a) else (b, a)
    return most + (least - most).exp().log1p()


_accumulation("cumsum", np.frompyfunc(operator.add, 2, 1))
_accumulation("cumprod", np.frompyfunc(operator.mul, 2, 1))
_accumulation("cummax", LARGER)
_accumulation("cummin", SMALLER)
_accumulation("cumlogsumexp", np.frompyfunc(_logaddexp, 2, 1))


# Sorting.


def _orders(keys: list, axis: int, descending: bool = False) -> np.ndarray:
    """Positions along an axis in the order of the keys, of which the first counts most; equal ones stay as they are."""

    def compare(one: tuple, other: tuple) -> int:
        for a, b in zip(one[1], other[1], strict=True):
            order = int(above(a, b)) - int(below(a, b)) if isinstance(a, flint.arb) else int(a > b) - int(a < b)
            if order:
                return -order if descending else order
        return 0

    lanes = [np.moveaxis(key, axis, -1).reshape(-1, key.shape[axis]) for key in keys]
    key = functools.cmp_to_key(compare)
    rows = [[i for i, _ in sorted(enumerate(zip(*lane, strict=True)), key=key)] for lane in zip(*lanes, strict=True)]
    shape = np.moveaxis(keys[0], axis, -1).shape
    return np.moveaxis(np.reshape(np.array(rows, int), shape), -1, axis)


@_rule("sort")
def _sort(call: Call, *values: Value) -> list:
    axis = call.params["dimension"]
    order = _orders(list(values[: call.params["num_keys"]]), axis)
    return [move(call.system, lambda a: np.take_along_axis(a, order, axis=axis), value) for value in values]


@_rule("top_k")
def _top_k(call: Call, a: Value) -> list:
    axis = call.params.get("axis", len(call.out.shape) - 1)
    order = np.take(_orders([a], axis, descending=True), range(call.params["k"]), axis=axis)
    largest = move(call.system, lambda a: np.take_along_axis(a, order, axis=axis), a)
    return [largest, order.astype(call.eqn.outvars[1].aval.dtype)]
