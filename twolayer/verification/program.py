"""PROGRAM: do the arrays that a compiled derivation computes differ from its own formula by no more than rounding?

Whether that formula is right is another question. Each step is judged from the program's own arrays before it, so the
bound is that of one step, and sharp; masks are taken from the program's own Z1 and Z2. A cast to a smaller type is a
rounding that the program itself asks for: the bound has room for it, and the verdict names it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer.verification import draws, executions, untraceable
from twolayer.verification.cuts import Place, signature
from twolayer.verification.draws import Shadows, Sizes
from twolayer.verification.interpreter import where
from twolayer.verification.numbers.rounding import DecidedByRounding
from twolayer.verification.numbers.units import unit
from twolayer.verification.programs import operations
from twolayer.verification.recognise import matches
from twolayer.verification.reference import Setting, over_the_field, truth
from twolayer.verification.stepwise import PRECISIONS, Compared, Instrumented, Steps, report, running
from twolayer.verification.tracing import NotTraceable, Traced, trace
from twolayer.verification.verdict import Program

SIZES = Sizes(20, 16, 7, 24)
DRAWS = 3  # the first is judged step by step; all are for vmap
LARGE = {"float64": 2000.0}  # outputs at which exp overflows if it can: beyond 709, and beyond 88 in the others
LARGE_ELSEWHERE = 200.0


def check_program(
    gradients: Callable[..., dict[str, Any]],
    setting: Setting,
    precisions: Sequence[str] = PRECISIONS,
    *,
    batch: tuple | None = None,
    agreement: bool = True,
    seed: int = 0,
) -> tuple[Program, ...]:
    """Judge the rounding of a derivation in each precision.

    Args:
      gradients: as in the contract of a derivation file.
      setting: what it claims to differentiate; used to find its steps, not to judge its formula.
      precisions: some of "float64", "float32", "bfloat16", "tensorfloat32".
      batch: (params, x (m, d), y (m, C)), judged as well; y is one-hot for cross-entropy.
      agreement: whether jit, vmap, a split batch and sharding are compared, in the first precision.
      seed: of the problem that is drawn.

    Raises:
      Refused: the function cannot be judged; one line says why.
    """
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        shadows = draws.ordinary(rng, SIZES, DRAWS, setting.loss)
        first = Shadows(*(part[:1] for part in shadows))
        point = over_the_field(rng, SIZES, first, setting.loss)
        right, _ = truth(setting, point)
    found = []
    for i, precision in enumerate(precisions):
        try:
            with running(precision) as dtype:
                traced = trace(gradients, SIZES, dtype)
        except NotTraceable as error:
            found.append(untraceable.check(gradients, setting, precision, _typed(first, dtype), str(error)))
            continue
        with jax.enable_x64(True):
            places: dict[Place, str] = {}
            for match in matches(traced, point, right):
                places.setdefault((match.path, match.output), match.name)
        program = _judge(gradients, traced, places, precision, _typed(first, dtype), batch)
        if agreement and i == 0:
            agreed = executions.agreement(gradients, traced, setting, precision, _typed(shadows, dtype))
            program = dataclasses.replace(program, agreement=agreed)
        found.append(program)
    return tuple(found)


def _typed(shadows: Shadows, dtype: str) -> list[np.ndarray]:
    """The six arrays in the type of the run; a single draw loses its axis."""
    arrays = [part.astype(dtype) for part in shadows]
    return [array[0] for array in arrays] if len(shadows.x) == 1 else arrays


def _judge(
    gradients: Callable,
    traced: Traced,
    places: dict[Place, str],
    precision: str,
    arguments: list[np.ndarray],
    batch: tuple | None,
) -> Program:
    program = Instrumented(traced.jaxpr, traced.names, places, precision)
    try:
        runs = [program.compare(arguments)]
        if batch is not None:
            runs.append(_on_batch(gradients, traced, places, precision, batch))
    except DecidedByRounding as error:
        return Program(precision, "undecided", reason=str(error))
    compared = [one for run in runs for one in run.compared]
    verdict, reason = next(filter(None, (_objection(run, precision) for run in runs)), ("right", None))
    if verdict == "right":
        remarks = [*_casts(traced, precision), *_signs(compared), *_at_large_outputs(program, arguments)]
        reason = "; ".join(remarks) or None
    return Program(precision, verdict, report(compared), reason=reason)


def _on_batch(gradients: Callable, traced: Traced, places: dict[Place, str], precision: str, batch: tuple) -> Steps:
    """The user's own numbers. The steps stand where they stood, if the program is the same at this size."""
    params, x, y = batch
    (K, d), (m, C) = np.shape(params.W1), np.shape(y)
    with running(precision) as dtype:
        own = trace(gradients, Sizes(d, K, C, m), dtype)
    same = signature(own.jaxpr) == signature(traced.jaxpr)
    arguments = [np.asarray(array).astype(dtype) for array in (*params, x, y)]
    return Instrumented(own.jaxpr, own.names, places if same else {}, precision).compare(arguments)


def _objection(run: Steps, precision: str) -> tuple[str, str] | None:
    """The verdict, unless it is right, and why."""
    for one in run.compared:
        if not np.isfinite(one.mine.astype(np.float64)).all():
            exact = np.isfinite(one.right.numbers).all()
            cause = f": {run.system.overflow} is out of range" if run.system.overflow else ""
            return "wrong" if exact else "undecided", f"{one.step} is not finite in {precision}{cause}"
    for one in run.compared:
        if one.beyond.any():
            return "wrong", _disagreement(one)
    if any(np.isinf(one.right.bound).any() for one in run.compared):
        return "undecided", f"no bound: {run.system.unknown or run.system.overflow or 'a result may overflow'}"
    return None


def _disagreement(one: Compared) -> str:
    at = np.unravel_index(np.where(one.beyond, one.error, -1).argmax(), one.error.shape)
    entry = f"{one.step}[{', '.join(map(str, at))}]" if at else one.step
    mine, right, room = (float(a[at]) for a in (one.mine, one.right.numbers, one.right.bound))
    return f"{entry} is {mine:.9g}, and {right:.9g} from the arrays before it; rounding explains {room:.2g} of that"


def _casts(traced: Traced, precision: str) -> list[str]:
    """Conversions to a type that is smaller than the precision under check."""
    with running(precision) as dtype:
        u = unit(dtype).u
    found = {}
    for eqn in operations(traced.jaxpr):
        target = eqn.outvars[0].aval if eqn.primitive.name == "convert_element_type" else None
        if target is not None and jnp.issubdtype(target.dtype, jnp.floating) and unit(target.dtype).u > u:
            found[f"rounds to {target.dtype} on its way ({where(eqn)})"] = None
    return list(found)


def _signs(compared: list[Compared]) -> list[str]:
    """How many masks differ from those of exact arithmetic. All do so within their bound, or else Z is wrong."""
    found = []
    for name in ("Z1", "Z2"):
        parts = [one for one in compared if one.step == name]
        other = sum(int(((one.mine > 0) != (one.right.numbers > 0)).sum()) for one in parts)
        near = sum(int((abs(one.right.numbers) <= one.right.bound).sum()) for one in parts)
        if other:
            found.append(f"{other} signs of {name} differ from exact arithmetic, all among the {near} too close to 0")
    return found


def _at_large_outputs(program: Instrumented, arguments: list[np.ndarray]) -> list[str]:
    """Whether a number overflows when the outputs are large, as in a softmax without a shift."""
    W1, b1, W2, b2, x, _ = (array.astype(np.float64) for array in arguments)
    largest = LARGE.get(program.precision, LARGE_ELSEWHERE)
    Z2 = np.maximum(x @ W1.T + b1, 0) @ W2.T + b2
    scale = largest / abs(Z2).max()
    scaled = [*arguments[:2], *((scale * a).astype(arguments[0].dtype) for a in (W2, b2)), *arguments[4:]]
    outputs, _ = program.run(scaled)
    if all(np.isfinite(leaf.astype(np.float64)).all() for leaf in outputs):
        return []
    cause = program.compare(scaled).system.overflow
    return [f"not finite at outputs of {largest:.0f}" + (f": {cause} is out of range" if cause else "")]
