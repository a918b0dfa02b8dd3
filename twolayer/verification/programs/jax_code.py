"""Runs a user's JAX function on balls, through its jaxpr, and finds out what his local variables were on the way."""

import contextlib
import inspect
import linecache
import re
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from twolayer.verification.numbers.balls import Ball, balls, raw
from twolayer.verification.numbers.comparisons import at_place
from twolayer.verification.numbers.complexes import Complex, parts
from twolayer.verification.programs import Local, NotJudged, RaisedInside, Refused, Run
from twolayer.verification.programs.decompositions import numbers_of
from twolayer.verification.programs.interpreter import interpret, is_key
from twolayer.verification.programs.jaxprs import is_float, literals, thresholds, written_out
from twolayer.verification.programs.local_variables import watching
from twolayer.verification.programs.reals import Reals
from twolayer.verification.programs.source import Source
from twolayer.verification.programs.traced_variables import Outer, Setting, TraceWatch

LONG = 5_000  # operations; a loop that is written out while its locals are watched may take so many


class NotTraceable(NotJudged):
    """The function computes with NumPy or Python numbers where JAX cannot see how; one line says where."""


class Traced(NamedTuple):
    """A function for arguments of some shapes: its jaxpr, and how its outputs make up the result.

    Attributes:
      jaxpr: of the array arguments, to the array leaves of the result, then one output for each watched setting.
      rebuild: from the array leaves to the result.
      settings: what was watched.
    """

    jaxpr: ClosedJaxpr
    rebuild: Callable[[list], Any]
    settings: tuple[Setting, ...] = ()


class JaxProgram:
    """A JAX function that runs on balls; see programs.Program.

    Attributes:
      said: what in the program means nothing over the reals, such as a conversion to a smaller type, with its line.
    """

    def __init__(self, function: Callable, filename: str | None = None, source: str | None = None):
        """`filename` is the user's file, whose lines are named; the one in which the function stands unless given."""
        self.function = function
        self.filename = filename or _filename(function)
        self.source = source if source is not None else "".join(linecache.getlines(self.filename or "")) or None
        self.said: tuple[str, ...] = ()
        self._known: dict[Any, Traced] = {}
        self._attributes = False  # whether it asks a nested argument for attributes

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        """Run it on nested structures of object arrays of Ball, at the precision that is set around it.

        Arrays of integers are data, and other arguments (whole numbers, strings, None) are constants.

        Raises:
          Undecided: a comparison is open.
          NotJudged: an operation is not known; its line is named.
          RaisedInside, NotTraceable, Refused: see `trace`.
        """
        traced, system = self.trace(*arguments, watch=watch), Reals()
        inputs = [_value(leaf) for leaf in jax.tree.leaves(arguments) if _is_data(leaf)]
        with jax.enable_x64(True), at_place(system.here):
            outputs = interpret(traced.jaxpr, system, *inputs)
        self.said = tuple(dict.fromkeys([*self.said, *system.said]))
        outputs = [a if is_key(a) else np.asarray(a) for a in outputs]
        outputs = [numbers_of(a) if a.dtype == object else a for a in outputs]
        n = len(outputs) - len(traced.settings)
        found = zip(traced.settings, outputs[n:], strict=True)
        found = [(one, value) for one, value in found if value.dtype != object or parts(value)[1] is None]
        return Run(traced.rebuild(outputs[:n]), tuple(_local(one, value) for one, value in found))

    def literals(self) -> tuple[float, ...]:
        """The float literals of what was traced so far, without 0, 1 and -1."""
        found: dict[float, None] = {}
        for traced in self._known.values():
            found.update(dict.fromkeys(literals(traced.jaxpr)))
        return tuple(found)

    def thresholds(self) -> tuple[str, ...]:
        """What may act at some sizes of numbers only, in what was traced so far: "gt at homework.py:12"."""
        traces = self._known.values()
        return tuple(dict.fromkeys(name for traced in traces for name in thresholds(traced.jaxpr)))

    def trace(self, *arguments: Any, watch: bool = False, dtype: str = "float64") -> Traced:
        """The function as a jaxpr, for arguments of these shapes, floats of this type.

        Raises:
          RaisedInside: it raised an exception; the line names the user's own line.
          NotTraceable: it uses NumPy or Python numbers where they need numbers.
          Refused: it has side effects.
        """
        for one in arguments:
            make_tree(one)
        leaves, structure = jax.tree.flatten(arguments)
        key = (structure, tuple(map(_kind, leaves)), watch, dtype)
        if key not in self._known:
            self._known[key] = self._watched(arguments) if watch else self._trace(arguments, None, dtype)
        return self._known[key]

    def check_repeats(self, *arguments: Any) -> None:
        """Raise Refused if the function, called again, does something else: it is no function of its arguments."""
        first, again = self.trace(*arguments).jaxpr, self._trace(arguments, None).jaxpr
        constants = zip(first.consts, again.consts, strict=False)
        same = _ADDRESS.sub("", str(again)) == _ADDRESS.sub("", str(first))
        if not same or not all(np.array_equal(a, b, equal_nan=True) for a, b in constants):
            raise Refused(
                f"{_name(self.function)} gives another result when it is called again: it depends on more than its "
                "arguments, such as random numbers, the time, or a variable that it changes"
            )

    def _watched(self, arguments: tuple) -> Traced:
        """With jit switched off, so that functions under it are seen inside; loops are then written out, if short."""
        if written_out(self.trace(*arguments).jaxpr) <= LONG:
            with contextlib.suppress(Refused, NotTraceable), jax.disable_jit():  # some code runs only under jit
                return self._trace(arguments, TraceWatch(Source(self.filename or "", self.source or "")))
        return self._trace(arguments, TraceWatch(Source(self.filename or "", self.source or "")))

    def _trace(self, arguments: tuple, watch: TraceWatch | None, dtype: str = "float64") -> Traced:
        leaves, structure = jax.tree.flatten(arguments)
        given = [_shape(leaf, dtype) for leaf in leaves if _is_data(leaf)]
        found: dict[str, Any] = {}

        def flat(*tracers: Any) -> list:
            follow = iter(tracers)
            own = jax.tree.unflatten(structure, [next(follow) if _is_data(leaf) else leaf for leaf in leaves])
            own = own if self._attributes else _plain_dicts(own)
            if watch is None:
                result = self.function(*own)
            else:
                watch.begin(tracers)
                with watching(watch):
                    result = self.function(*own)
            if hasattr(result, "__dict__") and jax.tree_util.all_leaves([result]) and not _is_array(result):
                result = vars(result)  # an object of the user's own
            found["leaves"], found["structure"] = jax.tree.flatten(result)
            outputs = [jnp.asarray(leaf) for leaf in found["leaves"] if _is_array(leaf)]
            return outputs + [one.array.value for one in (watch.settings() if watch else ())]

        closed = self._attempt(flat, given, dtype == "float64")
        if closed.effects:
            effects = ", ".join(sorted(map(str, closed.effects)))
            raise Refused(f"{_name(self.function)} has side effects ({effects}): it must only compute")

        def rebuild(outputs: list) -> Any:
            follow = iter(outputs)
            return jax.tree.unflatten(
                structure_out, [next(follow) if array else leaf for leaf, array in zip(kept, arrays, strict=True)]
            )

        structure_out, arrays = found["structure"], [_is_array(leaf) for leaf in found["leaves"]]
        kept = [None if array else leaf for leaf, array in zip(found["leaves"], arrays, strict=True)]
        settings = [one._replace(array=Outer(None, one.array.batch_axis)) for one in watch.settings()] if watch else []
        return Traced(closed, rebuild, tuple(settings))

    def _attempt(self, flat: Callable, given: list, x64: bool) -> ClosedJaxpr:
        try:
            with (
                jax.enable_x64(x64), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), silent()
            ):  # fmt: skip
                return jax.make_jaxpr(flat)(*given)
        except Refused:
            raise
        except _CONCRETE as error:
            raise NotTraceable(raised(self.function, error, self.filename)) from error
        except AttributeError as error:
            if self._attributes or "'dict'" not in str(error):
                raise RaisedInside(raised(self.function, error, self.filename)) from error
            self._attributes = True
            return self._attempt(flat, given, x64)
        except Exception as error:
            raise RaisedInside(raised(self.function, error, self.filename)) from error


def silent() -> contextlib.AbstractContextManager:
    """What people print or look at for debugging is left out of what is traced meanwhile."""
    return mock.patch.multiple(jax.debug, print=_nothing, callback=_nothing)


def _nothing(*arguments: Any, **options: Any) -> None:
    pass


def _local(one: Setting, value: np.ndarray) -> Local:
    value = np.moveaxis(value, one.array.batch_axis, 0) if one.array.batch_axis else value
    return Local(one.line, one.name, value if value.dtype == object else balls(value), one.text)


_ADDRESS = re.compile("0x[0-9a-f]+")
_CONCRETE = (
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerBoolConversionError,
)


def raised(function: Callable, error: BaseException, filename: str | None = None) -> str:
    """One line: the user's last line that ran, and the exception."""
    filename = filename or _filename(function)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    said = " ".join(f"{type(error).__name__}: {error}".split()).split(" The error occurred while tracing")[0]
    if filename is None or not frames:
        return f"{_name(function)} raised {said[:300]}"
    line = linecache.getline(filename, frames[-1].lineno or 0).strip()
    return f"{filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}: {f'`{line}` ' if line else ''}raised {said[:300]}"


def _filename(function: Callable) -> str | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else None


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def make_tree(argument: Any) -> None:
    """Tell JAX what an object with fields consists of, such as parameters that have names."""
    kind = type(argument)
    if isinstance(argument, list | tuple | dict):
        for part in argument.values() if isinstance(argument, dict) else argument:
            make_tree(part)
    if isinstance(argument, dict) and jax.tree_util.all_leaves([argument]):
        jax.tree_util.register_pytree_with_keys(
            kind,
            lambda one: ([(jax.tree_util.DictKey(k), one[k]) for k in sorted(one)], tuple(sorted(one))),
            lambda names, parts: kind(zip(names, parts, strict=True)),
        )
    if hasattr(argument, "_asdict") and jax.tree_util.all_leaves([argument]):
        jax.tree_util.register_pytree_with_keys(
            kind,
            lambda one: ([(jax.tree_util.GetAttrKey(k), v) for k, v in one._asdict().items()], tuple(one._asdict())),
            lambda names, parts: kind(**dict(zip(names, parts, strict=True))),
        )


def _plain_dicts(value: Any) -> Any:
    """Dicts whose entries are attributes too as Python's own, which is what a tree of parameters is in JAX."""
    if isinstance(value, dict):
        return {key: _plain_dicts(part) for key, part in value.items()}
    return type(value)(map(_plain_dicts, value)) if type(value) in (list, tuple) else value


def _is_data(leaf: Any) -> bool:
    """Whether an argument is numbers that the program computes with; a whole number of Python's is a constant."""
    return isinstance(leaf, np.ndarray | np.generic | Ball | float | jax.Array)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.generic | float | jax.Array)


def _holds_floats(leaf: Any) -> bool:
    return isinstance(leaf, Ball | float) or leaf.dtype == object or is_float(leaf)


def _value(leaf: Any) -> np.ndarray:
    if not _holds_floats(leaf):
        return np.asarray(leaf)
    if any(isinstance(v, Complex) for v in np.ravel(np.asarray(leaf, object)).tolist()):
        raise NotJudged("complex arguments")
    return raw(leaf)


def _shape(leaf: Any, dtype: str) -> jax.ShapeDtypeStruct:
    with jax.enable_x64(dtype == "float64"):
        kind = np.dtype(dtype) if _holds_floats(leaf) else jax.dtypes.canonicalize_dtype(leaf.dtype)
        return jax.ShapeDtypeStruct(np.shape(leaf), kind)


def _kind(leaf: Any) -> Any:
    return (np.shape(leaf), "float" if _holds_floats(leaf) else str(leaf.dtype)) if _is_data(leaf) else leaf
