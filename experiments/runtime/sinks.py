"""Where metrics go besides metrics.jsonl."""

import contextlib
import importlib.util
import math
import pathlib
from collections.abc import Callable, Iterator

from experiments.runtime.cli import BadInput

Sink = Callable[[list[dict]], None]  # takes the metrics of new epochs


def check(tensorboard: bool) -> None:
    """Raise BadInput if the library is wanted that writes TensorBoard event files, and is not installed."""
    if tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise BadInput("--tensorboard needs tensorboardX; pip install -e '.[tensorboard]'")


@contextlib.contextmanager
def tensorboard(path: pathlib.Path, wanted: bool) -> Iterator[list[Sink]]:
    """A sink that writes TensorBoard event files into `path`, if one is wanted."""
    if not wanted:
        yield []
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(path / "tensorboard")) as writer:

        def write(rows: list[dict]) -> None:
            for row in rows:
                for name, value in row.items():
                    if name != "epoch" and value is not None and math.isfinite(value):
                        writer.add_scalar(name, value, row["epoch"])

        yield [write]


@contextlib.contextmanager
def profile(path: pathlib.Path, wanted: bool) -> Iterator[None]:
    """Trace what runs inside, if wanted, into path/profile: for TensorBoard, and a .json.gz for Perfetto."""
    if not wanted:
        yield
        return
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # its events of every Python call take ten times longer than the training
    with jax.profiler.trace(str(path / "profile"), create_perfetto_trace=True, profiler_options=options):
        yield
