"""Is a wrong Hessian-vector product the one of Gauss and Newton? Its Hessian ends at an array on the way to the loss.

With z(w) that array, the Hessian is J' H J + sum dL/dz d2z/dw2: J is the derivative of z, H the Hessian of the loss by
z. Gauss and Newton leave out the second term. Every array of the loss is tried as z, the last ones first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from twolayer.verification.numbers.balls import floats
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.jaxprs import bind, bind_at_its_line, is_float, line
from twolayer.verification.programs.rules import plain

CLOSE = 1e-9  # relative
MOST = 24  # arrays that are tried


def left_out(
    program: JaxProgram, built: Callable[[Mapping], Sequence], values: Mapping, ways: Mapping, mine: Mapping
) -> str | None:
    """The line of the array at which the Hessian ends, if all that is wrong is such a product; "" of no line.

    Args:
      program: the loss.
      built: its arguments from values by path.
      values, ways: arguments, and directions of those that are judged, as balls.
      mine: what is wrong, by path.
    """
    point = {path: floats(a) if np.asarray(a).dtype == object else np.asarray(a) for path, a in values.items()}
    moving = {path: point[path] for path in ways}
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(plain(lambda own: program.function(*built(point | own)), bind_at_its_line))(moving)
        order, along = jax.tree.leaves(moving), [floats(ways[path]) for path in sorted(ways)]
        eqns = closed.jaxpr.eqns
        for k in reversed(range(len(eqns))[-MOST:]):
            if len(eqns[k].outvars) != 1 or not is_float(eqns[k].outvars[0].aval) or not eqns[k].outvars[0].aval.shape:
                continue
            found = dict(zip(sorted(ways), _product(closed, k, order, along), strict=True))
            if all(_near(floats(array), found[path]) for path, array in mine.items()):
                return line(eqns[k]) or ""
    return None


def _product(closed: Any, k: int, order: list, along: list) -> Sequence[Any]:
    """J' H J times the directions, for the array that operation k gives."""

    def array(*own: Any) -> Any:
        return _run(closed, own, k)[0]

    def slopes(z: Any) -> Any:
        return jax.grad(lambda z: _run(closed, order, k, z)[1])(z)

    z, moved = jax.jvp(array, tuple(order), tuple(along))
    return jax.vjp(array, *order)[1](jax.jvp(slopes, (z,), (moved,))[1])


def _run(closed: Any, own: Sequence[Any], k: int, z: Any = None) -> tuple[Any, Any]:
    """The array that operation k gives, and the loss if it were z."""
    known: dict = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known.update(zip(closed.jaxpr.invars, own, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for i, eqn in enumerate(closed.jaxpr.eqns):
        known.update(zip(eqn.outvars, bind(eqn, [read(atom) for atom in eqn.invars]), strict=True))
        if i == k and z is None:
            return known[eqn.outvars[0]], None
        if i == k:
            known[eqn.outvars[0]] = z
    return z, read(closed.jaxpr.outvars[0])


def _near(mine: np.ndarray, found: Any) -> bool:
    found = np.asarray(found)
    return mine.shape == found.shape and bool(
        np.abs(mine - found).max(initial=0) <= CLOSE * np.abs(mine).max(initial=0)
    )
