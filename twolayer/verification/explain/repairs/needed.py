"""Where, when no edit is found: the first line of which another value puts everything right, and that value is known.

What is returned is affine in most of what a reverse pass makes. So the value that a line should have had follows from
the right outputs by linear equations, where these have one solution; and if that is the derivative by an array of the
right computation, while the line makes something else, the line is wrong, whatever its mistake may be.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from twolayer.verification.explain.repairs.runs import Point
from twolayer.verification.explain.repairs.search import Repairs
from twolayer.verification.explain.repairs.sites import RIGHT, VALUE
from twolayer.verification.explain.repairs.words import Told

MOST = 120  # entries of a value, over all its runs
SECONDS = 3.0  # of work
EXACT = 1e-7  # relative, of a solution of the equations
SHIFTED = f"{VALUE} + next({RIGHT})"  # another number is added at every run of the line


def place(search: Repairs) -> Told | None:
    """The line, and what it should make; None where no line is known to be wrong."""
    started, point, runs = time.process_time(), search.points[0], search.pool.runs[0]
    whole = [i for i in search.order if search.edited.sites[i].whole]
    with search.running():
        for site in sorted(whole, key=search.order.__getitem__):
            values = runs[site]
            if time.process_time() - started > min(SECONDS, search.seconds):
                break
            if search.pool.is_right(site) or any(v is None or np.asarray(v).dtype.kind != "f" for v in values):
                continue
            made = (
                _needed(search, site, point, values) if sum(map(np.size, values)) <= MOST and search.acts(site) else ()
            )
            if made:
                return Told(search.edited.sites[site].node.lineno, [], made)
    return None


def _needed(search: Repairs, site: int, point: Point, values: list[Any]) -> tuple[np.ndarray, ...]:
    """The one value of a line with which everything is right, if it is a right derivative by an array; else nothing."""
    shapes = [np.shape(v) for v in values]

    def shifted(by: np.ndarray) -> Iterator[np.ndarray]:
        at = 0
        for shape in shapes:
            yield by[at : at + int(np.prod(shape))].reshape(shape)
            at += int(np.prod(shape))

    def outputs(by: np.ndarray) -> np.ndarray:
        found = search.edited.under(site, SHIFTED, 1.0, shifted(by), point.call)
        return np.concatenate([np.ravel(found[name]) for name in point.right])

    count = sum(map(np.size, values))
    try:
        base = outputs(np.zeros(count))
        slopes = np.stack([outputs(row) - base for row in np.eye(count)], axis=1)
        far = np.random.default_rng(3).normal(size=count)
        wanted = np.concatenate([np.ravel(array) for array in point.right.values()]) - base
        if not np.allclose(outputs(far) - base, slopes @ far, EXACT, EXACT):
            return ()
        by, _, rank, _ = np.linalg.lstsq(slopes, wanted, rcond=1e-10)
        if rank < count or not np.allclose(slopes @ by, wanted, EXACT, EXACT):
            return ()
        seen = search.edited.values(lambda: outputs(by))[1]
    except Exception:  # a shape that does not fit, a run more or fewer
        return ()
    return search.pool.made(site, seen) if search.pool.is_right(site, seen, search.cotangents) else ()
