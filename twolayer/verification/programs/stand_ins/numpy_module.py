"""The module that people's code gets for `numpy`: the same functions by the same names, over balls.

A name is one of OURS (numpy_functions.py, numpy_linalg.py, numpy_fft.py), of MOVES (NumPy's own function, which moves
entries about or combines them by operators, so that it is right on objects), of LOOKS (it asks about shapes, or sets
how things print), a ufunc or a class. Any other runs on integers, or is made of those in Python (own_python.py), or is
NotJudged.
"""

import math
import types
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins.arrays import Array, apply, cast, is_real, lift, plain, real_dtype, wrap
from twolayer.verification.programs.stand_ins.nothing import refused
from twolayer.verification.programs.stand_ins.numpy_functions import OURS
from twolayer.verification.programs.stand_ins.one_number import ball, pi
from twolayer.verification.programs.stand_ins.own_python import written_in_python
from twolayer.verification.programs.stand_ins.randomness import NumpyRandom


class _Index:
    """np.c_, np.r_, np.mgrid and np.ogrid."""

    def __init__(self, native: Any):
        self.native = native

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        return wrap(
            self.native[tuple(lift(k) if is_real(k) else plain(k) for k in keys) if isinstance(key, tuple) else keys[0]]
        )


class Ufunc:
    """A ufunc of NumPy over balls, with its methods."""

    def __init__(self, ufunc: np.ufunc):
        self.ufunc, self.__name__ = ufunc, ufunc.__name__

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if options.get("out") is Ellipsis:  # an array also where a number comes out
            return wrap(np.asarray(apply(self.ufunc, "__call__", inputs, **options | {"out": None})))
        return apply(self.ufunc, "__call__", inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("reduce", "accumulate", "reduceat"):  # NumPy gives the other arguments their names
            return lambda a, *rest, **options: getattr(self.ufunc, name)(wrap(plain(a)), *rest, **options)
        if name in ("outer", "at"):
            return lambda *inputs, **options: apply(self.ufunc, name, inputs, **options)
        return getattr(self.ufunc, name)


class _Kind(type):
    """The type of the stand-ins for float, np.float64, np.integer ...: a class that balls may be instances of.

    Attributes:
      among: whose instances are its own.
      scalar: whether it makes single numbers only, as Python's float does.
    """

    among: tuple[type, ...]
    scalar: bool
    dtype: np.dtype

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.among)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(
            getattr(other, "dtype", np.dtype(object)).type if isinstance(other, _Kind) else other, cls.among
        )

    def __call__(cls, value: Any = 0.0, *args: Any) -> Any:
        if isinstance(value, (str, bytes)):
            return float(value)
        made = cast(np.asarray(plain(value), object if is_real(value) else None), cls.dtype)
        if cls.scalar and made.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        return made.item() if cls.scalar or not np.ndim(plain(value)) else made

    def __eq__(cls, other: Any) -> bool:
        return cls is other or other in (cls.dtype, cls.__name__)

    __hash__ = type.__hash__


def _kind(name: str, among: tuple, scalar: bool = False) -> type:
    """A class that stands in for one of NumPy's kinds of floats, or for float."""
    return _Kind(name, (), {"dtype": np.dtype(np.float64), "among": among, "scalar": scalar})


Float = _kind("float", (float, np.floating, Ball), scalar=True)
_FLOAT_NAMES = "float64 float32 float16 longdouble floating float_ double single half inexact".split()
FLOATS = {n: _kind(n, (np.floating, Ball)) for n in _FLOAT_NAMES}
FLOATS |= {n: _kind(n, (np.generic, Ball)) for n in ("number", "generic")}

# Right as they stand on arrays of balls: they move entries about, or use +, -, *, / and comparisons only.
MOVES = set(
    "append argmax argmin argpartition argsort argwhere array_split atleast_1d atleast_2d atleast_3d block"
    " broadcast_arrays broadcast_to choose column_stack compress concat concatenate conj convolve copyto correlate"
    " count_nonzero cross delete diag diagflat diagonal diff dot dsplit dstack ediff1d einsum expand_dims extract"
    " fill_diagonal flatnonzero flip fliplr flipud hsplit hstack inner insert isin kron lexsort"
    " lib.stride_tricks.as_strided lib.stride_tricks.sliding_window_view linalg.multi_dot matrix_transpose"
    " meshgrid moveaxis nonzero outer pad partition permute_dims place polyval put put_along_axis putmask ravel"
    " repeat reshape resize roll rollaxis rot90 row_stack searchsorted sort split squeeze stack swapaxes take"
    " take_along_axis tensordot tile trace transpose trapezoid trapz tril trim_zeros triu unique unstack vander"
    " vdot vsplit vstack".split()
)
LOOKS = set(
    "Inf NAN NaN array2string array_equiv array_repr array_str bool bool_ broadcast broadcast_shapes can_cast"
    " diag_indices diag_indices_from dtype errstate finfo format_float_positional fromstring genfromtxt"
    " get_printoptions geterr iinfo index_exp indices inf infty int16 int32 int64 int8 int_ intc integer intp"
    " isscalar issubdtype iterable ix_ load loadtxt longlong may_share_memory nan ndenumerate ndim ndindex newaxis"
    " object_ printoptions promote_types random_integers ravel_multi_index result_type s_ set_printoptions seterr"
    " seterrcall shape shares_memory signedinteger size str_ tril_indices tril_indices_from triu_indices"
    " triu_indices_from typing uint uint16 uint32 uint64 uint8 unravel_index unsignedinteger".split()
)
REFUSED = {"matrix", "mat", "asmatrix", "bmat"}  # whose product is another
_OLD = {
    "int": int, "bool": bool, "bool8": bool, "object": object, "str": str, "Inf": math.inf, "infty": math.inf,
    "NaN": math.nan, "NAN": math.nan, "row_stack": np.vstack, "product": np.prod, "cumproduct": np.cumprod,
    "alltrue": np.all, "sometrue": np.any, "trapz": np.trapezoid, "in1d": np.isin, "float": float, "float_": np.float64,
    "math": math, "asscalar": lambda a: np.asarray(a).item(), "round_": np.round, "asfarray": np.asarray,
}  # fmt: skip
OLD_NAMES = {name: value for name, value in _OLD.items() if name not in np.__dict__}  # that NumPy 2 has no more


def call(name: str, native: Callable | None, args: tuple, kwargs: dict) -> Any:
    """NumPy's function of this name ("exp", "linalg.norm"), over balls."""
    kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    if name in OURS:
        return OURS[name](*args, **kwargs)
    function: Callable = native or getattr(np, name)
    kwargs = {k: v for k, v in kwargs.items() if not (k == "dtype" and real_dtype(v))}
    real = is_real(args) or is_real(tuple(kwargs.values()))
    if real and name in MOVES:
        args, kwargs = tuple(map(_lift_tree, args)), {k: _lift_tree(v) for k, v in kwargs.items()}
    elif real and name not in LOOKS:
        return _in_python(name, function, args, kwargs)
    found = function(*map(_plain_tree, args), **{k: _plain_tree(v) for k, v in kwargs.items()})
    if real or name in MOVES or name in LOOKS or not is_real(found):
        return wrap(found)
    return _in_python(name, function, args, kwargs, found)  # of integers, as 1 / 3 is: once more, exactly


def _in_python(name: str, native: Any, args: tuple, kwargs: dict, found: Any = None) -> Any:
    """By NumPy's own Python. `found`: what floats give, where it has none."""
    own = written_in_python(native, _public)
    if own is not None:
        return wrap(own(*map(wrap, args), **{k: wrap(v) for k, v in kwargs.items()}))
    if found is None:
        raise NotJudged(f"np.{name}")
    return wrap(found)


def _public(name: str, native: Any) -> Any:
    """What a public name of NumPy's means inside its own Python."""
    if isinstance(native, type) and native not in (np.ndarray, float) and not issubclass(native, np.generic):
        return native
    module, _, short = name.rpartition(".")
    return _function(name) if name in OURS else getattr(getattr(NUMPY, module) if module else NUMPY, short)


def _lift_tree(value: Any) -> Any:
    """Balls, also in lists and tuples."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_lift_tree, value)) if is_real(value) and type(value) in (list, tuple) else value
    return lift(value) if is_real(value) else value


def _plain_tree(value: Any) -> Any:
    """What NumPy itself may see, also in lists and tuples."""
    if type(value) in (list, tuple):
        return type(value)(map(_plain_tree, value))
    return np.asarray(value) if isinstance(value, np.ndarray) else value


Array.functions = staticmethod(call)


class Module(types.ModuleType):
    """A stand-in module: `find(name)` gives what it has not yet."""

    def __init__(self, name: str, find: Callable[[str], Any], **known: Any):
        super().__init__(name)
        self.__dict__.update(known, _find=find)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__version__",):
            raise AttributeError(name)
        return self._find(name)


def _function(name: str, native: Any = None) -> Callable:
    """NumPy's function of a name, over balls."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return call(name, native, args, kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def find(name: str) -> Any:
    """What `np.name` is."""
    if name in ("pi", "e", "euler_gamma"):
        return pi() if name == "pi" else ball(1).exp() if name == "e" else ball(flint.arb.const_euler())
    if name in FLOATS or name == "float":
        return FLOATS.get(name, Float)
    if name in OURS:
        return OURS[name]
    if name in REFUSED:
        return refused(f"np.{name}")
    native = OLD_NAMES[name] if name in OLD_NAMES else getattr(np, name)
    if isinstance(native, np.ufunc):
        return Ufunc(native)
    if isinstance(native, types.ModuleType) and name not in ("typing", "exceptions"):
        return _submodule(name, native)
    if name in ("c_", "r_", "mgrid", "ogrid"):
        return _Index(native)
    return _function(name, native) if callable(native) and not isinstance(native, type) else native


def _submodule(path: str, module: types.ModuleType) -> Module:
    """A module inside of NumPy: "linalg", "lib.stride_tricks"."""

    def find(name: str) -> Any:
        native, full = getattr(module, name), f"{path}.{name}"
        if isinstance(native, types.ModuleType):
            return _submodule(full, native)
        return OURS[full] if full in OURS else native if isinstance(native, type) else _function(full, native)

    return Module(f"numpy.{path}", find)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """An assertion of np.testing: it says nothing about a derivative."""


NUMPY = Module(
    "numpy", find, ndarray=Array, random=NumpyRandom(), linalg=_submodule("linalg", np.linalg),
    fft=_submodule("fft", np.fft), testing=Module("numpy.testing", lambda name: _nothing),
    __all__=[n for n in np.__all__ if n[0] != "_"],
)  # fmt: skip
