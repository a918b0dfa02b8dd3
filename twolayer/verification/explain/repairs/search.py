"""Where and why: which one edit of the user's code makes all that is wrong right, and leaves right what is?

The user's functions run on floats, again and again, each time with one expression changed (sites.py): multiplied with a
constant that is solved for, put in place of another, transposed, cut down to a part of itself, multiplied with or added
to what else is at hand. An edit counts if it gives the right outputs at every point and size that is tried, so what is
told is a repair that works. Where several lines can be repaired, it is the one whose value is wrong before and right
after, by the numbers of the right computation.
"""

import functools
import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from twolayer.verification.explain.repairs.pool import Edit
from twolayer.verification.explain.repairs.runs import Point, Repair, Runs, distance
from twolayer.verification.explain.repairs.sites import NUMBER, RIGHT, VALUE
from twolayer.verification.explain.repairs.stages import FACTORS, edits
from twolayer.verification.explain.repairs.words import SIMPLE, in_words
from twolayer.verification.numbers.factors import CLOSE
from twolayer.verification.programs.source import number_of

LAST = 7  # the last stage that is looked at where all that can be mended is right as it stands
STEPS = 8  # of the secants


class Repairs(Runs):
    """The search for edits of one function."""

    def found(self, reference: Callable[[Any], list[tuple[str, np.ndarray]]]) -> list[Repair]:
        """The repairs of the fewest changes; more where those add something to lines alone that are right already.

        reference: from a case to the arrays of the right reverse pass there, with the lines that they belong to.
        """
        found: list[Repair] = []
        likely, told = False, math.inf  # whether a line is wrong, and the stage at which that is sure
        self.pool.reference = functools.cache(lambda: self._arrays(reference))
        with self.running():
            self.base, last = self.points[0].call(), 0
            for edit in edits(self.edited.sites, self.pool, self.acts):
                if ((likely or told < math.inf) and edit.stage > max(last, LAST)) or self._is_late():
                    break
                if edit.stage > told:
                    continue
                last = max(last, edit.stage)
                numbers = self._solved(edit) if edit.solves else self._tried(edit)
                if (
                    numbers is not None
                    and self._matters(edit, numbers[0])
                    and self._holds(edit, numbers)
                    and in_words(self, Repair(edit, numbers)) is not None
                ):
                    found.append(Repair(edit, numbers))
                    was, now, another = self.was_and_is(found[-1])
                    if edit.id != "path_missing" or self.by_size(numbers):
                        likely = likely or now or not was
                        told = edit.stage if another or not was or edit.stage < FACTORS else told
        return [one for one in found if one.edit.stage <= told]

    def _is_late(self) -> bool:
        return time.process_time() - self.started > self.seconds

    def _arrays(self, reference: Callable[[Any], list[tuple[str, np.ndarray]]]) -> list[tuple[str, np.ndarray]]:
        for point, case in zip(self.points, self.cases, strict=True):
            point.arrays[:] = [array for _, array in reference(case)]
        alike = len({len(point.arrays) for point in self.points}) == 1
        return reference(self.cases[0]) if alike else []

    def _matters(self, edit: Edit, c: float) -> bool:
        """Whether not any other constant does as well in the place of what is there; a factor of a bound need not."""
        first = self.points[0]
        return not edit.solves or VALUE in edit.text or not self.fits(first, self.under(edit, 1.7 * c + 0.3, first))

    def _holds(self, edit: Edit, numbers: Sequence[float]) -> bool:
        """Whether an edit is right at the other points too; a constant that depends on sizes is not asked there."""
        points = self.others() if len(set(numbers)) == 1 and RIGHT not in edit.text else []
        return all(self.fits(point, self.under(edit, numbers[0], point)) for point in points)

    def acts(self, site: int) -> bool:
        """Whether all wrong outputs, and no right one, depend on an expression."""
        text = self.pool.disturbed(site)
        other = None if text is None else self.under(Edit(site, text), 0.0, self.points[0])
        if other is None:
            return True
        moved = {n for n, a in self.base.items() if n not in other or other[n].shape != a.shape
                 or distance(other[n], a) > self.points[0].tolerance}  # fmt: skip
        return moved == self.wrong

    def _tried(self, edit: Edit) -> tuple[float, ...] | None:
        return (1.0,) * len(self.points) if all(self.fits(p, self.under(edit, 1.0, p)) for p in self.points) else None

    def _solved(self, edit: Edit) -> tuple[float, ...] | None:
        """The constant at each point with which an edit, in which it is linear, gives what is right."""
        numbers: list[float] = []
        for point in self.points:
            c = numbers[-1] if numbers else None
            if c is None or not self.fits(point, self.under(edit, c, point)):
                c = self._constant(edit, point)
                if c is None or not self.fits(point, self.under(edit, c, point)):
                    return None
            numbers.append(c)
        return tuple(numbers)

    def _constant(self, edit: Edit, point: Point) -> float | None:
        """The number with which an edit gives what is right, by least squares along a line, or by secants if it bends.

        What a loop carries along bends, and what a literal does.
        """
        wrong, literal = sorted(self.wrong & point.right.keys()), edit.text == NUMBER
        right = np.concatenate([np.ravel(point.right[name]) for name in wrong])
        bends = literal or len(self.pool.runs[0][edit.site]) > 1

        def off(c: float) -> np.ndarray | None:
            found = self.under(edit, c, point)
            if found is None or any(
                name not in found or found[name].shape != point.right[name].shape for name in wrong
            ):
                return None
            rest = np.concatenate([np.ravel(found[name]) for name in wrong]) - right
            return rest if np.isfinite(rest).all() else None

        as_it_is = 0.0 if "+" in edit.text else 1.0
        if literal:
            as_it_is = float(number_of(self.edited.sites[edit.site].node) or 0)
        tried = not literal and (bends or edit.id == "factor")  # a product that bends has a sign too
        for c in SIMPLE if tried else ():
            if self.fits(point, self.under(edit, c, point)):
                return c
        a, b = as_it_is, as_it_is * 1.01 + 1e-9 if literal else 1.0 - as_it_is
        at_a = np.concatenate([np.ravel(point.mine[name]) for name in wrong]) - right if VALUE in edit.text else off(a)
        at_b = off(b)
        for _ in range(STEPS):
            if at_a is None or at_b is None or not (slope := (at_b - at_a) / (b - a)).any():
                return None
            c = b - float(slope @ at_b) / float(slope @ slope)
            straight = np.abs(at_b + (c - b) * slope).max() <= 1e-6 * np.abs(at_a).max()
            if not (straight or bends) or not math.isfinite(c) or (c == b and not straight):
                return None
            if straight and self.fits(point, self.under(edit, c, point)):
                near = float(Fraction(c).limit_denominator(1000))
                return near if abs(near - c) <= CLOSE * abs(c) else c
            a, at_a, b, at_b = b, at_b, c, off(c)
        return None
