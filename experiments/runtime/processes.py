"""What the processes of one job agree on: who writes, what all of them are told, and what all of them see.

Everything here is the same with one process. Who belongs to the job, and what happens when one is lost, is in
supervision.py.
"""

import json
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from experiments.runtime.runs import Follower, Run
from twolayer.command.cli import BadInput

if TYPE_CHECKING:  # it loads JAX, and a finished run answers without
    from jaxtyping import PyTree

Result = TypeVar("Result")


def first() -> bool:
    """Whether this is the process that writes."""
    import jax

    return jax.process_index() == 0


def first_does(work: Callable[[], Result]) -> Result | None:
    """What only the first process does, None on the others; what it refuses, all refuse. All must ask.

    Raises:
      BadInput: as `work`.
    """
    refusal, result = "", None
    if first():
        try:
            result = work()
        except BadInput as error:
            refusal = str(error)
    if refusal := told(refusal):
        raise BadInput(refusal)
    return result


def agreed(find: Callable[[], Run]) -> Run:
    """The run that the first process finds. The others follow it, whatever lies in directories of theirs. All must ask.

    Raises:
      BadInput: as `find`.
    """
    run = first_does(find)
    path, manifest = json.loads(told(json.dumps((str(run.path), run.manifest)) if run else ""))
    return run or Follower(pathlib.Path(path), manifest)


def told(text: str) -> str:
    """The first's text, on all of them. All must ask."""
    import numpy as np

    own = np.frombuffer(text.encode(errors="surrogateescape"), np.uint8)  # a path need not be UTF-8
    size = int(firsts(np.int64(len(own))))
    return firsts(np.resize(own, size)).tobytes().decode(errors="surrogateescape") if size else ""


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process. All must ask."""
    import jax
    import numpy as np

    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def firsts(tree: "PyTree") -> "PyTree":
    """What the first process has, on all of them: NumPy arrays of the same shapes and types. All must ask."""
    import jax
    import numpy as np

    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    def of_first(leaf: np.ndarray) -> np.ndarray:
        # As bytes: JAX sends a sum of what the first has and zeros, and -0.0 + 0.0 is 0.0.
        own = np.ascontiguousarray(leaf)
        sent = multihost_utils.broadcast_one_to_all(np.frombuffer(own.tobytes(), np.uint8))
        return np.frombuffer(np.asarray(sent).tobytes(), own.dtype).reshape(np.shape(leaf))

    return jax.tree.map(of_first, tree)


def fetch(tree: "PyTree") -> "PyTree":
    """The arrays of all devices as NumPy arrays, on every process. All must ask."""
    import jax
    import numpy as np

    def whole(leaf: jax.Array) -> np.ndarray:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    from jax.experimental import multihost_utils

    return jax.tree.map(whole, tree)
