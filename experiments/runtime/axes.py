"""What --sweep says: NAME=VALUES, several of them, as a list of points. Imports no JAX.

seed=0:32                     integers 0, ..., 31; a:b:step has a step
hidden=32,64,128              a list
learning_rate=logspace(-3,0,8)  eight numbers from 1e-3 to 1; linspace(a,b,n) likewise
init_scale=loguniform(0.1,10) random, with --samples=N; uniform(a,b) likewise
"""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags as absl_flags

from experiments.runtime import flags
from twolayer.command.cli import BadInput
from twolayer.names import OF_OWN_DATA

# These may differ between the networks of one program; every other flag is a choice, and has a program of its own.
NUMBERS = ("seed", "learning_rate", "weight_decay", "momentum", "init_scale", "output_bias", "teacher_noise")

MOST_VALUES = 10**6

_CALL = re.compile(r"(\w+)\(([^()]*)\)")
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
_GRIDS: dict[str, Callable] = {"linspace": np.linspace, "logspace": np.logspace}
_DRAWS: dict[str, Callable] = {
    "uniform": lambda rng, a, b, n: rng.uniform(a, b, n),
    "loguniform": lambda rng, a, b, n: np.exp(rng.uniform(math.log(a), math.log(b), n)),
}


class Axis(NamedTuple):
    """One swept flag: the values of a grid, or how to draw them."""

    name: str
    values: tuple[str, ...] = ()
    draw: Callable | None = None


def parse(text: str) -> Axis:
    """One --sweep. Values are texts, as on a command line; the flags that they belong to read them.

    Raises:
      BadInput: it is not NAME=VALUES, or the values are none of the above.
    """
    name, equals, spec = text.partition("=")
    name, spec = name.strip(), spec.strip()
    if not (name and equals and spec):
        raise BadInput(f"--sweep={text} is not NAME=VALUES, as in --sweep=seed=0:32")
    if span := _RANGE.fullmatch(spec):
        first, last, step = int(span[1]), int(span[2]), int(span[3] or 1)
        span = range(first, last, step) if step else range(0)
        if not span:
            raise BadInput(f"--sweep={text} is an empty range")
        if len(span) > MOST_VALUES:
            raise BadInput(f"--sweep={text} has {len(span):,} values; a sweep takes {MOST_VALUES:,} at most")
        return Axis(name, tuple(map(str, span)))
    if call := _CALL.fullmatch(spec):
        return _called(text, name, call[1], call[2])
    values = tuple(value.strip() for value in spec.split(","))
    if not all(values):
        raise BadInput(f"--sweep={text} has an empty value")
    if len(set(values)) < len(values):
        raise BadInput(f"--sweep={text} has a value twice; for more networks sweep over seeds")
    return Axis(name, values)


def _called(text: str, name: str, function: str, arguments: str) -> Axis:
    known = ", ".join((*_GRIDS, *_DRAWS))
    if function not in _GRIDS | _DRAWS:
        raise BadInput(f"--sweep={text}: {function} is not known; there are {known}")
    try:
        numbers = [float(argument) for argument in arguments.split(",")]
        a, b, *rest = numbers
        if not all(map(math.isfinite, numbers)) or len(rest) != (function in _GRIDS):
            raise ValueError
        if function in _GRIDS:
            if int(rest[0]) != rest[0] or not 1 <= rest[0] <= MOST_VALUES:
                raise ValueError
            if function == "logspace" and max(a, b) > 308:  # 1e309 is no float
                raise ValueError
            return Axis(name, tuple(repr(float(v)) for v in _GRIDS[function](a, b, int(rest[0]))))
        if not a < b or (function == "loguniform" and a <= 0):
            raise ValueError
    except ValueError as error:
        shape = "(a, b, n) with n >= 1" if function in _GRIDS else "(a, b) with a < b"
        raise BadInput(f"--sweep={text}: {function}{shape}{', a > 0' * (function == 'loguniform')}") from error
    return Axis(name, draw=lambda rng, n: _DRAWS[function](rng, a, b, n))


def points(axes: Sequence[Axis], samples: int | None, seed: int = 0) -> list[dict[str, str]]:
    """Every combination of the grids, each with `samples` draws of the random axes if there are any.

    Args:
      seed: decides what is drawn.

    Raises:
      BadInput: a name occurs twice, or samples and random axes do not go together.
    """
    names = [axis.name for axis in axes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(f"--sweep={twice}=... is given twice")
    drawn = [axis for axis in axes if axis.draw]
    if drawn and not samples:
        raise BadInput(f"--sweep={drawn[0].name}=... is random: say how often with --samples=N")
    if samples and not drawn:
        raise BadInput("--samples goes with a random axis, such as '--sweep=learning_rate=loguniform(1e-3,1)'")
    size = math.prod(len(axis.values) for axis in axes if not axis.draw) * (samples or 1)
    if size > MOST_VALUES:
        raise BadInput(f"these are {size:,} networks; a sweep takes {MOST_VALUES:,} at most")
    rng = np.random.default_rng(seed)
    columns = {axis.name: [repr(float(v)) for v in draw(rng, samples)] for axis in drawn if (draw := axis.draw)}
    random = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}]
    grids = [axis for axis in axes if not axis.draw]
    grid = [
        dict(zip((a.name for a in grids), row, strict=True)) for row in itertools.product(*(a.values for a in grids))
    ]
    return [{name: (one | other)[name] for name in names} for one in grid for other in random]


def typed(points: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Points with each value as its flag reads it.

    Raises:
      BadInput: a name is no flag of a training run, or a value is not valid for it.
    """
    fixed = {"precision", "measure", *flags.PLACES, *flags.OF_ONE_RUN}
    allowed = set(flags.names()) - fixed - {"target", *OF_OWN_DATA}
    found = []
    for point in points:
        values = {}
        for name, text in point.items():
            if name not in allowed:
                raise BadInput(f"--sweep={name}=...: {name} is not a flag that a sweep can vary; see --help")
            flag = absl_flags.FLAGS[name]
            try:
                values[name] = flag.parser.parse(text)
                if isinstance(values[name], float) and not math.isfinite(values[name]):
                    raise ValueError("must be a finite number")
            except ValueError as error:
                raise BadInput(f"--sweep={name}=...: {text!r} is not valid: {error}") from error
        found.append(values)
    if len({tuple(values.items()) for values in found}) < len(found):
        raise BadInput("two of the networks to sweep over are the same; give each value once, or sweep over seeds")
    return found
