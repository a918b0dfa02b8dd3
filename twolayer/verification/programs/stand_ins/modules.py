"""What an import in people's code gives: stand-ins for numerical modules, nothing for plots, the rest as it is."""

import builtins
import functools
import importlib
import importlib.util
import io
import math
import numbers
import pathlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.complexes import CMATH, Complex
from twolayer.verification.numbers.functions import SHORT_NAMES
from twolayer.verification.programs import Refused
from twolayer.verification.programs.stand_ins import scipy_module
from twolayer.verification.programs.stand_ins.arrays import plain
from twolayer.verification.programs.stand_ins.nothing import Nothing
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, Float, Module
from twolayer.verification.programs.stand_ins.one_number import OURS as UFUNCS
from twolayer.verification.programs.stand_ins.one_number import ball, pi
from twolayer.verification.programs.stand_ins.randomness import PythonRandom

numbers.Real.register(Ball)  # isinstance(value, numbers.Number)


def _one(value: Any) -> Ball:
    """The number that a function of math is given: Python's own, or an array of one."""
    value = plain(value)
    return ball(value.item() if isinstance(value, np.ndarray) else value)


def _of_math(name: str) -> Callable:
    """A function of math over balls, which raises where math does."""

    def function(value: Any) -> Any:
        result = UFUNCS[name](_one(value)) if name in UFUNCS else getattr(_one(value), SHORT_NAMES.get(name, name))()
        if isinstance(result, Ball) and not result.v.is_finite() and _one(value).v.is_finite():
            raise ValueError("math domain error")
        return result

    return function


def _log(value: Any, base: Any = None) -> Ball:
    return _of_math("log")(value) if base is None else _of_math("log")(value) / _of_math("log")(base)


def _sum(values: Any) -> Any:
    return sum(values, start=ball(0))


_CONSTANTS = {"pi": pi, "e": lambda: ball(1).exp(), "tau": lambda: 2 * pi()}  # to today's precision
MATH = Module("math", lambda name: _CONSTANTS[name]() if name in _CONSTANTS else getattr(math, name))
_OF_MATH = (
    "exp exp2 expm1 log2 log10 log1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc"
    " gamma lgamma fabs isnan isinf isfinite degrees radians"
)
MATH.__dict__.update({name: _of_math(name) for name in _OF_MATH.split()})
MATH.__dict__.update(
    log=_log, fsum=_sum, pow=lambda a, b: _one(a) ** _one(b), prod=math.prod,
    floor=lambda v: math.floor(_one(v)), ceil=lambda v: math.ceil(_one(v)), trunc=lambda v: int(_one(v)),
    atan2=lambda a, b: UFUNCS["arctan2"](_one(a), _one(b)), copysign=lambda a, b: UFUNCS["copysign"](_one(a), _one(b)),
    hypot=lambda *v: _sum(_one(x) ** 2 for x in v).sqrt(), fmod=lambda a, b: UFUNCS["fmod"](_one(a), _one(b)),
    dist=lambda a, b: _sum((_one(x) - _one(y)) ** 2 for x, y in zip(a, b, strict=True)).sqrt(),
    isclose=lambda a, b, rel_tol=1e-9, abs_tol=0: (
        abs(_one(a) - b) <= max(max(abs(_one(a)), abs(_one(b))) * rel_tol, ball(abs_tol))
    ),
    __all__=[name for name in dir(math) if not name.startswith("_")],
)  # fmt: skip
NUMPY.__dict__["math"] = MATH  # as old NumPy had it


class Progress:
    """tqdm: the iterable itself."""

    def __init__(self, iterable: Any = (), *args: Any, **kwargs: Any):
        self._iterable = iterable

    def __iter__(self) -> Iterator:
        return iter(self._iterable)

    def __len__(self) -> int:
        return len(self._iterable)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *args: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Callable:
        return lambda *args, **kwargs: None


PLOTS = set(
    "matplotlib mpl_toolkits pylab seaborn plotly bokeh IPython ipywidgets google graphviz turtle tkinter wandb"
    " tensorboard".split()
)
TABLES = set(
    "pandas sklearn cv2 PIL skimage imageio h5py torchvision torchtext mnist datasets polars statsmodels xgboost"
    " requests".split()
)
LEARNERS = {
    "torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras", "mxnet": "MXNet", "cupy": "CuPy",
    "autograd": "autograd", "numba": "numba",
}  # fmt: skip


class NotHere(Refused, ImportError):
    """A library that is not stood in for; code that can do without it catches an ImportError."""


def stand_in(name: str, folder: pathlib.Path | None, load: Callable) -> Any:
    """The module of this dotted name, and ImportError as Python has it."""
    top = name.split(".")[0]
    if top in ("jax", "flax", "optax"):
        from twolayer.verification.programs.stand_ins import jax_balls

        return jax_balls.JAX[name] if name in jax_balls.JAX else Nothing(name, False)
    if name in MODULES:
        return MODULES[name]
    if top == "numpy":
        return functools.reduce(getattr, name.split(".")[1:], NUMPY)
    if top in PLOTS or top in TABLES or top == "scipy":
        return Nothing(name, top in PLOTS)
    if top in LEARNERS:
        raise NotHere(
            f"code that uses {LEARNERS[top]} is not judged here: write the derivation with NumPy or jax.numpy"
        )
    file = None if folder is None else folder / (name.replace(".", "/") + ".py")
    if file is not None and file.is_file():
        return load(file, name)
    if top in sys.stdlib_module_names or top == "twolayer":
        return importlib.import_module(name)
    if importlib.util.find_spec(top) is None:
        raise ModuleNotFoundError(f"No module named {top!r}")
    return Nothing(name, False)


_CMATH = Module("cmath", lambda name: getattr(MATH, name), **CMATH)
RANDOM = PythonRandom()
_TQDM = types.SimpleNamespace(tqdm=Progress, trange=lambda *a, **k: Progress(range(*a)), tqdm_notebook=Progress)
_SLEEPLESS = types.ModuleType("time")
_SLEEPLESS.__dict__.update(importlib.import_module("time").__dict__, sleep=lambda seconds: None)
MODULES = {
    "numpy": NUMPY, "math": MATH, "random": RANDOM, "time": _SLEEPLESS, "cmath": _CMATH, "tqdm": _TQDM,
    "tqdm.notebook": _TQDM, "tqdm.auto": _TQDM, **scipy_module.MODULES,
}  # fmt: skip


def importer(folder: pathlib.Path | None, load: Callable) -> Callable:
    """An `__import__` for people's code."""

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        module = stand_in(name, folder, load)
        if "." in name and not fromlist:  # `import a.b` binds a, where b must be found
            top = stand_in(name.split(".")[0], folder, load)
            if not hasattr(top, name.split(".")[1]):
                setattr(top, name.split(".")[1], module)
            return top
        for part in fromlist or ():
            if part != "*" and not hasattr(module, part) and f"{name}.{part}" in MODULES:
                setattr(module, part, MODULES[f"{name}.{part}"])
        return module

    return import_


def opened(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """open(): files are read, and what is written goes nowhere."""
    if any(letter in mode for letter in "wax+"):
        return io.BytesIO() if "b" in mode else io.StringIO()
    return open(path, mode, *args, **options)


def builtins_of(folder: pathlib.Path | None, load: Callable) -> dict:
    """The builtins of people's code: it prints nothing, asks nothing, and its floats may be balls."""
    return builtins.__dict__ | {
        "__import__": importer(folder, load), "float": Float, "complex": Complex,
        "print": lambda *a, **k: None, "input": lambda *a: "",
        "open": opened, "display": lambda *a, **k: None, "get_ipython": lambda: Nothing("IPython", True),
    }  # fmt: skip
