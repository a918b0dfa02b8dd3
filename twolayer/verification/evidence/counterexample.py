"""The smallest case at which a derivation is wrong: few examples and units, small integers, to be checked by hand.

Shapes are tried from one input, unit, output and example upwards. At each, cases of small integers are drawn and run in
balls; the simplest one at which the derivation errs is then made simpler, number by number. An error that acts at some
sizes only is looked for with integers times powers of ten.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case, Subject, wrong_entries
from twolayer.verification.evidence.points import INPUTS, Point
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, balls, floats, precision
from twolayer.verification.problem import STEPS, Setting, Sizes, activation, right, targets
from twolayer.verification.programs import NotJudged, Refused
from twolayer.verification.verdict import Counterexample

CASES = 24
INTEGERS = np.array([0, 0, 0, 0, 1, 1, 1, -1, -1, 2, 2, -2, 3, -3])
EXPONENTS, LOGIT_EXPONENTS = 9, 2
ROUNDS = 12


class _Try(NamedTuple):
    """All integers of a case in a row, and the powers of ten of x, Z1, Z2 and y."""

    integers: np.ndarray
    exponents: np.ndarray

    def order(self) -> tuple:
        """Easiest to check first: few negative, small and few integers, small powers of ten."""
        n = self.integers
        return int((n < 0).sum()), int(np.abs(n).sum()), int((n != 0).sum()), int(np.abs(self.exponents).sum())


def smallest(subject: Subject, names: Iterable[str], scaled: bool = False) -> Counterexample | None:
    """The smallest case found at which a derivation is wrong; None if none was found.

    No case has a pre-activation of zero where the activation has a kink: there the derivative is a convention.

    Args:
      subject: the derivation; its sizes are chosen here, unless it runs at its own only.
      names: the returned arrays to compare; the first that is wrong, in the order of back-propagation, is shown.
      scaled: whether the error acts at some sizes of numbers only.
    """
    wanted = [step for step in STEPS if step in set(names)]
    shapes = list(_shapes(subject.setting)) if subject.note is None else list(subject.sizes)
    found = _first_wrong(subject, wanted, shapes[-1:], scaled)
    if found is None:
        return None
    found = _first_wrong(subject, wanted, shapes[:-1], scaled) or found
    sizes, best = found
    best = _simplified(subject, wanted, sizes, best)
    return _shown(_case(subject, sizes, best), wanted)


def _shapes(setting: Setting) -> Iterator[Sizes]:
    """Ones and twos, by their sum. A softmax of one class is constant, so cross-entropy has two at least."""
    C = 2 if targets(setting) == "onehot" else 1
    yield from (Sizes(1, 1, C, 1), Sizes(1, 1, C, 2), Sizes(1, 2, C, 1), Sizes(2, 1, C, 1), Sizes(1, 2, 2, 2))
    yield Sizes(2, 3, 2, 2)


def _first_wrong(
    subject: Subject, wanted: Sequence[str], shapes: Sequence[Sizes], scaled: bool
) -> tuple[Sizes, _Try] | None:
    """The simplest wrong case of the first shape that has one."""
    for sizes in shapes:
        wrong = [one for one in _drawn(subject.setting, sizes, scaled) if _is_wrong(subject, wanted, sizes, one)]
        if wrong:
            return sizes, min(wrong, key=_Try.order)
    return None


def _drawn(setting: Setting, sizes: Sizes, scaled: bool) -> Iterator[_Try]:
    rng = np.random.default_rng(0)
    d, K, C, m = sizes
    for _ in range(CASES * (4 if scaled else 1)):
        integers = rng.choice(INTEGERS, K * d + K + C * K + C + m * d + m * C)
        exponents = rng.integers(-EXPONENTS, EXPONENTS + 1, 4) * (rng.random(4) < 0.5) * scaled
        if targets(setting) != "real":
            y = (
                np.eye(C, dtype=int)[rng.integers(C, size=m)]
                if targets(setting) == "onehot"
                else rng.integers(2, size=(m, C))
            )
            integers[-m * C :] = y.ravel()
            exponents[2], exponents[3] = min(exponents[2], LOGIT_EXPONENTS), 0
        if not setting.biases:
            integers[K * d : K * d + K] = 0
            integers[K * d + K + C * K : K * d + K + C * K + C] = 0
        yield _Try(integers, exponents)


def _case(subject: Subject, sizes: Sizes, one: _Try) -> Case | None:
    """The derivation at a case; None where it cannot be followed, or a pre-activation is zero at a kink."""
    d, K, C, m = sizes
    shapes = ((K, d), (K,), (C, K), (C,), (m, d), (m, C))
    parts = np.split(one.integers, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
    at_x, at_Z1, at_Z2, at_y = one.exponents.tolist()
    powers = (at_Z1 - at_x, at_Z1, at_Z2 - at_Z1, at_Z2, at_x, at_y)
    numbers = [
        np.array([Fraction(int(n)) * Fraction(10) ** k for n in part], object).reshape(shape)
        for part, k, shape in zip(parts, powers, shapes, strict=True)
    ]
    try:
        with precision(BITS):
            scope = {name: balls(array) for name, array in zip(INPUTS, numbers, strict=True)}
            found = right(subject.setting, scope)
            for layer, name in (("Z1", subject.setting.hidden), ("Z2", subject.setting.output)):
                if activation(name).kink and (found[layer] == Ball(0)).any():
                    return None
        return subject.at(Point("integers", sizes, {}, found))
    except (Undecided, NotJudged, Refused):
        return None


def _is_wrong(subject: Subject, wanted: Sequence[str], sizes: Sizes, one: _Try) -> bool:
    case = _case(subject, sizes, one)
    return case is not None and any(name in case.mine and wrong_entries(case, name).any() for name in wanted)


def _simplified(subject: Subject, wanted: Sequence[str], sizes: Sizes, best: _Try) -> _Try:
    """Change one number at a time, towards zero, for as long as the case stays wrong and becomes simpler."""
    n = len(best.integers)
    fixed = range(n - sizes.m * sizes.C, n) if targets(subject.setting) != "real" else ()
    for _ in range(ROUNDS):
        moves = sorted(_moves(best, fixed), key=_Try.order)
        simpler = next(
            (one for one in moves if one.order() < best.order() and _is_wrong(subject, wanted, sizes, one)), None
        )
        if simpler is None:
            break
        best = simpler
    return best


def _moves(one: _Try, fixed: Iterable[int]) -> Iterator[_Try]:
    numbers = np.concatenate([one.integers, one.exponents])
    for i in np.setdiff1d(np.flatnonzero(numbers), list(fixed)):
        for number in {0, int(np.sign(numbers[i])), int(numbers[i] - np.sign(numbers[i])), int(abs(numbers[i]))}:
            changed = numbers.copy()
            changed[i] = number
            yield _Try(changed[: len(one.integers)], changed[len(one.integers) :])


def _shown(case: Case | None, wanted: Sequence[str]) -> Counterexample | None:
    if case is None:
        return None
    quantity = next(name for name in wanted if name in case.mine and wrong_entries(case, name).any())
    wrong = wrong_entries(case, quantity)
    if np.shape(case.mine[quantity]) != np.shape(case.right[quantity]):
        return None
    mine, right_ = floats(case.mine[quantity]), floats(case.right[quantity])
    error = np.where(wrong, np.abs(mine - right_), -1.0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
    lists = {name: floats(case.right[name]).tolist() for name in (*INPUTS, "Z1", "O1", "Z2", "O2")}
    return Counterexample(
        case.sizes._asdict(), {name: lists[name] for name in INPUTS},
        {name: lists[name] for name in ("Z1", "O1", "Z2", "O2")}, quantity, at, float(mine[at]), float(right_[at]),
    )  # fmt: skip
