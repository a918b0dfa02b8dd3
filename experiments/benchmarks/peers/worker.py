"""The process of one competitor: `python -m experiments.benchmarks.peers.worker module:class problem.npz`.

Commands come as JSON lines on stdin, answers go as JSON lines to stdout: {"ready": true} or {"missing": ...} first,
then {"seconds": ..., "cpu": ...} for each {"epoch": index, "times": how often}, and {"saved": true} for {"save": path}.
An exception is an answer too, {"error": ...}, and the last one. The process ends with its stdin.
"""

import importlib
import json
import os
import pathlib
import sys
import time


def main() -> None:
    """Answer commands until stdin ends."""
    target, path = sys.argv[1:]
    # Libraries print too. What they print goes to stderr; the channel keeps stdout to itself.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    try:
        peer = _create(target, pathlib.Path(path))
        say(ready=True)
        for line in sys.stdin:
            say(**_answer(peer, json.loads(line)))
    except ModuleNotFoundError as error:
        say(missing=(error.name or str(error)).partition(".")[0])
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip()
        say(error=text.splitlines()[0][:300])


def _create(target: str, path: pathlib.Path):
    from experiments.benchmarks.peers import problem

    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)(problem.load(path))


def _answer(peer, command: dict) -> dict[str, object]:
    if "save" in command:
        import numpy as np

        np.savez(command["save"], *peer.parameters())
        return {"saved": True}
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(command.get("times", 1)):
        detail = peer.epoch(command["epoch"])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "detail": detail}


if __name__ == "__main__":
    main()
