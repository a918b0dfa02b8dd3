"""The right derivative of any function: what a derivation is held against.

Of JAX code it is jax.vjp of the plain program, every custom rule in it taken out; of all else the record of its
operations (numbers/recorded.py). Both are held against the central difference, which shares nothing with either.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.shapes import Arguments
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, arb, balls, precision
from twolayer.verification.numbers.differences import central, gradient_by_differences
from twolayer.verification.numbers.recorded import Recorded, gradient, uncollected
from twolayer.verification.programs import Program, RaisedInside, Refused

Values = Mapping[str, np.ndarray]
DIFFER = 2.0**-100  # of the two oracles, relative
OFF = 2.0**-40  # a kink
MENDED = 64  # entries of one derivative that are taken by differences where it is NaN


class OraclesDisagree(RuntimeError):
    """The derivative and the difference quotient of a function differ: a mistake of this package, or a kink."""


def leaves(value: Any, path: str = "") -> dict[str, np.ndarray]:
    """The arrays and numbers of a result by their paths: {"": array} of one array, {"[0]": ...} of a tuple."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {
            p: a for key, part in value.items() for p, a in leaves(part, f"{path}.{key}" if path else str(key)).items()
        }
    if hasattr(value, "_asdict"):
        return leaves(value._asdict(), path)
    if isinstance(value, list) and is_table(value):
        return {path: np.array(value, object)}
    if isinstance(value, (tuple, list)) and any(
        isinstance(part, (np.ndarray, Ball, tuple, list, Mapping)) for part in value
    ):
        return {p: a for i, part in enumerate(value) for p, a in leaves(part, f"{path}[{i}]").items()}
    return {path: np.asarray(value, object)}


def is_table(value: Any) -> bool:
    """Whether a list is what plain Python has for an array: numbers, or lists of them, as many in each."""
    if not all(isinstance(v, list) for v in value):
        return bool(value) and all(isinstance(v, (Ball, int, float)) for v in value)
    return bool(value) and all(map(is_table, value)) and len({np.shape(v) for v in value}) == 1


def is_real(array: np.ndarray) -> bool:
    """Whether an array holds real numbers, not integers or truth values alone."""
    flat = np.asarray(array, object).ravel().tolist()
    return any(isinstance(v, (Ball, float, np.floating)) for v in flat) or not flat


class Reference:
    """A function with its right derivative.

    Args:
      program: the function.
      arguments: what it takes.

    Attributes:
      function: as it was given, for a run that records.
    """

    def __init__(self, program: Program, arguments: Arguments):
        self.program, self.arguments, self.function = program, arguments, program.function
        self.jax = hasattr(program, "trace")
        self.by_differences = False
        self._was_real = False
        self._second: Any = None
        self._forward: Any = True  # whether forward mode may do; then the program for it
        self._pullback: Any = None

    def value(self, values: Values) -> dict[str, np.ndarray]:
        """Its outputs by path, those that are real."""
        found = leaves(self.program.run(*self.arguments.built(values)).result)
        real = {path: array for path, array in found.items() if is_real(array)}
        if not real and self._was_real:  # a sum to which nothing was added: the 0 that it began with
            real = {path: balls(array) for path, array in found.items()}
        if not real:
            raise Refused("the function to be differentiated returned no real number")
        self._was_real = True
        return real

    def cotangents(self, values: Values, outer: Values) -> dict[str, np.ndarray]:
        """The derivative of sum(outer * outputs) by every floating argument, by path."""
        if self.by_differences:
            return self._by_differences(values, outer)
        if self.jax:
            return self._mended(self._by_jax(values, outer), values, outer)
        given = {p: balls(a, Recorded) if p in self.arguments.floating else a for p, a in values.items()}
        inputs = {path: given[path].copy() for path in self.arguments.floating}
        with uncollected():
            found = gradient(weighted(self.value(given), outer), list(inputs.values()))
        return dict(zip(inputs, found, strict=True))

    def _by_jax(self, values: Values, outer: Values) -> dict[str, np.ndarray]:
        from twolayer.verification.programs.rules import pullback

        self._pullback = self._pullback or pullback(self.program, plain=True)
        return self._by_path(self._pullback.run(self.arguments.built(values), list(outer.values())).result)

    def _by_path(self, result: Sequence[Any]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for name, part in zip(self.arguments.parts, result, strict=True):
            found |= leaves(part, name)
        return {path: found[path] for path in self.arguments.floating}

    def second(self, values: Values, directions: Values, outer: Values) -> dict[str, np.ndarray]:
        """The derivative of `cotangents` along directions, of JAX code; arguments without a direction stay."""
        from twolayer.verification.programs.rules import second

        self._second = self._second or second(self.program)
        ways = {path: directions.get(path, array * 0) for path, array in values.items()}
        given = self.arguments.built(values), self.arguments.built(ways), list(outer.values())
        return self._by_path(self._second.run(*given).result)

    def _by_differences(self, values: Values, outer: Values) -> dict[str, np.ndarray]:
        """Entry by entry, of a program without reverse mode: a loop of unknown length, or a kernel, by differences."""
        paths = self.arguments.floating
        if self.jax and self._forward:
            try:
                return self._by_directions(values, outer)
            except RaisedInside:
                self._forward = None

        def total(*arrays: np.ndarray) -> Ball:
            return weighted(self.value(dict(values) | dict(zip(paths, arrays, strict=True))), outer)

        found = gradient_by_differences(total, [np.asarray(values[path], object) for path in paths])
        return dict(zip(paths, found, strict=True))

    def _by_directions(self, values: Values, outer: Values) -> dict[str, np.ndarray]:
        from twolayer.verification.programs.rules import slope

        self._forward = self._forward if hasattr(self._forward, "run") else slope(self.program)
        given, cotangents, found = self.arguments.built(values), list(outer.values()), {}
        zeros = {path: np.asarray(values[path] * 0, object) for path in self.arguments.floating}
        for path, zero in zeros.items():
            found[path] = np.empty(zero.shape, object)
            for entry in np.ndindex(zero.shape):
                way = zero.copy()
                way[entry] = Ball(1)
                ways = self.arguments.built(dict(values) | zeros | {path: way})
                found[path][entry] = np.asarray(self._forward.run(given, ways, cotangents).result).item()
        return found

    def _mended(self, found: dict[str, np.ndarray], values: Values, outer: Values) -> dict[str, np.ndarray]:
        """Entries in which a derivative is NaN, as 0 / 0 of a branch that is not taken, by differences instead."""

        def total(path: str, entry: int) -> Ball:
            def of(array: Any) -> Ball:
                return weighted(self.value(dict(values) | {path: np.asarray(array, object)}), outer)

            direction = np.zeros(np.shape(values[path]), int)
            direction.ravel()[entry] = 1
            return central(of, np.asarray(values[path], object), direction)

        for path, array in found.items():
            flat = np.ravel(array)
            bad = [i for i, v in enumerate(flat.tolist()) if arb(v).is_nan()]
            if bad and len(bad) <= MENDED:
                whole = np.array(array, object)
                whole.ravel()[bad] = [total(path, i) for i in bad]
                found[path] = whole
        return found

    @staticmethod
    def _shifted(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Numbers moved off a kink, such as the zeros of a one-hot array."""
        return np.asarray(array + exactly(np.asarray(rng.normal(size=np.shape(array)) * OFF)), object)

    def check(self, values: Values, outer: Values) -> None:
        """Hold the derivative against the central difference along a random direction of every argument.

        Raises:
          OraclesDisagree: they differ.
        """
        rng = np.random.default_rng(0)
        values = {p: self._shifted(a, rng) if p in self.arguments.floating else a for p, a in values.items()}
        with precision(BITS):
            found = self.cotangents(values, outer)
        for path in self.arguments.floating:
            direction = rng.integers(-8, 9, values[path].shape)

            def along(array: Any, path: str = path) -> Ball:
                return weighted(self.value(dict(values) | {path: np.asarray(array, object)}), outer)

            slope = central(along, np.asarray(values[path], object), direction)
            if not slope.v.is_finite():
                raise Undecided("too many digits are lost")
            with precision(BITS):
                mine = arb((found[path] * direction).sum()) if direction.size else arb(0)
            if not abs(slope.v - mine).lower() <= DIFFER * (1 + abs(mine).upper()):  # rounded literals leave a width
                raise OraclesDisagree(
                    f"the derivative by {path} and the difference quotient disagree: is there a kink?"
                )


def weighted(outputs: Values, outer: Values) -> Ball:
    """The sum of all outputs times their cotangents."""
    total: Any = Ball(0)
    for path, array in outputs.items():
        if np.shape(array) != np.shape(outer[path]):
            raise Refused(
                f"an output has shape {np.shape(array)} at some numbers and {np.shape(outer[path])} at others"
            )
        total = total + (array * outer[path]).sum() if array.ndim else total + array.item() * outer[path].item()
    return total


def names(arguments: Arguments, argnums: int | Sequence[int] | None) -> list[str]:
    """The paths of the floating arguments that are judged.

    Raises:
      Refused: there is no such argument, or it is none of floats.
    """
    if not arguments.floating:
        raise Refused("no argument is of floats: there is nothing to differentiate by")
    if argnums is None:
        return arguments.floating
    parts, found = list(arguments.parts), []
    for i in (argnums,) if isinstance(argnums, (int, str)) else argnums:
        if not isinstance(i, int):
            raise Refused(f"argnums must be whole numbers, as of jax.grad; {i!r} is none")
        if not -len(parts) <= i < len(parts):
            raise Refused(f"argnums names argument {i}, and there are {len(parts)}")
        own = [p for p in arguments.floating if p == parts[i] or p.startswith(f"{parts[i]}.")]
        if not own:
            raise Refused(f"argnums names {parts[i]}, which holds no floats")
        found += own
    return found
