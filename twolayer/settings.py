"""What a training run is, besides its data: one default for the scripts, for `fit` and for Choices. Imports no JAX."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """A network and how it is trained. Where a name may stand, an entry of one's own may stand too.

    Attributes:
      hidden_size: K.
      output, hidden_activation: of both layers, names in activations.ACTIVATIONS.
      init: where the parameters start, a name in starts.SCHEMES; "alive" starts every output of a ReLU above zero.
      init_scale: multiplies all initial weights.
      output_bias: of b2 at the start; None takes that of `init`.
      loss: a name in formulas.FORMULAS.
      reduction: "mean" or "sum" over a batch.
      gradient: "closed_form" or "autodiff".
      precision: a name in precisions.PRECISIONS.
      optimizer: a name in updates.OPTIMIZERS.
      learning_rate, weight_decay: None takes the optimiser's own.
      momentum: or beta_1 of Adam's family and Lion.
      schedule: a name in updates.SCHEDULES.
      warmup_epochs: epochs of rising rate; None is a tenth of the run, at most 1: the first steps of Adam are its
        largest, and can push an output's ReLU below zero for good.
      step_every, step_factor: of the schedule "step".
      averaging: what an average of the parameters keeps in a step; 0 has none.
      batch_size: examples a step. The default is cut to the training set where this is smaller.
      epochs: passes over the training set.
      early_stopping: epochs without a lower validation loss to stop after; 0 never stops.
      seed: decides the initial parameters and the order of the data.
      order_seed: decides the order alone, if it is not None.
    """

    hidden_size: int = 128
    output: Any = "relu"
    hidden_activation: Any = "relu"
    init: Any = "alive"
    init_scale: float = 1.0
    output_bias: float | None = None
    loss: Any = "cross_entropy"
    reduction: str = "mean"
    gradient: str = "closed_form"
    precision: str = "float32"
    optimizer: Any = "adamw"
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    schedule: str = "cosine"
    warmup_epochs: float | None = None
    step_every: int = 10
    step_factor: float = 0.1
    averaging: float = 0.0
    batch_size: int = 128
    epochs: int = 30
    early_stopping: int = 0
    seed: int = 0
    order_seed: int | None = None


DEFAULT = Settings()
NAMES = tuple(field.name for field in dataclasses.fields(Settings))
FLAG_OF = {"hidden_size": "hidden", "hidden_activation": "activation"}  # settings whose flags are called otherwise


def warmup(epochs: int, given: float | None = None) -> float:
    """The epochs of rising rate: what is given, else a tenth of the run, at most 1."""
    return min(1.0, epochs / 10) if given is None else given


def batch(size: int, examples: int) -> int:
    """The examples of a step: the default size is cut to the training set, another one is taken as it is."""
    return min(size, examples) if size == DEFAULT.batch_size else size
