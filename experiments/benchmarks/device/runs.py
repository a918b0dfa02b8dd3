"""Whole runs of the training script on a device: its memory, the same bits twice, and a checkpoint from a CPU."""

import resource
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks import faults
from experiments.runtime.runs import load_params, metrics_lines
from twolayer.command.cli import INTERRUPTED

STEPS = 20  # of an epoch of the wide network
# How far parameters may be apart that were trained on two kinds of devices, as a share of their length. Gradients
# differ by some 2^-20 of theirs; thousands of steps add that up, and a ReLU that one side enters a step later moves
# its unit away for good.
CLOSE = 1e-2


def wide(hidden: int, batch_size: int, precision: str, optimizer: str) -> dict[str, Any]:
    """One epoch of a few steps of a wide network by the training script's own program, and the memory it takes.

    Runs in a process of its own, since a device tells the most that was in use since its start.

    Returns:
      step_us; estimate_bytes, which --dry_run prints and the script compares with the device's memory; the most that
      was in use, prepared_bytes before training and measured_bytes after it. If they are equal, drawing the parameters
      took more than training.
    """
    from absl import flags

    from experiments.runtime import flags as training_flags

    flags.FLAGS(
        [
            "accelerator",
            *("--dataset=teacher", "--teacher_inputs=784", "--loss=quadratic", "--schedule=constant", "--epochs=5"),
            *(f"--teacher_train={STEPS * batch_size}", f"--teacher_valid={batch_size}", f"--teacher_test={batch_size}"),
            *(f"--hidden={hidden}", f"--batch_size={batch_size}"),
            *(f"--precision={precision}", f"--optimizer={optimizer}"),
        ]
    )
    import jax
    import jax.numpy as jnp

    from experiments.runtime import jobs, loop
    from twolayer import devices

    job = jobs.prepare(training_flags.values())
    program, prepared = loop.program_of(job), _peak()
    estimate, state, times = devices.bytes_of_program(program), job.state, []
    for epoch in range(1, 4):
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(program(*job.arguments(state, epoch - 1, epoch)))
        times.append(time.perf_counter() - began)
    return {
        "step_us": 1e6 * min(times) / STEPS,
        "steps": STEPS,
        "finite": bool(jnp.isfinite(metrics.train_loss[0])),
        "estimate_bytes": estimate,
        "prepared_bytes": prepared,
        "measured_bytes": _peak(),
    }


def _peak() -> int:
    """The most bytes in use so far, on the device; of a CPU those of the process."""
    import jax

    found = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if found is None else found


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
