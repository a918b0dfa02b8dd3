"""Does the device compute what the formulas say? Each entry against float64 NumPy, within the bound of its roundings.

The bounds are those of the verifier's running error analysis, of the whole compiled program at once: two correct
programs of one precision differ by no more, whatever the order of their sums and wherever a pre-activation is so close
to zero that rounding decides its ReLU. The two known errors of XLA's GPU compiler are looked for by their patterns. And
whole runs of the training script: the same bits twice, and a checkpoint from a CPU.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import faults
from experiments.benchmarks.device import INPUTS, OUTPUTS
from experiments.benchmarks.device.steps import images, running
from experiments.benchmarks.peers.problem import backward
from experiments.runtime.runs import load_params, metrics_lines
from twolayer import gradients, network, stacks
from twolayer.command.cli import INTERRUPTED

NETWORKS = 3  # of a stack
ENGINES = {"closed form": gradients.closed_form, "autodiff": gradients.autodiff}
STACKS = {"closed form, stacked": stacks.closed_form, "autodiff, stacked": stacks.autodiff}
LEAVES = network.Params._fields
# How far parameters may be apart that were trained on two kinds of devices, as a share of their length. Gradients
# differ by some 2^-20 of theirs; thousands of steps add that up, and a ReLU that one side enters a step later moves
# its unit away for good.
CLOSE = 1e-2
UNIT = {"float32": 2**-24, "tensorfloat32": 2**-10, "bfloat16": 2**-8}  # of a product's operands and result


def gradient_errors(precision: str, hidden: int, batch_size: int) -> dict[str, Any]:
    """The gradients of both engines, single and stacked, and of both losses, beside float64.

    Returns:
      entries, beyond (those farther from float64 than their bound), worst (the largest error over its bound), and
      wrong, the names of the gradients that have entries beyond.
    """
    found = {"entries": 0, "beyond": 0, "worst": 0.0, "wrong": []}
    for loss in ("cross_entropy", "quadratic"):
        for name, engine in (ENGINES | STACKS).items():
            for leaf, error, bound in _errors(engine, name in STACKS, loss, precision, hidden, batch_size):
                beyond = int((~(error <= bound)).sum())
                found["entries"] += error.size
                found["beyond"] += beyond
                found["worst"] = max(found["worst"], float(np.max(error / np.maximum(bound, 1e-300))))
                found["wrong"] += [f"{leaf} of {name}, {loss}"] if beyond else []
    return found


def _errors(
    engine: Callable, stacked: bool, loss: str, precision: str, hidden: int, batch_size: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For each parameter of each network (name, error, bound)."""
    with running(precision) as dtype:
        x, y = images(batch_size)
        x, labels = (x / 255).astype(dtype), y
        aims = jnp.asarray(np.eye(OUTPUTS)[labels].astype(dtype) if loss == "quadratic" else labels)
        keys = jax.random.split(jax.random.key(0), NETWORKS)
        each = jax.vmap(lambda key: network.init(key, INPUTS, hidden, OUTPUTS, "alive", dtype=dtype))(keys)
        one = engine(loss, "relu", "mean")
        params = [np.asarray(leaf if stacked else leaf[0]) for leaf in each]

        def gradient(*arguments: jax.Array) -> tuple[jax.Array, ...]:
            return tuple(one(network.Params(*arguments[:4]), arguments[4], aims)[1])

        arguments = (*params, x)
        device = [np.asarray(leaf, np.float64) for leaf in jax.jit(gradient)(*arguments)]
        bounds = bounds_of(gradient, arguments, precision)
    for n in range(NETWORKS if stacked else 1):
        own = [leaf[n] for leaf in params] if stacked else params
        exact = [np.asarray(leaf, np.float64) for leaf in (*own, x)]
        right = backward("relu", exact[:4], exact[4], labels, loss).gradients
        for leaf, a, b, bound in zip(LEAVES, device, right, bounds, strict=True):
            a, bound = (a[n], bound[n]) if stacked else (a, bound)
            yield leaf, abs(a - b), bound


def bounds_of(function: Callable, arguments: Sequence[np.ndarray], precision: str) -> list[np.ndarray]:
    """How far the outputs of a compiled function may be from exact ones, by the verifier's analysis of its program.

    The one place that knows how to ask it. Float64 NumPy's own rounding is in the bounds.
    """
    from twolayer.verification.rounding.bounds import Rounding
    from twolayer.verification.rounding.runs import follow

    closed = jax.make_jaxpr(function)(*arguments)
    found: list[Any] = [value.bound for value in follow(closed, Rounding(precision), arguments)]
    return found


def scaled_bias(sizes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """(x W + b) / 8, which XLA may turn into (x W) / 8 + b where a library adds the bias (openxla/xla 46110)."""
    return _patterns(sizes, lambda x, W, b: (x @ W + b[None, :]) * 0.125, lambda x, W, b: (x @ W + b) / 8, 1)


def transposed_bias(sizes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """W x^T + b of examples in columns, whose bias XLA may add along the wrong axis (openxla/xla 46897).

    The batch is as large as the layer: with other sizes the wrong axis would not fit.
    """
    return _patterns(sizes, lambda x, W, b: x @ W + b[:, None], lambda x, W, b: x @ W + b[:, None], 0)


def _patterns(sizes: Sequence[Sequence[int]], device: Callable, exact: Callable, axis: int) -> dict[str, Any]:
    """The pattern in three precisions, the factor a constant of the program as in a loss; sizes are (m, d, K).

    A sum of d products of operands that are rounded by u each differs by (2 u + d 2^-24) |x| |W| at most, the result
    by another u of its own.
    """
    found = {"cases": 0, "beyond": 0, "worst": 0.0, "wrong": []}
    rng = np.random.default_rng(0)
    for m, d, K in sizes:
        host = rng.normal(size=(m, d)), rng.normal(size=(d, K)), rng.normal(size=(m, K)[axis])
        for precision, u in UNIT.items():
            with running(precision) as dtype:
                x, W, b = (array.astype(dtype) for array in host)
                mine = np.asarray(jax.jit(device)(x, W, b), np.float64)
            x, W, b = (np.asarray(array, np.float64) for array in (x, W, b))
            right = exact(x, W, b)
            bias = abs(b)[:, None] if axis == 0 else abs(b)[None, :]
            bound = (2.5 * u + d * 2**-23) * (abs(x) @ abs(W) + bias) + 2 * u * abs(right)
            worst = float(np.max(abs(mine - right) / bound))
            found["cases"] += 1
            found["beyond"] += int((~(abs(mine - right) <= bound)).sum())
            found["worst"] = max(found["worst"], worst)
            found["wrong"] += [f"{m} x {d} x {K}, {precision}"] if not worst <= 1 else []
    return found


def repeated(flags: Sequence[str]) -> dict[str, Any]:
    """The training script with these flags twice on the device: are the parameters the same to the bit?"""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_trained(Path(folder) / name, flags) for name in ("first", "second"))
    same = all((first[name] == second[name]).all() for name in first)
    return {"same": same, "apart": _apart(first, second), "wrong": [] if same else ["two runs differ"]}


def continued(flags: Sequence[str]) -> dict[str, Any]:
    """A run that was interrupted on a CPU and goes on on the device, beside one that was on the device throughout.

    Raises:
      RuntimeError: on the CPU it was over before it could be interrupted.
    """
    with tempfile.TemporaryDirectory() as folder:
        moved, whole = (Path(folder) / name for name in ("moved", "whole"))
        epochs = _interrupted(moved, flags)
        apart = _apart(_trained(whole, flags), _trained(moved, flags))
    wrong = [] if apart <= CLOSE else [f"parameters are {apart:.1e} of their length apart"]
    return {"cpu_epochs": epochs, "apart": apart, "allowed": CLOSE, "wrong": wrong}


def _interrupted(place: Path, flags: Sequence[str]) -> int:
    """Start a run on the CPU and stop it with SIGTERM after its first epochs; returns how many it has done."""
    process = faults.start([*flags, "--nofigures"], place, JAX_PLATFORMS="cpu")
    while process.poll() is None and not metrics_lines(place / "run"):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    if process.returncode != INTERRUPTED:
        raise RuntimeError(f"the run on the CPU was not interrupted but ended with status {process.returncode}")
    return len(metrics_lines(place / "run"))


def _trained(place: Path, flags: Sequence[str]) -> dict[str, np.ndarray]:
    """The parameters of the run in `place`, trained to its end."""
    faults.finish(faults.start([*flags, "--nofigures"], place), "a run on the device")
    return load_params(place / "run")


def _apart(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """The largest distance of a parameter from the other's, as a share of its length."""
    return max(float(np.linalg.norm(a[name] - b[name]) / max(np.linalg.norm(a[name]), 1e-30)) for name in a)
