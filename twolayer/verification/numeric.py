"""Float64 numbers, judged by how much both computations can have rounded: no proof, but no algebra is needed either."""

from collections.abc import Callable, Sequence

import numpy as np

from twolayer.verification import draws, programs
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import Subject
from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.literals import rationals
from twolayer.verification.numbers.rounding import DecidedByRounding, Rounded, Rounding, exactly
from twolayer.verification.numbers.system import Numbers
from twolayer.verification.reference import Setting, backward_jaxpr
from twolayer.verification.tracing import Traced, trace
from twolayer.verification.verdict import LEAVES

# What homework and experiments are run at; odd ones, too.
LARGE = (Sizes(784, 128, 10, 128), Sizes(40, 800, 26, 300))
MOST_ENTRIES = 10**7  # of one array


class _AsMeant(Rounding):
    """Rounding analysis in float64 of a program whose literals are what they mean: np.float32(1 / 7) is 1/7.

    The float64 nearest to a meaning stands for it. The bound has room for that: it counts the roundings of a program,
    and none is run.
    """

    def constant(self, array: Numbers) -> Rounded:
        meant = [np.nan if number is None else float(number) for number in rationals(array)]
        given = np.asarray(array, np.float64)
        return exactly(np.where(np.isfinite(given), np.reshape(meant, given.shape), given))

    def literal(self, array: Numbers, dtype: np.dtype) -> Rounded:
        return self.constant(array)


def beyond_rounding(traced: Traced, setting: Setting, shadows: Sequence[np.ndarray]) -> set[str]:
    """The leaves whose float64 numbers differ from the true ones by more than rounding can explain.

    Args:
      shadows: W1, b1, W2, b2, x, y, each with a leading axis of draws.
    """
    inputs = [exactly(part) for part in shadows]
    closed, names = backward_jaxpr(setting, traced.sizes)
    try:
        mine = dict(zip(traced.names, interpret(traced.jaxpr, _AsMeant("float64"), *inputs), strict=True))
        right = dict(zip(names, interpret(closed, Rounding("float64"), *inputs), strict=True))
    except (ArithmeticError, DecidedByRounding):
        return set()
    found = set()
    for leaf in LEAVES:
        if leaf in mine:
            with np.errstate(invalid="ignore"):
                apart = abs(mine[leaf].numbers - right[leaf].numbers) > mine[leaf].bound + right[leaf].bound
            found |= {leaf} if (apart & np.isfinite(mine[leaf].numbers)).any() else set()
    return found


def wrong_at_large_sizes(
    gradients: Callable, subject: Subject, setting: Setting, seed: int = 0
) -> tuple[Sizes, set[str]] | None:
    """Sizes at which a derivation that is right at small ones is wrong, and its wrong leaves; None if there are none.

    Code may look at its own sizes, as in 1 / min(m, 16). A program that grows with the sizes, such as a loop in Python,
    is not tried, nor one that needs too much memory there, such as a full Jacobian.
    """
    lengths = {sum(1 for _ in programs.operations(traced.jaxpr)) for traced in subject.traced[:2]}
    if not subject.at_any_sizes or len(lengths) > 1:
        return None
    for sizes in LARGE:
        traced = trace(gradients, sizes)
        if programs.largest_array(traced.jaxpr) > MOST_ENTRIES:
            continue
        shadows = draws.ordinary(np.random.default_rng(seed), sizes, 1, setting.loss, setting.output, setting.hidden)
        leaves = beyond_rounding(traced, setting, shadows)
        if leaves:
            return sizes, leaves
    return None
