"""The process of one competitor, from both sides.

The parent starts `python -m experiments.benchmarks.peers.worker module:class problem.npz`, or another command that
speaks the same, asks it, gives up on it in time, and never leaves it behind. Commands come as JSON lines on its stdin,
answers go as JSON lines to stdout: {"ready": true} or {"missing": ...} first, then {"seconds": ..., "cpu": ...} for
each {"epoch": index, "times": how often}, and how far it is from float64 for {"gate": true}. Without arguments it is
nobody's: it answers {"value": ...} to {"call": "module:function", "arguments": {...}}. An exception is an answer too,
{"error": ...}, and the last one. The process ends with its stdin.
"""

import contextlib
import importlib
import json
import math
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.benchmarks.peers import INSTALL, problem

# XLA, OpenMP and OpenBLAS threads spin for a while after their last task. They must sleep before the next one's turn.
PAUSE = 0.1


class Failed(Exception):
    """A competitor that cannot be timed; the message is what its row says."""


class Process:
    """A worker's process. A context manager: leaving it ends the process, however it was left.

    Attributes:
      timeout: seconds that an answer may take.
      ready: whether it has said that it is.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        timeout: float,
        *,
        command: Sequence[str] = ("-m", "experiments.benchmarks.peers.worker"),
        install: str = INSTALL["jax"],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
          command: what Python runs, with these arguments.
          install: what to do where its library is missing.
          variables: its environment; None is `on_cpu()`.
        """
        self.install, self.timeout, self.ready = install, timeout, False
        self.started = time.perf_counter()
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=on_cpu() if variables is None else variables,
            text=True,
            start_new_session=True,  # so that what it starts ends with it
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for file in (self._to, self._from, self._errors):
            try:
                file.close()
            except BrokenPipeError:
                pass

    def wait_until_ready(self) -> dict:
        """Wait until its library is imported and its data are in place; returns what it says then. Raises Failed."""
        answer = self._answer()
        self.ready = True
        return answer

    def ask(self, **command: Any) -> dict:
        """Its answer to one command. Raises Failed."""
        try:
            print(json.dumps(command), file=self._to, flush=True)
        except BrokenPipeError:
            pass  # it is gone; reading says why
        return self._answer()

    def _answer(self) -> dict:
        # An answer is one short line, written at once: when there is something to read, there is a line.
        if not select.select([self._from], [], [], self.timeout)[0]:
            raise Failed(f"no answer in {self.timeout:g} s")
        line = self._from.readline()
        if not line:
            raise Failed(f"crashed with status {self._process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "missing" in answer:
            raise Failed(f"missing: {answer['missing']} is not installed; {self.install}")
        if "error" in answer:
            raise Failed(f"failed: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]


def threads() -> int:
    """Cores that this process may use, which is the number of threads each competitor gets."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(**others: str) -> dict[str, str]:
    """The variables of this process, and others. Compiling counts, so nothing may come from a cache on disk."""
    dropped = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"} | others


def on_cpu() -> dict[str, str]:
    """The same for every competitor: this machine's cores, and no accelerator."""
    cores = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads()))
    return environment(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", **cores)


def busy_seconds() -> float:
    """CPU seconds that all processes of this machine have used so far, and its host has stolen; NaN if not known."""
    try:
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return math.nan
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Answer commands until stdin ends."""
    # Libraries print too. What they print goes to stderr; the channel keeps stdout to itself.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    try:
        own = _create(*sys.argv[1:]) if sys.argv[1:] else ()
        say(ready=True)
        for line in sys.stdin:
            say(**_answer(json.loads(line), *own))
    except ModuleNotFoundError as error:
        say(missing=(error.name or str(error)).partition(".")[0])
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip()
        say(error=text.splitlines()[0][:300])


def named(target: str):
    """Import the object that `module:name` names."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def _create(target: str, path: str) -> tuple[Any, Any]:
    given = problem.load(pathlib.Path(path))
    return named(target)(given), given


def _answer(command: dict, peer: Any = None, given: Any = None) -> dict[str, Any]:
    if "call" in command:
        return {"value": named(command["call"])(**command["arguments"])}
    if "gate" in command:
        return problem.gate(peer, given)
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(command.get("times", 1)):
        detail = peer.epoch(command["epoch"])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "detail": detail}


if __name__ == "__main__":
    main()
