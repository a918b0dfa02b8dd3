"""The process of one competitor: `python -m experiments.benchmarks.peers.worker module:class problem.npz`.

Commands come as JSON lines on stdin, answers go as JSON lines to stdout: {"ready": true} or {"missing": ...} first,
then {"seconds": ..., "cpu": ...} for each {"epoch": index, "times": how often}, and {"saved": true} for {"save": path}.
Without arguments it is nobody's: it answers {"value": ...} to {"call": "module:function", "arguments": {...}}.
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
    # Libraries print too. What they print goes to stderr; the channel keeps stdout to itself.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    try:
        peer = _create(*sys.argv[1:]) if sys.argv[1:] else None
        say(ready=True)
        for line in sys.stdin:
            say(**_answer(peer, json.loads(line)))
    except ModuleNotFoundError as error:
        say(missing=(error.name or str(error)).partition(".")[0])
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip()
        say(error=text.splitlines()[0][:300])


def named(target: str):
    """What `module:name` names."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def _create(target: str, path: str):
    from experiments.benchmarks.peers import problem

    return named(target)(problem.load(pathlib.Path(path)))


def _answer(peer, command: dict) -> dict[str, object]:
    if "call" in command:
        return {"value": named(command["call"])(**command["arguments"])}
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
