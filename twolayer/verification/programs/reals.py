"""JAX's primitives on real numbers: object arrays of FLINT's balls, at the precision that is set around them.

Comparisons are decided by the balls. Where they cannot, Undecided is raised, and whoever asked starts again with more
bits. A conversion to a smaller float type changes nothing here: it is a rounding, and rounding is judged apart.
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
from twolayer.verification.numbers.comparisons import DECISIONS, Undecided, decision
from twolayer.verification.numbers.functions import UNARY, integer, power, whole_power
from twolayer.verification.numbers.literals import literal
from twolayer.verification.numbers.special import by_first, incomplete_gamma
from twolayer.verification.programs import decompositions
from twolayer.verification.programs.decompositions import any_complex
from twolayer.verification.programs.interpreter import Call, Rule, Rules, System, Value, is_float, plain
from twolayer.verification.programs.positions import RULES
from twolayer.verification.programs.primitives import as_value, integers, move


def objects(values: Any) -> np.ndarray:
    """An object array also of a single number."""
    return values if isinstance(values, np.ndarray) else np.asarray(values, object)


def _of_arrays(op: Callable) -> Callable:
    """An operator of object arrays as a method."""
    return lambda self, *arrays: objects(op(*arrays))


def lifted(f: Callable, arguments: int = 1) -> Callable:
    """A function of single balls as one of object arrays."""
    ufunc = np.frompyfunc(f, arguments, 1)

    def of(*arrays: Any) -> np.ndarray:
        with np.errstate(all="ignore"):  # what FLINT leaves in the flags of the processor
            return objects(ufunc(*arrays))

    return of


def _decide(name: str) -> Callable[[Any, Any], bool]:
    decide = decision(name, "two numbers are too close")

    def of_numbers(a: Any, b: Any) -> bool:
        if not isinstance(a, flint.acb) and not isinstance(b, flint.acb):
            return decide(a, b)
        a, b = flint.acb(a), flint.acb(b)
        both = equals(a.real, b.real) and equals(a.imag, b.imag)
        return both if name == "eq" else not both

    return of_numbers


above, below, at_least, equals = _decide("gt"), _decide("lt"), _decide("ge"), _decide("eq")
_ZERO, _ONE, _HALF = flint.arb(0), flint.arb(1), flint.arb(1) / 2


def _exact(n: flint.arb) -> flint.arb:
    if not n.is_exact() and n.is_finite():
        raise Undecided("a number is too close to an integer to be rounded")
    return n


def _sign(a: flint.arb) -> flint.arb:
    return _ONE if above(a, _ZERO) else -_ONE if below(a, _ZERO) else _ZERO


def _round(a: flint.arb, to_even: bool) -> flint.arb:
    up = _exact((a + _HALF).floor())
    if equals(a + _HALF, up) and ((integer(up) or 0) % 2 if to_even else below(a, _ZERO)):
        return up - 1
    return up


def _truncated(a: flint.arb) -> flint.arb:
    return _exact(a.floor() if at_least(a, _ZERO) else a.ceil())


def _is_finite(a: flint.arb) -> bool:
    if a.is_nan():
        raise Undecided("whether NaN is finite")
    return a.is_finite()


def _log(a: flint.arb) -> flint.arb:
    return flint.arb("-inf") if a.is_zero() else a.log()


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, flint.acb) or isinstance(b, flint.acb):
        return flint.acb(a) ** b
    return power(a, b)


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

    add, sub, mul = map(_of_arrays, (operator.add, operator.sub, operator.mul))
    div, neg = _of_arrays(operator.truediv), _of_arrays(operator.neg)

    def power(self, a: np.ndarray, n: int) -> np.ndarray:
        return lifted(lambda a: whole_power(a, n))(a)

    def sum(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return objects(np.add.reduce(a, axis=axes, initial=_ZERO))

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
            return lifted(lambda a: not equals(a, _ZERO))(a).astype(bool)
        return lifted(lambda a: integer(_truncated(a)))(a).astype(dtype)

    def extreme(self, a: np.ndarray, axes: tuple[int, ...], sign: int) -> np.ndarray:
        for axis in sorted(axes, reverse=True):
            a = objects((_LARGER if sign > 0 else _SMALLER).reduce(a, axis=axis))
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


def _larger(a: flint.arb, b: flint.arb) -> flint.arb:
    return a if a.is_nan() else b if b.is_nan() or not at_least(a, b) else a


def _smaller(a: flint.arb, b: flint.arb) -> flint.arb:
    return a if a.is_nan() else b if b.is_nan() or at_least(a, b) else a


_LARGER, _SMALLER = np.frompyfunc(_larger, 2, 1), np.frompyfunc(_smaller, 2, 1)
REAL_RULES = Rules(RULES | decompositions.RULES)
_rule = REAL_RULES.rule


def _elementwise(name: str, f: Callable, arguments: int = 1, result: type | None = None) -> None:
    """A rule that applies a function of single balls, entry by entry; NumPy's function on integers."""
    ufunc = lifted(f, arguments)

    def apply(call: Call, *inputs: Value) -> Value:
        if all(map(plain, inputs)):
            return integers(call, *inputs)
        values = ufunc(*(as_value(call.system, a) for a in inputs))
        return values.astype(result) if result else values

    REAL_RULES[name] = apply


def _of_complex(name: str, function: Callable) -> Callable:
    """The function, of complex numbers by FLINT's own of that name where the one for balls asks for a sign."""
    own = {"sqrt": flint.acb.sqrt, "log": flint.acb.log, "rsqrt": flint.acb.rsqrt}.get(name, function)
    return lambda a: own(a) if isinstance(a, flint.acb) else function(a)


_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh"}
_NAMES |= {"arctanh": "atanh", "expit": "logistic", "erfinv": "erf_inv"}
for _name, (_function, _) in UNARY.items():
    _elementwise(_NAMES.get(_name, _name), _of_complex(_name, _function))
for _name in DECISIONS:
    _elementwise(_name, _decide(_name), 2, bool)
    _elementwise(f"{_name}_to", _decide(_name), 2, bool)
_elementwise("log", _of_complex("log", _log))
_elementwise("polygamma", lambda n, a: (-1) ** (n + 1) * (n + 1).gamma() * (n + 1).zeta(a), 2)
_elementwise("zeta", lambda a, b: a.zeta(b), 2)
_elementwise("bessel_i0e", lambda a: a.bessel_i(0) * (-abs(a)).exp())
_elementwise("bessel_i1e", lambda a: a.bessel_i(1) * (-abs(a)).exp())
_elementwise("igamma", incomplete_gamma(flint.arb.gamma_lower), 2)
_elementwise("igammac", incomplete_gamma(flint.arb.gamma_upper), 2)
_elementwise("igamma_grad_a", by_first(incomplete_gamma(flint.arb.gamma_lower)), 2)
_elementwise("regularized_incomplete_beta", lambda a, b, c: c.beta_lower(a, b, 1), 3)
_elementwise("pow", _power, 2)
_elementwise("atan2", flint.arb.atan2, 2)
_elementwise("rem", lambda a, b: a - b * _truncated(a / b), 2)
_elementwise("abs", lambda a: abs(a) if isinstance(a, flint.acb) else a if at_least(a, _ZERO) else -a)
_elementwise("sign", lambda a: a / abs(a) if isinstance(a, flint.acb) else _sign(a))
_elementwise("complex", flint.acb, 2)
_elementwise("real", lambda a: a.real if isinstance(a, flint.acb) else a)
_elementwise("imag", lambda a: a.imag if isinstance(a, flint.acb) else _ZERO)
_elementwise("conj", lambda a: a.conjugate() if isinstance(a, flint.acb) else flint.acb(a))
_elementwise("floor", lambda a: _exact(a.floor()))
_elementwise("ceil", lambda a: _exact(a.ceil()))
_elementwise("is_finite", _is_finite, 1, bool)
_elementwise("max", _larger, 2)
_elementwise("min", _smaller, 2)


@_rule("round")
def _round_rule(call: Call, a: Value) -> Value:
    to_even = int(call.params["rounding_method"]) == 1
    return integers(call, a) if plain(a) else lifted(lambda a: _round(a, to_even))(a)


@_rule("clamp")
def _clamp(call: Call, low: Value, a: Value, high: Value) -> Value:
    return integers(call, low, a, high) if plain(a) else objects(_SMALLER(objects(_LARGER(a, low)), high))


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


@_rule("reduce_precision", "convert_element_type")
def _rounds(call: Call, a: Value) -> Value:
    """A conversion; one to a smaller float type is said."""
    if isinstance(call.system, Reals) and not plain(a):
        new = call.params.get("mantissa_bits") or _mantissa(call.out.dtype)
        if new < _mantissa(call.eqn.invars[0].aval.dtype):
            call.system.said[f"{call.where()} rounds; its rounding is not part of the formula"] = None
    return RULES[call.eqn.primitive.name](call, a)


@_rule("jit:signbit")
def _signbit(call: Call, a: Value) -> Value:
    return np.signbit(a) if plain(a) else lifted(lambda a: below(a, _ZERO))(a).astype(bool)


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
_accumulation("cummax", _LARGER)
_accumulation("cummin", _SMALLER)
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
