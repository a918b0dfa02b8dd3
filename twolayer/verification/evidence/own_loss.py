"""A derivation's own statement of the loss, as a standard of its own: what it is, and its gradient.

Its gradient is taken by the record of its operations, and held against its central difference. It is then compared with
the declared loss: the same, a constant times it, an L2 term more, or another loss that could have been declared.
"""

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.activations import ACTIVATIONS
from twolayer.verification import problem
from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.calls import PARAMETERS, Call, Parameters
from twolayer.verification.numbers.balls import BITS, Ball, arb, balls, floats, precision
from twolayer.verification.numbers.differences import central
from twolayer.verification.numbers.factors import factors, product, ratio, same, short
from twolayer.verification.numbers.recorded import Recorded, gradient
from twolayer.verification.problem import LEAVES, LOSSES, Setting, Sizes
from twolayer.verification.programs import Program, Refused


class Terms(NamedTuple):
    """An own loss at one size: `constant` times a declared loss, plus decay/2 times the squares of some parameters."""

    constant: Fraction
    decay: dict[str, Fraction]


class Standard:
    """The loss of a derivation's file as what it is judged by.

    Attributes:
      setting: the loss that could be declared and that it is, but for a constant and an L2 term; None if it is none.
    """

    def __init__(self, loss: Program, call: Call, declared: Setting, sizes: Sequence[Sizes]):
        """`sizes`: those at which it is compared with the losses that can be declared, the declared one first.

        Raises:
          Refused: it raises, or does not return one number.
        """
        self.loss, self.call, self.declared, self.sizes = loss, call, declared, tuple(sizes)
        self._terms: dict[Sizes, Terms | None] = {}
        self._by_jax = _jax_gradient(loss, call) if hasattr(loss, "trace") else None
        self._check()
        self.setting = next((one for one in _candidates(declared, self._slopes()) if self._is(one)), None)

    def gradient(self, point: where.Point) -> dict[str, np.ndarray]:
        """Its gradient at a point: of JAX code by jax.grad, of all else through the record of its operations."""
        with precision(BITS):
            if self._by_jax is not None:
                leaves = self._by_jax.run(*(point.right[name] for name in where.INPUTS)).result
                return {leaf: np.asarray(array, object) for leaf, array in zip(LEAVES, leaves, strict=True)}
            value, own = self.recorded(point)
            return dict(zip(LEAVES, gradient(value, own), strict=True))

    def recorded(self, point: where.Point) -> tuple[Ball, list[np.ndarray]]:
        """Its value at a point as a number that remembers how it was made of the four parameters, and these."""
        arguments = {name: point.right[name] for name in (*where.INPUTS, "w")}
        own = {name: balls(arguments[name], Recorded) for name in PARAMETERS}
        return _one_number(self.call.run(self.loss, arguments | own).result), list(own.values())

    def _slopes(self) -> list[float]:
        """The numbers in its code that a leaky ReLU could have below zero."""
        return sorted(t for t in set(self.loss.literals()) if 0 < t < 1)

    def _check(self) -> None:
        """Hold its gradient against its central difference, which shares nothing with it.

        Raises:
          RuntimeError: they differ, which is a mistake of this package.
        """
        point = where.points(self.declared, self.sizes[-1], "ordinary", 1)[0]
        found, rng = self.gradient(point), np.random.default_rng(0)
        for name in PARAMETERS:
            direction = where.exactly(rng.normal(size=point.right[name].shape))

            def along(array: np.ndarray, name: str = name) -> Ball:
                return _one_number(self.call.run(self.loss, dict(point.right) | {name: array}).result)

            slope = central(along, point.right[name], direction)
            with precision(BITS):
                mine = (found[f"d{name}"] * direction).sum()
            if not abs(slope.v - arb(mine)).upper() < 2.0**-100:
                raise RuntimeError(f"the derivative of the own loss by {name} and its difference quotient disagree")

    def _is(self, setting: Setting) -> bool:
        """Whether it is this loss, but for a constant and an L2 term, at every size."""
        if not self._may_be(setting):
            return False
        found = {size: self._compared(size, setting) for size in self.sizes}
        if any(terms is None for terms in found.values()):
            return False
        self._terms = found
        return True

    def _may_be(self, setting: Setting) -> bool:
        """Whether it looks like this loss in float64, at the first size."""
        point, own = where.points(self.declared, self.sizes[0], "ordinary", 1)[0], self._own(self.sizes[0])
        right = problem.right(setting, point.floats)
        for leaf in ("dW2", "dW1"):
            mine, terms = floats(own[leaf]).ravel(), np.stack([right[leaf].ravel(), point.floats[leaf[1:]].ravel()], 1)
            if np.isfinite(mine).all() and np.isfinite(terms).all():
                rest = mine - terms @ np.linalg.lstsq(terms, mine, rcond=None)[0]
                if np.abs(rest).max() > 1e-6 * np.abs(mine).max():
                    return False
        return True

    def _compared(self, sizes: Sizes, setting: Setting) -> Terms | None:
        point = where.points(self.declared, sizes, "ordinary", 1)[0]
        own = self._own(sizes)
        with precision(BITS):
            right = problem.right(setting, {name: point.right[name] for name in where.INPUTS})
            constant, decay = None, {}
            for leaf in ("dW2", "dW1", "db2", "db1") if setting.biases else ("dW2", "dW1"):
                part = _split(own[leaf], right[leaf], point.right[leaf[1:]])
                if part is None or part[0] == 0 or (constant is not None and not same(part[0], constant)):
                    return None
                constant = part[0]
                decay |= {leaf[1:]: part[1]} if part[1] else {}
        return None if constant is None else Terms(constant, decay)

    @functools.lru_cache(maxsize=16)  # noqa: B019
    def _own(self, sizes: Sizes) -> dict[str, np.ndarray]:
        return self.gradient(where.points(self.declared, sizes, "ordinary", 1)[0])

    def terms(self, sizes: Sizes) -> Terms:
        """The constant and the L2 terms at a size.

        Raises:
          Refused: at that size it is not the loss that it is elsewhere.
        """
        terms = self._terms.get(sizes)
        if terms is None and self.setting is not None:
            terms = self._terms[sizes] = self._compared(sizes, self.setting)
        if terms is None:
            raise Refused(f"the own loss is another one at d={sizes.d}, K={sizes.K}, C={sizes.C}, m={sizes.m}")
        return terms

    def normalised(self, mine: dict[str, np.ndarray], point: where.Point, bits: int) -> dict[str, np.ndarray]:
        """What was returned, as for the declared loss behind it: without the decay, divided by the constant."""
        terms, found = self.terms(point.sizes), {}
        if terms.constant == 1 and not terms.decay:
            return mine
        with precision(bits):
            c = Ball(terms.constant)
            for name, array in mine.items():
                t = terms.decay.get(name[1:], Fraction(0)) if name in LEAVES else Fraction(0)
                found[name] = ((array - Ball(t) * point.right[name[1:]]) if t else array) / c
        return found

    @property
    def is_declared(self) -> bool:
        """Whether it is the declared loss itself."""
        plain = all(terms and terms.constant == 1 and not terms.decay for terms in self._terms.values())
        return self.setting == self.declared and plain

    def said(self) -> str:
        """The own loss in words."""
        if self.setting is None:
            return f"not {describe(self.declared)}, nor a multiple of it, nor another loss that can be declared"
        setting, constant = self._reduced(self.setting)
        words = {"2": "twice ", "1/2": "half "}
        text = words.get(constant, f"{constant} times " if constant else "") + describe(setting)
        squares: dict[str, list[str]] = {}
        for name, coefficient in self.decays(half=True).items():
            squares.setdefault(coefficient, []).append(name)
        terms = [f"{c} times the squares of {' and '.join(names)}" for c, names in squares.items()]
        return text + (f", plus {' and '.join(terms)}" if terms else "")

    def correction(self, step: str, code: str) -> str:
        """The right line of a step by this loss, from the one by the declared loss behind it."""
        if self.setting is None:
            return ""
        setting, constant = self._reduced(self.setting)
        name, _, value = code.partition(" = ")
        if step == "dO2" and code == problem.right_lines(self.setting)[step].code:
            value = problem.right_lines(setting)[step].code.partition(" = ")[2]
            return f"{name} = {constant} * {value}" if constant else f"{name} = {value}"
        decay = self.decays().get(step[1:]) if step in LEAVES else None
        return f"{code} + {decay} * {step[1:]}" if decay else code

    def _reduced(self, setting: Setting) -> tuple[Setting, str]:
        """The loss that can be declared, by the other reduction where that is what the constant says; the constant."""
        values = [(terms.constant, sizes) for sizes, terms in self._terms.items() if terms][:2]
        constant = product(factors(values)) if any(c != 1 for c, _ in values) else ""
        other = "sum" if setting.reduction == "mean" else "mean"
        if constant == ("m" if other == "sum" else "1/m"):
            return setting._replace(reduction=other), ""
        return setting, constant

    def decays(self, half: bool = False) -> dict[str, str]:
        """The parameters whose squares it has: name -> the t of t/2 times the squares, or half of it."""
        known = [(terms.decay, sizes) for sizes, terms in self._terms.items() if terms][:2]
        parts = Fraction(1, 2 if half else 1)
        values = {name: [(parts * decay[name], sizes) for decay, sizes in known] for name in sorted(known[0][0])}
        return {name: product(factors(part)) for name, part in values.items()}


def describe(setting: Setting) -> str:
    """A loss that can be declared, in words."""
    hidden = f", hidden {setting.hidden}" if setting.hidden != "relu" else ""
    biases = "" if setting.biases else ", no biases"
    return f"the {setting.reduction} of {LOSSES[setting.loss].said}, output {setting.output}{hidden}{biases}"


def _one_number(value: Any) -> Ball:
    if np.size(value) != 1:
        raise Refused(f"loss must return one number; it returned an array of shape {np.shape(value)}")
    value = np.asarray(value, object).ravel()[0]
    try:
        return value if isinstance(value, Ball) else Ball(value)
    except TypeError as error:
        raise Refused(f"loss must return one number; it returned a {type(value).__name__}") from error


def _jax_gradient(loss: Program, call: Call) -> Program:
    """The gradient of JAX code by jax.grad, as a program of W1, b1, W2, b2, x and y."""
    import jax

    from twolayer.verification.programs.jax_code import JaxProgram

    def gradients(*given: Any) -> Any:
        def of(parameters: tuple) -> Any:
            arguments = {**dict(zip(PARAMETERS, parameters, strict=True)), "x": given[4], "y": given[5]}
            arguments["params"] = Parameters(*parameters)
            return jax.numpy.reshape(loss.function(*(arguments[name] for name in call.order)), ())

        return jax.grad(of)(tuple(given[:4]))

    return JaxProgram(gradients, loss.filename, loss.source)


def _candidates(declared: Setting, slopes: Sequence[float]) -> list[Setting]:
    """The losses that could be declared, those with the declared activations first; `slopes`: of leaky ReLUs."""
    leaky = [f"leaky_relu({slope!r})" for slope in slopes]
    names = list(dict.fromkeys((declared.hidden, "relu", "sigmoid", "tanh", *ACTIVATIONS, *leaky)))
    outputs = list(dict.fromkeys((declared.output, "identity", "relu", "sigmoid", "tanh", *leaky)))
    others = (
        Setting(loss, output, declared.reduction, hidden, declared.biases)
        for hidden, output, loss in itertools.product(names, outputs, LOSSES)
    )
    kind = problem.targets(declared)
    return [one for one in dict.fromkeys((declared, *others)) if problem.targets(one) in (kind, "real")]


def _split(mine: np.ndarray, right: np.ndarray, parameter: np.ndarray) -> tuple[Fraction, Fraction] | None:
    """The c and t with mine = c * right + t * parameter; None if there are none that somebody may have written."""
    c = ratio((mine,), (right,))
    if c is not None:
        return c, Fraction(0)
    a, b, p = (array.ravel() for array in (mine, right, parameter))
    largest = sorted(range(len(b)), key=lambda i: -abs(float(b[i].v)))[:4]
    for i, j in itertools.combinations(largest, 2):
        determinant = b[i] * p[j] - b[j] * p[i]
        if determinant.v.contains(0):
            continue
        t = (a[j] * b[i] - a[i] * b[j]) / determinant
        rest = mine - t * parameter
        c = ratio((rest,), (right,))
        exact = ratio((np.array([t], object),), (balls([1]),))
        return None if c is None or exact is None or not short(exact) else (c, exact)
    return None
