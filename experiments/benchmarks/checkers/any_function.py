"""Finite differences on the functions of catalogue/functions: JAX's check_vjp, PyTorch's gradcheck, SciPy's check_grad.

  python -m experiments.benchmarks.checkers.any_function --json=docs/results/verify_functions_checkers.json

Some minutes on 2 CPU cores. Each form, right as it stands and with each of its faults, is one scalar function of its
arguments with the gradient that its code claims: of a pullback or a rule it is the outputs times random cotangents.
All checkers get the same point of each, at the first sizes that `verify_functions` draws, with default tolerances;
JAX's in float64 gets more points too, and what it rejects at one of them is rejected.
Hessian-vector products, equal functions and kernels without a rule have no checker there and are left out.
"""

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags
from jax import test_util

from experiments.benchmarks.catalogue.functions.table import CASES, Case
from experiments.benchmarks.checkers import ACCEPTED, REJECTED, Answer
from experiments.benchmarks.checkers.differences import Claim, by_scipy, by_torch
from experiments.benchmarks.checkers.table import row
from experiments.benchmarks.checkers.trials import RAISED, Trial, once
from experiments.benchmarks.verify_functions import load, written
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance
from twolayer.verification.evidence.shapes import arguments

FLAGS = flags.FLAGS
POINTS, LIMIT = 22, 60.0  # of each form, where a checker gets more than one; seconds of one check
SHOWN = ("killed", "wrong", "alarms", "right", "raised", "seconds_median", "raised_first")


class Form(NamedTuple):
    """A function as it stands or with a fault: its name, "right" or "wrong", and what is claimed of its gradient."""

    id: str
    kind: str
    claim: Claim


def form(name: str, case: Case, module: Any, kind: str, seed: int) -> Form:
    """The form that a module has of a case; the seed decides the point and the cotangents."""
    spec, rng = arguments(case.shapes, case.options.get("domains")), np.random.default_rng(seed)
    drawn = spec.draw(spec.sizes()[0], rng)
    f, claimed = getattr(module, case.functions[0]), getattr(module, case.functions[-1])
    outputs = _flat(f(*spec.built(drawn)))
    cotangents = [np.asarray(1.0) if case.ask == "gradient" else rng.normal(size=np.shape(a)) for a in outputs]
    judged = _judged(case, spec, claimed, drawn)

    def at(*arrays: np.ndarray) -> list[Any]:
        return spec.built(drawn | {path: np.array(a, np.float64) for path, a in zip(judged, arrays, strict=True)})

    def value(*arrays: np.ndarray) -> float:
        return float(sum((np.asarray(a) * c).sum() for a, c in zip(_flat(f(*at(*arrays))), cotangents, strict=True)))

    def slopes(*arrays: np.ndarray) -> list[np.ndarray]:
        given = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        if case.ask == "rule":
            found = jax.vjp(f, *at(*arrays))[1](jax.numpy.asarray(given))
        else:
            found = claimed(*at(*arrays), *(() if case.ask == "gradient" else (given,)))
        return _by_path(found, judged, list(spec.parts))

    return Form(name, kind, Claim(value, slopes, [np.asarray(drawn[path], np.float64) for path in judged]))


def _judged(case: Case, spec: Any, claimed: Callable, drawn: Mapping[str, np.ndarray]) -> list[str]:
    argnums = case.options.get("argnums")
    if argnums is None and case.ask == "gradient":
        found = claimed(*spec.built(drawn))
        if isinstance(found, Mapping):
            return [path for path in spec.floating if path in found or f"d{path}" in found]
    parts = list(spec.parts)
    wanted = parts if argnums is None else [parts[i] for i in np.atleast_1d(argnums)]
    return [path for path in spec.floating if path in wanted]


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def _by_path(found: Any, judged: Sequence[str], parts: Sequence[str]) -> list[np.ndarray]:
    if isinstance(found, Mapping):
        return [np.asarray(found.get(path, found.get(f"d{path}")), np.float64) for path in judged]
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    chosen = found if len(found) == len(judged) else [found[parts.index(path)] for path in judged]
    return [np.asarray(a, np.float64) for a in chosen]


def check_vjp(one: Form, point: Any, dtype: str) -> Answer:
    """JAX's check_grads in reverse mode is this."""

    def value(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(one.claim.value(*arrays), dtype)

    def pull(*arrays: np.ndarray) -> tuple:
        slopes = one.claim.slopes(*arrays)
        return value(*arrays), lambda g: tuple((g * s).astype(dtype) for s in slopes)

    try:
        test_util.check_vjp(value, pull, tuple(a.astype(dtype) for a in one.claim.point))
    except AssertionError:
        return Answer(REJECTED)
    return Answer(ACCEPTED)


def gradcheck(one: Form, point: Any, fast: bool) -> Answer:
    """torch.autograd.gradcheck of a Function that calls both."""
    return by_torch(one.claim, fast=fast)


def check_grad(one: Form, point: Any) -> Answer:
    """scipy.optimize.check_grad, every entry."""
    return by_scipy(one.claim)


CHECKERS: dict[str, Callable] = {
    "JAX check_vjp, float32": functools.partial(check_vjp, dtype="float32"),
    "JAX check_vjp, float64": functools.partial(check_vjp, dtype="float64"),
    "PyTorch gradcheck, float64": functools.partial(gradcheck, fast=False),
    "PyTorch gradcheck, fast mode, float64": functools.partial(gradcheck, fast=True),
    "SciPy check_grad, float64": check_grad,
}
MANY = f"JAX check_vjp, float64, {POINTS} points"


def forms() -> list[list[Form]]:
    """Every form at POINTS points."""
    found = []
    for name, case in CASES.items():
        if case.ask not in ("gradient", "vjp", "rule") or "reference" in case.options:
            continue
        for number in range(-1, len(case.faults)):
            fault = case.faults[number] if number >= 0 else None
            with tempfile.TemporaryDirectory() as folder:
                module = load(written(case, fault, folder)[0])
            label = f"{name}{'' if fault is None else f' {number + 1}'}"
            kind = "right" if fault is None else "wrong"
            found.append([form(label, case, module, kind, seed) for seed in range(POINTS)])
    return found


def worst(check: Callable, points: Sequence[Form]) -> Trial:
    """The trial of one form that was rejected at one of the points, or raised; else the first."""
    trials = [once(check, one, None, LIMIT) for one in points]
    return next((trial for trial in trials if trial.verdict in (REJECTED, RAISED)), trials[0])


def main() -> int:
    """Check every form with every checker, and write the counts."""
    import torch  # noqa: F401  before the clock of a check runs

    path = writable(FLAGS.json or "runs/verify_functions_checkers.json")
    with jax.enable_x64(True):
        asked, rows = forms(), []
        for name, check in (CHECKERS | {MANY: CHECKERS["JAX check_vjp, float64"]}).items():
            trials = [worst(check, points if name == MANY else points[:1]) for points in asked]
            wrong, right = ([t for t in trials if t.derivation.kind == kind] for kind in ("wrong", "right"))
            rows.append(row(name, "functions", wrong, right, says=False))
            print(name, {key: rows[-1][key] for key in SHOWN})
    write_json(path, {"rows": rows, "forms": [points[0].id for points in asked], "provenance": provenance()})
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
