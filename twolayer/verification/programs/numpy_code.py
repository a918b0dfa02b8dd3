"""Run people's NumPy and plain Python functions over balls, as they stand, and over floats as they stand."""

import contextlib
import copy
import functools
import inspect
import linecache
import pathlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import DIFFERENCE_BITS, MORE_BITS, Ball, arb, precision, truths
from twolayer.verification.numbers.complexes import Complex, parts
from twolayer.verification.numbers.recorded import uncollected
from twolayer.verification.numbers.rounded import Rounded
from twolayer.verification.programs import NotJudged, RaisedInside, Refused, Run
from twolayer.verification.programs.copies import Copies
from twolayer.verification.programs.execution import execute, explained, not_known, quiet
from twolayer.verification.programs.local_variables import Watch, watching
from twolayer.verification.programs.source import Source, read
from twolayer.verification.programs.stand_ins import modules
from twolayer.verification.programs.stand_ins.arrays import Array, as_balls, wrap
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, OLD_NAMES, Module
from twolayer.verification.programs.stand_ins.one_number import NUMBER, ball

LOAD_BITS = max(DIFFERENCE_BITS, *MORE_BITS) + 64  # constants of the top level serve whatever is computed later


class File:
    """A file of people's code, or a changed text of it. A name is loaded when it is asked for, with what it needs."""

    def __init__(self, path: str | pathlib.Path, text: str | None = None):
        self.path = pathlib.Path(path)
        self.source = Source(str(self.path), read(self.path) if text is None else text)
        self._spaces: dict[tuple[str, bool], dict] = {}
        self._modules: dict[pathlib.Path, types.ModuleType] = {}

    def names(self) -> set[str]:
        """What the top level defines."""
        return self.source.names()

    def get(self, name: str, exact: bool = True) -> Any:
        """The value of a name: over balls, or (not exact) as the file stands, with the real modules.

        Raises:
          Refused, RaisedInside, NotJudged: it cannot be loaded, in one line.
          KeyError: there is none.
        """
        if (name, exact) not in self._spaces:
            self._spaces[name, exact] = self._load(name, exact)
        return self._spaces[name, exact][name]

    def _load(self, name: str, exact: bool) -> dict:
        NUMPY.random.restart()
        modules.RANDOM.restart()
        builtins = modules.builtins_of(self.path.parent, self._module) if exact else real_builtins(self.path.parent)
        with precision(LOAD_BITS):
            return execute(self.source, {name}, builtins, exact)

    def _module(self, path: pathlib.Path, name: str) -> types.ModuleType:
        """A module of the user's that stands beside the file."""
        if path in self._modules:
            return self._modules[path]
        source = Source(str(path), read(path))
        module = self._modules[path] = types.ModuleType(name)
        space = execute(source, source.names(), modules.builtins_of(path.parent, self._module))
        module.__dict__.update({k: v for k, v in space.items() if k != "__builtins__"})
        return module

    def program(self, name: str) -> "NumpyProgram":
        """A function of the file.

        Raises:
          Refused: the file does not define it, or not as a function; and what `get` raises.
        """
        try:
            function = self.get(name)
        except KeyError:
            raise Refused(f"{self.path.name}: it defines no {name}") from None
        if not callable(function):
            raise Refused(f"{self.path.name}: {name} is no function")
        return NumpyProgram(function, self.source, name, lambda: self.get(name, exact=False))


class NumpyProgram:
    """A function over balls. `floats()` is the same function as it stands, on NumPy's own arrays."""

    def __init__(self, function: Callable, source: Source | None, name: str, as_it_stands: Callable | None = None):
        self.function, self._source, self.name, self.floats = function, source, name, as_it_stands
        self.filename = None if source is None else source.filename
        self.source = None if source is None else source.text
        self.parameters = parameters(function)

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        """What the function returns for these arguments, which it gets as copies.

        Random numbers that it draws without a seed differ from run to run (stand_ins/randomness.py).

        Raises:
          Undecided: the balls leave a comparison open.
          RaisedInside, Refused, NotJudged: see there.
        """
        source = self._source or Source("<function>", "")
        watcher = Watch(source)
        kinds = {type(v) for v in _balls_in(arguments)}
        token = NUMBER.set(Rounded if kinds == {Rounded} else Ball)
        try:
            given = [mapped(a, _jax_argument if source.only_jax else _argument) for a in arguments]
            kind = np.bool_ if source.uses("numpy") else bool
            with explained(source), quiet(), truths(kind), uncollected():
                with watching(watcher) if watch else contextlib.nullcontext():
                    result = self.function(*given)
                result = mapped(result, _result)
        except (NotJudged, RaisedInside) as e:
            self._raise_as_in_floats(e, source, arguments)
        finally:
            NUMBER.reset(token)
        return Run(result, watcher.settings())

    def _raise_as_in_floats(self, error: Exception, source: Source, arguments: tuple) -> None:
        """What fails over floats too is an error of the code; what does not is an operation that is not known here."""
        cause = error.__cause__
        if self.floats is None or cause is None or isinstance(cause, NotJudged) or source.only_jax:
            raise error
        with explained(source):
            run_floats(self.floats(), arguments, "float64")
        if isinstance(error, NotJudged):
            raise error
        raise not_known(cause, source)

    def with_source(self, text: str) -> "NumpyProgram":
        """The function of this name in a changed text of its file."""
        return File(self.filename or "", text).program(self.name)

    def literals(self) -> tuple[float, ...]:
        """The numbers in the code that the function needs, without 0, 1, -1 and indices."""
        return () if self._source is None else self._source.literals({self.name})

    def thresholds(self) -> tuple[str, ...]:
        """What may act at some sizes of numbers only: "clip at homework.py:12"."""
        return () if self._source is None else self._source.thresholds({self.name})


def parameters(function: Callable) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds)
    except (TypeError, ValueError):
        return ()


def from_function(function: Callable) -> NumpyProgram:
    """A function object over balls: a copy, and copies of what it calls of its module; the module stays as it is."""
    inner = inspect.unwrap(function.func if isinstance(function, functools.partial) else function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    with precision(LOAD_BITS):
        copied = Copies().of(function)
    if code is None and copied is function:
        raise Refused(f"{function!r} is no function written in Python")
    source = None if code is None else Source(code.co_filename, "".join(linecache.getlines(code.co_filename)))
    return NumpyProgram(copied, source, getattr(inner, "__name__", "function"), lambda: function)


def real_builtins(folder: pathlib.Path) -> dict:
    """The builtins for a run over floats: the real numerical modules, and nothing on the screen."""
    exact = modules.builtins_of(folder, lambda *a: None)
    stood_in = exact["__import__"]

    def import_(name: str, *rest: Any) -> Any:
        if name.split(".")[0] in modules.PLOTS | modules.TABLES | {"tqdm"}:
            return stood_in(name, *rest)
        module = __import__(name, *rest)
        return WITH_OLD_NAMES if module is np else module

    return exact | {"__import__": import_, "float": float}


WITH_OLD_NAMES = Module(
    "numpy", lambda name: OLD_NAMES[name] if name in OLD_NAMES else getattr(np, name), __all__=NUMPY.__all__
)


_LEAVES = (np.ndarray, np.generic, Ball, int, float, str, modules.Nothing)


def mapped(value: Any, leaf: Callable[[Any], Any], inside: tuple = ()) -> Any:
    """A copy of a structure with `leaf` applied to its arrays and numbers: in dicts, lists, tuples and attributes."""
    if isinstance(value, _LEAVES) or value is None or callable(value) or id(value) in inside:
        return leaf(value)
    inside = (*inside, id(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(v, leaf, inside) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, leaf, inside) for v in value)
    if isinstance(value, dict):
        found = {k: mapped(v, leaf, inside) for k, v in value.items()}
        if type(value) is dict:
            return found
        twin = copy.copy(value)  # a dict with more to it, such as entries as attributes
        twin.update(found)
        return twin
    if hasattr(value, "__dict__"):
        twin = copy.copy(value)
        for name, entry in vars(value).items():
            object.__setattr__(twin, name, mapped(entry, leaf, inside))
        return twin
    return leaf(value)


def _argument(value: Any) -> Any:
    return wrap(np.array(value)) if isinstance(value, np.ndarray) else wrap(value)


def _jax_argument(value: Any) -> Any:
    from twolayer.verification.programs.stand_ins.jax_balls import in_jax

    return in_jax(_argument(value))


def _result(value: Any) -> Any:
    if isinstance(value, modules.Nothing):
        raise NotJudged(value._name, line=value._line)
    if isinstance(value, Array) or isinstance(value, np.ndarray):
        array = np.asarray(value)
        return _split(as_balls(array).copy()) if array.dtype.kind in "Ofc" else array.copy()
    if isinstance(value, (complex, Complex)):
        found = _split(np.array([ball(value), None], object)[:1])
        return found[0] if isinstance(found, np.ndarray) else {name: part[0] for name, part in found.items()}
    return wrap(value) if isinstance(value, (float, np.floating)) else value


def _split(array: np.ndarray) -> Any:
    """Complex numbers as two arrays, or as one where there is nothing imaginary about them."""
    re, im = parts(array)
    if im is None or all(v.v.contains(0) for v in im.ravel().tolist()):
        return re
    return {"real": re, "imag": im}


def _balls_in(value: Any) -> Iterator[Ball]:
    """One ball of each array in a structure."""
    found: list[Ball] = []

    def leaf(v: Any) -> Any:
        first = v.ravel().tolist()[:1] if isinstance(v, np.ndarray) else [v]
        found.extend(b for b in first if isinstance(b, Ball))
        return v

    mapped(value, leaf)
    return iter(found)


def run_floats(function: Callable, arguments: tuple, dtype: str) -> Any:
    """Call a function as it stands on NumPy's own arrays of "float32" or "float64".

    arguments: nested structures; balls and floats in them become the nearest floats, integers stay.
    """

    def leaf(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind in "Of":
            flat = [float(arb(v)) for v in np.asarray(value).ravel().tolist()]
            return np.array(flat, dtype).reshape(value.shape)
        return np.dtype(dtype).type(float(value.v)) if isinstance(value, Ball) else value

    with quiet():
        return function(*(mapped(a, leaf) for a in arguments))
