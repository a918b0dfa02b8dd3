"""Real numbers as balls: a midpoint and a radius that certainly hold the exact value (FLINT's Arb).

`Ball` is a number that Python and NumPy's object arrays compute with as with any other, so people's code runs on it as
it stands. A float that meets a ball means the fraction that was written (literals.py). A ball has no `__float__`: no
number becomes a float in silence. A comparison that the radii leave open raises Undecided, and whoever asked starts
again with more bits.
"""

import contextlib
import math
import operator
import sys
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from typing import Any, Protocol, Self, TypeVar, cast, overload

import flint
import numpy as np

from twolayer.verification.numbers.literals import reading

BITS, MORE_BITS, DIFFERENCE_BITS = 256, (512, 2048), 1100
rounded: set[float] = set()  # the literals met so far that are rounded numbers; whoever asks clears it
AGREEMENT = 200  # bits: "equal" means a relative difference below 2^-200, as agreement.py has it


class Undecided(Exception):
    """A question that the balls leave open, in a few words.

    raised: how many there have been, so that whoever runs code that catches all exceptions can tell.
    """

    raised = 0

    def __init__(self, *args: Any):
        Undecided.raised += 1
        super().__init__(*args)


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


def literal(number: float, dtype: str = "float64") -> flint.arb:
    """What a float literal means: a fraction, or a ball where it is a rounded number."""
    if not math.isfinite(number):
        return flint.arb("nan") if number != number else flint.arb("inf") if number > 0 else flint.arb("-inf")
    fraction, radius = reading(number, dtype)
    if radius:
        rounded.add(number)
    value = flint.arb(fraction.numerator) / fraction.denominator
    return value if not radius or _at_midpoints else flint.arb(value, float(radius))


_at_midpoints = False


@contextlib.contextmanager
def literals_at_midpoints() -> Iterator[None]:
    """Long literals are single numbers inside: a difference of close numbers must not be all radius."""
    global _at_midpoints
    before, _at_midpoints = _at_midpoints, True
    try:
        yield
    finally:
        _at_midpoints = before


_ARRAYS = (np.ndarray, list, tuple)
N = TypeVar("N", covariant=True)


class Operator(Protocol[N]):
    """An operation of one number with another, or with each entry of an array."""

    @overload
    def __call__(self, other: np.ndarray, /) -> np.ndarray: ...
    @overload
    def __call__(self, other: "Number", /) -> N: ...


def _zero_d(a: "Ball") -> np.ndarray:
    array = np.empty((), object)
    array[()] = a
    return array


def one(value: Any) -> Any:
    """The number in an array of one, which may know how it was made."""
    return value.item() if isinstance(value, np.ndarray) else value


def _operators(of_arrays: Callable, slopes: Callable, op: Callable) -> "tuple[Operator[Ball], Operator[Ball]]":
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

    return cast("tuple[Operator[Ball], Operator[Ball]]", (forward, backward))  # once they are methods


def _attempt(result: Callable, op: Callable, a: Any, b: Any) -> Any:
    try:
        return result(a, b)
    except TypeError:
        pass
    of_python = (complex, np.complexfloating)
    return op(COMPLEX(a), COMPLEX(b)) if isinstance(a, of_python) or isinstance(b, of_python) else NotImplemented


def integer(v: flint.arb) -> int | None:
    """The integer that a ball is; None if it is none."""
    n = v.unique_fmpz() if v.is_integer() else None
    return None if n is None else int(n)


def whole_power(a: Any, n: int) -> Any:
    """a to the power n by products where a may be 0: FLINT gives NaN for the square of a ball around 0."""
    if n < 0:
        return 1 / whole_power(a, -n)
    if not n or not a.contains(0):
        return a**n
    half = whole_power(a, n // 2)
    return half * half * a if n % 2 else half * half


def power(a: flint.arb, b: flint.arb) -> flint.arb:
    """a to the power b."""
    n = integer(b)
    if n is not None:
        return whole_power(a, n)
    return a.sqrt() if b * 2 == 1 else a**b


def _power_slopes(a: flint.arb, b: flint.arb) -> tuple[flint.arb, flint.arb]:
    return (
        b * power(a, b - 1) if b != 0 else flint.arb(0),
        power(a, b) * a.log() if a > 0 else flint.arb("nan"),
    )


# Functions of one number with their derivatives, by the name of NumPy's function, which calls the method of that name.
_two, _pi = flint.arb(2), flint.arb.pi
UNARY: dict[str, tuple[Callable, Callable]] = {
    "exp": (lambda a: a.exp(), lambda a, v: v),
    "exp2": (lambda a: (a * _two.log()).exp(), lambda a, v: v * _two.log()),
    "expm1": (lambda a: a.expm1(), lambda a, v: v + 1),
    "log": (lambda a: a.log(), lambda a, v: 1 / a),
    "log2": (lambda a: a.log() / _two.log(), lambda a, v: 1 / (a * _two.log())),
    "log10": (lambda a: a.log() / flint.arb(10).log(), lambda a, v: 1 / (a * flint.arb(10).log())),
    "log1p": (lambda a: a.log1p(), lambda a, v: 1 / (1 + a)),
    # A sum of squares that is 0 is a ball around it, and has a root.
    "sqrt": (lambda a: a.nonnegative_part().sqrt() if a.contains(0) else a.sqrt(), lambda a, v: 1 / (2 * v)),
    "rsqrt": (lambda a: flint.arb("inf") if a.is_zero() else a.rsqrt(), lambda a, v: -v / (2 * a)),
    "cbrt": (lambda a: a.root(3) if a >= 0 else -(-a).root(3), lambda a, v: 1 / (3 * v * v)),
    "square": (lambda a: a * a, lambda a, v: 2 * a),
    "reciprocal": (lambda a: 1 / a, lambda a, v: -v * v),
    "sin": (lambda a: a.sin(), lambda a, v: a.cos()),
    "cos": (lambda a: a.cos(), lambda a, v: -a.sin()),
    "tan": (lambda a: a.tan(), lambda a, v: 1 + v * v),
    "arcsin": (lambda a: a.asin(), lambda a, v: 1 / (1 - a * a).sqrt()),
    "arccos": (lambda a: a.acos(), lambda a, v: -1 / (1 - a * a).sqrt()),
    "arctan": (lambda a: a.atan(), lambda a, v: 1 / (1 + a * a)),
    "sinh": (lambda a: a.sinh(), lambda a, v: a.cosh()),
    "cosh": (lambda a: a.cosh(), lambda a, v: a.sinh()),
    "tanh": (lambda a: a.tanh(), lambda a, v: 1 - v * v),
    "arcsinh": (lambda a: a.asinh(), lambda a, v: 1 / (1 + a * a).sqrt()),
    "arccosh": (lambda a: a.acosh(), lambda a, v: 1 / (a * a - 1).sqrt()),
    "arctanh": (lambda a: a.atanh(), lambda a, v: 1 / (1 - a * a)),
    "erf": (lambda a: a.erf(), lambda a, v: 2 * (-a * a).exp() / _pi().sqrt()),
    "erfc": (lambda a: a.erfc(), lambda a, v: -2 * (-a * a).exp() / _pi().sqrt()),
    "expit": (lambda a: 1 / (1 + (-a).exp()), lambda a, v: v * (1 - v)),
    "lgamma": (lambda a: a.lgamma(), lambda a, v: a.digamma()),
    "gamma": (lambda a: a.gamma(), lambda a, v: v * a.digamma()),
    "digamma": (lambda a: a.digamma(), lambda a, v: _two.zeta(a)),
    "erfinv": (lambda a: a.erfinv(), lambda a, v: _pi().sqrt() / 2 * (v * v).exp()),
    "i0": (lambda a: a.bessel_i(0), lambda a, v: a.bessel_i(1)),
    "ei": (lambda a: a.ei(), lambda a, v: a.exp() / a),
}


def _function(name: str) -> "Callable[[Ball], Ball]":
    function, slope = UNARY[name]

    def method(a: "Ball") -> "Ball":
        v = function(a.v)
        return type(a).made(v, (a,), lambda: (slope(a.v, v),))

    return method


# Told every comparison of numbers: its outcome, and both numbers.
observer: Callable[[bool, flint.arb, flint.arb], None] | None = None


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


def _comparison(holds: Callable, fails: Callable, of_equals: bool) -> Operator[bool]:
    """`fails` is the negation, which does not hold either of balls that overlap; `of_equals`: whether equal ones do."""

    def outcome(u: flint.arb, v: flint.arb) -> bool:
        if holds(u, v):
            return True
        if fails(u, v):
            return False
        if u is v or same_ball(u, v):  # one number, computed twice the same way
            return of_equals
        raise Undecided(
            "a comparison with NaN" if u.is_nan() or v.is_nan() else "two numbers are too close to be told apart"
        )

    def compare(a: "Ball", b: Any) -> Any:
        if isinstance(b, _ARRAYS) and np.ndim(b):
            return holds(_zero_d(a), b) if isinstance(b, np.ndarray) else NotImplemented
        try:
            u, v = a.v, arb(b)
        except TypeError:
            return NotImplemented
        found = outcome(u, v)
        if observer is not None and u is not v:
            observer(found, u, v)
        return _truth(found)

    return cast(Operator[bool], compare)


def same_ball(u: flint.arb, v: flint.arb) -> bool:
    """Whether two balls have the same midpoint and radius, as the same operations on the same numbers give."""
    return u.is_finite() and v.is_finite() and u.mid() == v.mid() and u.rad() == v.rad()


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
    __pow__, __rpow__ = _operators(operator.pow, _power_slopes, power)
    __gt__, __lt__ = _comparison(operator.gt, operator.le, False), _comparison(operator.lt, operator.ge, False)
    __ge__, __le__ = _comparison(operator.ge, operator.lt, True), _comparison(operator.le, operator.gt, True)

    def __neg__(self) -> "Ball":
        return type(self).made(-self.v, (self,), lambda: (flint.arb(-1),))

    def __abs__(self) -> "Ball":
        if self.v >= 0:
            return self
        return -self if self.v <= 0 else type(self).made(abs(self.v), (self,), lambda: (flint.arb(0, 1),))

    def __pos__(self) -> "Ball":
        return self

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
        scale = 10 ** (digits or 0)
        middle = self.v * scale + flint.arb(1) / 2
        n = integer(middle.floor())
        if n is None:
            raise Undecided("a number is too close to the middle of two to be rounded")
        n -= middle.is_integer() and n % 2  # of two the even one
        return n if digits is None else Ball(Fraction(n, scale))

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

    def conjugate(self) -> "Ball":
        return self

    @property
    def real(self) -> "Ball":
        return self

    @property
    def T(self) -> "Ball":
        return self

    shape, ndim, size, dtype = (), 0, 1, np.dtype(object)

    def item(self, *index: Any) -> "Ball":
        return self

    tolist = item

    def copy(self) -> "Ball":
        return self

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> "Ball":
        return self

    __iter__ = None

    def __getitem__(self, key: Any) -> Any:  # x.sum()[None], as NumPy's scalars have it
        if key is None or key is Ellipsis or isinstance(key, tuple):
            return np.array(self, object)[key]
        raise TypeError("a number has no entries")

    def astype(self, dtype: Any, **options: Any) -> Any:
        kind = np.dtype(dtype)
        return kind.type(int(self) if kind.kind in "iu" else bool(self)) if kind.kind in "iub" else self

    def sum(self, *axes: Any, **options: Any) -> "Ball":
        return self

    mean = max = min = squeeze = sum

    def floor(self) -> "Ball":
        n = self.v.floor()
        if not n.is_exact():
            raise Undecided("a number is too close to an integer to be rounded down")
        return type(self).made(n, (self,), lambda: (flint.arb(0),))

    def sign(self) -> "Ball":
        return Ball(0 if self == 0 else 1 if self > 0 else -1)

    def is_integer(self) -> bool:
        return self.v.is_integer()

    # As NumPy's scalars have them, and the functions of UNARY that are called by name.
    reshape, ravel, flatten, transpose, repeat, swapaxes = map(
        _as_array, "reshape ravel flatten transpose repeat swapaxes".split()
    )
    prod, any, all, cumsum, argmax, argmin = map(_as_array, "prod any all cumsum argmax argmin".split())
    exp, log, log1p, sqrt, sin, cos, sinh, cosh, arctan = map(
        _function, "exp log log1p sqrt sin cos sinh cosh arctan".split()
    )


for _name in set(UNARY) - set(vars(Ball)):
    setattr(Ball, _name, _function(_name))
for _name, _holds, _fails in (("__eq__", operator.eq, operator.ne), ("__ne__", operator.ne, operator.eq)):
    setattr(Ball, _name, _comparison(_holds, _fails, _name == "__eq__"))
Number = Ball | flint.arb | int | float | complex | Fraction | np.number | np.bool_  # what a ball is computed with
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


Place = tuple[int, Any]  # a line, and which of its operations
_place_now: Callable[[], Place | None] | None = None


@contextlib.contextmanager
def at_place(place: Callable[[], Place | None]) -> Iterator[None]:
    """Inside, `place()` says which of the user's lines runs: the code itself ran before, when it was traced."""
    global _place_now
    before, _place_now = _place_now, place
    try:
        yield
    finally:
        _place_now = before


def place_of(filenames: Collection[str | None]) -> Place | None:
    """The place that runs now in one of these files, in the innermost of its functions."""
    if _place_now is not None:
        return _place_now()
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in filenames:
            return frame.f_lineno, (frame.f_code.co_filename, frame.f_lasti)
        frame = frame.f_back
    return None


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
