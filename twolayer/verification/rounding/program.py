"""PROGRAM: do the arrays that a compiled derivation computes differ from its own formula by no more than rounding?

Whether that formula is right is another question. Each step is judged from the program's own arrays before it; masks
are taken from the program's own Z1 and Z2. A cast to a smaller type is a rounding that the program itself asks for: the
bound has room for it, and the verdict names it.
"""

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer.verification.evidence.calls import Call
from twolayer.verification.evidence.points import INPUTS, Floats, Point, forward, ordinary, points
from twolayer.verification.numbers.balls import BITS, precision, raw
from twolayer.verification.problem import Setting, Sizes
from twolayer.verification.programs.interpreter import interpret
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.jaxprs import nested_call, operations, where
from twolayer.verification.programs.reals import Reals
from twolayer.verification.rounding import ways
from twolayer.verification.rounding.bounded import DecidedByRounding
from twolayer.verification.rounding.compared import Compared, wrong_steps
from twolayer.verification.rounding.runs import Instrumented, Place, Steps, Traced, running, signature, trace
from twolayer.verification.rounding.units import unit
from twolayer.verification.verdict import Program
from twolayer.verification.verdict import Rounding as Report

INSIDE = ("Z1", "O1", "Z2", "O2", "dO2", "dZ2", "dO1", "dZ1")
ORDER = ("Z1", "O1", "Z2", "O2", "dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1")
SIZES = Sizes(20, 16, 7, 24)
# For programs that grow with the sizes, such as loops in Python: above so many operations at SMALL.
SMALL, LONG = Sizes(5, 4, 3, 6), 200
TINY, VERY_LONG = Sizes(3, 3, 2, 4), 2000
PROBLEMS = 3  # the first is judged step by step; all are for vmap
# Outputs at which exp overflows if it can: beyond 709 in float64, beyond 88 in the others.
LARGE, LARGE_FLOAT64 = 200.0, 2000.0


def check_program(
    gradients: Any,
    setting: Setting,
    precisions: Sequence[str] = ("float32", "float64", "bfloat16"),
    *,
    call: Call | None = None,
    batch: tuple | None = None,
    agreement: bool = True,
    seed: int = 0,
    programs: Sequence[Instrumented] = (),
) -> tuple[Program, ...]:
    """Judge the rounding of a derivation in each precision.

    Args:
      gradients: as in the contract of a derivation file, in JAX: a function or its program.
      setting: what it claims to differentiate; used to find its steps, not to judge its formula.
      precisions: some of those that a network can be trained in.
      call: how it is called.
      batch: (params, x (m, d), y (m, C)), judged as well; y is one-hot for cross-entropy.
      agreement: whether jit, vmap, a split batch and sharding are compared, in the first precision.
      seed: of the problems that are drawn.
      programs: those of `compiling`, if it was called.

    Raises:
      Refused, NotTraceable, NotJudged: the function cannot be judged; one line says why.
    """
    gradients, call = as_program(gradients), call or Call()
    if call.one_by_one:
        why = "the rounding of a function of one example is not judged"
        return tuple(Program(name, "undecided", reason=why) for name in precisions)
    programs = programs or [instrument(gradients, setting, name, call, seed) for name in precisions]
    problems = [_problems(setting, program.traced.sizes, seed) for program in programs]
    with ThreadPoolExecutor(2) as pool:  # XLA compiles outside of Python's lock
        pairs = list(zip(programs, problems, strict=True))
        compared = [
            pool.submit(ways.agreement, gradients, program, setting.reduction, some)
            for program, some in pairs[: int(agreement)]
        ]
        found = [pool.submit(_judge, gradients, program, setting, some[0], batch) for program, some in pairs]
    agreed = [one.result() for one in compared] + [{}] * len(pairs)
    return tuple(dataclasses.replace(one.result(), agreement=said) for one, said in zip(found, agreed, strict=False))


def compiling(gradients: Any, setting: Setting, precisions: Sequence[str], call: Call, seed: int) -> list[Instrumented]:
    """The programs that `check_program` runs, while they are compiled: XLA works outside of Python's lock."""
    programs = [instrument(gradients, setting, name, call, seed) for name in precisions if not call.one_by_one]
    pool = ThreadPoolExecutor(2)
    for program in programs:
        program.compile_in(pool)
    pool.shutdown(wait=False)
    return programs


def as_program(gradients: Any) -> JaxProgram:
    """A function of the user's as a program; of one that may also run as NumPy does, the JAX side."""
    gradients = getattr(gradients, "_program", gradients)
    return gradients if isinstance(gradients, JaxProgram) else JaxProgram(gradients)


@functools.lru_cache(maxsize=16)
def _problems(setting: Setting, sizes: Sizes, seed: int) -> list[Floats]:
    rng = np.random.default_rng([seed, *sizes])
    return [ordinary(rng, sizes, setting) for _ in range(PROBLEMS)]


def instrument(
    gradients: Any, setting: Setting, precision: str, call: Call | None = None, seed: int = 0
) -> Instrumented:
    """A derivation, compiled so that it hands out every step that can be found in it; at smaller sizes if it is long.

    Raises:
      Refused, NotTraceable: see runs.trace.
    """
    gradients, call = as_program(gradients), call or Call()
    traced = trace(gradients, call, SMALL, precision)
    small, length = Instrumented(traced, _places(traced, setting, seed)), sum(1 for _ in operations(traced.jaxpr))
    if LONG < length <= VERY_LONG:
        return small
    program = resized(small, gradients, SIZES if length <= LONG else TINY)
    if program.places or not small.places:
        return program
    return Instrumented(program.traced, _places(program.traced, setting, seed))


def _places(traced: Traced, setting: Setting, seed: int) -> dict[Place, str]:
    """Where the steps stand, of several names for one array the first."""
    found: dict[Place, str] = {}
    for place, name in matches(traced, points(setting, traced.sizes, "ordinary", 1, seed)[0]):
        found.setdefault(place, name)
    return found


def resized(program: Instrumented, gradients: Any, sizes: Sizes) -> Instrumented:
    """The same at other sizes. The steps stand where they stood, if the operations are the same there."""
    traced = trace(as_program(gradients), program.traced.call, sizes, program.precision)
    same = signature(traced.jaxpr) == signature(program.traced.jaxpr)
    return Instrumented(traced, program.places if same else {})


# Which arrays inside a program are the Z1, O1, Z2, O2 and the cotangents of the right derivation?


def matches(traced: Traced, point: Point) -> list[tuple[Place, str]]:
    """Every array outside of loops that is a step times a constant, in balls, in the order in which they are computed.

    A constant may come with any convention, such as 1/m at the leaves. An array may be several steps (dO2 and dZ2,
    where the output is the identity). Operations that only move entries are left out: they repeat what was found.
    """
    found: list[tuple[Place, str]] = []
    right = {name: raw(point.right[name]) for name in INSIDE}

    def look(path: Any, eqn: Any, outputs: list) -> list:
        if nested_call(eqn) is None and not _repeats(eqn):
            for i, value in enumerate(outputs):
                if isinstance(value, np.ndarray) and value.dtype == object:
                    found.extend(((path, i), name) for name in INSIDE if _is_multiple(value, right[name]))
        return outputs

    scope = {name: point.right[name] for name in point.floats}
    arguments = traced.call.arguments(scope, scope["x"], scope["y"])
    values = [np.asarray(a) if np.asarray(a).dtype.kind in "iub" else raw(a) for a in jax.tree.leaves(arguments)]
    with precision(BITS), jax.enable_x64(True):
        interpret(traced.jaxpr, Reals(), *values, visit=look)
    return found


_MOVES = ("name", "copy", "transpose", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "stop_gradient")


def _repeats(eqn: Any) -> bool:
    """Whether an operation leaves the numbers as they are."""
    if eqn.primitive.name == "convert_element_type":
        return eqn.outvars[0].aval.dtype.itemsize >= eqn.invars[0].aval.dtype.itemsize
    return eqn.primitive.name in _MOVES


def _is_multiple(mine: np.ndarray, right: np.ndarray) -> bool:
    """Whether one array, or its transpose, is the other times a constant other than 0."""
    for turned in (mine, mine.T) if mine.ndim == 2 else ():
        if turned.shape == right.shape:
            at = next((i for i, number in enumerate(right.ravel()) if not number.contains(0)), None)
            if at is not None and not turned.ravel()[at].contains(0):
                factor = turned.ravel()[at] / right.ravel()[at]
                if all(_equal(a, factor * b) for a, b in zip(turned.ravel(), right.ravel(), strict=True)):
                    return True
    return False


def _equal(a: Any, b: Any) -> bool:
    return (a - b).contains(0) and bool((a - b).rad() <= (abs(a) + 1).upper() * 2.0**-100)


# The verdict.


def _judge(
    gradients: JaxProgram, program: Instrumented, setting: Setting, problem: Floats, batch: tuple | None
) -> Program:
    try:
        runs = [program.compare(problem)]
        if batch is not None:
            (W1, b1, W2, b2), x, y = batch
            sizes = Sizes(np.shape(W1)[1], np.shape(W1)[0], np.shape(y)[1], np.shape(y)[0])
            own: Floats = dict(zip(INPUTS, map(np.asarray, (W1, b1, W2, b2, x, y)), strict=True))
            runs.append(resized(program, gradients, sizes).compare(own))
    except DecidedByRounding as error:
        return Program(program.precision, "undecided", reason=str(error))
    compared = [one for run in runs for one in run.compared]
    verdict, reason = next(filter(None, (_objection(run, program.precision) for run in runs)), ("right", None))
    if verdict == "right":
        reason = "; ".join([*casts(program), *signs(compared), *overflow(program, problem, setting)]) or None
    wrong = wrong_steps(compared) if verdict == "wrong" else ()
    finite = all(_finite(one) for run in runs[1:] for one in run.compared if one.step in program.traced.names)
    with running(program.precision) as dtype:
        steps = report(compared, unit(dtype).u)
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
            return "wrong", one.disagreement("from the arrays before it")
    if any(np.isinf(one.right.bound).any() for one in run.compared):
        return "undecided", f"no bound: {run.system.unknown_at or run.system.overflow or 'a result may overflow'}"
    return None


def report(compared: Sequence[Compared], u: float) -> tuple[Report, ...]:
    """The rounding of each step, of one that occurs more than once the worst.

    Args:
      u: the unit roundoff of the run; an array of a coarser type has its own.
    """
    found: dict[str, Report] = {}
    for one in compared:
        new, old = one.rounding(max(u, float(jnp.finfo(one.mine.dtype).eps) / 2)), found.get(one.step)
        names = ("eta", "error_over_bound", "bound_over_entry")
        found[one.step] = new if old is None else Report(
            one.step, *(max(getattr(old, name), getattr(new, name)) for name in names)
        )  # fmt: skip
    return tuple(found[name] for name in ORDER if name in found)


# What is worth saying of a program whose rounding is right.


def casts(program: Instrumented) -> list[str]:
    """Conversions to a float type smaller than the precision: the bound has room for them, the user may not."""
    with running(program.precision) as dtype:
        u = unit(dtype).u
    found = {}
    for eqn in operations(program.traced.jaxpr):
        target = eqn.outvars[0].aval if eqn.primitive.name == "convert_element_type" else None
        if target is not None and jnp.issubdtype(target.dtype, jnp.floating) and unit(target.dtype).u > u:
            found[f"rounds to {target.dtype} on its way ({where(eqn)})"] = None
    return list(found)


def signs(compared: Sequence[Compared]) -> list[str]:
    """How many masks differ from those of exact arithmetic. They do so within their bound, or else Z is wrong."""
    found = []
    for name in ("Z1", "Z2"):
        parts = [one for one in compared if one.step == name]
        other = sum(int(((one.mine > 0) != (one.right.numbers > 0)).sum()) for one in parts)
        near = sum(int((abs(one.right.numbers) <= one.right.bound).sum()) for one in parts)
        if other:
            found.append(f"{other} signs of {name} differ from exact arithmetic, all among the {near} too close to 0")
    return found


def overflow(program: Instrumented, problem: Floats, setting: Setting) -> list[str]:
    """Whether a number overflows when the outputs are large, as in a softmax without a shift."""
    largest = LARGE_FLOAT64 if program.precision == "float64" else LARGE
    scale = largest / max(abs(forward(problem, setting)[1]).max(), np.finfo(np.float64).tiny)
    scaled = {**problem, "W2": scale * problem["W2"], "b2": scale * problem["b2"]}
    if all(np.isfinite(leaf.astype(np.float64)).all() for leaf in program.run(scaled)[0]):
        return []
    cause = program.compare(scaled).system.overflow
    return [f"not finite at outputs of {largest:.0f}" + (f": {cause} is out of range" if cause else "")]
