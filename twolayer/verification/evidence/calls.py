"""How people's functions are called, and what they return: signatures, single examples, labels, shapes.

A derivation is gradients(params, x, y) -> {"dW1": ...}. What people write instead is taken as it is where its meaning
is plain, and said: the arguments in another order or one by one, a function of one example, labels in place of one-hot
rows, a tuple, weights (in, out), a bias gradient (K, 1).
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from twolayer.verification.numbers.complexes import holds_complex
from twolayer.verification.problem import LEAVES, STEPS, Setting, Sizes, shape, targets
from twolayer.verification.programs import NotJudged, Refused, Run

PARAMETERS = ("W1", "b1", "W2", "b2")
INPUTS_NAMES = ("x", "xs", "inputs", "input", "x_batch", "xb", "batch_x", "data", "images", "features", "x_train")
TARGET_NAMES = ("y", "ys", "t", "target", "targets", "labels", "label", "y_batch", "yb", "y_true", "y_train", "ytrue")


class Parameters(NamedTuple):
    """W1, b1, W2, b2 as attributes, as items of a dict, and in order."""

    W1: Any
    b1: Any
    W2: Any
    b2: Any

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key not in PARAMETERS:
            raise KeyError(key)
        return getattr(self, key) if isinstance(key, str) else tuple(self)[key]

    def keys(self) -> tuple[str, ...]:
        return PARAMETERS

    def items(self) -> Any:
        return zip(PARAMETERS, self, strict=True)

    def values(self) -> Any:
        return tuple(self)

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key) if key in PARAMETERS else default


@runtime_checkable
class Runs(Protocol):
    """A program, or the function that it is made of."""

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        """Run on these arguments."""
        ...


class Call(NamedTuple):
    """How a function is called: the order of its arguments, labels or rows, all examples at once or one by one."""

    order: tuple[str, ...] = ("params", "x", "y")
    labels: bool = False
    flat: bool = False
    one_by_one: bool = False

    def notes(self) -> list[str]:
        said = []
        if self.order != ("params", "x", "y"):
            said.append(f"called as gradients({', '.join(self.order)})")
        if self.labels:
            said.append("y is given as integer labels")
        if self.flat:
            said.append("y is given as a row of m numbers")
        if self.one_by_one:
            said.append("it is a function of one example, so it was judged example by example, and the results summed")
        return said

    def run(self, program: "Runs", scope: Mapping[str, np.ndarray], watch: bool = False) -> Run:
        """Run a program at a point; copies are handed out, since people assign in place."""
        if not self.one_by_one:
            return program.run(*self.arguments(scope, scope["x"], scope["y"]), watch=watch)
        runs = [
            program.run(*self.arguments(scope, x, y), watch=watch) for x, y in zip(scope["x"], scope["y"], strict=True)
        ]
        results = [
            {"": run.result} if np.size(run.result) == 1 and not hasattr(run.result, "keys") else named(run.result)
            for run in runs
        ]
        total = {name: sum(np.asarray(one[name], object) for one in results) * scope["w"] for name in results[0]}
        return Run(total.get("", total), tuple(local for run in runs for local in run.locals))

    def arguments(self, scope: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> list[Any]:
        """What the function gets, in its order."""
        if self.labels:
            y = np.array([int(np.argmax(row)) for row in np.atleast_2d(y)])
            y = y if not self.one_by_one else y[0]
        elif self.flat:
            y = y.reshape(-1)
        given: dict[str, Any] = {name: scope[name].copy() for name in PARAMETERS}
        given |= {"x": x.copy(), "y": y.copy() if isinstance(y, np.ndarray) else y}
        given["params"] = Parameters(*(given[name] for name in PARAMETERS))
        return [given[name] for name in self.order]


def ways(function: Callable, setting: Setting) -> list[Call]:
    """The ways in which a function may be meant to be called, the contract's first."""
    order = _order(function)
    found = [Call(order)]
    if targets(setting) == "onehot":
        found.append(Call(order, labels=True))
    else:
        found.append(Call(order, flat=True))
    found.append(Call(order, one_by_one=True))
    if targets(setting) == "onehot":
        found.append(Call(order, labels=True, one_by_one=True))
    return found


def _order(function: Callable) -> tuple[str, ...]:
    """The arguments by their names: (X, Y, parameters), (W1, b1, W2, b2, X, Y), or the contract's.

    Raises:
      Refused: it takes another number of arguments.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function that does not tell
        return ("params", "x", "y")
    taken = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    free = any(p.kind == p.VAR_POSITIONAL for p in signature.parameters.values())
    names = [p.name for p in taken if p.default is p.empty]
    if len(names) <= 3 <= len(taken) or (free and len(taken) <= 3):
        names = [p.name for p in taken[:3]] if len(taken) >= 3 else ["params", "x", "y"]
    by_name = (
        {name.lower(): name for name in PARAMETERS}
        | dict.fromkeys(INPUTS_NAMES, "x")
        | dict.fromkeys(TARGET_NAMES, "y")
    )
    meant = [by_name.get(name.lower(), "params") for name in names]
    if len(names) == 3:
        return tuple(meant) if sorted(meant) == ["params", "x", "y"] else ("params", "x", "y")
    if sorted(meant) == sorted((*PARAMETERS, "x", "y")):
        return tuple(meant)
    raise Refused(f"gradients takes {signature}, it must take (params, x, y)")


def named(result: Any) -> dict[str, Any]:
    """What a function returned, by step, without what is None.

    Raises:
      Refused: it is neither a dict of steps nor the four leaves.
      NotJudged: one of them is complex.
    """
    if hasattr(result, "_asdict"):
        result = result._asdict()
    elif _is_pair_of_pairs(result):
        result = _leaves_of_pairs(result)
    elif isinstance(result, (tuple, list)) and len(result) == 2 and isinstance(result[1], Mapping):
        result = result[1]  # (loss, gradients), as the engines return
    elif isinstance(result, (tuple, list)) and len(result) == len(LEAVES):
        result = dict(zip(LEAVES, result, strict=True))
    elif not isinstance(result, Mapping) and any(hasattr(result, leaf) for leaf in LEAVES):
        result = {leaf: getattr(result, leaf, None) for leaf in LEAVES}
    if not isinstance(result, Mapping):
        raise Refused(
            f"gradients must return a dict with keys among {', '.join(STEPS)}; it returned a {type(result).__name__}"
        )
    found = {}
    for key, value in result.items():
        name = f"d{key}" if key in PARAMETERS else key
        if name not in STEPS:
            alike = [step for step in STEPS if step.lower() == str(key).lower()]
            near = alike or difflib.get_close_matches(str(key), STEPS, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; the names are {', '.join(STEPS)}"
            raise Refused(f"gradients returned the key {key!r}{hint}")
        if holds_complex(value) or (isinstance(value, Mapping) and set(value) == {"real", "imag"}):
            raise NotJudged(f"{name} is complex")
        if value is not None:
            found[name] = value
    return {name: found[name] for name in STEPS if name in found}


def _is_pair_of_pairs(result: Any) -> bool:
    pairs = [result, *result] if isinstance(result, (tuple, list)) else []
    return len(pairs) == 3 and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs)


def _leaves_of_pairs(pairs: Any) -> dict[str, Any]:
    """((dW1, db1), (dW2, db2)), ([dW1, dW2], [db1, db2]) or ([db1, db2], [dW1, dW2]), told by their axes.

    Raises:
      Refused: all have as many axes.
    """
    for order in (LEAVES, ("dW1", "dW2", "db1", "db2"), ("db1", "db2", "dW1", "dW2")):
        found = dict(zip(order, (array for pair in pairs for array in pair), strict=True))
        if all((np.ndim(array) == 2) == (leaf[1] == "W") for leaf, array in found.items()):
            return found
    raise Refused("gradients returned two pairs, and it is not plain which are of weights and which of biases")


class Shape(NamedTuple):
    """How a returned array is brought into its own shape: as it is, turned, or spread; and what is said of it.

    fault: what is wrong with the shape itself; the array is then no candidate for the right one.
    """

    turn: str
    note: str | None = None
    fault: str | None = None

    def fitted(self, array: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
        if self.turn == "transpose":
            return array.T
        if self.turn == "reshape":
            return array.reshape(wanted)
        return np.broadcast_to(array, wanted) if self.turn == "spread" else array


def squeezed(array: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """An array in its own shape where it lacks, or has, axes of one only: np.squeeze of (1, K) is a number at K = 1."""
    return array.reshape(wanted) if _but_for_ones(array.shape) == _but_for_ones(wanted) else array


def _but_for_ones(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def wanted_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The shape of each step."""
    return {step: shape(step, sizes) for step in STEPS}


def shapes_of(arrays: Mapping[str, np.ndarray], sizes: Sizes) -> dict[str, Shape]:
    """What the shape of each returned array says, at sizes of distinct primes.

    Raises:
      Refused: a step or a weight has a shape that means nothing.
    """
    found = {name: _shape(name, array.shape, sizes) for name, array in arrays.items()}
    turned = [leaf for leaf in ("dW1", "dW2") if leaf in found and found[leaf].turn == "transpose"]
    if len(turned) == len([leaf for leaf in ("dW1", "dW2") if leaf in found]) == 2:
        for leaf in turned:
            found[leaf] = Shape("transpose", f"{leaf} has the shape of {leaf[1:]} transposed, (in, out)")
    elif turned:
        for leaf in turned:
            found[leaf] = Shape("transpose", fault=f"{leaf} is transposed: it must have the shape of {leaf[1:]}")
    return found


# What a weight gradient of another shape is the product of: id of the cause and what is to be said.
OTHER_PRODUCTS = {
    "dW1": {
        "KK": ("activation_for_input", "O1 stands where the input x belongs"),
        "Cd": ("cotangent_of_other_layer", "dZ2 stands where dZ1 belongs"),
    },
    "dW2": {
        "Cd": ("input_for_activation", "the input x stands where O1 belongs"),
        "CC": ("prediction_for_activation", "the prediction O2 stands where O1 belongs"),
        "KK": ("cotangent_of_other_layer", "dZ1 stands where dZ2 belongs"),
    },
}


def _shape(name: str, shape: tuple[int, ...], sizes: Sizes) -> Shape:
    wanted = wanted_shapes(sizes)[name]
    if shape == wanted:
        return Shape("same")
    if shape == wanted[::-1]:
        return Shape("transpose")
    if 1 in wanted and _but_for_ones(shape) == _but_for_ones(wanted):
        return Shape("reshape")
    if name in ("db1", "db2"):
        letter = "K" if name == "db1" else "C"
        if shape == ():
            return Shape("spread", fault=f"{name} is one number, where each of the {letter} biases has its own")
        if int(np.prod(shape)) == wanted[0] and max(shape) == wanted[0]:
            sides = ", ".join(letter if n > 1 else "1" for n in shape)
            return Shape("reshape", f"{name} has shape ({sides})")
        said = f"{name} has shape {shape} where {name[1:]} is ({letter},) = {wanted}"
        if int(np.prod(shape)) == sizes.m and max(shape) == sizes.m:
            said += ": it is summed over the units, not over the examples"
        if int(np.prod(shape)) == 1:
            return Shape("spread", fault=f"{name} is one number, where each of the {letter} biases has its own")
        return Shape("same", fault=said)
    d, K, C, m = sizes
    letters = {"dW1": "(K, d)", "dW2": "(C, K)"}.get(name, "(m, K)" if name[2:] == "1" else "(m, C)")
    for (first, second), (_, said) in OTHER_PRODUCTS.get(name, {}).items():
        other = getattr(sizes, first), getattr(sizes, second)
        if shape in (other, other[::-1]):
            return Shape("same", fault=f"{name} has shape ({first}, {second}) where {name[1:]} is {letters}: {said}")
    known: dict[tuple[int, ...], str] = {(m, K): "O1", (m, C): "O2", (m, d): "x"}
    like = known.get(shape)
    advice = f": that is the shape of {like}, as of a derivative by {like}" if like else ""
    raise Refused(
        f"{name} has shape {shape} where {name[1:]} is {letters} = {wanted}{advice} (tried: d={d}, K={K}, C={C}, m={m})"
    )
