"""What a run has come to, in words: what is dead, what is never predicted, what is no better than guessing, the remedy.

A unit is dead when its ReLU is zero on every training example: there its gradient is zero too, so training does not
move its weights any more. A class whose output is dead can never be predicted. A class may also be predicted for no
test example while its output is alive; that can still change.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from twolayer.names import is_own_data

MANY = 0.5  # share of dead hidden units that is worth a sentence of its own
NOISY = 0.5  # share of labels drawn anew from which chance is what is expected


class Facts(NamedTuple):
    """Counts and figures of a finished run.

    Attributes:
      hidden, outputs: K and C.
      dead_hidden, dead_outputs: on every training example.
      weak: classes that no test example is given, although their output is not zero on all of them.
      accuracy: on the test examples; None for real targets.
      guess: accuracy, or loss for real targets, of always giving the same answer: the commonest class, or the mean.
      loss: on the test examples.
    """

    hidden: int
    outputs: int
    dead_hidden: int
    dead_outputs: int
    weak: tuple[int, ...]
    accuracy: float | None
    guess: float
    loss: float


def weak_classes(O2: Float[np.ndarray, "n C"], dies: bool) -> tuple[int, ...]:
    """Classes that are the largest output of no example, but not for being zero on all of them, where outputs die."""
    alive = (O2 > 0).any(axis=0) if dies else np.ones(O2.shape[1], bool)
    chosen = np.isin(np.arange(O2.shape[1]), O2.argmax(axis=1))
    return tuple(np.flatnonzero(alive & ~chosen).tolist())


def guess(train_y: Shaped[np.ndarray, "..."], test_y: Shaped[np.ndarray, "..."]) -> float:
    """What one answer reaches: the accuracy of the commonest class, or the quadratic loss of the mean of real targets.

    The class is the commonest of the test examples, the mean that of the training targets.
    """
    if test_y.ndim == 1:
        return float(np.bincount(test_y).max() / len(test_y))
    away = test_y - train_y.mean(axis=0, dtype=np.float64)
    return float((away**2).sum(axis=1).mean() / 2)


def sentences(facts: Facts, flags: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that went wrong, with what to do about it; none for a run that went well."""
    found = []
    if facts.dead_outputs:
        found.append(_dead_outputs(facts, flags))
    if facts.dead_hidden >= MANY * facts.hidden:
        which = "all" if facts.dead_hidden == facts.hidden else f"{facts.dead_hidden} of"
        found.append(f"{which} {facts.hidden} hidden units are zero on every training example; try {_gentler(flags)}")
    useless = _no_better_than_a_guess(facts)
    if useless and flags["label_noise"] < NOISY:
        found.append(useless + ("" if found else "; try another --learning_rate, or more --epochs"))
    elif facts.weak and facts.accuracy is not None:
        s = "" if len(facts.weak) == 1 else "es"
        verb, whose = ("is", "its output is") if len(facts.weak) == 1 else ("are", "their outputs are")
        names = " and ".join(", ".join(map(str, facts.weak)).rsplit(", ", 1))
        found.append(
            f"class{s} {names} {verb} given to no test example, although {whose} alive; "
            f"try more --epochs, or {_gentler(flags)}"
        )
    return found


def divergence_advice(flags: Mapping[str, Any]) -> str:
    """What to change after a run of these flags that became non-finite."""
    if flags["momentum"] >= 1:
        return f"--momentum={flags['momentum']:g} forgets nothing; take one below 1, such as 0.9"
    if flags["init_scale"] > 100 or abs(flags["output_bias"] or 0) > 100:
        name = "init_scale" if flags["init_scale"] > 100 else "output_bias"
        return f"--{name}={flags[name]:g} starts far from zero; take a smaller one"
    return f"try {_gentler(flags)}"


def _dead_outputs(facts: Facts, flags: Mapping[str, Any]) -> str:
    n, C = facts.dead_outputs, facts.outputs
    its, their = ("its output is", "it") if n == 1 else ("their outputs are", "them")
    why = f"{its} zero on every training example, where nothing moves {their}"
    if flags["init"] != "alive" or flags["output_bias"] is not None:
        without = " (without --output_bias)" if flags["output_bias"] is not None else ""
        remedy = f"--init=alive{without} starts {their} alive"
    else:
        remedy = f"try {_gentler(flags)}, or --output=identity"
    if facts.accuracy is None:
        return f"{n} of {C} outputs {'is' if n == 1 else 'are'} dead: {why}; {remedy}"
    return f"{n} of {C} classes can never be predicted: {why}; {remedy}"


def _no_better_than_a_guess(facts: Facts) -> str | None:
    if facts.accuracy is None:
        if facts.loss < facts.guess:
            return None
        return f"test loss {facts.loss:.4g} is no better than that of the mean target, {facts.guess:.4g}"
    if facts.accuracy > facts.guess:
        return None
    return f"test accuracy {facts.accuracy:.4f} is no better than that of the commonest class, {facts.guess:.4f}"


def _gentler(flags: Mapping[str, Any]) -> str:
    smaller = "a smaller --learning_rate"
    if is_own_data(flags["dataset"]) and not flags["standardize"]:
        return f"--standardize, or {smaller}"
    return f"--reduction=mean, or {smaller}" if flags["reduction"] == "sum" else smaller
