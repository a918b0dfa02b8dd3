"""Real numbers as balls: a midpoint and a radius that certainly hold the exact value (FLINT's Arb).

`Ball` is a number that Python and NumPy's object arrays compute with as with any other, so people's code runs on it as
it stands. A float that meets a ball means the fraction that was written (literals.py). A ball has no `__float__`: no
number becomes a float in silence. A comparison that the radii leave open raises Undecided, and whoever asked starts
again with more bits.
"""

import contextlib
import operator
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Self

import flint
import numpy as np

from twolayer.verification.numbers.comparisons import DECISIONS, Undecided, decision
from twolayer.verification.numbers.functions import UNARY, integer, power, power_slopes
from twolayer.verification.numbers.literals import literal

BITS, MORE_BITS, DIFFERENCE_BITS = 256, (512, 2048), 1100
AGREEMENT = 200  # bits: "equal" means a relative difference below 2^-200, as agreement.py has it


@contextlib.contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with this many bits inside."""
    with flint.ctx.workprec(bits):
        yield


def arb(value: Any) -> flint.arb:
    """A number as FLINT's ball: integers and fractions exactly, floats as the literals they are (literals.reading).

    Raises:
      TypeError: it is no real number.
    """
    if isinstance(value, Ball):
        return value.v
    if isinstance(value, flint.arb):
        return value
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return flint.arb(int(value))
    if isinstance(value, (float, np.floating)):
        return literal(float(value), type(value).__name__ if isinstance(value, np.floating) else "float64")
    if isinstance(value, Fraction):
        return flint.arb(value.numerator) / value.denominator
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return arb(value.item())
    raise TypeError(f"a {type(value).__name__} is no real number")


_ARRAYS = (np.ndarray, list, tuple)


def _zero_d(a: "Ball") -> np.ndarray:
    array = np.empty((), object)
    array[()] = a
    return array


def one(value: Any) -> Any:
    """The number in an array of one, which may know how it was made."""
    return value.item() if isinstance(value, np.ndarray) else value


def _operators(of_arrays: Callable, slopes: Callable, op: Callable) -> tuple[Any, Any]:
    """An operation with the number to its left, and with the number to its right."""
    new = object.__new__

    def result(a: Any, b: Any) -> "Ball":
        cls = type(a) if isinstance(a, Ball) and type(a) is not Ball else type(b) if isinstance(b, Ball) else type(a)
        u, v = arb(a), arb(b)
        return cls.made(op(u, v), (a, b), lambda: slopes(u, v))

    def forward(a: "Ball", b: Any) -> Any:
        if type(a) is type(b) is Ball:  # by far the most operations, so they are spared all questions
            ball = new(Ball)
            ball.v = op(a.v, b.v)
            return ball
        if isinstance(b, _ARRAYS) and np.ndim(b):
            return of_arrays(_zero_d(a), b) if isinstance(b, np.ndarray) else NotImplemented
        return _attempt(result, of_arrays, a, one(b))

    def backward(a: "Ball", b: Any) -> Any:
        if isinstance(b, _ARRAYS) and np.ndim(b):  # NumPy leaves the operation to us, and is given it back
            return of_arrays(b, _zero_d(a)) if isinstance(b, np.ndarray) else NotImplemented
        return _attempt(result, of_arrays, one(b), a)

    return forward, backward


def _attempt(result: Callable, op: Callable, a: Any, b: Any) -> Any:
    try:
        return result(a, b)
    except TypeError:
        pass
    of_python = (complex, np.complexfloating)
    return op(COMPLEX(a), COMPLEX(b)) if isinstance(a, of_python) or isinstance(b, of_python) else NotImplemented


def _function(name: str) -> "Callable[[Ball], Ball]":
    function, slope = UNARY[name]

    def method(a: "Ball") -> "Ball":
        v = function(a.v)
        return type(a).made(v, (a,), lambda: (slope(a.v, v),))

    return method


_truth: Callable[[bool], Any] = bool  # what a comparison gives


@contextlib.contextmanager
def truths(kind: Callable[[bool], Any]) -> Iterator[None]:
    """Inside, comparisons give this kind of truth values: NumPy's have methods, Python's can be subtracted."""
    global _truth
    before, _truth = _truth, kind
    try:
        yield
    finally:
        _truth = before


def _comparison(name: str) -> Any:
    decide, of_equals = decision(name, "two numbers are too close to be told apart"), DECISIONS[name][2]

    def compare(a: "Ball", b: Any) -> Any:
        if isinstance(b, _ARRAYS) and np.ndim(b):
            return DECISIONS[name][0](_zero_d(a), b) if isinstance(b, np.ndarray) else NotImplemented
        try:
            u, v = a.v, arb(b)
        except TypeError:
            return NotImplemented
        return _truth(of_equals if u is v else decide(u, v))

    return compare


def _as_array(name: str) -> Callable:
    return lambda self, *args, **options: getattr(np.array(self, object), name)(*args, **options)


class Ball:
    """A real number. `v` is FLINT's ball."""

    __slots__ = ("v",)
    v: flint.arb

    def __init__(self, value: Any = 0):
        self.v = arb(value)

    @classmethod
    def made(cls, v: flint.arb, operands: tuple = (), slopes: Callable[[], tuple] | None = None) -> Self:
        """The result of an operation. `slopes()` are its derivatives by the operands, for numbers that record them."""
        ball = object.__new__(cls)
        ball.v = v
        return ball

    __add__, __radd__ = _operators(operator.add, lambda a, b: (flint.arb(1), flint.arb(1)), operator.add)
    __sub__, __rsub__ = _operators(operator.sub, lambda a, b: (flint.arb(1), flint.arb(-1)), operator.sub)
    __mul__, __rmul__ = _operators(operator.mul, lambda a, b: (b, a), operator.mul)
    __truediv__, __rtruediv__ = _operators(operator.truediv, lambda a, b: (1 / b, -a / (b * b)), operator.truediv)
    __pow__, __rpow__ = _operators(operator.pow, power_slopes, power)
    __gt__, __ge__, __lt__, __le__ = map(_comparison, ("gt", "ge", "lt", "le"))

    def __neg__(self) -> "Ball":
        return type(self).made(-self.v, (self,), lambda: (flint.arb(-1),))

    def __abs__(self) -> "Ball":
        if self.v >= 0:
            return self
        return -self if self.v <= 0 else type(self).made(abs(self.v), (self,), lambda: (flint.arb(0, 1),))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __hash__(self) -> int:  # as of equal integers and floats, where it is one number
        if not self.v.is_exact() or not self.v.is_finite():
            return id(self)
        mantissa, exponent = self.v.mid().man_exp()
        return hash(Fraction(int(mantissa)) * Fraction(2) ** int(exponent))

    def __int__(self) -> int:  # cuts off, as int(2.7) does; and no __index__: float() would take it
        n = integer(self.v.floor() if self.v >= 0 else self.v.ceil())
        if n is None:
            raise Undecided("a number is too close to an integer to be cut off")
        return n

    def __round__(self, digits: int | None = None) -> Any:
        scale = Fraction(10) ** (digits or 0)
        middle = self.v * scale.numerator / scale.denominator + flint.arb(1) / 2
        n = integer(middle.floor())
        if n is None:
            raise Undecided("a number is too close to the middle of two to be rounded")
        n -= middle.is_integer() and n % 2  # of two the even one
        return n if digits is None else Ball(n / scale)

    round = __round__

    def __floor__(self) -> int:
        return whole(self.floor())

    def __ceil__(self) -> int:
        return -whole((-self).floor())

    def __mod__(self, other: Any) -> "Ball":
        return self - other * (self / other).floor()

    def __floordiv__(self, other: Any) -> "Ball":
        return (self / other).floor()

    def __divmod__(self, other: Any) -> tuple["Ball", "Ball"]:
        return self // other, self % other

    def __format__(self, spec: str) -> str:
        return format(float(self.v), spec)

    def __repr__(self) -> str:
        return repr(float(self.v))

    def _itself(self, *arguments: Any, **options: Any) -> "Ball":
        return self

    # As NumPy's scalars have them.
    __pos__ = __copy__ = __deepcopy__ = copy = conjugate = item = tolist = sum = mean = max = min = squeeze = _itself
    real = T = property(_itself)
    shape, ndim, size, dtype = (), 0, 1, np.dtype(object)

    __iter__ = None

    def __getitem__(self, key: Any) -> Any:  # x.sum()[None], as NumPy's scalars have it
        if key is None or key is Ellipsis or isinstance(key, tuple):
            return np.array(self, object)[key]
        raise TypeError("a number has no entries")

    def astype(self, dtype: Any, **options: Any) -> Any:
        kind = np.dtype(dtype)
        return kind.type(int(self) if kind.kind in "iu" else bool(self)) if kind.kind in "iub" else self

    def floor(self) -> "Ball":
        n = self.v.floor()
        if not n.is_exact():
            raise Undecided("a number is too close to an integer to be rounded down")
        return type(self).made(n, (self,), lambda: (flint.arb(0),))

    def sign(self) -> "Ball":
        return Ball(0 if self == 0 else 1 if self > 0 else -1)

    def is_integer(self) -> bool:
        return self.v.is_integer()

    # What is asked of an array of it, and the functions of UNARY that are called by name.
    reshape, ravel, flatten, transpose, repeat, swapaxes = map(
        _as_array, "reshape ravel flatten transpose repeat swapaxes".split()
    )
    prod, any, all, cumsum, argmax, argmin = map(_as_array, "prod any all cumsum argmax argmin".split())
    exp, log, log1p, sqrt, sin, cos, sinh, cosh, arctan = map(
        _function, "exp log log1p sqrt sin cos sinh cosh arctan".split()
    )


for _name in set(UNARY) - set(vars(Ball)):
    setattr(Ball, _name, _function(_name))
for _name in ("eq", "ne"):
    setattr(Ball, f"__{_name}__", _comparison(_name))
COMPLEX: Callable = Ball  # complex numbers (complexes.py), for a ball that meets one of Python's


def whole(value: Any) -> int:
    """The integer that a ball is.

    Raises:
      TypeError: it is none, as a float is no index.
    """
    n = integer(value.v) if isinstance(value, Ball) else int(value)
    if n is None:
        raise TypeError(f"{value!r} is no integer")
    return n


def array_of(shape: tuple[int, ...], numbers: list) -> np.ndarray:
    """An object array of these numbers, row by row."""
    out = np.empty(shape, object)
    out.reshape(-1)[:] = numbers
    return out


def each(f: Callable, *arrays: np.ndarray) -> np.ndarray:
    """A function of single numbers, of each entry of object arrays."""
    return np.asarray(np.frompyfunc(f, len(arrays), 1)(*arrays), object)


def balls(values: Any, cls: type[Ball] = Ball) -> np.ndarray:
    """An object array of balls, of numbers of any kind; balls stay the objects they are."""
    array = np.asarray(values, object)
    return array_of(array.shape, [v if isinstance(v, cls) else cls(v) for v in array.ravel().tolist()])


def raw(values: Any) -> np.ndarray:
    """An object array of FLINT's balls, of numbers of any kind."""
    array = np.asarray(values, object)
    return array_of(array.shape, [arb(v) for v in array.ravel().tolist()])


def floats(values: Any) -> np.ndarray:
    """The midpoints as float64, for search and for people's eyes."""
    array = np.asarray(values, object)
    flat = [float(arb(v)) for v in array.ravel().tolist()]
    return np.array(flat, np.float64).reshape(array.shape)
