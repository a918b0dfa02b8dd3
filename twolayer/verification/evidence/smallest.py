"""The smallest counterexample to a question: least sizes, small whole numbers, and code that reproduces it with NumPy.

Sizes grow from one until an output is wrong there; then numbers become 0 or 1 one by one for as long as it stays wrong.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import EXAMPLE, At, Compared, Question, compared
from twolayer.verification.evidence.shapes import Array
from twolayer.verification.numbers.agreement import DIFFERENT, compare
from twolayer.verification.numbers.balls import BITS, arb, floats, precision
from twolayer.verification.programs import Refused

DRAWS, RUNS, SECONDS = 3, 60, 5.0  # of numbers at each size; of both sides in all, and for how long
MOST_NUMBERS = 40  # of an example that is made simpler and printed
SMALL = {"real": (-2, 3), "positive": (1, 4)}  # whole numbers; those of other domains are drawn from them


class Example(NamedTuple):
    """A point with a wrong output, its first wrong entry, and both values there."""

    one: Compared
    output: str
    entry: tuple[int, ...]
    mine: float
    right: float


def smallest(question: Question, wrong: Sequence[str], known: Sequence[Compared], seed: int) -> Example | None:
    """The simplest case that could be found; the least of those that are known, where small numbers show nothing."""
    rng, left, branches = np.random.default_rng([seed, 19]), [RUNS], Branches(question.program)
    started = time.process_time()

    def tried(at: At) -> Example | None:
        left[0] = left[0] - 1 if time.process_time() - started < SECONDS else 0
        try:
            one = compared(question, at, branches)
        except Refused:
            return None
        return None if one.reason or one.tied else _first(one, wrong)

    for sizes in _sizes(question, known):
        for _ in range(DRAWS):
            if left[0] <= 0:
                break
            found = tried(At(EXAMPLE, sizes, _numbers(question, sizes, rng)))
            if found is not None:
                return _simpler(question, found, tried, left)
    ordered = sorted(known, key=lambda one: (one.tied, sum(np.size(v) for v in one.at.values.values())))
    return next(filter(None, (_first(one, wrong) for one in ordered)), None)


def _sizes(question: Question, known: Sequence[Compared]) -> Iterator[dict[str, int]]:
    """Sizes in the order of their sum, from the least, and those at which it is known to be wrong."""
    letters, least = question.arguments.letters, question.arguments.least
    choices = itertools.product(range(3), repeat=min(len(letters), 4))
    for more in sorted(choices, key=lambda some: (sum(some), some))[:9]:
        extra = dict(zip(letters, more, strict=False))
        yield {letter: least.get(letter, 1) + extra.get(letter, 0) for letter in letters}
    yield from {tuple(one.at.sizes.items()): one.at.sizes for one in known[:2]}.values()


def _numbers(question: Question, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    drawn = question.arguments.draw(sizes, rng)
    for array in question.arguments.arrays:
        bounds = SMALL.get(array.domain) if isinstance(array.domain, str) else None
        if bounds:
            drawn[array.path] = np.asarray(rng.integers(*bounds, size=array.shape(sizes)), float)
        elif array.domain == "unit":
            drawn[array.path] = np.asarray(rng.integers(1, 4, size=array.shape(sizes)) / 4)
    return {path: exactly(np.asarray(a)) if a.dtype.kind == "f" else a for path, a in drawn.items()}


def _first(one: Compared, wrong: Sequence[str]) -> Example | None:
    for name in wrong:
        mine, right = one.mine.get(name), one.right.get(name)
        if mine is not None and right is not None and np.shape(mine) == np.shape(right):
            entries = np.argwhere(compare(mine, right) == DIFFERENT)
            if len(entries):
                at = tuple(int(i) for i in entries[0])
                return Example(one, name, at, float(arb(np.asarray(mine)[at])), float(arb(np.asarray(right)[at])))
    return None


def _simpler(question: Question, found: Example, tried: Any, left: list[int]) -> Example:
    """One number after the other towards 0 or 1."""
    domains = {array.path: array.domain for array in question.arguments.arrays}
    free = [path for path, domain in domains.items() if isinstance(domain, str) and domain in SMALL]
    if sum(np.size(found.one.at.values[path]) for path in free) > MOST_NUMBERS:
        return found
    for path in free:
        for i in range(np.size(found.one.at.values[path])):
            for number in (0.0, 1.0) if domains[path] == "real" else (1.0,):
                values = found.one.at.values
                if left[0] <= 0 or floats(values[path]).ravel()[i] == number:
                    break
                changed = np.array(values[path], object)
                changed.ravel()[i] = exactly(np.array([number]))[0]
                better = tried(found.one.at._replace(values=dict(values) | {path: changed}))
                if better is not None:
                    found = better
                    break
    return found


def code(question: Question, found: Example) -> list[str]:
    """Lines of Python that reproduce a counterexample below the user's own code."""
    values = found.one.at.values
    if sum(np.size(v) for v in values.values()) > MOST_NUMBERS:
        return []
    name = getattr(question.program.function, "__name__", "f").replace("<lambda>", "f")
    parts, given = question.arguments.parts, list(question.arguments.parts)
    lines = ["import numpy as np", *(f"{part} = {_literal(inner, values)}" for part, inner in parts.items())]
    with precision(BITS):
        extra = question.extra(found.one.at) if question.extra is not None else {}
    lines += [f"{label} = {_array(array)}" for label, array in extra.items()]
    call = f"{name}({', '.join([*given, *extra])})"
    if question.title == "custom rule":
        call = f"{name}({', '.join(given)})"
        if found.output[0] == "d":
            lines.insert(1, "import jax")
            call = f"jax.vjp({name}, {', '.join(given)})[1](g)[{given.index(found.output[1:].split('.')[0])}]"
    else:
        call += _place(question, found)
    entry = f"[{', '.join(map(str, found.entry))}]" if found.entry else ""
    mine, right = apart(found.mine, found.right)
    return [*lines, f"print({call}{entry})  # {mine}, and {right} is right"]


def apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart, six at least."""
    pairs = ((f"{a:.{n}g}", f"{b:.{n}g}") for n in (6, 9, 12, 17))
    return next((pair for pair in pairs if pair[0] != pair[1]), (f"{a:.17g}", f"{b:.17g}"))


def _place(question: Question, found: Example) -> str:
    """Where in the result an output stands."""
    if question.run is None or found.output[0] != "d":
        return ""
    with precision(BITS):
        result = question.run(found.one.at, False).result
    path = found.output[1:]
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        key = next((key for key in (path, f"d{path}") if key in result), None)
        return f"[{key!r}]" if key else "".join(f"[{part!r}]" for part in path.split("."))
    if isinstance(result, (tuple, list)):
        return f"[{list(found.one.mine).index(found.output)}]"
    return ""


def _literal(part: Any, values: Mapping[str, np.ndarray]) -> str:
    if isinstance(part, Array):
        return _array(values[part.path])
    return "{" + ", ".join(f"{key!r}: {_literal(inner, values)}" for key, inner in part.items()) + "}"


def _array(values: Any) -> str:
    if isinstance(values, tuple):
        return f"({', '.join(map(_array, values))}{',' if len(values) == 1 else ''})"
    if isinstance(values, Mapping):
        return "{" + ", ".join(f"{key!r}: {_array(inner)}" for key, inner in values.items()) + "}"
    array = np.asarray(values)
    numbers = array if array.dtype != object else floats(array)
    return f"np.array({numbers.tolist()!r})" if np.ndim(numbers) else repr(numbers.item())
