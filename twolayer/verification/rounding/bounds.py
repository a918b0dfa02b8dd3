"""Numbers with a bound on what a compiled program may make of them: running error analysis, entry by entry.

A value is (numbers, bound, size): `numbers` in float64, `bound` >= |what the program holds - numbers|, and `size`, the
number with every term of its last sums and products taken absolutely, |A| |B| for a product: the unit of a report.

For each operation f the bound is D (1 + k u) + (k u + k' u') |f(a, b)| + eta. D bounds |f(a', b') - f(a, b)| over all
operands a', b' within their own bounds, products of two bounds included; u is the unit roundoff of the result's type,
k the operation's roundings and eta its underflow (units.py); u' = 2^-53 and k' are those of `numbers` themselves. The
bound is computed in float64, and raised by more than that can lose.

Sums may be added in any order, so a term of n goes through at most n - 1 roundings, each of the result's type; terms
that are zero, such as masked ones, do not count, since adding zero is exact. A matrix product is trusted to accumulate
bfloat16 and float16 in float32 (it does on CPUs, and in the matrix units of GPUs and TPUs), and to round once to its
own type. XLA's rewriting is allowed for: a / b / c as a / (b c), a / b as a * (1 / b), exp(a) exp(b) as exp(a + b),
sums of constants, x W + b as one sum that starts with b, fused multiply-add, higher precision than asked for.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer.verification.programs.interpreter import Call, System, plain
from twolayer.verification.programs.jaxprs import is_float
from twolayer.verification.rounding import doubt
from twolayer.verification.rounding.bounded import SMOOTH, U64, Bounded, Numbers, opaque, raised
from twolayer.verification.rounding.units import NUMPY, TRUSTED, Lengths, operand_rounding, product_of, unit


def exactly(array: Any) -> Bounded:
    """An array that the program holds itself, such as an input. Subnormal numbers may be read as zero."""
    dtype = np.asarray(array).dtype
    numbers = np.asarray(array, np.float64)
    lost = np.where(abs(numbers) < unit(dtype).tiny, abs(numbers), 0.0)
    return Bounded(numbers, lost, abs(numbers))


class Rounding(System):
    """Running error analysis of a program, each operation in the type that its jaxpr says.

    Attributes:
      unknown_at: the first operation for which there is no bound, with its line, or None.
      overflow: the first operation whose exact result is beyond the largest number of its type, or None.
    """

    def __init__(self, precision: str = "float32", platform: str | None = None):
        self.precision, self.platform = precision, platform or jax.default_backend()
        self.unknown_at: str | None = None
        self.overflow: str | None = None
        self.rules = doubt.RULES
        self._call: Call | None = None
        self._lengths = Lengths()

    def enter(self, call: Call) -> None:
        self._call = call
        self._lengths.note(call.eqn)

    def here(self) -> str:
        """The operation under way and its line."""
        return self._call.where() if self._call else "the end"

    @property
    def _now(self) -> Call:
        if self._call is None:
            raise RuntimeError("no operation is under way")
        return self._call

    @property
    def _eqn(self) -> Any:
        return self._now.eqn

    def rounded(self, numbers: Any, moved: Any, k: Any, size: Any = None, spread: Any = 1.0) -> Bounded:
        """The result of an elementwise operation: D = `moved`, k roundings, underflow times `spread`."""
        u, tiny, largest = unit(self._eqn.outvars[0].aval.dtype)
        with np.errstate(all="ignore"):
            own = (k * u * (1 + k * u) + NUMPY * U64) * abs(numbers)
            bound = raised(moved * (1 + 2 * k * u) + own + tiny * spread)
        return self.checked(numbers, bound, abs(numbers) if size is None else size, largest)

    def checked(self, numbers: Any, bound: Any, size: Any, largest: float) -> Bounded:
        """Note an overflow. Where one is possible, or nothing is known, the bound is infinite."""
        beyond = ~(abs(numbers) <= largest)
        if self.overflow is None and beyond.any():
            self.overflow = self.here()
        with np.errstate(all="ignore"):
            return Bounded(numbers, np.where(abs(numbers) + bound <= largest, bound, np.inf), size)

    def constant(self, array: Numbers) -> Bounded:
        return exactly(np.asarray(array, np.float64))

    def literal(self, array: Numbers, dtype: Any) -> Bounded:
        return exactly(np.asarray(array).astype(dtype))

    def move(self, f: Callable[..., Numbers], *values: Any) -> Any:
        kind = type(values[0])
        return kind(*(np.asarray(f(*parts)) for parts in zip(*values, strict=True)))

    def unknown(self, call: Call, *inputs: Any) -> Any:
        """JAX's own operation on the numbers; NaN where it refuses them. There is no bound."""
        self.unknown_at = self.unknown_at or call.where()
        numbers = [a if plain(a) else a.numbers for a in inputs]
        typed = [np.asarray(a, var.aval.dtype) for a, var in zip(numbers, call.eqn.invars, strict=True)]
        try:
            found = call.eqn.primitive.bind(*typed, **call.params)
        except Exception:  # whatever an operation of somebody else's raises, its value is unknown
            found = [np.full(var.aval.shape, np.nan if is_float(var.aval) else 0) for var in call.eqn.outvars]
            found = found if call.eqn.primitive.multiple_results else found[0]
        many = list(found) if call.eqn.primitive.multiple_results else [found]
        outputs = [
            opaque(a) if is_float(var.aval) else np.asarray(a) for a, var in zip(many, call.eqn.outvars, strict=True)
        ]
        return outputs if call.eqn.primitive.multiple_results else outputs[0]

    def power(self, a: Bounded, n: int) -> Bounded:
        """a^n for an integer n."""
        one = self.constant(np.ones(()))
        if n < 0:
            return self.div(one, self.power(a, -n))
        return functools.reduce(self.mul, [a] * n) if n else self.add(self.mul(a, self.constant(np.zeros(()))), one)

    def sub(self, a: Bounded, b: Bounded) -> Bounded:
        return self.add(a, self.neg(b))

    def extreme(self, a: Bounded, axes: tuple[int, ...], sign: int) -> Bounded:
        """The largest (sign 1) or smallest (-1): it moves no further than the entry that moves most."""
        numbers = a.numbers.max(axis=axes) if sign > 0 else a.numbers.min(axis=axes)
        return Bounded(numbers, a.bound.max(axis=axes), a.size.max(axis=axes))

    def place(self, a: Bounded, axis: int, sign: int) -> Any:
        """Where the largest or smallest is; unsure where rounding has a say."""
        return doubt.place(self._now, a, axis, sign)

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        u = unit(self._eqn.outvars[0].aval.dtype).u
        with np.errstate(all="ignore"):
            # (x + c) + c' may run as x + (c + c'): each constant then brings a rounding of its own size.
            constants = u * sum(abs(c.numbers) for c in (a, b) if _constant(c))
            moved = a.bound + b.bound + constants + self._started(a, b)
            return self.rounded(a.numbers + b.numbers, moved, 1, a.size + b.size)

    def _started(self, a: Bounded, b: Bounded) -> Any:
        """A product and c may be added up as one sum that starts with c; c then goes through n roundings."""
        eqn = self._eqn
        if eqn.primitive.name not in ("add", "add_any", "sub"):
            return 0.0
        u = unit(jnp.promote_types(eqn.outvars[0].aval.dtype, jnp.float32)).u  # that of the running sum
        lengths = [self._lengths.of(atom) for atom in eqn.invars]
        return sum(product_of(n, u) * (abs(c.numbers) + c.bound) for n, c in zip(lengths, (b, a), strict=True) if n)

    def neg(self, a: Bounded) -> Bounded:
        return Bounded(-a.numbers, a.bound, a.size)

    def mul(self, a: Bounded, b: Bounded) -> Bounded:
        with np.errstate(all="ignore"):
            moved = _times(abs(a.numbers), b.bound) + _times(a.bound, abs(b.numbers) + b.bound)
            return self.rounded(a.numbers * b.numbers, moved, 1, a.size * b.size)

    def div(self, a: Bounded, b: Bounded) -> Bounded:
        with np.errstate(all="ignore"):
            numbers, room = a.numbers / b.numbers, abs(b.numbers) - b.bound
            moved = np.where(room > 0, (a.bound + abs(numbers) * b.bound) / room, np.inf)
            spread = 1 + abs(a.numbers) + a.bound  # 1 / b alone may be lost
            return self.rounded(numbers, moved, TRUSTED["div"], a.size / abs(b.numbers), spread)

    def exp(self, a: Bounded) -> Bounded:
        # exp(a) exp(b) may run as exp(a + b): the rounding of the exponent counts as well.
        with np.errstate(all="ignore"):
            numbers, k = np.exp(a.numbers), TRUSTED["exp"] + np.where(np.isfinite(a.numbers), abs(a.numbers), 0.0)
            return self.rounded(numbers, _times(numbers, np.expm1(a.bound)), k)

    def pow(self, a: Bounded, exponent: float) -> Bounded:
        """`a` to a constant power. Its slope is steepest at one of the ends."""

        def slope(low: Numbers, high: Numbers) -> Numbers:
            ends = np.maximum(np.maximum(low, 0.0) ** (exponent - 1), high ** (exponent - 1))
            return abs(exponent) * np.where(low > 0, ends, np.inf)

        return self._smooth("pow", lambda a: a**exponent, slope, a)

    def smooth(self, name: str, a: Bounded) -> Bounded:
        """A function of the table SMOOTH."""
        return self._smooth(name, *SMOOTH[name], a)

    def _smooth(self, name: str, f: Callable, slope: Callable, a: Bounded) -> Bounded:
        with np.errstate(all="ignore"):
            steepest = slope(a.numbers - a.bound, a.numbers + a.bound)
            # 1 / (1 + exp(-a)) is lost once exp(-a) overflows: in float16 at 2^-16, its smallest number is 2^-24.
            spread = 1024 if name == "logistic" else 1
            return self.rounded(f(a.numbers), _times(a.bound, steepest), TRUSTED[name], spread=spread)

    def sum(self, a: Bounded, axes: tuple[int, ...]) -> Bounded:
        n = int(np.prod([a.shape[axis] for axis in axes], dtype=int))
        u, tiny, largest = unit(self._eqn.outvars[0].aval.dtype)
        with np.errstate(all="ignore"):
            size, moved, absolute = a.size.sum(axis=axes), a.bound.sum(axis=axes), abs(a.numbers).sum(axis=axes)
            adds = np.maximum(_present(a).sum(axis=axes) - 1, 0)
            own = (_powers(n, u) + _powers(n, U64))[adds] * (absolute + moved)
            return self.checked(a.numbers.sum(axis=axes), raised(moved + own + n * tiny, n), size, largest)

    def matmul(self, a: Bounded, b: Bounded) -> Bounded:
        n, (v, u, last) = a.shape[-1], self._product()
        _, tiny, largest = unit(self._eqn.outvars[0].aval.dtype)
        with np.errstate(all="ignore"):
            numbers, A, B = a.numbers @ b.numbers, abs(a.numbers), abs(b.numbers)
            absolute = A @ B
            size = absolute if (a.size == A).all() and (b.size == B).all() else a.size @ b.size
            moved = np.zeros(np.shape(numbers))
            if a.bound.any():
                moved = moved + _matmul(a.bound, B + b.bound)
            if b.bound.any():
                moved = moved + _matmul(A, b.bound)
            operands = (1 + v) ** 2
            own = (operands * (1 + _powers(n, u)) - 1 + _powers(n, U64))[_terms(a, b)] * (absolute + moved)
            bound = moved + own + 2 * n * tiny
            return self.checked(numbers, raised(bound + last * (abs(numbers) + bound), n), size, largest)

    def _product(self) -> tuple[float, float, float]:
        """To what a product rounds its operands, its running sum, and its result once more."""
        eqn = self._eqn
        out = unit(eqn.outvars[0].aval.dtype).u
        if eqn.primitive.name != "dot_general":  # cumsum, scatter-add: a sum of terms times 0 or 1
            return 0.0, out, 0.0
        types = [var.aval.dtype for var in (*eqn.invars, *eqn.outvars)]
        u = unit(jnp.promote_types(jnp.result_type(*types), jnp.float32)).u
        v = 0.0
        if any(np.dtype(dtype).name == "float32" for dtype in types[:2]):
            v = operand_rounding(eqn.params["precision"], self.platform, self.precision)
        return v, u, out if out > u else 0.0


def _powers(n: int, u: float) -> Numbers:
    """(1 + u)^k - 1 for k = 0, ..., n."""
    return np.expm1(np.arange(n + 1) * np.log1p(u))


def _present(a: Bounded) -> Numbers:
    return (a.numbers != 0) | (a.bound != 0)


def _terms(a: Bounded, b: Bounded) -> Numbers:
    """How many terms of each entry of a product may not be zero, at most."""
    rows, columns = _present(a).sum(axis=-1), _present(b).sum(axis=-2)
    return np.minimum(rows[..., :, None], columns[..., None, :])


def _constant(a: Bounded) -> bool:
    """Whether it may be one number that stands in the program."""
    return bool(not np.any(a.bound) and np.size(a.numbers) > 0 and np.min(a.numbers) == np.max(a.numbers))


def _times(a: Numbers, b: Any) -> Numbers:
    """A product in which zero times infinity is zero: an operand known to be zero has no say."""
    with np.errstate(invalid="ignore"):
        return np.where((a == 0) | (b == 0), 0.0, a * b)


def _matmul(a: Numbers, b: Numbers) -> Numbers:
    """A product of bounds; an infinite one makes what it may touch infinite, never NaN."""
    with np.errstate(all="ignore"):
        product = a @ b
    return np.where(np.isnan(product), np.inf, product)
