"""Copies of function objects whose global names mean the stand-ins; the module they come from stays as it is."""

import copy
import dis
import functools
import sys
import types
from typing import Any

import numpy as np

from twolayer.verification.programs.stand_ins import modules
from twolayer.verification.programs.stand_ins.arrays import wrap
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY


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
        module = getattr(value, "__module__", None) or type(value).__module__
        if str(module).startswith(_STAND_INS):
            return value  # of a function that is a copy already
        if type(value).__name__ in ("custom_vjp", "custom_jvp") and hasattr(value, "fun"):
            return self.of(value.fun)  # a JAX function with a rule of its own: what it computes
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
        if isinstance(value, (list, tuple, set)) and type(value) in (list, tuple, set):
            return type(value)(map(self.of, value))
        if type(value) is dict:
            return {k: self.of(v) for k, v in value.items()}
        if not _is_library(type(value).__module__) and hasattr(value, "__dict__"):
            twin = copy.copy(value)
            self.made[id(value)] = twin
            twin.__dict__.update({k: self.of(v) for k, v in vars(value).items()})
            object.__setattr__(twin, "__class__", self.of(type(value)))  # also where the class refuses it
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
        for name in sorted(global_names(f.__code__) & set(f.__globals__)):
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
        try:
            twin = type(cls)(cls.__name__, tuple(map(self.of, cls.__bases__)), space)
        except Exception:
            return cls  # it cannot be made again, as an enumeration
        self.made[id(cls)] = twin
        for name, value in space.items():
            if callable(value) or isinstance(value, (staticmethod, classmethod, property, np.ndarray)):
                setattr(twin, name, self.of(value))
        return twin


def _is_slot(value: Any) -> bool:
    return isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))


def global_names(code: types.CodeType) -> set[str]:
    """The names that a function, and those inside it, read from their module; attributes such as .T are none."""
    read = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return read.union(*map(global_names, inner))


def _is_library(module: str | None) -> bool:
    top = (module or "").split(".")[0]
    return top in sys.stdlib_module_names - {"__main__"} or top in ("numpy", "jax", "scipy", "flint")


def _stand_in_for(value: Any) -> Any:
    """The stand-in for a module, or for a function or class of one."""
    if isinstance(value, types.ModuleType):
        known = value.__name__.split(".")[0] in ("numpy", "math", "cmath", "random", "scipy", "jax", "time")
        return modules.stand_in(value.__name__, None, lambda *a: None) if known else None
    if value is float or value is complex:
        return modules.Float if value is float else modules.Complex
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__name__", None) or getattr(value, "name", None)  # a law of scipy.stats has a name
    if isinstance(module, str) and isinstance(name, str) and module.split(".")[0] in _STOOD_IN:
        own = isinstance(value, np.ufunc) and getattr(np, name, None) is not value
        place = "scipy.special" if own else "numpy" if isinstance(value, np.ufunc) else _public(module)
        return getattr(modules.stand_in(place, None, lambda *a: None), name, None)
    return None


_STAND_INS = modules.__name__.rpartition(".")[0]
_STOOD_IN = ("numpy", "math", "cmath", "scipy", "jax")


def _public(module: str) -> str:
    """The module in which people find what a library keeps in this one."""
    found = ".".join(part for part in module.split(".") if not part.startswith("_"))
    whole = ("jax.numpy", "jax.nn") if module.startswith("jax._src") else ()
    return next((name for name in whole if found.startswith(name)), found)
