"""PROGRAM for NumPy: the file as it stands, in float64 and float32, beside an enclosure of every such run.

The same code runs once on numbers whose radius grows by the rounding of each operation (numbers/rounded.py). What the
floats give must lie within: then all that separates them from the formula is rounding. Where a comparison is open
within the rounding, as at Z1 near 0, the point says nothing, and another is taken.
"""

import dataclasses
import re
import types
from collections.abc import Sequence
from typing import Any

import flint
import numpy as np

from twolayer.verification.evidence.calls import Call, named
from twolayer.verification.evidence.points import Floats, points
from twolayer.verification.numbers.balls import BITS, Undecided, arb, each, precision
from twolayer.verification.numbers.rounded import Rounded, rounding
from twolayer.verification.problem import STEPS, Setting, Sizes
from twolayer.verification.programs import NotJudged, Refused, Run
from twolayer.verification.programs.numpy_code import run_floats
from twolayer.verification.rounding.bounded import Bounded
from twolayer.verification.rounding.compared import Compared, wrong_steps
from twolayer.verification.verdict import Program

SIZES, TRIES = Sizes(5, 4, 3, 6), 6
CASTS = re.compile(r"\b(float32|single)\b")  # code that rounds to float32 on its own is held to that
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}


def check_program(
    program: Any, setting: Setting, precisions: Sequence[str], *, call: Call, batch: tuple | None = None, seed: int = 0
) -> tuple[Program, ...]:
    """Judge the rounding of NumPy code in each precision that NumPy has.

    Args:
      program: the code (programs/numpy_code.py).
      setting: what it claims to differentiate; it decides where the code is run.
      precisions: "float32" or "float64"; others are left out, as NumPy does not compute in them.
      call: how it is called.
      batch: a batch on which its numbers must be finite.
      seed: of the points.
    """
    return tuple(
        _judged(program, setting, name, call, batch, seed) for name in precisions if name in ("float32", "float64")
    )


def _judged(program: Any, setting: Setting, name: str, call: Call, batch: tuple | None, seed: int) -> Program:
    reason = "no point was found at which rounding decides no comparison"
    for point in points(setting, SIZES, "ordinary", TRIES, seed):
        try:
            mine = _floats(program, call, point.floats, name)
        except Exception as error:  # whatever the user's code raises
            return Program(name, "undecided", reason=f"it does not run in {name}: {type(error).__name__}: {error}")
        try:
            enclosed = _enclosed(program, call, point.floats, name)
        except (Undecided, NotJudged, Refused) as error:
            reason = f"rounding has a say in it: {error}"
            continue
        found = _compared(name, mine, enclosed)
        if found.verdict == "wrong" and name == "float64" and CASTS.search(program.source or ""):
            floats = {key: np.asarray(array, np.float32) for key, array in point.floats.items()}
            mine, enclosed = _floats(program, call, floats, name), _enclosed(program, call, floats, "float32")
            found = dataclasses.replace(_compared("float32", mine, enclosed), precision=name)
            if found.verdict == "right":
                found = dataclasses.replace(found, reason="up to the rounding of float32, to which the code casts")
        return _with_batch(found, program, call, batch)
    return Program(name, "undecided", reason=reason)


def _floats(program: Any, call: Call, floats: Floats, name: str) -> dict[str, np.ndarray]:
    """What the code returns in floats."""
    function, scope = program.floats(), {key: np.asarray(array, name) for key, array in floats.items()}
    as_it_stands: Any = types.SimpleNamespace(run=lambda *given, **options: Run(run_floats(function, given, name)))
    found = named(call.run(as_it_stands, scope | {"w": np.asarray(1.0, name)}).result)
    return {step: np.asarray(value, np.float64) for step, value in found.items()}


def _enclosed(program: Any, call: Call, floats: Floats, name: str) -> dict[str, np.ndarray]:
    """The same in numbers that hold every run in floats."""
    with precision(BITS), rounding(name):
        scope = {key: each(_exactly, np.asarray(array, name).astype(np.float64)) for key, array in floats.items()}
        scope |= {"w": np.asarray(1.0)}
        return {step: np.asarray(value, object) for step, value in named(call.run(program, scope).result).items()}


def _exactly(value: float) -> Rounded:
    """A number of the input: a float, and no literal."""
    return Rounded(flint.arb(value))


def _compared(name: str, mine: dict[str, np.ndarray], enclosed: dict[str, np.ndarray]) -> Program:
    compared = []
    for step in (step for step in STEPS if step in mine and step in enclosed):
        a, flat = mine[step], [arb(v) for v in enclosed[step].ravel().tolist()]
        if a.shape == enclosed[step].shape:
            middle, room = (
                np.reshape([float(part(v)) for v in flat], a.shape) for part in (flint.arb.mid, flint.arb.rad)
            )
            room = room + np.abs(middle) * 2.0**-52  # of the middle, as a float64
            compared.append(Compared(step, a, Bounded(middle, room, np.abs(middle).max(initial=1e-300))))
    wrong = wrong_steps(compared)
    said = next((one.disagreement("by its formula") for one in compared if one.step in wrong), None)
    roundings = tuple(one.rounding(UNIT[name]) for one in compared)
    return Program(name, "wrong" if wrong else "right", roundings, reason=said, wrong=wrong)


def _with_batch(found: Program, program: Any, call: Call, batch: tuple | None) -> Program:
    """Whether what it returns on the given batch is finite."""
    if batch is None:
        return found
    params, x, y = batch
    floats = dict(zip(("W1", "b1", "W2", "b2"), params, strict=True)) | {"x": x, "y": y}
    mine = _floats(program, call, {key: np.asarray(array) for key, array in floats.items()}, found.precision)
    bad = next((step for step, array in mine.items() if not np.isfinite(array).all()), None)
    if bad is None:
        return found
    return dataclasses.replace(found, finite_on_batch=False, reason=f"{bad} is not finite on the given batch")
