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
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.literals import reading

BITS, MORE_BITS, DIFFERENCE_BITS = 256, (512, 2048), 1100
rounded: set[float] = set()  # the literals met so far that are rounded numbers; whoever asks clears it
AGREEMENT = 200  # bits: "equal" means a difference below 2^-200, relative to the size of the array


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


class Ball:
    """A real number. `v` is FLINT's ball."""

    __slots__ = ("v",)

    def __init__(self, value: Any = 0):
        self.v = arb(value)

    @classmethod
    def made(cls, v: flint.arb, operands: tuple = (), slopes: Callable[[], tuple] | None = None) -> "Ball":
        """The result of an operation. `slopes()` are its derivatives by the operands, for numbers that record them."""
        ball = object.__new__(cls)
        ball.v = v
        return ball

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
        n = (self.v.floor() if self.v >= 0 else self.v.ceil()).unique_fmpz()
        if n is None:
            raise Undecided("a number is too close to an integer to be cut off")
        return int(n)

    def __round__(self, digits: int | None = None) -> Any:
        scale = 10 ** (digits or 0)
        middle = self.v * scale + flint.arb(1) / 2
        n = middle.floor()
        if not n.is_exact():
            raise Undecided("a number is too close to the middle of two to be rounded")
        n -= middle.is_integer() and int(n.unique_fmpz()) % 2  # of two the even one
        return int(n.unique_fmpz()) if digits is None else Ball(Fraction(int(n.unique_fmpz()), scale))

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

    def copy(self) -> "Ball":
        return self

    def __copy__(self) -> "Ball":
        return self

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


def _as_array(name: str) -> Callable:
    return lambda self, *args, **options: getattr(np.array(self, object), name)(*args, **options)


# As NumPy's scalars have them.
for _name in "reshape ravel flatten prod any all transpose cumsum argmax argmin repeat swapaxes".split():
    setattr(Ball, _name, _as_array(_name))
Ball.tolist = Ball.item
Ball.round = Ball.__round__
Ball.is_integer = lambda self: self.v.is_integer()


def whole(value: Any) -> int:
    """The integer that a ball is.

    Raises:
      TypeError: it is none, as a float is no index.
    """
    n = value.v.unique_fmpz() if isinstance(value, Ball) else int(value)
    if n is None or (isinstance(value, Ball) and not value.v.is_exact()):
        raise TypeError(f"{value!r} is no integer")
    return int(n)


_ARRAYS = (np.ndarray, list, tuple)


def _zero_d(a: Ball) -> np.ndarray:
    array = np.empty((), object)
    array[()] = a
    return array


def _one(value: Any) -> Any:
    """The number in an array of one, which may know how it was made."""
    return value.item() if isinstance(value, np.ndarray) else value


def _binary(name: str, op: Callable, slopes: Callable) -> None:
    op_of_arrays, new = getattr(operator, name), object.__new__

    def result(a: Any, b: Any) -> Ball:
        cls = type(a) if isinstance(a, Ball) and type(a) is not Ball else type(b) if isinstance(b, Ball) else type(a)
        u, v = arb(a), arb(b)
        return cls.made(op(u, v), (a, b), lambda: slopes(u, v))

    def forward(a: Ball, b: Any) -> Any:
        if type(a) is type(b) is Ball:  # by far the most operations, so they are spared all questions
            ball = new(Ball)
            ball.v = op(a.v, b.v)
            return ball
        if isinstance(b, _ARRAYS) and np.ndim(b):
            return op_of_arrays(_zero_d(a), b) if isinstance(b, np.ndarray) else NotImplemented
        return _attempt(result, op_of_arrays, a, _one(b))

    def backward(a: Ball, b: Any) -> Any:
        if isinstance(b, _ARRAYS) and np.ndim(b):  # NumPy leaves the operation to us, and is given it back
            return op_of_arrays(b, _zero_d(a)) if isinstance(b, np.ndarray) else NotImplemented
        return _attempt(result, op_of_arrays, _one(b), a)

    setattr(Ball, f"__{name}__", forward)
    setattr(Ball, f"__r{name}__", backward)


COMPLEX: Callable = Ball  # complex numbers (complexes.py), for a ball that meets one of Python's


def _attempt(result: Callable, op: Callable, a: Any, b: Any) -> Any:
    try:
        return result(a, b)
    except TypeError:
        pass
    of_python = (complex, np.complexfloating)
    return op(COMPLEX(a), COMPLEX(b)) if isinstance(a, of_python) or isinstance(b, of_python) else NotImplemented


def whole_power(a: Any, n: int) -> Any:
    """a to the power n by products where a may be 0: FLINT gives NaN for the square of a ball around 0."""
    if n < 0:
        return 1 / whole_power(a, -n)
    if not n or not a.contains(0):
        return a**n
    half = whole_power(a, n // 2)
    return half * half * a if n % 2 else half * half


def _power(a: flint.arb, b: flint.arb) -> flint.arb:
    if b.is_integer():
        return whole_power(a, int(b.unique_fmpz()))
    return a.sqrt() if b * 2 == 1 else a**b


_binary("add", operator.add, lambda a, b: (flint.arb(1), flint.arb(1)))
_binary("sub", operator.sub, lambda a, b: (flint.arb(1), flint.arb(-1)))
_binary("mul", operator.mul, lambda a, b: (b, a))
_binary("truediv", operator.truediv, lambda a, b: (1 / b, -a / (b * b)))
_binary("pow", _power, lambda a, b: (b * _power(a, b - 1) if b != 0 else flint.arb(0), _log_slope(a, b)))


def _log_slope(a: flint.arb, b: flint.arb) -> flint.arb:
    return _power(a, b) * a.log() if a > 0 else flint.arb("nan")


Ball.__neg__ = lambda a: type(a).made(-a.v, (a,), lambda: (flint.arb(-1),))


def _unary(name: str, function: Callable, slope: Callable) -> None:
    def method(a: Ball) -> Ball:
        v = function(a.v)
        return type(a).made(v, (a,), lambda: (slope(a.v, v),))

    setattr(Ball, name, method)


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
for _name, (_function, _slope) in UNARY.items():
    _unary(_name, _function, _slope)


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


def _comparison(name: str, holds: Callable, fails: Callable, of_equals: bool) -> None:
    def outcome(u: flint.arb, v: flint.arb) -> bool:
        if holds(u, v):
            return True
        if fails(u, v):
            return False
        if u is v or (same_ball(u, v)):  # one number, computed twice the same way
            return of_equals
        raise Undecided(
            "a comparison with NaN" if u.is_nan() or v.is_nan() else "two numbers are too close to be told apart"
        )

    def compare(a: Ball, b: Any) -> Any:
        if isinstance(b, _ARRAYS) and np.ndim(b):
            return getattr(operator, name)(_zero_d(a), b) if isinstance(b, np.ndarray) else NotImplemented
        try:
            u, v = a.v, arb(b)
        except TypeError:
            return NotImplemented
        found = outcome(u, v)
        if observer is not None and u is not v:
            observer(found, u, v)
        return _truth(found)

    setattr(Ball, f"__{name}__", compare)


def same_ball(u: flint.arb, v: flint.arb) -> bool:
    """Whether two balls have the same midpoint and radius, as the same operations on the same numbers give."""
    return u.is_finite() and v.is_finite() and u.mid() == v.mid() and u.rad() == v.rad()


_comparison("gt", operator.gt, operator.le, False)
_comparison("lt", operator.lt, operator.ge, False)
_comparison("ge", operator.ge, operator.lt, True)
_comparison("le", operator.le, operator.gt, True)
_comparison("eq", operator.eq, operator.ne, True)
_comparison("ne", operator.ne, operator.eq, False)


def balls(values: Any, cls: type[Ball] = Ball) -> np.ndarray:
    """An object array of balls, of numbers of any kind; balls stay the objects they are."""
    array = np.asarray(values, object)
    out = np.empty(array.shape, object)
    out.ravel()[:] = [v if isinstance(v, cls) else cls(v) for v in array.ravel().tolist()]
    return out


def raw(values: Any) -> np.ndarray:
    """An object array of FLINT's balls, of numbers of any kind."""
    array = np.asarray(values, object)
    out = np.empty(array.shape, object)
    out.ravel()[:] = [arb(v) for v in array.ravel().tolist()]
    return out


def floats(values: Any) -> np.ndarray:
    """The midpoints as float64, for search and for people's eyes."""
    array = np.asarray(values, object)
    flat = [float(arb(v)) for v in array.ravel().tolist()]
    return np.array(flat, np.float64).reshape(array.shape)
