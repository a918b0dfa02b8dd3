"""Where a result comes from: command, commit, versions, machine. No host or user names, no path of the script."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SETTINGS = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES")
PACKAGES = ("twolayer", "jax", "jaxlib", "numpy", "optax", "absl-py", "tensorflow-datasets", "scikit-learn")


def provenance(packages: Sequence[str] = ()) -> dict[str, Any]:
    """The facts for a manifest or a result file. Packages are looked up, not imported.

    Args:
      packages: whose versions count beside those of our own.
    """
    return {
        "argv": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": _git(),
        "versions": versions(packages),
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cpu": _cpu_model(),
            "cpus": len(os.sched_getaffinity(0)),
        },
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def versions(packages: Sequence[str] = ()) -> dict[str, str | None]:
    """Of Python, of PACKAGES and of others; None of those that are not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in (*PACKAGES, *packages)}


def now() -> str:
    """The time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def processor(platform: Mapping[str, Any]) -> str:
    """The cores that a process may use, in words."""
    cores = "a core" if platform["cpus"] == 1 else f"{platform['cpus']} cores"
    return f"{cores} of {platform['cpu']}"


def _git() -> dict[str, Any] | None:
    root = pathlib.Path(__file__).parent

    def git(*arguments: str) -> str:
        # Without locks, of which a run that is killed meanwhile would leave one behind.
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", pathlib.Path(__file__).name)  # else the repository is another's
        changed = git("status", "--porcelain", "--untracked-files=no")
        new = git("ls-files", "--others", "--exclude-standard", "--", ":/*.py")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed or new)}
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str | None:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
