"""Arguments of any function: their shapes by letters, where their numbers come from, and the sizes of the letters.

    {"W": "k d", "b": "k", "x": "m d"}     letters, numbers, products like 4*h; "" is a scalar; "d>=3" sets a least size

A nested mapping is one argument whose parts can be reached as items and as attributes. An example array in place of a
string fixes shape and type. Sizes are drawn several times: distinct primes, all equal, ones (or the least), and once
larger, beyond blocks, chunks and thresholds on sizes.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.programs import Refused

PRIMES = (3, 5, 2, 7, 11, 13, 17, 19, 23, 29)
EQUAL, LARGER = 4, (9, 33, 6, 17, 10, 35, 8, 12, 20, 21)
MOST = 1_500  # numbers in all arguments together
TERM = re.compile(r"^(?:(\d+)\*)?([A-Za-z_]\w*|\d+)(?:\*(\w+))?(?:>=(\d+))?$")


class BadShapes(Refused):
    """What is wrong with a description of arguments, in one line."""


class Axis(NamedTuple):
    """The size of one axis: a number times the sizes of some letters."""

    number: int
    letters: tuple[str, ...]

    def size(self, sizes: Mapping[str, int]) -> int:
        return self.number * math.prod(sizes[letter] for letter in self.letters)


class Array(NamedTuple):
    """One array of an argument: its path, its axes, its domain, and its type ("float" or "int")."""

    path: str
    axes: tuple[Axis, ...]
    domain: Any
    dtype: str = "float"

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(axis.size(sizes) for axis in self.axes)


class Nested(dict):
    """Several arrays as one argument: params["W1"] and params.W1."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Arguments(NamedTuple):
    """The arguments of a function, in order: a name and an Array, or a mapping of names to such."""

    parts: dict[str, Any]
    least: dict[str, int]

    @property
    def arrays(self) -> list[Array]:
        """All arrays, in order."""
        return _flat(self.parts)

    @property
    def letters(self) -> list[str]:
        return list(dict.fromkeys(letter for array in self.arrays for axis in array.axes for letter in axis.letters))

    @property
    def floating(self) -> list[str]:
        """The paths of the arrays of floats."""
        return [array.path for array in self.arrays if array.dtype == "float"]

    def sizes(self) -> list[dict[str, int]]:
        """The sizes that are drawn for the letters, each draw once."""
        letters = self.letters

        def at_least(numbers: Sequence[int]) -> dict[str, int]:
            return {letter: max(n, self.least.get(letter, 1)) for letter, n in zip(letters, numbers, strict=False)}

        primes = (PRIMES * 2)[: len(letters)]
        draws = [
            at_least(primes),
            at_least(primes[::-1]),
            at_least([EQUAL] * len(letters)),
            at_least([1] * len(letters)),
        ]
        draws += self._larger(at_least((LARGER * 2)[: len(letters)]), draws[0])
        return [draw for i, draw in enumerate(draws) if draw not in draws[:i]]

    def _larger(self, large: dict[str, int], small: dict[str, int]) -> list[dict[str, int]]:
        """All letters large at once; where that makes too many numbers some at a time, each of them once."""
        for parts in range(1, len(large) + 1):
            draws = [{n: (large if i % parts == k else small)[n] for i, n in enumerate(large)} for k in range(parts)]
            if max(sum(math.prod(array.shape(draw)) for array in self.arrays) for draw in draws) <= MOST:
                break
        return draws if large else [large]

    def draw(
        self, sizes: Mapping[str, int], rng: np.random.Generator, scale: Callable[[str], float] | None = None
    ) -> dict[str, np.ndarray]:
        """Numbers for every array by its path. `scale`: what the real ones are multiplied by."""
        return {array.path: _drawn(array, sizes, rng, scale(array.path) if scale else 1.0) for array in self.arrays}

    def repeated(self, values: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """The same numbers with labels that occur often: one label everywhere, and two in turn."""
        labels = {array.path for array in self.arrays if str(array.domain).startswith("labels:")}
        for count in (1, 2) if labels else ():
            few = {p: np.resize(np.ravel(a)[-count:], np.shape(a)) for p, a in values.items() if p in labels and a.size}
            yield dict(values) | few

    def built(self, values: Mapping[str, Any]) -> list[Any]:
        """The arguments as the function takes them, from the values of all arrays."""
        return [_built(part, values) for part in self.parts.values()]


def arguments(shapes: Any, domains: Any = None, names: Sequence[str] = ()) -> Arguments:
    """Read a description of arguments.

    Args:
      shapes: a mapping from names, or a sequence of example arrays that is taken by position.
      domains: a mapping from names (or paths as "params.W1"), or a sequence by position, to "real", "positive", "unit",
        "probabilities", "onehot", "bits", "signs", "labels:c", "integers", "spd" or a function (rng, shape) -> array.
      names: the function's parameter names, for a sequence.

    Raises:
      BadShapes: a size that is none, a domain that is not known, a name that is no argument.
    """
    if isinstance(shapes, str) or not isinstance(shapes, (Mapping, Sequence)) or not shapes:
        raise BadShapes('shapes must be a mapping as {"w": "d", "x": "m d"}, or a list of example arrays')
    if not isinstance(shapes, Mapping):
        listed = list(shapes)
        given = list(names) if len(names) >= len(listed) else [f"argument {i}" for i in range(len(listed))]
        shapes = dict(zip(given, listed, strict=False))
    if domains is not None and not isinstance(domains, Mapping):
        domains = dict(zip(shapes, domains, strict=False))
    least: dict[str, int] = {}
    parts = {name: _read(name, name, part, dict(domains or {}), least) for name, part in shapes.items()}
    found = _as_they_draw(Arguments(parts, least))
    known = {array.path for array in found.arrays} | set(parts)
    for name in domains or {}:
        if name not in known:
            raise BadShapes(f"domains names {name!r}, which is no argument; the arguments are {', '.join(parts)}")
    return found


def _as_they_draw(found: Arguments) -> Arguments:
    """With the type that each function (rng, shape) gives, for whoever draws integers by one of his own."""
    sizes = found.sizes()[0]

    def typed(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: typed(inner) for key, inner in part.items()}
        if not callable(part.domain) or part.dtype == "int":
            return part
        drawn = _called(part, np.random.default_rng(0), part.shape(sizes))
        return part._replace(dtype="int" if drawn.dtype.kind in "iub" else "float")

    return found._replace(parts={name: typed(part) for name, part in found.parts.items()})


def _read(path: str, name: str, part: Any, domains: Mapping[str, Any], least: dict[str, int]) -> Any:
    if isinstance(part, Mapping):
        return {key: _read(f"{path}.{key}", key, inner, domains, least) for key, inner in part.items()}
    domain = domains.get(path, domains.get(name, "real"))
    if isinstance(part, str):
        return _checked(Array(path, tuple(_axis(term, path, least) for term in part.replace(",", " ").split()), domain))
    array = np.asarray(part)
    axes = tuple(Axis(n, ()) for n in array.shape)
    if array.dtype.kind in "iub":
        domain = domain if domain != "real" else lambda rng, shape: array
        return Array(path, axes, domain, "int")
    return _checked(Array(path, axes, domain))


def _axis(term: str, path: str, least: dict[str, int]) -> Axis:
    match = TERM.match(term)
    if match is None:
        raise BadShapes(f"{term!r} in the shape of {path} is no size: a letter, a whole number, 4*h or d>=3")
    factor, first, second, minimum = match.groups()
    number, letters = int(factor or 1), []
    for part in filter(None, (first, second)):
        if part.isdigit():
            number *= int(part)
        else:
            letters.append(part)
    if minimum:
        for letter in letters:
            least[letter] = max(least.get(letter, 1), int(minimum))
    return Axis(number, tuple(letters))


def _checked(array: Array) -> Array:
    domain = array.domain
    if callable(domain) or domain in DOMAINS:
        return array._replace(dtype="int" if domain == "integers" else "float")
    if isinstance(domain, str) and domain.startswith("labels:") and domain[7:]:
        return array._replace(dtype="int")
    known = ", ".join((*DOMAINS, "labels:c"))
    raise BadShapes(f"the domain of {array.path} is {domain!r}; it must be one of {known}, or a function (rng, shape)")


def _onehot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]


def _spd(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    a = rng.normal(size=shape)
    return a @ a.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])


def _probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """In units of 2^-30, so that their sum is 1 exactly."""
    a = rng.uniform(0.2, 1.0, size=shape)
    parts = np.round(a / a.sum(axis=-1, keepdims=True) * 2.0**30)
    parts[..., -1] = 2.0**30 - parts[..., :-1].sum(axis=-1)
    return parts / 2.0**30


DOMAINS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "real": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.2, 2.0, size=shape),
    "unit": lambda rng, shape: rng.uniform(0.05, 0.95, size=shape),
    "probabilities": _probabilities,
    "onehot": _onehot,
    "bits": lambda rng, shape: rng.integers(2, size=shape).astype(float),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "integers": lambda rng, shape: rng.integers(-5, 6, size=shape),
    "spd": _spd,
}


def _drawn(array: Array, sizes: Mapping[str, int], rng: np.random.Generator, scale: float) -> np.ndarray:
    shape, domain = array.shape(sizes), array.domain
    if callable(domain):
        return _as_wanted(_called(array, rng, shape), array, shape)
    if domain in DOMAINS:
        drawn = np.asarray(DOMAINS[domain](rng, shape))
        return np.asarray(drawn * scale) if domain in ("real", "positive") else drawn
    count = domain[7:]
    upper = int(count) if count.isdigit() else sizes.get(count)
    if upper is None:
        raise BadShapes(f"the domain of {array.path} is {domain!r}, and {count} is the size of no axis")
    return rng.integers(upper, size=shape)


def _called(array: Array, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.asarray(array.domain(rng, shape))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise BadShapes(f"the domain of {array.path} is called as (rng, shape), and raised {said}") from error


def _as_wanted(drawn: np.ndarray, array: Array, shape: tuple[int, ...]) -> np.ndarray:
    if drawn.shape != shape:
        raise BadShapes(f"the domain of {array.path} gave an array of shape {drawn.shape}, and {shape} is wanted")
    if drawn.dtype.kind not in "fiub" or not np.isfinite(drawn).all():
        raise BadShapes(f"the domain of {array.path} gave what is no finite number")
    return drawn


def _flat(parts: Mapping[str, Any]) -> list[Array]:
    found: list[Array] = []
    for part in parts.values():
        found += _flat(part) if isinstance(part, Mapping) else [part]
    return found


def _built(part: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(part, Array):
        return values[part.path]
    return Nested({name: _built(inner, values) for name, inner in part.items()})
