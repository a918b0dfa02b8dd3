"""What a training run is, besides its data: one default for the scripts, for `fit` and for Choices. Imports no JAX."""

import dataclasses
import numbers
import sys
import typing
from typing import Annotated, Any, NamedTuple

INT32 = 2**31 - 1  # the most that a counter of a program holds; of a seed JAX takes the lower 32 bits

_MOST = sys.float_info.max


class Bounds(NamedTuple):
    """The least and the most that a number may be; None has no such end."""

    least: float | None = None
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """A network and how it is trained. Where a name may stand, an entry of one's own may stand too.

    A number outside its bounds, or of another type, is a ValueError.

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

    hidden_size: Annotated[int, Bounds(1)] = 128
    output: Any = "relu"
    hidden_activation: Any = "relu"
    init: Any = "alive"
    init_scale: Annotated[float, Bounds(0)] = 1.0
    output_bias: Annotated[float | None, Bounds()] = None
    loss: Any = "cross_entropy"
    reduction: str = "mean"
    gradient: str = "closed_form"
    precision: str = "float32"
    optimizer: Any = "adamw"
    learning_rate: Annotated[float | None, Bounds(0)] = None
    momentum: Annotated[float, Bounds(0, 1)] = 0.9
    weight_decay: Annotated[float | None, Bounds(0)] = None
    schedule: str = "cosine"
    warmup_epochs: Annotated[float | None, Bounds(0)] = None
    step_every: Annotated[int, Bounds(1)] = 10
    step_factor: Annotated[float, Bounds(0, 1)] = 0.1
    averaging: Annotated[float, Bounds(0, 0.999999)] = 0.0
    batch_size: Annotated[int, Bounds(1)] = 128
    epochs: Annotated[int, Bounds(1, INT32)] = 30
    early_stopping: Annotated[int, Bounds(0, INT32)] = 0
    seed: Annotated[int, Bounds(0, INT32)] = 0
    order_seed: Annotated[int | None, Bounds(0, INT32)] = None

    def __post_init__(self) -> None:
        for name, hint in _HINTS.items():
            if hint is str and not isinstance(getattr(self, name), str):
                raise ValueError(f"{name}={_short(getattr(self, name))} cannot be used; give a name")
        for name in BOUNDS:
            object.__setattr__(self, name, number(name, getattr(self, name)))  # frozen


_HINTS = typing.get_type_hints(Settings, include_extras=True)
BOUNDS: dict[str, Bounds] = {
    name: hint.__metadata__[0] for name, hint in _HINTS.items() if hasattr(hint, "__metadata__")
}


def is_whole(name: str) -> bool:
    """Whether this setting is a whole number."""
    return int in _kinds(name)


def _kinds(name: str) -> tuple[type, ...]:
    return typing.get_args(_HINTS[name].__origin__) or (_HINTS[name].__origin__,)


def number(name: str, value: Any, called: str | None = None) -> float | None:
    """The value of a setting as a plain number.

    Args:
      name: of the setting.
      value: what was given for it, as a number of Python, NumPy or JAX.
      called: what the error calls it, if not by its name.

    Raises:
      ValueError: it is no number, or outside the bounds of the setting.
    """
    kinds, whole = _kinds(name), is_whole(name)
    least, most = BOUNDS[name]
    lowest, highest = (-_MOST if least is None else least), (_MOST if most is None else most)
    plain = _plain(value, numbers.Integral if whole else numbers.Real)
    if plain is not None and lowest <= plain <= highest:  # NaN and infinity are not
        return int(plain) if whole else float(plain)
    if value is None and type(None) in kinds:
        return None
    between = f" from {least} to {most}" if most is not None else f" of at least {least}" if least is not None else ""
    allowed = f"a {'whole' if whole else 'finite'} number{between}{', or None' * (type(None) in kinds)}"
    raise ValueError(f"{called or name}={_short(value)} cannot be used; give {allowed}")


def _plain(value: Any, kind: type) -> Any:
    """The number of this kind in an array of no axes, or as it is; None if there is none."""
    plain = value.item() if getattr(value, "ndim", None) == 0 else value
    return plain if isinstance(plain, kind) and not isinstance(plain, bool) else None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


DEFAULT = Settings()
NAMES = tuple(field.name for field in dataclasses.fields(Settings))
FLAG_OF = {"hidden_size": "hidden", "hidden_activation": "activation"}  # settings whose flags are called otherwise
SETTING_OF = {flag: name for name, flag in FLAG_OF.items()}


def warmup(epochs: int, given: float | None = None) -> float:
    """The epochs of rising rate: what is given, else a tenth of the run, at most 1."""
    return min(1.0, epochs / 10) if given is None else given


def batch(size: int, examples: int) -> int:
    """The examples of a step: the default size is cut to the training set, another one is taken as it is."""
    return min(size, examples) if size == DEFAULT.batch_size else size
