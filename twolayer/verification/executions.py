"""One program, run in several ways: compiled whole or step by step, vmapped, in two halves, on two devices.

All of them compute the same formula, so all lie within one bound of the same exact numbers, and two of them within two
bounds of each other. These are bounds from the inputs to the leaves: what the program does in between may differ.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from twolayer.verification.cuts import evaluate
from twolayer.verification.draws import Sizes
from twolayer.verification.numbers.rounding import DecidedByRounding, Rounded, Rounding
from twolayer.verification.reference import Setting
from twolayer.verification.stepwise import Instrumented, follow, running
from twolayer.verification.tracing import NotTraceable, Refused, Traced, trace
from twolayer.verification.verdict import LEAVES


class NotRun(Exception):
    """Why one of the ways does not apply."""


def agreement(
    gradients: Callable, program: Instrumented, setting: Setting, problems: Sequence[Sequence[np.ndarray]]
) -> dict[str, str]:
    """Way -> "right", "wrong", or why it was not run.

    Args:
      gradients, program: the derivation, and its program compiled with every step held in memory.
      setting: says whether two halves of a batch are to be averaged or added.
      problems: W1, b1, W2, b2, x, y of each.
    """
    try:
        runs = _Runs(program.traced, program.precision, problems)
    except DecidedByRounding as error:
        return dict.fromkeys(("jit", "vmap", "split", "sharding"), f"not judged: {error}")
    ways: dict[str, Callable[[], str]] = {
        "jit": lambda: runs.first(program.run(problems[0])[0]),
        "vmap": runs.vmap,
        "split": lambda: runs.split(gradients, setting.reduction),
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

    def __init__(self, traced: Traced, precision: str, problems: Sequence[Sequence[np.ndarray]]):
        self.traced, self.precision, self.problems = traced, precision, problems
        self.run = jax.jit(self._evaluate)
        self.stacked = [np.stack(arrays) for arrays in zip(*problems, strict=True)]
        bounded = follow(traced.jaxpr, Rounding(precision), self.stacked)
        shapes = [var.aval.shape for var in traced.jaxpr.jaxpr.outvars]
        n = len(problems)
        self.right = [
            Rounded(*(np.broadcast_to(part, (n, *shape)) for part in one))
            for one, shape in zip(bounded, shapes, strict=True)
        ]
        with running(precision):
            self.single = [self.run(*problem) for problem in problems]

    def _evaluate(self, *arguments: jax.Array) -> list[jax.Array]:
        return evaluate(self.traced.jaxpr, arguments)[0]

    def vmap(self) -> str:
        """All problems in one program, and one after the other."""
        together = jax.jit(jax.vmap(self._evaluate))(*self.stacked)
        single = [np.stack([np.asarray(one[k]) for one in self.single]) for k in range(len(together))]
        return _compare(together, single, [2 * right.bound for right in self.right])

    def sharding(self) -> str:
        """The examples on two devices."""
        if len(jax.devices()) < 2:
            raise NotRun("one device")
        mesh = Mesh(np.array(jax.devices()[:2]), ("examples",))
        *params, x, y = self.problems[0]
        placed = [jax.device_put(array, NamedSharding(mesh, Spec())) for array in params]
        placed += [jax.device_put(array, NamedSharding(mesh, Spec("examples"))) for array in (x, y)]
        return self.first(self.run(*placed))

    def first(self, outputs: Sequence) -> str:
        """These outputs, and those of the program compiled whole, for the first problem."""
        return _compare(outputs, self.single[0], [2 * right.bound[0] for right in self.right])

    def split(self, gradients: Callable, reduction: str) -> str:
        """The batch in two halves, whose leaves are averaged for a mean and added for a sum."""
        d, K, C, m = self.traced.sizes
        half = trace(gradients, Sizes(d, K, C, m // 2), str(self.stacked[0].dtype))
        *params, x, y = self.problems[0]
        parts = [np.stack([a, a]) for a in params] + [np.stack([a[: m // 2], a[m // 2 :]]) for a in (x, y)]
        run = jax.jit(lambda *arguments: evaluate(half.jaxpr, arguments)[0])
        halves = [run(*(part[i] for part in parts)) for i in range(2)]
        right = follow(half.jaxpr, Rounding(self.precision), parts)
        share, outcomes = (0.5 if reduction == "mean" else 1.0), []
        for k, name in enumerate(half.names):
            if name not in LEAVES:
                continue
            whole, n = self.right[self.traced.names.index(name)], np.ndim(self.single[0][k])
            numbers, bound = (share * _both(part, n) for part in (right[k].numbers, right[k].bound))
            room = whole.bound[0] + bound
            if (abs(whole.numbers[0] - numbers) > room).any():
                raise NotRun(f"{name} is not a {reduction} over the examples")
            joined = share * sum(np.asarray(one[k], np.float64) for one in halves)
            outcomes.append(_compare([joined], [self.single[0][self.traced.names.index(name)]], [room]))
        return next((outcome for outcome in outcomes if outcome != "right"), "right")


def _both(part: np.ndarray, rank: int) -> np.ndarray:
    """The two halves added; a leaf that depends on no example has no axis of halves."""
    return part.sum(axis=0) if part.ndim > rank else 2 * part


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
