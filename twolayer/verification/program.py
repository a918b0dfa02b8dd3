"""PROGRAM: do the arrays that a compiled derivation computes differ from its own formula by no more than rounding?

Whether that formula is right is another question. Each step is judged from the program's own arrays before it, so the
bound is that of one step, and sharp; masks are taken from the program's own Z1 and Z2. A cast to a smaller type is a
rounding that the program itself asks for: the bound has room for it, and the verdict names it.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from twolayer.verification import draws, executions, untraceable
from twolayer.verification.cuts import Place, signature
from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.numbers.field import FieldValue
from twolayer.verification.numbers.rounding import DecidedByRounding
from twolayer.verification.numbers.units import unit
from twolayer.verification.programs import operations
from twolayer.verification.recognise import matches
from twolayer.verification.reference import Point, Setting, over_the_field, truth
from twolayer.verification.remarks import remarks
from twolayer.verification.stepwise import PRECISIONS, Compared, Instrumented, Steps, disagreement, report, running
from twolayer.verification.tracing import NotTraceable, trace
from twolayer.verification.verdict import Program

SIZES = Sizes(20, 16, 7, 24)
# For programs that grow with the sizes, such as loops in Python: above so many operations at SMALL.
SMALL, LONG = Sizes(5, 4, 3, 6), 200
TINY, VERY_LONG = Sizes(3, 3, 2, 4), 2000
DRAWS = 3  # the first is judged step by step; all are for vmap


def check_program(
    gradients: Callable[..., dict[str, Any]],
    setting: Setting,
    precisions: Sequence[str] = PRECISIONS[:3],
    *,
    batch: tuple | None = None,
    agreement: bool = True,
    seed: int = 0,
) -> tuple[Program, ...]:
    """Judge the rounding of a derivation in each precision.

    Args:
      gradients: as in the contract of a derivation file.
      setting: what it claims to differentiate; used to find its steps, not to judge its formula.
      precisions: some of "float32", "float64", "bfloat16", "tensorfloat32".
      batch: (params, x (m, d), y (m, C)), judged as well; y is one-hot for cross-entropy.
      agreement: whether jit, vmap, a split batch and sharding are compared, in the first precision.
      seed: of the problem that is drawn.

    Raises:
      Refused: the function cannot be judged; one line says why.
    """
    found = []
    for i, precision in enumerate(precisions):
        try:
            program = instrument(gradients, setting, precision, seed)
        except NotTraceable:
            right = instrument(untraceable.canonical(setting), setting, precision, seed)
            found.append(untraceable.check(gradients, right, _problems(right, setting, seed)[0]))
            continue
        problems = _problems(program, setting, seed)
        judged = _judge(gradients, program, problems[0], batch)
        if agreement and i == 0:
            agreed = executions.agreement(gradients, program, setting, problems)
            judged = dataclasses.replace(judged, agreement=agreed)
        found.append(judged)
    return tuple(found)


def instrument(gradients: Callable, setting: Setting, precision: str, seed: int = 0) -> Instrumented:
    """A derivation, compiled so that it hands out every step that can be found in it; at smaller sizes if it is long.

    Raises:
      Refused, NotTraceable: see tracing.trace.
    """
    with running(precision) as dtype:
        traced = trace(gradients, SMALL, dtype)
        length = sum(1 for _ in operations(traced.jaxpr))
        if not LONG < length <= VERY_LONG:
            traced = trace(gradients, SIZES if length <= LONG else TINY, dtype)
    case = _case(setting, traced.sizes, seed)
    places: dict[Place, str] = {}
    with jax.enable_x64(True):
        for match in matches(traced, case.point, case.right):
            places.setdefault((match.path, match.output), match.name)  # of several names for one array the first
    return Instrumented(traced, places, precision)


def resized(program: Instrumented, gradients: Callable, sizes: Sizes) -> Instrumented:
    """The same at other sizes. The steps stand where they stood, if the operations are the same there."""
    with running(program.precision) as dtype:
        traced = trace(gradients, sizes, dtype)
    same = signature(traced.jaxpr) == signature(program.traced.jaxpr)
    return Instrumented(traced, program.places if same else {}, program.precision)


class _Case(NamedTuple):
    """The problems that are drawn, and the right arrays of the first in the prime field."""

    shadows: Shadows
    point: Point
    right: dict[str, FieldValue]


@functools.lru_cache(maxsize=16)
def _case(setting: Setting, sizes: Sizes, seed: int) -> _Case:
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        shadows = draws.ordinary(rng, sizes, DRAWS, setting.loss, setting.output, setting.hidden)
        first = Shadows(*(part[:1] for part in shadows))
        point = over_the_field(rng, sizes, first, setting.loss, setting.output, setting.hidden)
        return _Case(shadows, point, truth(setting, point)[0])


def _problems(program: Instrumented, setting: Setting, seed: int) -> list[list[np.ndarray]]:
    """W1, b1, W2, b2, x, y of each problem, in the type of the run."""
    shadows = _case(setting, program.traced.sizes, seed).shadows
    with running(program.precision) as dtype:
        return [[part[i].astype(dtype) for part in shadows] for i in range(DRAWS)]


def _judge(gradients: Callable, program: Instrumented, arguments: list[np.ndarray], batch: tuple | None) -> Program:
    try:
        runs = [program.compare(arguments)]
        if batch is not None:
            params, x, y = batch
            (K, d), (m, C) = np.shape(params.W1), np.shape(y)
            own = [np.asarray(array).astype(arguments[0].dtype) for array in (*params, x, y)]
            runs.append(resized(program, gradients, Sizes(d, K, C, m)).compare(own))
    except DecidedByRounding as error:
        return Program(program.precision, "undecided", reason=str(error))
    compared = [one for run in runs for one in run.compared]
    verdict, reason = next(filter(None, (_objection(run, program.precision) for run in runs)), ("right", None))
    if verdict == "right":
        reason = "; ".join(remarks(program, arguments, compared)) or None
    wrong = tuple({one.step: None for one in compared if one.beyond.any()}) if verdict == "wrong" else ()
    steps = report(compared, unit(arguments[0].dtype).u)
    finite = all(_finite(one) for run in runs[1:] for one in run.compared if one.step in program.traced.names)
    return Program(program.precision, verdict, steps, reason=reason, wrong=wrong, finite_on_batch=finite)


def _finite(one: Compared) -> bool:
    return bool(np.isfinite(one.mine.astype(np.float64)).all())


def _objection(run: Steps, precision: str) -> tuple[str, str] | None:
    """The verdict, unless it is right, and why."""
    for one in run.compared:
        if not _finite(one):
            exact = np.isfinite(one.right.numbers).all()
            cause = f": {run.system.overflow} is out of range" if run.system.overflow else ""
            return "wrong" if exact else "undecided", f"{one.step} is not finite in {precision}{cause}"
    for one in run.compared:
        if one.beyond.any():
            return "wrong", disagreement(one, "from the arrays before it")
    if any(np.isinf(one.right.bound).any() for one in run.compared):
        return "undecided", f"no bound: {run.system.unknown or run.system.overflow or 'a result may overflow'}"
    return None
