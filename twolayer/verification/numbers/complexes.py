"""Complex numbers as pairs of balls; all they do is arithmetic of balls, so they remember how they were made.

The branch cuts are NumPy's: the square root and the logarithm are cut along the negative real numbers.
"""

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.numbers import balls as numbers
from twolayer.verification.numbers.balls import Ball, Undecided, array_of
from twolayer.verification.numbers.comparisons import same_ball


def _complex(value: Any) -> "Complex | None":
    if isinstance(value, Complex):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        return None
    try:
        return Complex(value.item() if isinstance(value, np.ndarray) else value)
    except TypeError:
        return None


def _product(a: "Complex", b: "Complex") -> "Complex":
    return Complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def _quotient(a: "Complex", b: "Complex") -> "Complex":
    size = b.re * b.re + b.im * b.im
    return Complex((a.re * b.re + a.im * b.im) / size, (a.im * b.re - a.re * b.im) / size)


def _power(a: "Complex", b: "Complex") -> "Complex":
    exponent = b.re
    if b.im == 0 and exponent.is_integer() and abs(exponent) <= 64:
        out, n = Complex(1), int(exponent)
        for _ in range(abs(n)):
            out = out * a
        return out if n >= 0 else 1 / out
    if a.re == 0 and a.im == 0:
        size = abs(a) ** b.re if b.re > 0 else a.re / 0
        return Complex(size, size * 0)
    return (a.log() * b).exp()


def _operators(operation: "Callable[[Complex, Complex], Complex]") -> tuple[Any, Any]:
    def forward(a: "Complex", b: Any) -> Any:
        other = _complex(b)
        return NotImplemented if other is None else operation(a, other)

    def backward(a: "Complex", b: Any) -> Any:
        other = _complex(b)
        return NotImplemented if other is None else operation(other, a)

    return forward, backward


class Complex(Ball):
    """re + im i. Its parts are balls of whatever kind its operands were."""

    __slots__ = ("im", "re")
    re: Ball
    im: Ball

    def __init__(self, re: Any = 0, im: Any = 0):
        pair = (re.real, re.imag) if isinstance(re, (Complex, complex, np.complexfloating)) else (re, 0)
        self.re, self.im = (part if isinstance(part, Ball) else Ball(part) for part in pair)
        if isinstance(im, Ball) or im != 0:
            self.im = self.im + im

    __add__, __radd__ = _operators(lambda a, b: Complex(a.re + b.re, a.im + b.im))
    __sub__, __rsub__ = _operators(lambda a, b: Complex(a.re - b.re, a.im - b.im))
    __mul__, __rmul__ = _operators(_product)
    __truediv__, __rtruediv__ = _operators(_quotient)
    __pow__, __rpow__ = _operators(_power)

    @property
    def v(self) -> Any:
        raise TypeError("must be real number, not Complex")

    @property
    def real(self) -> Ball:
        return self.re

    @property
    def imag(self) -> Ball:
        return self.im

    def __neg__(self) -> "Complex":
        return Complex(-self.re, -self.im)

    def __abs__(self) -> Ball:
        return (self.re * self.re + self.im * self.im).sqrt()

    def __eq__(self, other: Any) -> Any:
        right = _complex(other)
        if right is None:
            return NotImplemented
        pairs = ((self.re.v, right.re.v), (self.im.v, right.im.v))
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
            return Complex(abs(self).sqrt(), self.im)  # which has no derivative
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


_MADE: dict[str, Callable[[Complex], Complex]] = {
    "tan": lambda z: z.sin() / z.cos(), "tanh": lambda z: z.sinh() / z.cosh(), "square": lambda z: z * z,
    "reciprocal": lambda z: 1 / z, "expit": lambda z: 1 / (1 + (-z).exp()), "expm1": lambda z: z.exp() - 1,
    "log1p": lambda z: (z + 1).log(), "sign": lambda z: z / abs(z),
}  # fmt: skip
for _name, _function in _MADE.items():
    setattr(Complex, _name, _function)
numbers.COMPLEX = Complex


def angle(y: Ball, x: Ball) -> Ball:
    """The angle of the point (x, y), in (-pi, pi]."""
    half = type(y).made(numbers.arb(0).pi()) / 2
    if x > 0:
        return (y / x).arctan()
    if x < 0:
        return (y / x).arctan() + (2 * half if y >= 0 else -2 * half)
    return half if y > 0 else -half if y < 0 else y * 0


def holds_complex(values: Any) -> bool:
    """Whether one of some numbers is complex: of this package's, of Python's, or of an array that JAX traces."""
    if not hasattr(values, "dtype"):
        return isinstance(values, complex)
    flat = values.ravel().tolist() if values.dtype == object else ()
    return getattr(values.dtype, "kind", "") == "c" or any(isinstance(v, (Complex, complex)) for v in flat)


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
    pairs = zip(re.ravel().tolist(), im.ravel().tolist(), strict=True)
    return array_of(re.shape, [Complex(*pair) for pair in pairs])


CMATH = {name: getattr(cmath, name) for name in ("inf", "nan")}
_NAMES = "exp log sqrt sin cos tan sinh cosh tanh"
CMATH |= {name: lambda z, name=name: getattr(Complex(z), name)() for name in _NAMES.split()}
CMATH |= {
    "phase": lambda z: angle(Complex(z).im, Complex(z).re),
    "polar": lambda z: (abs(Complex(z)), angle(Complex(z).im, Complex(z).re)),
    "rect": lambda r, phi: Complex(r) * Complex(0, phi).exp(),
}
