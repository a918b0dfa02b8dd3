"""Complex numbers as pairs of balls; all they do is arithmetic of balls, so they remember how they were made.

The branch cuts are NumPy's: the square root and the logarithm are cut along the negative real numbers.
"""

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.numbers import balls as numbers
from twolayer.verification.numbers.balls import Ball, Undecided, same_ball


class Complex(Ball):
    """re + im i. Its parts are balls of whatever kind its operands were."""

    __slots__ = ("im", "re")

    def __init__(self, re: Any = 0, im: Any = 0):
        whole = isinstance(re, (Complex, complex, np.complexfloating))
        self.re, self.im = (re.real, re.imag) if whole else (re, 0)
        self.re, self.im = (part if isinstance(part, Ball) else Ball(part) for part in (self.re, self.im))
        if isinstance(im, Ball) or im != 0:
            self.im = self.im + im

    @property
    def v(self) -> Any:
        raise TypeError("must be real number, not Complex")

    real, imag = property(lambda self: self.re), property(lambda self: self.im)

    def __neg__(self) -> "Complex":
        return Complex(-self.re, -self.im)

    def __abs__(self) -> Ball:
        return (self.re * self.re + self.im * self.im).sqrt()

    def __eq__(self, other: Any) -> Any:
        other = _complex(other)
        if other is None:
            return NotImplemented
        pairs = ((self.re.v, other.re.v), (self.im.v, other.im.v))
        if any(a != b for a, b in pairs):  # certainly, of balls
            return False
        if all(a == b or same_ball(a, b) for a, b in pairs):
            return True
        raise Undecided("two numbers are too close to be told apart")

    def __ne__(self, other: Any) -> Any:
        equal = self == other
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash((self.re, self.im))

    def __repr__(self) -> str:
        return repr(complex(float(self.re.v), float(self.im.v)))

    def __format__(self, spec: str) -> str:
        return format(complex(float(self.re.v), float(self.im.v)), spec)

    def conjugate(self) -> "Complex":
        return Complex(self.re, -self.im)

    conj = conjugate

    def exp(self) -> "Complex":
        size = self.re.exp()
        return Complex(size * self.im.cos(), size * self.im.sin())

    def log(self) -> "Complex":
        return Complex(abs(self).log(), angle(self.im, self.re))

    def sqrt(self) -> "Complex":
        if self.re > 0:
            root = ((abs(self) + self.re) / 2).sqrt()
            return Complex(root, self.im / (2 * root))
        if self.re == 0 and self.im == 0:
            return self
        root = ((abs(self) - self.re) / 2).sqrt() * (1 if self.im >= 0 else -1)
        return Complex(self.im / (2 * root), root)

    def sinh(self) -> "Complex":
        return Complex(self.re.sinh() * self.im.cos(), self.re.cosh() * self.im.sin())

    def cosh(self) -> "Complex":
        return Complex(self.re.cosh() * self.im.cos(), self.re.sinh() * self.im.sin())

    def sin(self) -> "Complex":
        return Complex(self.re.sin() * self.im.cosh(), self.re.cos() * self.im.sinh())

    def cos(self) -> "Complex":
        return Complex(self.re.cos() * self.im.cosh(), -(self.re.sin() * self.im.sinh()))

    def tan(self) -> "Complex":
        return self.sin() / self.cos()

    def tanh(self) -> "Complex":
        return self.sinh() / self.cosh()

    def square(self) -> "Complex":
        return self * self

    def reciprocal(self) -> "Complex":
        return 1 / self

    def expit(self) -> "Complex":
        return 1 / (1 + (-self).exp())

    def expm1(self) -> "Complex":
        return self.exp() - 1

    def log1p(self) -> "Complex":
        return (self + 1).log()

    def sign(self) -> "Complex":
        return self / abs(self)


def _complex(value: Any) -> Complex | None:
    if isinstance(value, Complex):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        return None
    try:
        return Complex(value.item() if isinstance(value, np.ndarray) else value)
    except TypeError:
        return None


def _product(a: Complex, b: Complex) -> Complex:
    return Complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def _quotient(a: Complex, b: Complex) -> Complex:
    size = b.re * b.re + b.im * b.im
    return Complex((a.re * b.re + a.im * b.im) / size, (a.im * b.re - a.re * b.im) / size)


def _power(a: Complex, b: Complex) -> Any:
    exponent = b.re
    if b.im == 0 and exponent.is_integer() and abs(exponent) <= 64:
        out, n = Complex(1), int(exponent)
        for _ in range(abs(n)):
            out = out * a
        return out if n >= 0 else 1 / out
    if a.re == 0 and a.im == 0:
        return a
    return (a.log() * b).exp()


def _operator(name: str, operation: Callable) -> None:
    def forward(a: Complex, b: Any) -> Any:
        b = _complex(b)
        return NotImplemented if b is None else operation(a, b)

    def backward(a: Complex, b: Any) -> Any:
        b = _complex(b)
        return NotImplemented if b is None else operation(b, a)

    setattr(Complex, f"__{name}__", forward)
    setattr(Complex, f"__r{name}__", backward)


_operator("add", lambda a, b: Complex(a.re + b.re, a.im + b.im))
_operator("sub", lambda a, b: Complex(a.re - b.re, a.im - b.im))
_operator("mul", _product)
_operator("truediv", _quotient)
_operator("pow", _power)
numbers.COMPLEX = Complex


def angle(y: Ball, x: Ball) -> Ball:
    """The angle of the point (x, y), in (-pi, pi]."""
    half = type(y).made(numbers.arb(0).pi()) / 2
    if x > 0:
        return (y / x).arctan()
    if x < 0:
        return (y / x).arctan() + (2 * half if y >= 0 else -2 * half)
    return half if y > 0 else -half if y < 0 else y * 0


def holds_complex(array: np.ndarray) -> bool:
    """Whether an object array has a complex number in it."""
    return any(isinstance(v, Complex) for v in array.ravel().tolist())


def parts(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The real parts of an object array of numbers, and the imaginary ones; None where all are real."""
    if not holds_complex(array):
        return array, None
    flat = array.ravel().tolist()
    found = np.empty((2, len(flat)), object)
    for i, v in enumerate(flat):
        found[:, i] = (v.re, v.im) if isinstance(v, Complex) else (v, Ball(0))
    return found[0].reshape(array.shape), found[1].reshape(array.shape)


def joined(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    """An object array of complex numbers."""
    out = np.empty(np.shape(re), object)
    out.reshape(-1)[:] = [Complex(*pair) for pair in zip(re.ravel().tolist(), im.ravel().tolist(), strict=True)]
    return out


CMATH = {name: getattr(cmath, name) for name in ("inf", "nan")}
_NAMES = "exp log sqrt sin cos tan sinh cosh tanh"
CMATH |= {name: lambda z, name=name: getattr(Complex(z), name)() for name in _NAMES.split()}
CMATH |= {
    "phase": lambda z: angle(Complex(z).im, Complex(z).re),
    "polar": lambda z: (abs(Complex(z)), angle(Complex(z).im, Complex(z).re)),
    "rect": lambda r, phi: Complex(r) * Complex(0, phi).exp(),
}


def is_complex(array: Any) -> bool:
    """Whether there is a complex number in an array."""
    return any(isinstance(v, (Complex, complex)) for v in np.asarray(array, object).ravel().tolist())
