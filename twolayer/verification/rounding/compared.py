"""An array of a program beside its exact value: how large the error is, and whether rounding explains it."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from twolayer.verification.rounding.bounded import Bounded
from twolayer.verification.verdict import Rounding


class Compared(NamedTuple):
    """One array of the program beside its value from the arrays before it."""

    step: str
    mine: np.ndarray
    right: Bounded

    @property
    def error(self) -> np.ndarray:
        """In float64; infinite where the program's number is not finite."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(abs(self.mine.astype(np.float64) - self.right.numbers), nan=np.inf, posinf=np.inf)

    @property
    def beyond(self) -> np.ndarray:
        """Where the error is larger than its bound."""
        return ~(self.error <= self.right.bound)

    def rounding(self, u: float) -> Rounding:
        """Its largest error in units of u |A| |B| and of its bound, and how wide the bound is."""
        error, entry = self.error, abs(self.right.numbers)
        with np.errstate(all="ignore"):
            eta = np.where(error > 0, error / (u * self.right.size), 0.0)
            share = np.where(error > 0, error / self.right.bound, 0.0)
            relative = (self.right.bound / entry)[entry > 0]
        median = float(np.median(relative)) if relative.size else 0.0
        return Rounding(self.step, float(eta.max(initial=0)), float(share.max(initial=0)), median)

    def disagreement(self, by: str) -> str:
        """The worst entry beyond its bound: both numbers, and how far rounding reaches."""
        at = np.unravel_index(np.where(self.beyond, self.error, -1).argmax(), self.error.shape)
        entry = f"{self.step}[{', '.join(map(str, at))}]" if at else self.step
        mine, right, room = (float(a[at]) for a in (self.mine, self.right.numbers, self.right.bound))
        return f"{entry} is {mine:.9g}, and {right:.9g} {by}; rounding explains a difference of {room:.2g}"


def wrong_steps(compared: Iterable[Compared]) -> tuple[str, ...]:
    """The steps with an error that rounding does not explain, each once."""
    return tuple({one.step: None for one in compared if one.beyond.any()})
