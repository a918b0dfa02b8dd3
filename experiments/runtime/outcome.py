"""The end of a run: the test set scored once, parameters, figures and summary written."""

import contextlib
import importlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int

from experiments.runtime import findings, processes
from experiments.runtime.jobs import Job
from experiments.runtime.runs import Run
from twolayer import activations, devices, losses, segments, training
from twolayer.diagnosis import first_non_finite
from twolayer.evaluation import hits, predict, targets
from twolayer.network import Params


def finish(job: Job, run: Run, state: segments.State, *, draw: bool) -> dict[str, Any]:
    """Score the parameters that the run hands over and write everything but the status of the run.

    Returns the summary without its `seconds`.
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
    summary["never_predicted"] = [] if job.data.regression else _never_predicted(O2)
    summary["warnings"] = _warnings(job, run, summary, O2)
    if draw and processes.first():
        _draw(job, run, rows, arrays, O2, value)
    return summary


def best_epoch(losses: Sequence[float | None] | np.ndarray) -> int:
    """The epoch, counted from 1, whose validation loss was lowest; 0 if there was none that is finite."""
    known = np.array([np.inf if loss is None or not np.isfinite(loss) else loss for loss in losses], float)
    return int(np.argmin(known)) + 1 if np.isfinite(known).any() else 0


def _never_predicted(O2: np.ndarray) -> list[int]:
    return np.setdiff1d(np.arange(O2.shape[1]), O2.argmax(axis=1)).tolist()


def _warnings(job: Job, run: Run, summary: Mapping[str, Any], O2: np.ndarray) -> list[str]:
    if summary["status"] == "diverged":
        return []  # which says more
    data = job.data
    facts = findings.Facts(
        hidden=job.state.params.W2.shape[1],
        outputs=data.outputs,
        dead_hidden=summary["train_dead_hidden"],
        dead_outputs=summary["train_dead_outputs"],
        weak=() if data.regression else findings.weak_classes(O2, activations.find("output", job.choices.output).dies),
        accuracy=summary["test_accuracy"],
        guess=findings.guess(data.train.y, data.test.y),
        loss=summary["test_loss"],
    )
    return findings.sentences(facts, run.manifest["flags"])


def import_figures() -> None:
    """Begin to import what draws, a third of a second, while programs compile, which leaves Python idle."""

    def work() -> None:
        with contextlib.suppress(ImportError):  # said when it is needed
            importlib.import_module("experiments.runtime.figures")

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
    names = (
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_accuracy",
        "dead_hidden",
        "dead_outputs",
        "lost_classes",
    )
    return {name: rows[epoch - 1][name] if rows and epoch else None for name in names}


def _draw(
    job: Job, run: Run, rows: list[dict], params: Mapping[str, np.ndarray], O2: np.ndarray, value: np.ndarray
) -> None:
    from experiments.runtime import figures

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
