"""What a derivation returned, by the names of the arguments; and what is meant to differ from the derivative."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from twolayer.verification.evidence.questions import At
from twolayer.verification.evidence.shapes import Arguments
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.programs import Refused
from twolayer.verification.programs.load import program_of
from twolayer.verification.reference import leaves

VALUE = "value"


def named(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs under the names "value", "value[0]", ...: those that are numbers."""
    return {
        f"{VALUE}{path if path.startswith('[') or not path else f'.{path}'}": array for path, array in outputs.items()
    }


def by_argument(result: Any, spec: Arguments, wanted: Sequence[str], argnums: Any) -> dict[str, np.ndarray]:
    """What a derivation returned, by the paths of the arguments, as "dW1".

    Raises:
      Refused: a name that is no argument, or another number of arrays.
    """
    if result is None:
        raise Refused("it returned nothing")
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        return _of_mapping(result, spec)
    if isinstance(result, (tuple, list)) and len(wanted) != 1:
        if len(result) != len(wanted):
            raise Refused(f"it returned {len(result)} arrays for the {len(wanted)} arguments {', '.join(wanted)}")
        return {f"d{p}": numbers(a, p) for p, a in zip(wanted, result, strict=True) if a is not None}
    result = result[0] if isinstance(result, (tuple, list)) and len(result) == 1 else result
    if len(wanted) != 1:
        if argnums is None and not isinstance(result, (tuple, list)):
            return {f"d{wanted[0]}": numbers(result, wanted[0])}
        raise Refused(f"it returned one array for the arguments {', '.join(wanted)}")
    return {f"d{wanted[0]}": numbers(result, wanted[0])}


def _of_mapping(result: Mapping[str, Any], spec: Arguments) -> dict[str, np.ndarray]:
    found = {}
    for path, array in leaves(result).items():
        known = next((p for p in (path, path[1:] if path.startswith("d") else path) if p in spec.floating), None)
        if known is None:
            raise Refused(f"it returned {path!r}, which is no argument; the arguments are {', '.join(spec.floating)}")
        found[f"d{known}"] = numbers(array, known)
    return found


def numbers(value: Any, path: str) -> np.ndarray:
    """What was returned for an argument, as an array of real numbers.

    Raises:
      Refused: it is something else.
    """
    flat = np.asarray(value, object).ravel().tolist() if np.ndim(value) else []
    if flat and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in flat):
        raise Refused(f"it returned integers for {path}: a derivative is an array of floats")
    array = np.asarray(value, object)
    other = next((v for v in array.ravel().tolist() if not isinstance(v, (Ball, int, float, np.number))), None)
    if other is not None:
        raise Refused(f"it returned a {type(other).__name__} for {path}, and numbers are wanted")
    return array


def expected(found: dict[str, np.ndarray], expects: Any, spec: Arguments, at: At, outer: Callable) -> dict:
    """The right derivatives, with those that are meant to be others.

    Raises:
      Refused: `expects` names no argument of floats, or is neither "zero" nor a function.
    """
    for name, wanted in (expects or {}).items():
        path = name if name in found else name.removeprefix("d")
        if path not in found:
            raise Refused(f"expects names {name!r}, which is no argument of floats")
        if wanted == "zero":
            found = found | {path: zeros(found[path])}
            continue
        if not callable(wanted):
            raise Refused(f'expects[{name!r}] is {wanted!r}; it must be "zero" or a function')
        program = program_of(wanted)
        extra = [next(iter(outer(at).values()))] if len(inspect.signature(wanted).parameters) > len(spec.parts) else []
        found = found | {path: np.asarray(program.run(*spec.built(at.values), *extra).result, object)}
    return found


def by_place(outputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a tuple returns under the names that the other side has for its parts, or the other way."""
    places = [all(name.endswith("]") for name in some) for some in (outputs, names)]
    if len(outputs) != len(names) or places[0] == places[1]:
        return dict(outputs)
    return dict(zip(names, outputs.values(), strict=True))


def ones(array: np.ndarray) -> np.ndarray:
    """The cotangent of a loss.

    Raises:
      Refused: it is no single number.
    """
    if np.size(array) != 1:
        raise Refused(f"the loss must return one number; it returned an array of shape {np.shape(array)}")
    return np.full(np.shape(array), Ball(1), object) if np.ndim(array) else np.asarray(Ball(1), object)


def zeros(array: np.ndarray) -> np.ndarray:
    """Zeros of the shape of an array."""
    return np.full(np.shape(array), Ball(0), object)
