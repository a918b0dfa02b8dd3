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

from twolayer.verifier.numbers.balls import DIFFERENCE_BITS, Ball, precision
from twolayer.verifier.numbers.rounded import Rounded, run_floats
from twolayer.verifier.programs import NotJudged, Refused, Run
from twolayer.verifier.programs.source import Source, execute, explained, quiet, read
from twolayer.verifier.programs.stand_ins import modules
from twolayer.verifier.programs.stand_ins.arrays import NUMBER, Array, as_balls, wrap
from twolayer.verifier.programs.stand_ins.numpy_module import NUMPY
from twolayer.verifier.programs.watch import Watch, watching

LOAD_BITS = DIFFERENCE_BITS + 64  # constants of the top level serve whatever is computed later


class File:
    """A file of people's code. Each of its names is loaded when it is asked for, with what it needs."""

    def __init__(self, path: str | pathlib.Path):
        self.path = pathlib.Path(path)
        self.source = Source(str(self.path), read(self.path))
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
            raise Refused(f"{self.path}: it defines no {name}") from None
        if not callable(function):
            raise Refused(f"{self.path}: {name} is no function")
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
            with explained(source), quiet(), np.errstate(all="ignore"):
                with watching(watcher) if watch else contextlib.nullcontext():
                    result = self.function(*given)
                result = mapped(result, _result)
        except NotJudged as e:
            self._raise_as_in_floats(e, source, arguments)
        finally:
            NUMBER.reset(token)
        return Run(result, watcher.settings())

    def with_source(self, text: str) -> "NumpyProgram":
        """The function of this name in a changed text of its file."""
        file = File.__new__(File)
        file.path, file.source, file._spaces = pathlib.Path(self.filename or ""), Source(self.filename or "", text), {}
        return file.program(self.name)

    def _raise_as_in_floats(self, error: NotJudged, source: Source, arguments: tuple) -> None:
        """What fails over floats too is an error of the code, not an operation that is not known."""
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, NotJudged) and self.floats:
            with explained(source):
                run_floats(self.floats(), arguments, "float64")
        raise error

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


class Copies:
    """Copies of functions, classes and values whose global names mean the stand-ins."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}
        self.kept: list = []  # what was copied stays alive, so that an identity means one object

    def of(self, value: Any) -> Any:
        """The copy of a value; the value itself where nothing in it needs one."""
        if id(value) not in self.made:
            self.kept.append(value)
            self.made[id(value)] = value
            self.made[id(value)] = self._copied(value)
        return self.made[id(value)]

    def _copied(self, value: Any) -> Any:
        stand_in = _stand_in_for(value)
        if stand_in is not None:
            return stand_in
        if isinstance(value, types.FunctionType) and not _is_library(value.__module__):
            return self._function(value)
        if isinstance(value, np.vectorize):
            return NUMPY.vectorize(self.of(value.pyfunc), value.otypes)
        if isinstance(value, functools.partial):
            return functools.partial(
                self.of(value.func), *map(self.of, value.args), **{k: self.of(v) for k, v in value.keywords.items()}
            )
        if isinstance(value, types.MethodType):
            return types.MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, (staticmethod, classmethod)):
            return type(value)(self.of(value.__func__))
        if isinstance(value, property):
            return property(*map(self.of, (value.fget, value.fset, value.fdel)))
        if isinstance(value, type):
            return value if _is_library(value.__module__) else self._class(value)
        if isinstance(value, np.ndarray):
            return wrap(value)
        if type(value) in (list, tuple, set):
            return type(value)(map(self.of, value))
        if type(value) is dict:
            return {k: self.of(v) for k, v in value.items()}
        if not _is_library(type(value).__module__) and hasattr(value, "__dict__"):
            twin = copy.copy(value)
            self.made[id(value)] = twin
            twin.__dict__.update({k: self.of(v) for k, v in vars(value).items()})
            twin.__class__ = self.of(type(value))
            return twin
        return value

    def _function(self, f: types.FunctionType) -> types.FunctionType:
        space = self._globals(f.__globals__)
        cells = None if f.__closure__ is None else tuple(types.CellType() for _ in f.__closure__)
        twin = types.FunctionType(f.__code__, space, f.__name__, None, cells)
        self.made[id(f)] = twin
        twin.__defaults__ = self.of(f.__defaults__)
        twin.__kwdefaults__ = self.of(f.__kwdefaults__)
        for cell, old in zip(cells or (), f.__closure__ or (), strict=True):
            cell.cell_contents = self.of(old.cell_contents)
        for name in sorted(_names_of(f.__code__) & set(f.__globals__)):
            if name not in space:
                space[name] = f.__globals__[name]
                space[name] = self.of(f.__globals__[name])
        return twin

    def _globals(self, original: dict) -> dict:
        key = id(original)
        if key not in self.made:
            builtins = modules.builtins_of(None, lambda *a: None)
            self.made[key] = {"__name__": original.get("__name__", "derivation"), "__builtins__": builtins}
        return self.made[key]

    def _class(self, cls: type) -> type:
        space = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__") and not _is_slot(v)}
        twin = type(cls)(cls.__name__, tuple(map(self.of, cls.__bases__)), space)
        self.made[id(cls)] = twin
        for name, value in space.items():
            if callable(value) or isinstance(value, (staticmethod, classmethod, property, np.ndarray)):
                setattr(twin, name, self.of(value))
        return twin


def _is_slot(value: Any) -> bool:
    return isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))


def _names_of(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names_of, inner))


def _is_library(module: str | None) -> bool:
    import sys

    top = (module or "").split(".")[0]
    return top in sys.stdlib_module_names - {"__main__"} or top in ("numpy", "jax", "scipy", "flint")


def _stand_in_for(value: Any) -> Any:
    """The stand-in for a module, or for a function or class of one."""
    if isinstance(value, types.ModuleType):
        known = value.__name__.split(".")[0] in ("numpy", "math", "random", "scipy", "jax", "time")
        return modules.stand_in(value.__name__, None, lambda *a: None) if known else None
    module = getattr(value, "__module__", None) or (type(value).__module__ if isinstance(value, np.ufunc) else None)
    name = getattr(value, "__name__", None)
    if value is float:
        return modules.Float
    if isinstance(module, str) and isinstance(name, str) and module.split(".")[0] in ("numpy", "math", "scipy", "jax"):
        place = "numpy" if isinstance(value, np.ufunc) else _public(module)
        return getattr(modules.stand_in(place, None, lambda *a: None), name, None)
    return None


def _public(module: str) -> str:
    parts = [p for p in module.split(".") if not p.startswith("_")]
    return (
        "jax.numpy"
        if module.startswith("jax._src.numpy")
        else "jax.nn"
        if module.startswith("jax._src.nn")
        else ".".join(parts)
    )


def real_builtins(folder: pathlib.Path) -> dict:
    """The builtins for a run over floats: the real numerical modules, and nothing on the screen."""
    exact = modules.builtins_of(folder, lambda *a: None)
    stood_in = exact["__import__"]

    def import_(name: str, *rest: Any) -> Any:
        top = name.split(".")[0]
        return stood_in(name, *rest) if top in modules.PLOTS | modules.TABLES | {"tqdm"} else __import__(name, *rest)

    return exact | {"__import__": import_, "float": float}


def mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """A copy of a structure with `leaf` applied to its arrays and numbers: in dicts, lists, tuples and attributes."""
    if (
        isinstance(value, (np.ndarray, np.generic, Ball, int, float, str, modules.Nothing))
        or value is None
        or callable(value)
    ):
        return leaf(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(v, leaf) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, leaf) for v in value)
    if isinstance(value, dict):
        return {k: mapped(v, leaf) for k, v in value.items()}
    if hasattr(value, "__dict__"):
        twin = copy.copy(value)
        for name, entry in vars(value).items():
            object.__setattr__(twin, name, mapped(entry, leaf))
        return twin
    return leaf(value)


def _argument(value: Any) -> Any:
    return wrap(np.array(value)) if isinstance(value, np.ndarray) else wrap(value)


def _jax_argument(value: Any) -> Any:
    from twolayer.verifier.programs.stand_ins.jax_module import in_jax

    return in_jax(_argument(value))


def _result(value: Any) -> Any:
    if isinstance(value, modules.Nothing):
        raise NotJudged(value._name, line=value._line)
    if isinstance(value, Array) or isinstance(value, np.ndarray):
        array = np.asarray(value)
        return as_balls(array).copy() if array.dtype.kind in "Of" else array.copy()
    return wrap(value) if isinstance(value, (float, np.floating)) else value


def _balls_in(value: Any) -> Iterator[Ball]:
    """One ball of each array in a structure."""
    found: list[Ball] = []

    def leaf(v: Any) -> Any:
        first = v.ravel().tolist()[:1] if isinstance(v, np.ndarray) else [v]
        found.extend(b for b in first if isinstance(b, Ball))
        return v

    mapped(value, leaf)
    return iter(found)
