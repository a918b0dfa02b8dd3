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

from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.floats import Float64, Floats
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.tracing import NotTraceable, Parameters, Refused, trace
from twolayer.verification.verdict import LEAVES, STEPS, Counterexample

CASES = 512
CASES_ONE_BY_ONE = 64  # of a program that JAX cannot trace
INTEGERS = np.array([0, 0, 0, 0, 1, 1, 1, -1, -1, 2, 2, -2, 3, -3])
TWOS = Sizes(2, 2, 2, 2)
LARGER = (Sizes(3, 2, 2, 2), Sizes(2, 3, 3, 2), Sizes(2, 2, 2, 3))
EXPONENTS, LOGIT_EXPONENTS = 9, 2
CLEAR = 1e-12  # of the terms of an entry, all made positive: far more than rounding can do at these sizes
TIE = 1e-9  # of the terms of a pre-activation: nearer to zero its sign may be a matter of rounding
ROUNDS = 16

Evaluate = Callable[[Shadows], dict[str, np.ndarray]]


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


class _Outcome(NamedTuple):
    """The arrays of all cases, what both programs make of them, and how far apart they are, in units of CLEAR."""

    arrays: Shadows
    yours: dict[str, np.ndarray]
    right: dict[str, np.ndarray]
    error: dict[str, np.ndarray]

    def wrong(self) -> np.ndarray:
        """The cases with a clear error in any of the wanted quantities."""
        flat = [(error > 1).reshape(len(error), -1).any(axis=1) for error in self.error.values()]
        return np.any(flat, axis=0) if flat else np.zeros(len(self.arrays.x), bool)


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
        # Whatever shows at a smaller shape nearly always shows at this one: if it does not, only numbers can tell.
        found = _first_wrong(task, shapes[-1:], scaled=False) and _first_wrong(task, shapes, scaled=False)
        found = found or _first_wrong(task, LARGER, scaled=False) or _first_wrong(task, shapes[::-1], scaled=True)
        return _shown(task, found[0], _simplified(task, *found)) if found else None


def _shapes(setting: Setting) -> list[Sizes]:
    """Ones and twos, by their sum. A softmax of one class is constant, so cross-entropy has two at least."""
    outputs = (2,) if setting.loss == "cross_entropy" else (1, 2)
    every = (Sizes(*sizes) for sizes in itertools.product((1, 2), (1, 2), outputs, (1, 2)))
    return sorted(every, key=lambda sizes: (sum(sizes), sizes.m, sizes.C, sizes.d))


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
    if task.setting.loss == "cross_entropy":
        integers[:, -m * C :] = np.eye(C, dtype=int)[rng.integers(C, size=(CASES, m))].reshape(CASES, -1)
    exponents = rng.integers(-EXPONENTS, EXPONENTS + 1, (CASES, 4)) * (rng.random((CASES, 4)) < 0.5) * scaled
    if task.setting.loss == "cross_entropy":
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
    outcome = _outcome(task, sizes, cases)
    if outcome is None or not outcome.wrong().any():
        return None
    which = np.flatnonzero(outcome.wrong())
    O2 = outcome.right["O2"][which]
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
    labels = range(n - sizes.m * sizes.C, n) if task.setting.loss == "cross_entropy" else ()
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


def _outcome(task: _Task, sizes: Sizes, cases: _Cases) -> _Outcome | None:
    """None if the derivation does not run at these sizes."""
    if sizes not in task.programs:
        task.programs[sizes] = _program(task.gradients, sizes)
    program = task.programs[sizes]
    if program is None:
        return None
    arrays = _arrays(sizes, cases)
    yours, right = program(arrays), _right(task.setting, sizes, arrays)
    terms = _terms(task.setting, arrays)
    firm = (np.abs(right["Z1"]) > TIE * terms["Z1"]).all(axis=(1, 2))
    if task.setting.output == "relu":
        firm &= (np.abs(right["Z2"]) > TIE * terms["Z2"]).all(axis=(1, 2))
    error = {}
    for name in task.wanted:
        if name in yours:
            if yours[name].shape != right[name].shape:  # an intermediate, with examples as columns
                yours[name] = yours[name].swapaxes(1, 2)
            gap = np.abs(yours[name] - right[name]) / (CLEAR * terms[name])
            error[name] = np.where(np.isfinite(gap) & firm.reshape(-1, *[1] * (gap.ndim - 1)), gap, 0)
    return _Outcome(arrays, yours, right, error)


def _program(gradients: Callable, sizes: Sizes) -> Evaluate | None:
    """The derivation as a function of many cases."""
    try:
        traced = trace(gradients, sizes)
    except NotTraceable:
        return lambda arrays: _one_by_one(gradients, arrays)
    except Refused:
        return None
    return lambda arrays: _run(traced.jaxpr, traced.names, arrays)


def _run(closed: Any, names: Sequence[str], arrays: Shadows) -> dict[str, np.ndarray]:
    outputs = interpret(closed, Float64(), *map(Floats, arrays))
    numbers = [np.asarray(getattr(value, "numbers", value), np.float64) for value in outputs]
    shapes = [(len(arrays.x), *var.aval.shape) for var in closed.jaxpr.outvars]
    return {name: np.broadcast_to(a, shape) for name, a, shape in zip(names, numbers, shapes, strict=True)}


def _one_by_one(gradients: Callable, arrays: Shadows) -> dict[str, np.ndarray]:
    """The derivation called with NumPy arrays; cases beyond the first few are left out as not finite."""
    cases = zip(*(a[:CASES_ONE_BY_ONE] for a in arrays), strict=True)
    results = [gradients(Parameters(*case[:4]), *case[4:]) for case in cases]
    found = {}
    for name in (name for name in STEPS if results[0].get(name) is not None):
        stacked = np.array([result[name] for result in results], np.float64)
        found[name] = np.full((len(arrays.x), *stacked.shape[1:]), np.nan)
        found[name][: len(stacked)] = stacked
    return found


def _right(setting: Setting, sizes: Sizes, arrays: Shadows) -> dict[str, np.ndarray]:
    closed, names = backward_jaxpr(setting, sizes)
    return _run(closed, names, arrays)


def _terms(setting: Setting, arrays: Shadows) -> dict[str, np.ndarray]:
    """The sum of the absolute values of the terms of each entry: what its rounding is measured by."""
    W1, b1, W2, b2, x, y = map(np.abs, arrays)
    Z1 = x @ W1.swapaxes(1, 2) + b1[:, None]
    Z2 = Z1 @ W2.swapaxes(1, 2) + b2[:, None]
    dO2 = Z2 + y if setting.loss == "quadratic" else 1 + Z2
    dO1 = dO2 @ W2
    terms = {"Z1": Z1, "Z2": Z2, "dO2": dO2, "dZ2": dO2, "dO1": dO1, "dZ1": dO1}
    terms |= {"dW2": dO2.swapaxes(1, 2) @ Z1, "db2": dO2.sum(axis=1)}
    return terms | {"dW1": dO1.swapaxes(1, 2) @ x, "db1": dO1.sum(axis=1)}


def _shown(task: _Task, sizes: Sizes, case: _Cases) -> Counterexample:
    outcome = _outcome(task, sizes, case)
    assert outcome is not None
    quantity = next(name for name, error in outcome.error.items() if (error > 1).any())
    error = outcome.error[quantity][0]
    at = tuple(map(int, np.unravel_index(np.argmax(error), error.shape)))
    return Counterexample(
        sizes._asdict(),
        {name: a[0].tolist() for name, a in outcome.arrays._asdict().items()},
        {name: outcome.right[name][0].tolist() for name in ("Z1", "O1", "Z2", "O2")},
        quantity,
        at,
        float(outcome.yours[quantity][0][at]),
        float(outcome.right[quantity][0][at]),
    )
