"""The end of a run: the test set scored once, parameters, figures and summary written; and what it came to, in words.

A unit is dead when its ReLU is zero on every training example: there its gradient is zero too, so training does not
move its weights any more. A class whose output is dead can never be predicted. A class may also be predicted for no
test example while its output is alive; that can still change.
"""

import contextlib
import importlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from experiments.runtime import processes
from experiments.runtime.jobs import Job
from experiments.runtime.runs import Run
from twolayer import activations, devices, losses, segments, training
from twolayer.diagnosis import first_non_finite
from twolayer.evaluation import hits, predict, targets
from twolayer.names import is_own_data
from twolayer.network import Params

MANY = 0.5  # share of dead hidden units that is worth a sentence of its own
NOISY = 0.5  # share of labels drawn anew from which chance is what is expected


def finish(job: Job, run: Run, state: segments.State, *, draw: bool) -> dict[str, Any]:
    """Score the parameters that the run hands over and write everything but the status of the run.

    Args:
      state: after the last epoch.
      draw: the figures too.

    Returns:
      The summary without its `seconds`.
    """
    params, everywhere = segments.final_params(state), devices.everywhere(job.mesh)
    with jax.set_mesh(job.mesh):
        scored = _score(job)(params, *devices.put((job.data.test.x, job.data.test.y), everywhere))
        dead = jax.jit(_dead, static_argnums=0)(job.choices, params, job.train, job.numbers)
    O2, value, correct = processes.fetch(scored)
    dead_hidden, dead_outputs = map(int, processes.fetch(dead))
    arrays = processes.fetch(params)._asdict()
    rows = run.metrics()
    at = int(state.epoch if state.best is None else state.best[2])  # the epoch whose parameters these are
    summary = {
        "status": "diverged" if int(state.status) == segments.DIVERGED else "done",
        "epochs": int(state.epoch),
        "best_epoch": best_epoch([row["valid_loss"] for row in rows]),
        "params_epoch": at,
        "stopped_early": int(state.status) == segments.STOPPED_EARLY,
        **_figures_of(rows, at),
        "train_dead_hidden": dead_hidden,
        "train_dead_outputs": dead_outputs,
        "test_loss": float(value.mean()),
        "test_accuracy": None if job.data.regression else float(correct.mean()),
        "params_sha256": run.save_params(arrays),
    }
    summary["never_predicted"] = (
        [] if job.data.regression else sorted({*range(O2.shape[1])} - {*O2.argmax(axis=1).tolist()})
    )
    summary["warnings"] = _warnings(job, run, summary, O2)
    if draw and processes.first():
        _draw(job, run, rows, arrays, O2, value)
    return summary


def best_epoch(losses: Sequence[float | None] | np.ndarray) -> int:
    """The epoch, counted from 1, whose validation loss was lowest; 0 if there was none that is finite."""
    known = np.array([np.inf if loss is None or not np.isfinite(loss) else loss for loss in losses], float)
    return int(np.argmin(known)) + 1 if np.isfinite(known).any() else 0


def _warnings(job: Job, run: Run, summary: Mapping[str, Any], O2: np.ndarray) -> list[str]:
    if summary["status"] == "diverged":
        return []  # which says more
    data = job.data
    facts = Facts(
        hidden=job.state.params.W2.shape[1],
        outputs=data.outputs,
        dead_hidden=summary["train_dead_hidden"],
        dead_outputs=summary["train_dead_outputs"],
        weak=() if data.regression else weak_classes(O2, activations.find("output", job.choices.output).dies),
        accuracy=summary["test_accuracy"],
        guess=guess(data.train.y, data.test.y),
        loss=summary["test_loss"],
    )
    return sentences(facts, run.manifest["flags"])


def import_figures() -> None:
    """Begin to import what draws, a third of a second, while programs compile, which leaves Python idle."""

    def work() -> None:
        with contextlib.suppress(ImportError):  # said when it is needed
            importlib.import_module("twolayer.figures")

    threading.Thread(target=work).start()


def diagnose(job: Job, state: segments.State) -> dict[str, Any] | None:
    """Epoch, step and name of the first number of a diverged run that is not finite."""
    found = first_non_finite(job.choices, state, job.order_key, job.numbers, job.train)
    return found and found._asdict()


def _dead(
    choices: training.Choices, params: Params, train: training.Examples, numbers: training.Numbers
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Dead units on the training set alone: what nobody reads of a score takes as long to compile as this."""
    found = training.score(choices, params, train, numbers)
    return found.dead_hidden, found.dead_outputs


def _score(job: Job) -> jax.stages.Wrapped:
    choices = job.choices

    def score(params, x, y):
        O2 = predict(params, x, scale=choices.scale, output=choices.output, hidden_activation=choices.hidden_activation)
        value = losses.find("loss", choices.loss)(O2, targets(y, choices.loss, job.data.outputs, O2.dtype)).value
        return O2, value, hits(O2, y)

    return jax.jit(score)


def _figures_of(rows: list[dict], epoch: int) -> Mapping[str, Any]:
    """The metrics at the end of `epoch`; nulls where not one epoch was finite, or another process has them."""
    names = (name for name in segments.Metrics._fields if name != "measured")
    return {name: rows[epoch - 1][name] if rows and epoch else None for name in names}


def _draw(
    job: Job, run: Run, rows: list[dict], params: Mapping[str, np.ndarray], O2: np.ndarray, value: np.ndarray
) -> None:
    from twolayer import figures

    data, folder = job.data, run.figures
    if rows:
        figures.learning_curves(folder / "learning_curves.png", rows)
    if data.image_shape:
        figures.hidden_units(folder / "hidden_units.png", params["W1"], data.image_shape, params["W2"])
    if data.regression:
        figures.regression_fit(folder / "regression_fit.png", data.test.y, O2)
        return
    predictions = O2.argmax(axis=1)
    figures.confusion_matrix(folder / "confusion_matrix.png", data.test.y, predictions, data.outputs)
    if data.image_shape:
        figures.worst_mistakes(
            folder / "worst_mistakes.png", data.test.x, data.test.y, predictions, value, data.image_shape
        )


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
    """The score of one answer for all: accuracy of the commonest class, or quadratic loss of the mean target.

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
