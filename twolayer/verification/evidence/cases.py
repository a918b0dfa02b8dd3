"""What a derivation does at many points: its arrays beside the right ones, compared ball by ball."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import flint
import numpy as np

from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.calls import Call, Shape, named, shapes_of, squeezed, wanted_shapes, ways
from twolayer.verification.evidence.own_loss import Standard
from twolayer.verification.evidence.points import Point
from twolayer.verification.numbers.agreement import DIFFERENT, UNKNOWN, compare
from twolayer.verification.numbers.balls import BITS, MORE_BITS, Undecided, arb, balls, precision
from twolayer.verification.numbers.literals import rounded
from twolayer.verification.problem import Setting, Sizes
from twolayer.verification.programs import Local, NotJudged, Program, RaisedInside, Refused

ORDINARY, EXTREME, PATTERNS = 4, 24, 96  # points of each kind
_NARROW = flint.arb(2) ** -(BITS * 3 // 4)


class Case(NamedTuple):
    """A point and what a derivation returns there, in its right shapes. `reason`: why it could not be followed."""

    point: Point
    mine: dict[str, np.ndarray]
    locals: tuple[Local, ...] = ()
    reason: str | None = None

    @property
    def sizes(self) -> Sizes:
        return self.point.sizes

    @property
    def right(self) -> dict[str, np.ndarray]:
        return self.point.right


class Subject(NamedTuple):
    """A derivation with the sizes at which it runs, how it is called, and how its arrays are turned."""

    program: Program
    setting: Setting
    call: Call
    sizes: tuple[Sizes, ...]
    shapes: dict[str, Shape]
    note: str | None = None
    only_square: str | None = None
    standard: Standard | None = None

    @property
    def at_any_sizes(self) -> bool:
        return self.note is None and self.only_square is None

    @property
    def notes(self) -> list[str]:
        shapes = [shape.note for shape in self.shapes.values() if shape.note]
        return [*filter(None, (self.note, self.only_square)), *self.call.notes(), *shapes]

    def at(self, point: Point, bits: int = BITS, watch: bool = False) -> Case:
        """What it returns at a point; by a standard of its own, as it would be for the declared loss behind that.

        Raises:
          Refused: its code raises, or returns what cannot be judged.
          Undecided, NotJudged: it cannot be followed there.
        """
        with precision(bits):
            run = self.call.run(self.program, point.right, watch)
            arrays = {name: balls(value) for name, value in named(run.result).items()}
        wanted, mine = wanted_shapes(point.sizes), {}
        for name, array in arrays.items():
            shape = self.shapes.get(name)
            if shape is None:
                shape = shapes_of({name: array}, point.sizes)[name]
            try:
                mine[name] = squeezed(shape.fitted(array, wanted[name]), wanted[name])
            except ValueError:
                mine[name] = array
        if self.standard is not None:
            mine = self.standard.normalised(mine, point, bits)
        return Case(point, mine, run.locals)


def subject(program: Program, setting: Setting) -> Subject:
    """Find out at which sizes a derivation runs, and how it is to be called.

    Raises:
      RaisedInside: it runs in no way that is known; the line names the user's own line.
      Refused, NotJudged: what it returns means nothing, or its code cannot be followed.
    """
    first: RaisedInside | None = None
    for call in ways(program.function, setting):
        try:
            return _at_any_sizes(program, setting, call)
        except RaisedInside as error:
            first = first or error
    for sizes in (where.MOST_EXAMPLES, where.MNIST, where.ONE_OUTPUT, where.SQUARE):
        for call in ways(program.function, setting):
            if sizes.C == 1 and setting.loss == "cross_entropy":
                continue
            try:
                shapes = _shapes(program, setting, call, sizes)
            except RaisedInside:
                continue
            at = f"d={sizes.d}, K={sizes.K}, C={sizes.C}, m={sizes.m}"
            said = f"the code does not run at other sizes ({first}); it was judged at {at}"
            if sizes == where.SQUARE:
                return Subject(program, setting, call, (sizes,), shapes, only_square=str(first))
            return Subject(program, setting, call, (sizes,), shapes, note=said)
    assert first is not None
    raise first


def _at_any_sizes(program: Program, setting: Setting, call: Call) -> Subject:
    shapes = [_shapes(program, setting, call, sizes) for sizes in where.PRIME_SIZES]
    return Subject(program, setting, call, (*where.PRIME_SIZES, where.SQUARE, where.SMALL), shapes[0])


def _shapes(program: Program, setting: Setting, call: Call, sizes: Sizes) -> dict[str, Shape]:
    point = where.points(setting, sizes, "ordinary", 1 if sizes == where.MNIST else ORDINARY)[0]
    with precision(BITS):
        result = call.run(program, point.right).result
        return shapes_of({name: np.asarray(value, object) for name, value in named(result).items()}, sizes)


def gather(subject: Subject, seed: int = 0, effort: int = 1) -> list[Case]:
    """The derivation at every point; a point at which it cannot be followed has the reason.

    Raises:
      Refused: what is returned is finite at no ordinary point, or is another one when it is called again.
    """
    found = []
    for i, sizes in enumerate(subject.sizes):
        if sizes == where.SMALL:
            found += [
                case_at(subject, point) for point in where.points(subject.setting, sizes, "pattern", PATTERNS, seed)
            ]
            continue
        few = sizes == where.MNIST
        found += [
            case_at(subject, p)
            for p in where.points(subject.setting, sizes, "ordinary", 1 if few else ORDINARY * effort, seed)
        ]
        if i == 0:
            found += [
                case_at(subject, p)
                for p in where.points(subject.setting, sizes, "extreme", 3 if few else EXTREME * effort, seed)
            ]
    _check_repeats(subject, found[0])
    _check_finite(found)
    return found


def case_at(subject: Subject, point: Point) -> Case:
    """What it returns at a point; once more with more bits where the first are not enough."""
    reason = None
    for bits in (BITS, *MORE_BITS):
        try:
            if bits != BITS:
                point = where.point(point.kind, point.sizes, point.floats, subject.setting, bits)
            case = subject.at(point, bits)
        except Undecided as error:
            reason = str(error)
            continue
        except NotJudged as error:
            return Case(point, {}, reason=str(error))
        unknown = any((compare(case.mine[name], point.right[name]) == UNKNOWN).any() for name in case.mine)
        if not unknown and (rounded or all(map(known_well, case.mine.values()))):
            return case
    return Case(point, {}, reason=reason) if reason else case


def _check_repeats(subject: Subject, first: Case) -> None:
    if not first.mine:
        return
    again = subject.at(first.point)
    same = all(compare(again.mine[name], first.mine[name]).max(initial=0) != DIFFERENT for name in first.mine)
    if not same:
        raise Refused(
            "gradients gives another result when it is called again: it depends on more than its arguments, such as "
            "random numbers, the time, or a variable that it changes"
        )


def _check_finite(cases: list[Case]) -> None:
    ordinary = [case for case in cases if case.point.kind == "ordinary" and case.mine]
    for name in ordinary[0].mine if ordinary else ():
        if not any(finite(case.mine[name]) for case in ordinary):
            raise Refused(
                f"{name} is not finite at any of {len(ordinary)} inputs of ordinary size: NaN or infinity comes out"
            )


def known_well(array: np.ndarray) -> bool:
    """Whether the largest number of an array is known to three quarters of the bits: a wrong one is to be explained."""
    largest = max(map(arb, np.asarray(array, object).ravel().tolist()), key=lambda v: abs(v).upper(), default=None)
    return largest is None or not largest.is_finite() or bool(largest.rad() <= abs(largest).upper() * _NARROW)


def finite(array: np.ndarray) -> bool:
    """Whether all numbers of an array are finite."""
    return all(arb(v).is_finite() for v in np.asarray(array, object).ravel().tolist())


def usable(cases: Iterable[Case]) -> list[Case]:
    """The cases at which everything that is returned is known and finite."""
    return [case for case in cases if case.mine and all(finite(array) for array in case.mine.values())]


def verdict_of(name: str, cases: Iterable[Case]) -> str:
    """Judge one array over all cases: "right", "wrong" or "unknown"."""
    states: set[int] = set()
    for case in cases:
        if name in case.mine:
            states |= set(np.unique(compare(case.mine[name], case.right[name])).tolist())
    return "wrong" if DIFFERENT in states else "unknown" if UNKNOWN in states or not states else "right"


def wrong_entries(case: Case, name: str) -> np.ndarray:
    """Where an array is wrong at a case."""
    return compare(case.mine[name], case.right[name]) == DIFFERENT


def first_wrong(wrong: Collection[str], derived: Collection[str], found: Collection[str]) -> str:
    """The step at which the error enters, from which leaves are wrong and which right steps the program contains.

    A leaf is wrong by itself if its sibling, which shares all that came before, is right, or if the program contains a
    right dZ of its layer. Otherwise the error came with dZ, or before it: with dO if it contains no right dO.
    """
    for layer in ("2", "1"):
        pair = {f"dW{layer}", f"db{layer}"}
        if not pair & set(wrong):
            continue
        if pair & set(derived) - set(wrong) or f"dZ{layer}" in found:
            return next(leaf for leaf in (f"dW{layer}", f"db{layer}") if leaf in wrong)
        return f"dZ{layer}" if f"dO{layer}" in found else f"dO{layer}"
    raise ValueError("no leaf is wrong")
