"""One program, run in several ways: compiled whole or step by step, vmapped, in two halves, on two devices.

All of them compute the same formula, so all lie within one bound of the same exact numbers, and two of them within two
bounds of each other. These are bounds from the inputs to the leaves: what the program does in between may differ.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from twolayer.verification.problem import LEAVES, Sizes, shape
from twolayer.verification.programs import Refused
from twolayer.verification.programs.jax_code import JaxProgram, NotTraceable
from twolayer.verification.rounding.bounded import DecidedByRounding
from twolayer.verification.rounding.bounds import Rounding
from twolayer.verification.rounding.runs import (
    QUICK,
    Floats,
    Instrumented,
    Traced,
    evaluate,
    follow,
    inputs,
    running,
    trace,
)


class NotRun(Exception):
    """Why one of the ways does not apply."""


def agreement(
    gradients: JaxProgram, program: Instrumented, reduction: str, problems: Sequence[Floats]
) -> dict[str, str]:
    """Way -> "right", "wrong", or why it was not run.

    Args:
      gradients, program: the derivation, and its program compiled with every step held in memory.
      reduction: whether two halves of a batch are to be averaged ("mean") or added ("sum").
      problems: W1, b1, W2, b2, x, y of each.
    """
    try:
        runs = _Runs(program.traced, problems)
    except DecidedByRounding as error:
        return dict.fromkeys(("jit", "vmap", "split", "sharding"), f"not judged: {error}")
    ways: dict[str, Callable[[], str]] = {
        "jit": lambda: runs.first(program.run(problems[0])[0]),
        "vmap": runs.vmap,
        "split": lambda: runs.split(gradients, reduction),
        "sharding": runs.sharding,
    }
    found = {}
    for name, way in ways.items():
        try:
            with running(program.precision):
                found[name] = way()
        except (NotRun, NotImplementedError, Refused, NotTraceable, DecidedByRounding) as error:
            found[name] = f"not run: {error}"
    return found


class _Runs:
    """The outputs of the compiled program for each problem, and their bounds."""

    def __init__(self, traced: Traced, problems: Sequence[Floats]):
        self.traced, self.problems = traced, problems
        self._whole = lambda *arguments: evaluate(self.traced.jaxpr, arguments)[0]
        self.run = jax.jit(self._whole)
        self.inputs = [inputs(traced, problem) for problem in problems]
        self.right = [follow(traced.jaxpr, Rounding(traced.precision), one) for one in self.inputs]
        with running(traced.precision):
            self.single = [self.run(*one) for one in self.inputs]

    def vmap(self) -> str:
        """All problems in one program, and one after the other."""
        stacked = [np.stack(arrays) for arrays in zip(*self.inputs, strict=True)]
        together = jax.jit(jax.vmap(self._whole), compiler_options=QUICK)(*stacked)
        outcomes = [
            _compare(
                [np.asarray(part)[i] for part in together], self.single[i], [2 * one.bound for one in self.right[i]]
            )
            for i in range(len(self.inputs))
        ]
        return _first_bad(outcomes)

    def sharding(self) -> str:
        """The examples on two devices."""
        if len(jax.devices()) < 2:
            raise NotRun("one device")
        mesh = Mesh(np.array(jax.devices()[:2]), ("examples",))
        examples = _of_examples(self.traced)
        specs = [Spec("examples") if one else Spec() for one in examples]
        placed = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip(self.inputs[0], specs, strict=True)]
        return self.first(jax.jit(self._whole, compiler_options=QUICK)(*placed))

    def first(self, outputs: Sequence) -> str:
        """These outputs, and those of the program compiled whole, for the first problem."""
        return _compare(outputs, self.single[0], [2 * one.bound for one in self.right[0]])

    def split(self, gradients: JaxProgram, reduction: str) -> str:
        """The batch in two halves, whose leaves are averaged for a mean and added for a sum."""
        d, K, C, m = self.traced.sizes
        half = trace(gradients, self.traced.call, Sizes(d, K, C, m // 2), self.traced.precision)
        problem = self.problems[0]
        halves = [
            inputs(half, {**problem, "x": problem["x"][part], "y": problem["y"][part]})
            for part in (slice(None, m // 2), slice(m // 2, None))
        ]
        run = jax.jit(lambda *arguments: evaluate(half.jaxpr, arguments)[0], compiler_options=QUICK)
        mine = [run(*one) for one in halves]
        right = [follow(half.jaxpr, Rounding(self.traced.precision), one) for one in halves]
        share, outcomes = (0.5 if reduction == "mean" else 1.0), []
        for k, name in enumerate(half.names):
            if name not in LEAVES:
                continue
            at = self.traced.names.index(name)
            whole = self.right[0][at]
            room = whole.bound + share * (right[0][k].bound + right[1][k].bound)
            if (abs(whole.numbers - share * (right[0][k].numbers + right[1][k].numbers)) > room).any():
                raise NotRun(f"{name} is not a {reduction} over the examples")
            joined = share * sum(np.asarray(one[k], np.float64) for one in mine)
            outcomes.append(_compare([joined], [self.single[0][at]], [room]))
        return _first_bad(outcomes)


def _of_examples(traced: Traced) -> list[bool]:
    """Which inputs have one row for each example: those that halve when the batch does."""
    zeros = {name: np.zeros(shape(name, traced.sizes)) for name in ("W1", "b1", "W2", "b2")}
    x, y = np.ones(shape("x", traced.sizes)), np.ones(shape("y", traced.sizes))
    whole = inputs(traced, {**zeros, "x": x, "y": y})
    halved = inputs(traced, {**zeros, "x": x[::2], "y": y[::2]})
    return [a.shape != b.shape for a, b in zip(whole, halved, strict=True)]


def _first_bad(outcomes: Sequence[str]) -> str:
    return next((outcome for outcome in outcomes if outcome != "right"), "right")


def _compare(these: Sequence, those: Sequence, rooms: Sequence[np.ndarray]) -> str:
    for a, b, room in zip(these, those, rooms, strict=True):
        a, b = np.asarray(a).astype(np.float64), np.asarray(b).astype(np.float64)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return "not finite"
        if (abs(a - b) > room).any():
            return "wrong"
        if np.isinf(room).any():
            return "no bound"
    return "right"
