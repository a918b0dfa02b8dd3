"""Derivatives that share nothing with automatic differentiation: the central difference at 1,100 bits, h = 2^-300.

(L(w + h u) - L(w - h u)) / 2h differs from the derivative along u by h^2 = 2^-600 times a third of the third derivative
halved; no kink is crossed but one at w itself. All it needs is a loss that runs on balls.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import DIFFERENCE_BITS, Ball, arb, balls, one, precision
from twolayer.verification.numbers.literals import literals_at_midpoints

STEP = 300  # h = 2^-300
REMAINDER = 400  # the third derivative is trusted to be below 2^200, so that the remainder is below 2^-400

Arrays = np.ndarray | Sequence[np.ndarray]


def central(loss: Callable[..., Any], arguments: Arrays, direction: Arrays) -> Ball:
    """The derivative of a loss along a direction.

    Args:
      loss: a function of the arguments that returns one number.
      arguments: object arrays of Ball, or the only one; their midpoints are the point.
      direction: one array for each argument, of its shape; zeros where it stays.
    """
    if isinstance(arguments, np.ndarray):
        return central(loss, [arguments], [np.asarray(direction)])
    with precision(DIFFERENCE_BITS), literals_at_midpoints():
        h = flint.arb(2) ** -STEP
        point, along = [_midpoints(a) for a in arguments], [balls(u) for u in direction]
        up, down = (
            arb(one(loss(*(a + Ball(sign * h) * u for a, u in zip(point, along, strict=True))))) for sign in (1, -1)
        )
        if (up - down).is_zero():  # exactly: it does not move along the direction
            return Ball(0)
        slope = (up - down) / (2 * h)
        room = (abs(slope) + 1).upper() * flint.arb(2) ** -REMAINDER
        return Ball(slope + flint.arb(0, room))


def gradient_by_differences(
    loss: Callable[..., Any], arguments: Arrays, by: Sequence[int] | None = None
) -> list[np.ndarray]:
    """The gradient, entry by entry.

    Args:
      loss, arguments: as of `central`.
      by: which arguments; all of them unless given.
    """
    if isinstance(arguments, np.ndarray):
        arguments = [arguments]
    wanted = range(len(arguments)) if by is None else by
    return [balls(list(_entries(loss, arguments, k))).reshape(np.shape(arguments[k])) for k in wanted]


def _entries(loss: Callable, arguments: Sequence[np.ndarray], k: int) -> Iterator[Ball]:
    for entry in range(np.size(arguments[k])):
        direction = [np.zeros(np.shape(a), int) for a in arguments]
        direction[k].ravel()[entry] = 1
        yield central(loss, arguments, direction)


def _midpoints(array: Any) -> np.ndarray:
    array = balls(array)
    return balls([Ball(number.v.mid()) for number in array.ravel().tolist()]).reshape(array.shape)
