"""From a user's function to a jaxpr, with every way in which that can go wrong said in one line."""

import difflib
import linecache
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from twolayer.network import Params
from twolayer.verification.draws import Sizes
from twolayer.verification.reference import shapes
from twolayer.verification.verdict import LEAVES, STEPS


class Refused(ValueError):
    """What is wrong with a derivation's code, in one line; nothing could be judged."""


class RaisedInside(Refused):
    """The user's function raised an exception."""


class NotTraceable(Exception):
    """The function computes, but with NumPy or Python numbers: JAX cannot see how. `returned` names its results."""

    def __init__(self, reason: str, returned: Sequence[str] = ()):
        super().__init__(reason)
        self.returned = frozenset(returned)


class Traced(NamedTuple):
    """A derivation at one size: its jaxpr, and which output is what ("dW1", ...), in the order of the outputs."""

    jaxpr: ClosedJaxpr
    names: tuple[str, ...]
    sizes: Sizes


_ADDRESS = re.compile("0x[0-9a-f]+")


class Parameters(Params):
    """Params that can also be read as params["W1"]."""

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, key) if isinstance(key, str) else tuple.__getitem__(self, key)


def trace(gradients: Callable, sizes: Sizes, dtype: str = "float64") -> Traced:
    """Trace `gradients` at these sizes and check what it returns.

    Raises:
      RaisedInside: it raised an exception; the line names the user's own line.
      NotTraceable: it cannot be traced, but runs on NumPy arrays.
      Refused: wrong keys or shapes, or side effects.
    """
    arguments = shapes(sizes, dtype)
    found: dict[str, tuple] = {}

    def flat(params: Params, x: Any, y: Any) -> list:
        result = as_dict(gradients(Parameters(*params), x, y))
        found.update({name: np.shape(a) for name, a in result.items()})
        return [_floats(name, a) for name, a in result.items()]

    try:
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            closed = jax.make_jaxpr(flat)(*arguments)
    except Refused:
        raise
    except Exception as error:
        returned = _on_numpy(gradients, sizes, dtype)
        if returned is not None:
            raise NotTraceable(raised(gradients, error), returned) from error
        raise RaisedInside(raised(gradients, error)) from error
    if closed.effects:
        raise Refused(
            f"gradients has side effects ({', '.join(sorted(map(str, closed.effects)))}): it must only compute"
        )
    for name, shape in found.items():
        check_shape(name, shape, sizes)
    return Traced(closed, tuple(found), sizes)


def check_repeats(gradients: Callable, traced: Traced) -> None:
    """Raise Refused if the function, called again, does something else: it is no function of its arguments alone."""
    again = trace(lambda *arguments: gradients(*arguments), traced.sizes)  # another function, so no cache answers
    constants = zip(traced.jaxpr.consts, again.jaxpr.consts, strict=False)
    same = _ADDRESS.sub("", str(again.jaxpr)) == _ADDRESS.sub("", str(traced.jaxpr))
    if not same or not all(np.array_equal(a, b, equal_nan=True) for a, b in constants):
        raise Refused(
            "gradients gives another result when it is called again: it depends on more than its arguments, such as "
            "random numbers, the time, or a variable that it changes"
        )


def check_shape(name: str, shape: tuple[int, ...], sizes: Sizes) -> None:
    """Raise Refused unless a returned array has the shape of what it is the derivative by."""
    d, K, C, m = sizes
    right = {"W1": (K, d), "b1": (K,), "W2": (C, K), "b2": (C,), "Z1": (m, K), "O1": (m, K), "Z2": (m, C), "O2": (m, C)}
    letters = {"W1": "(K, d)", "b1": "(K,)", "W2": "(C, K)", "b2": "(C,)"}
    wanted = right[name[1:]]
    if shape == wanted or (name not in LEAVES and shape == wanted[::-1]):
        return
    advice = ""
    if shape == wanted[::-1]:
        advice = ": it is transposed"
    elif len(wanted) == 1 and int(np.prod(shape)) == wanted[0]:
        advice = ": drop the axis of length 1"
    elif shape in (right["O1"], right["O2"], (m, d)):
        like = "O1" if shape == right["O1"] else "O2" if shape == right["O2"] else "x"
        advice = f": that is the shape of {like}, as of a derivative by {like}"
    named = letters.get(name[1:], "(m, K)" if name[2:] == "1" else "(m, C)")
    raise Refused(
        f"{name} has shape {shape} where {name[1:]} is {named} = {wanted}{advice} (tried: d={d}, K={K}, C={C}, m={m})"
    )


def raised(function: Callable, error: BaseException) -> str:
    """One line: the user's last line that ran, and the exception."""
    code = getattr(function, "__wrapped__", function)
    filename = getattr(getattr(code, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    said = " ".join(f"{type(error).__name__}: {error}".split()).split(" The error occurred while tracing")[0]
    if not frames:
        return f"gradients raised {said[:300]}"
    line = linecache.getline(filename, frames[-1].lineno or 0).strip()
    at = f"{filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}"
    return f"{at}: {line + ' raised ' if line else ''}{said[:300]}"


def as_dict(result: Any) -> dict[str, Any]:
    """What `gradients` returned, without what is None. Raises Refused if it is no dict of steps."""
    if isinstance(result, Params):
        result = {f"d{name}": leaf for name, leaf in result._asdict().items()}
    if not isinstance(result, Mapping):
        raise Refused(
            f"gradients must return a dict with keys among {', '.join(STEPS)}; it returned a {type(result).__name__}"
        )
    for key in result:
        if key not in STEPS:
            alike = [step for step in STEPS if step.lower() == str(key).lower()]
            near = alike or difflib.get_close_matches(str(key), STEPS, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; the names are {', '.join(STEPS)}"
            raise Refused(f"gradients returned the key {key!r}{hint}")
    return {name: result[name] for name in STEPS if result.get(name) is not None}


def _floats(name: str, array: Any) -> jax.Array:
    """Integers and booleans as the floats that they are equal to."""
    array = jnp.asarray(array)
    if jnp.iscomplexobj(array):
        raise Refused(f"{name} is complex: {array.dtype}")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def _on_numpy(gradients: Callable, sizes: Sizes, dtype: str) -> list[str] | None:
    """What it returns for NumPy arrays, by name; None if it does not run on them."""
    params, x, y = shapes(sizes, dtype)
    rng = np.random.default_rng(0)
    params = Parameters(*(rng.normal(size=p.shape) for p in params))
    try:
        with np.errstate(all="ignore"):
            return list(as_dict(gradients(params, rng.normal(size=x.shape), np.eye(*y.shape))))
    except Refused:
        raise
    except Exception:  # whatever the user's code raises
        return None
