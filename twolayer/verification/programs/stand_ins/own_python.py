"""NumPy's and SciPy's functions that are written in Python, run over balls as people's code is.

A copy of the function looks its names up here: what NumPy makes public becomes its stand-in, a function that stands
beside it is copied in its turn. So np.cov, np.percentile or np.gradient need no rule of their own.
"""

import builtins
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np


def written_in_python(native: Any, public: Callable[[str, Any], Any]) -> Callable | None:
    """The function over balls, or None where it is not written in Python.

    Args:
      native: NumPy's function.
      public: from the name of a public one, as "linalg.svd", and the value to its stand-in.
    """
    function = getattr(native, "_implementation", native)
    return _copied(function, public) if isinstance(function, types.FunctionType) else None


@functools.cache
def _copied(function: types.FunctionType, public: Callable) -> Callable:
    """A copy of the function whose global names are found as they are read."""
    names = _Names(function.__globals__, public)
    defaults = _stood_in(function.__defaults__, public)
    twin = types.FunctionType(function.__code__, names, function.__name__, defaults, function.__closure__)
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


class _Names(dict):
    """The global names of a module of NumPy's, each found as it is read."""

    def __init__(self, original: dict, public: Callable):
        super().__init__()
        self.original, self.public = original, public
        self["__builtins__"] = vars(builtins) | {"float": public("float", float)}

    def __missing__(self, name: str) -> Any:
        self[name] = value = _stood_in(self.original[name], self.public)
        return value


def _stood_in(value: Any, public: Callable) -> Any:
    """A value of NumPy's module as its copies shall see it."""
    if isinstance(value, (dict, list, tuple)) and type(value) in (dict, list, tuple):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        found = {key: _stood_in(entry, public) for key, entry in entries}
        return found if isinstance(value, dict) else type(value)(found.values())
    if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] == "numpy":
        return _Module(value, public)
    name = getattr(value, "__name__", None)
    for folder, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        if isinstance(name, str) and getattr(module, name, None) is value:
            return public(f"{folder}{name}", value)
    if isinstance(value, float):
        return public("pi", value) if value == np.pi else value
    return written_in_python(value, public) or value


class _Module:
    """A module of NumPy's: its public names are stand-ins, of its private ones the functions are copied."""

    def __init__(self, original: types.ModuleType, public: Callable):
        self._module, self._public = original, public
        self._names = _Names(vars(original), public)

    def __getattr__(self, name: str) -> Any:
        if name in vars(self._module):
            return self._names[name]
        return _stood_in(getattr(self._module, name), self._public)  # some are loaded when they are asked for
