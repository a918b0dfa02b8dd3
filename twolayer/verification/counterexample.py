"""The smallest case at which a derivation is wrong: few examples and units, small integers, to be checked by hand.

Shapes are tried from one input, unit, output and example upwards. At each, many cases of small integers are drawn and
run at once in float64; the simplest one at which the derivation clearly errs is then made simpler, number by number.
An error that acts at some sizes only is looked for with integers times powers of ten.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from twolayer.losses import OF_LABELS
from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.reference import Setting
from twolayer.verification.trials import Evaluate, Trial, program, trial
from twolayer.verification.verdict import LEAVES, STEPS, Counterexample

CASES = 512
INTEGERS = np.array([0, 0, 0, 0, 1, 1, 1, -1, -1, 2, 2, -2, 3, -3])
LARGER = (Sizes(1, 1, 2, 3), Sizes(3, 2, 2, 2), Sizes(2, 3, 3, 2), Sizes(3, 3, 3, 3))
EXPONENTS, LOGIT_EXPONENTS = 9, 2
ROUNDS = 40


class _Cases(NamedTuple):
    """All integers of a case in a row (cases, n), and the powers of ten of x, Z1, Z2 and y (cases, 4)."""

    integers: np.ndarray
    exponents: np.ndarray

    def pick(self, which: Any) -> "_Cases":
        return _Cases(self.integers[which], self.exponents[which])


class _Task(NamedTuple):
    """What is compared. `programs` keeps the derivation at each size, None where it does not run."""

    gradients: Callable
    setting: Setting
    wanted: tuple[str, ...]
    programs: dict[Sizes, Evaluate | None]

    def tried(self, sizes: Sizes, cases: _Cases) -> Trial | None:
        if sizes not in self.programs:
            self.programs[sizes] = program(self.gradients, sizes)
        run = self.programs[sizes]
        return None if run is None else trial(run, self.setting, self.wanted, _arrays(sizes, cases))


def smallest(
    gradients: Callable, setting: Setting, names: Iterable[str] = LEAVES, leaf_or_step: str | None = None
) -> Counterexample | None:
    """The smallest case found at which a derivation is wrong; None if none was found.

    No case has a pre-activation of zero: there the derivative is a convention, and no number is the right one.

    Args:
      gradients: as in the contract of a derivation file; a program that only NumPy can run will do.
      setting: the loss, output and reduction it claims to differentiate.
      names: the returned arrays to compare; the first that is wrong, in the order of back-propagation, is shown.
      leaf_or_step: compare only this one.
    """
    wanted = (leaf_or_step,) if leaf_or_step else tuple(step for step in STEPS if step in set(names))
    task = _Task(gradients, setting, wanted, {})
    shapes = _shapes(setting)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        found = _smallest(task, shapes, scaled=False) or _smallest(task, shapes, scaled=True)
        found = found or _first_wrong(task, LARGER, scaled=False)
        return _shown(task, found[0], _simplified(task, *found)) if found else None


def _shapes(setting: Setting) -> list[Sizes]:
    """Ones and twos, by their sum. A softmax of one class is constant, so cross-entropy has two at least."""
    outputs = (2,) if setting.loss == "cross_entropy" else (1, 2)
    every = (Sizes(*sizes) for sizes in itertools.product((1, 2), (1, 2), outputs, (1, 2)))
    return sorted(every, key=lambda sizes: (sum(sizes), sizes.m, sizes.C, sizes.d))


def _smallest(task: _Task, shapes: Sequence[Sizes], *, scaled: bool) -> tuple[Sizes, _Cases] | None:
    """The first shape at which it is wrong. What shows at any nearly always shows at the last: so that comes first."""
    at_last = _first_wrong(task, shapes[-1:], scaled=scaled)
    return at_last and (_first_wrong(task, shapes[:-1], scaled=scaled) or at_last)


def _first_wrong(task: _Task, shapes: Sequence[Sizes], *, scaled: bool) -> tuple[Sizes, _Cases] | None:
    """The simplest wrong case of the first shape that has one."""
    for sizes in shapes:
        cases = _drawn(task, sizes, scaled)
        found = _simplest(task, sizes, cases)
        if found is not None:
            return sizes, cases.pick([found])
    return None


def _drawn(task: _Task, sizes: Sizes, scaled: bool) -> _Cases:
    rng = np.random.default_rng(0)
    d, K, C, m = sizes
    integers = rng.choice(INTEGERS, (CASES, K * d + K + C * K + C + m * d + m * C))
    if task.setting.loss in OF_LABELS:
        integers[:, -m * C :] = np.eye(C, dtype=int)[rng.integers(C, size=(CASES, m))].reshape(CASES, -1)
    exponents = rng.integers(-EXPONENTS, EXPONENTS + 1, (CASES, 4)) * (rng.random((CASES, 4)) < 0.5) * scaled
    if task.setting.loss in OF_LABELS:
        exponents[:, 2], exponents[:, 3] = np.minimum(exponents[:, 2], LOGIT_EXPONENTS), 0
    return _Cases(integers, exponents)


def _arrays(sizes: Sizes, cases: _Cases) -> Shadows:
    d, K, C, m = sizes
    shapes = ((K, d), (K,), (C, K), (C,), (m, d), (m, C))
    parts = np.split(cases.integers, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1], axis=1)
    at_x, at_Z1, at_Z2, at_y = cases.exponents.T[:, :, None]
    powers = (at_Z1 - at_x, at_Z1, at_Z2 - at_Z1, at_Z2, at_x, at_y)
    # A division is correctly rounded: 3 / 10^5 is 3e-05, and 3 * 1e-05 is not.
    scaled = (
        np.where(k < 0, part / 10.0 ** np.abs(k), part * 10.0 ** np.abs(k)).reshape(len(part), *shape)
        for part, k, shape in zip(parts, powers, shapes, strict=True)
    )
    return Shadows(*scaled)


def _simplest(task: _Task, sizes: Sizes, cases: _Cases) -> int | None:
    """The case that is easiest to check among those with a clear error: small powers of ten, few and small integers."""
    tried = task.tried(sizes, cases)
    if tried is None or not tried.wrong().any():
        return None
    which = np.flatnonzero(tried.wrong())
    O2 = tried.right["O2"][which]
    unequal = (np.ptp(O2, axis=2) > 0).sum(axis=1) * (task.setting.loss == "cross_entropy")  # P = 1/C is easy
    integers, exponents = cases.pick(which)
    order = (
        (integers < 0).sum(axis=1),
        np.abs(integers).sum(axis=1),
        (integers != 0).sum(axis=1),
        unequal,
        np.abs(exponents).sum(axis=1),
    )
    return int(which[np.lexsort(order)[0]])


def _simplified(task: _Task, sizes: Sizes, case: _Cases) -> _Cases:
    """Change one number at a time, towards zero, for as long as the case stays wrong and becomes simpler."""
    n = case.integers.shape[1]
    labels = range(n - sizes.m * sizes.C, n) if task.setting.loss in OF_LABELS else ()
    for _ in range(ROUNDS):
        numbers = np.concatenate([case.integers, case.exponents], axis=1)[0]
        moves = [numbers]  # first, so that it stays unless another is simpler
        for i in np.setdiff1d(np.flatnonzero(numbers), labels):
            for number in {0, np.sign(numbers[i]), numbers[i] - np.sign(numbers[i]), abs(numbers[i])}:
                moves.append(np.where(np.arange(len(numbers)) == i, number, numbers))
        cases = _Cases(*np.split(np.array(moves), [n], axis=1))
        best = _simplest(task, sizes, cases)
        if not best:
            break
        case = cases.pick([best])
    return case


def _shown(task: _Task, sizes: Sizes, case: _Cases) -> Counterexample:
    tried = task.tried(sizes, case)
    assert tried is not None
    quantity = next(name for name, error in tried.error.items() if (error > 1).any())
    error = tried.error[quantity][0]
    at = tuple(map(int, np.unravel_index(np.argmax(error), error.shape)))
    return Counterexample(
        sizes._asdict(),
        {name: a[0].tolist() for name, a in tried.arrays._asdict().items()},
        {name: tried.right[name][0].tolist() for name in ("Z1", "O1", "Z2", "O2")},
        quantity,
        at,
        float(tried.yours[quantity][0][at]),
        float(tried.right[quantity][0][at]),
    )
