"""What the interpreter asks of a number system.

A system has its own kind of value: a NamedTuple of arrays of one shape. Rules that hold in any system stand here, in
terms of the few each system defines: constant, add, neg, mul, div, matmul, sum, exp, log. Leading axes of an array are
independent draws; whatever names an axis counts from the end.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Value = Any
Numbers = np.ndarray | np.generic  # NumPy turns arrays without axes into scalars


class System:
    """A number system: how the operations of a jaxpr act on its values."""

    # --- each system defines ---

    def constant(self, array: Numbers) -> Value:
        """Float literals or exact integers as values."""
        raise NotImplementedError

    def shadow(self, value: Value) -> Numbers:
        """The float64 numbers that decide predicates."""
        raise NotImplementedError

    def opaque(self, shadow: Numbers, reason: str) -> Value:
        """A value of which only the shadow is known."""
        raise NotImplementedError

    def add(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def neg(self, a: Value) -> Value:
        raise NotImplementedError

    def mul(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def div(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def matmul(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def sum(self, a: Value, axes: tuple[int, ...]) -> Value:
        raise NotImplementedError

    def exp(self, a: Value) -> Value:
        raise NotImplementedError

    def log(self, a: Value) -> Value:
        raise NotImplementedError

    # --- the same in all of them, unless one knows better ---

    def rule(self, eqn: Any) -> Callable | None:
        """A rule of the system's own for this operation, which is about to run; None for the common one."""
        return None

    def literal(self, array: Numbers, dtype: np.dtype) -> Value:
        """Floats that stand in the program, where they have this type; a Python number comes as it was written."""
        return self.constant(array)

    def move(self, f: Callable[..., Numbers], *values: Value) -> Value:
        """Apply a function that only moves entries to each component."""
        kind = type(values[0])
        return kind(*(f(*parts) for parts in zip(*values, strict=True)))

    def compare(self, op: Callable, a: Value, b: Value) -> Numbers:
        """A comparison of two values, entry by entry."""
        return op(self.shadow(a), self.shadow(b))

    def rank(self, value: Value) -> Numbers:
        """Numbers in the order of the values, for argmax and sort."""
        return self.shadow(value)

    def round_off(self, value: Value, dtype: np.dtype) -> Value:
        """A conversion to another float type. In exact arithmetic it changes nothing."""
        return value

    def sub(self, a: Value, b: Value) -> Value:
        return self.add(a, self.neg(b))

    def power(self, a: Value, n: int) -> Value:
        """a^n for an integer n."""
        if n < 0:
            return self.div(self.constant(np.float64(1)), self.power(a, -n))
        if n == 0:
            return self.add(self.mul(a, self.constant(np.float64(0))), self.constant(np.float64(1)))
        return functools.reduce(self.mul, [a] * n)

    def logistic(self, a: Value) -> Value:
        one = self.constant(np.float64(1))
        return self.div(one, self.add(one, self.exp(self.neg(a))))

    def tanh(self, a: Value) -> Value:
        one, two = self.constant(np.float64(1)), self.constant(np.float64(2))
        return self.sub(one, self.div(two, self.add(self.exp(self.mul(two, a)), one)))

    def expm1(self, a: Value) -> Value:
        return self.sub(self.exp(a), self.constant(np.float64(1)))

    def log1p(self, a: Value) -> Value:
        return self.log(self.add(self.constant(np.float64(1)), a))
