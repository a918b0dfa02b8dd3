"""Networks of a row: trained by the training script with the same flags but for seeds and starts, and read again."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from experiments.papers.results import Origin
from experiments.papers.study import Study
from twolayer.command.files import read_json


@dataclasses.dataclass(frozen=True)
class Networks:
    """The run directories of the networks, and their summaries."""

    folders: Sequence[pathlib.Path]
    summaries: Sequence[dict]

    @property
    def errors(self) -> list[float]:
        """Test error of each, in percent."""
        return [100 * (1 - summary["test_accuracy"]) for summary in self.summaries]

    @property
    def origin(self) -> Origin:
        """The origin of all networks together; the seconds are those of training."""
        pairs = zip(self.folders, self.summaries, strict=True)
        return Origin.total(Origin.of_run(folder, summary["seconds"]["train"]) for folder, summary in pairs)

    @property
    def facts(self) -> dict[str, Any]:
        """What a row must say of them: how many diverged, if any. Of these the epoch before counts."""
        diverged = sum(summary["status"] == "diverged" for summary in self.summaries)
        return {"diverged": diverged} if diverged else {}


def train(
    work: Study, name: str, arguments: Sequence[str], own: Sequence[Sequence[str]], together: int = 1
) -> Networks:
    """Train a network for each entry of `own`, flags that it has beside the common `arguments`.

    Args:
      name: their folders are name-0, name-1, ...
      together: so many at once.

    Raises:
      Interrupted, BadInput: as `Study.command`.
    """
    commands = [(f"{name}-{number}", "train", *arguments, *flags) for number, flags in enumerate(own)]
    folders = work.commands(commands, together)
    return Networks(folders, [read_json(folder / "summary.json") for folder in folders])


def seeds(number: int) -> list[tuple[str, ...]]:
    """The flags in which networks differ that are repetitions of each other."""
    return [(f"--seed={seed}",) for seed in range(number)]
