"""Training from Python: `fit` one network on one's own arrays, `sweep` many; what comes out of it is a `Result`.

A run of experiments.train on the same data with the same settings has the same parameters, bit for bit: both make
their choices, numbers, keys and first parameters here.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped

from twolayer import losses, network, own, segments, settings, sweeps, training, updates
from twolayer.datasets import given
from twolayer.datasets.arrays import ONE_HOT, Options, Raw, from_arrays
from twolayer.datasets.dataset import Dataset
from twolayer.distortions import Distortion
from twolayer.network import Params
from twolayer.precisions import PRECISIONS, PRNG
from twolayer.result import Result, precision
from twolayer.settings import FLAG_OF, SETTING_OF, Settings
from twolayer.starts import Scheme
from twolayer.training import Choices, Numbers

LONGEST_SEGMENT = 100  # epochs of one call of a program
# What may differ between the networks of one program of a sweep.
SWEPT_NUMBERS = ("seed", "order_seed", "learning_rate", "weight_decay", "momentum", "init_scale", "output_bias")
# Settings that mathematics of one's own may stand for, and what own.py calls them.
OWN = {name: kind for name in settings.NAMES if (kind := FLAG_OF.get(name, name)) in own.FORMS}
STATUSES = {segments.RUNNING: "done", segments.DIVERGED: "diverged", segments.STOPPED_EARLY: "stopped early"}


def choices_of(wanted: Settings, data: Dataset, distortion: Distortion | None = None) -> Choices:
    """The choices of these settings, which a program is compiled for.

    Args:
      wanted: the settings.
      data: which they must go with; it decides the scale, and the most that a batch can be.
      distortion: of training images.

    Raises:
      ValueError: a name is not known, or the loss does not go with the output or the data.
    """
    cost = losses.find("loss", wanted.loss)
    if cost.name == "binary_cross_entropy" and wanted.output != "identity":
        raise ValueError("loss='binary_cross_entropy' has the sigmoid of the output inside it; add output='identity'")
    if data.regression and cost.labels:
        several = f", or {ONE_HOT}" if data.outputs > 1 else ""
        raise ValueError(f"{data.name} has real targets, {cost.name} needs classes; add loss='quadratic'{several}")
    shared = {field.name for field in dataclasses.fields(Choices)} & set(settings.NAMES)
    own = {name: getattr(wanted, name) for name in shared}
    own["warmup_epochs"] = settings.warmup(wanted.epochs, wanted.warmup_epochs)
    own["batch_size"] = settings.batch(wanted.batch_size, len(data.train.x))
    compute = PRECISIONS[wanted.precision].compute
    return Choices(**own, patience=wanted.early_stopping, compute=compute, scale=data.scale, distortion=distortion)


def numbers_of(wanted: Settings, dtype: str) -> Numbers:
    """The numbers that may vary without compiling again; the optimiser's own where none are given.

    Args:
      wanted: the settings.
      dtype: of the parameters.

    Raises:
      ValueError: the optimiser is not known.
    """
    own = updates.find("optimizer", wanted.optimizer)
    rate = own.learning_rate if wanted.learning_rate is None else wanted.learning_rate
    decay = own.weight_decay if wanted.weight_decay is None else wanted.weight_decay
    return Numbers(*(jnp.asarray(number, dtype) for number in (rate, decay, wanted.momentum)))


def keys_of(seed: int, order_seed: int | None = None) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """The key of the initial parameters and the key of the data order.

    Args:
      seed: decides both.
      order_seed: decides the second, if given.
    """
    first, order = _two_keys(seed)
    return first, order if order_seed is None else keys_of(order_seed)[1]


@jax.jit
def _two_keys(seed: int | Int[Array, ""]) -> tuple[Key[Array, ""], Key[Array, ""]]:
    return tuple(jax.random.split(jax.random.key(seed, impl=PRNG)))  # as one program it compiles in half the time


def may_skip_idle(choices: Choices, numbers: Numbers) -> bool:
    """Whether inputs that are zero on all training examples need no arithmetic: nothing moves their weights."""
    known = isinstance(choices.optimizer, str)  # of one's own, nobody knows that a zero gradient is a zero step
    return known and choices.distortion is None and not np.any(np.asarray(numbers.weight_decay))  # nothing to compile


def fit(
    x: Shaped[Array | np.ndarray, "n ..."],
    y: Shaped[Array | np.ndarray, "n ..."],
    *,
    valid: tuple | None = None,
    test: tuple | None = None,
    options: Options | Mapping[str, Any] | None = None,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
    **wanted: Any,
) -> Result:
    """Train one network on arrays, as experiments.train does on a file of the same arrays.

    Args:
      x: examples as rows, or images; uint8 are pixels, scaled by 1/255.
      y: whole numbers or names of classes, or real targets (n,) or (n, C).
      valid, test: (x, y) of their own; else they are drawn from x and y, as `options` says. A test part is kept out of
        training and otherwise unused here.
      options: task, standardize, valid_share, test_share, split_seed, as Options or a mapping.
      progress: called with the epochs done and the last metrics, at least every 100 epochs.
      wanted: fields of `Settings`, whose defaults are the script's: hidden_size=128, loss="cross_entropy", epochs=30,
        learning_rate, seed, ... In place of a name, FILE.py:NAME or an object that own.py describes may stand.

    Raises:
      ValueError: the examples or the settings cannot be used, or mathematics of one's own is not right, in one line.
        DataError is one.
      TypeError: a setting is not known.
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is {type(progress).__name__}; give a function of epochs and metrics")
    chosen = _settings(wanted)
    data, labels = _data(x, y, valid, test, options)
    _verify_own(chosen, data)
    return _fit(chosen, data, labels, progress)


def _settings(wanted: Mapping[str, Any]) -> Settings:
    unknown = [name for name in wanted if name not in settings.NAMES]
    if unknown:
        here = SETTING_OF.get(unknown[0])
        if here:
            raise TypeError(f"{unknown[0]!r} is called {here} here")
        raise TypeError(f"{unknown[0]!r} is no setting; there are {', '.join(settings.NAMES)}")
    entries = {name: own.entry_of(OWN[name], value) for name, value in wanted.items() if name in OWN}
    return Settings(**{**wanted, **entries})


def _verify_own(wanted: Settings, data: Dataset) -> None:
    """Raise ValueError unless each entry of one's own is right."""
    from twolayer.verification.entries import NotRight, verify_entry  # which few need

    for name, kind in OWN.items():
        entry = getattr(wanted, name)
        if not isinstance(entry, str):
            try:
                verify_entry(kind, entry, outputs=data.outputs, regression=data.regression)
            except NotRight as error:
                raise ValueError(f"{kind} of one's own {error}") from error


def _data(
    x: Array | np.ndarray,
    y: Array | np.ndarray,
    valid: tuple | None,
    test: tuple | None,
    options: Options | Mapping[str, Any] | None,
) -> tuple[Dataset, np.ndarray | None]:
    """The data set, and the classes as they were given."""
    pairs = {"train": (x, y), "valid": valid, "test": test}
    parts = {name: given.pair(f"the data: {name}", pair) for name, pair in pairs.items() if pair is not None}
    data = from_arrays("the data", Raw(parts), _options(options))
    return data, np.unique(parts["train"][1]) if data.classes else None


def _options(wanted: Options | Mapping[str, Any] | None) -> Options:
    if wanted is None or isinstance(wanted, Options):
        return wanted or Options()
    if not isinstance(wanted, Mapping):
        raise TypeError(f"options is {type(wanted).__name__}; give Options(...) or a mapping of its fields")
    names = [field.name for field in dataclasses.fields(Options)]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise TypeError(f"options: {unknown[0]!r} is no option; there are {', '.join(names)}")
    return Options(**wanted)


def _fit(wanted: Settings, data: Dataset, labels: np.ndarray | None, progress: Callable | None) -> Result:
    with precision(wanted.precision) as (parameters, _):
        choices, drawn = choices_of(wanted, data), draw_of(wanted, parameters)
        order_key, numbers = keys_of(wanted.seed, wanted.order_seed)[1], drawn.numbers
        state = starter(choices, wanted.hidden_size, wanted.init, data.sizes, parameters)(drawn)
        train = training.place(*data.train, skip_idle=may_skip_idle(choices, numbers))
        valid = training.place(*data.valid)
        segment, rows, epoch = _segment(choices, min(choices.epochs, LONGEST_SEGMENT)), [], 0
        while epoch < choices.epochs and int(state.status) == segments.RUNNING:
            until = min(epoch + LONGEST_SEGMENT, choices.epochs)
            state, metrics = segment(state, jnp.int32(until), order_key, numbers, train, valid)
            done = int(state.epoch) - epoch
            rows.append({name: np.asarray(column)[:done] for name, column in metrics.columns().items()})
            epoch = int(state.epoch)
            if progress and done:
                progress(epoch, {name: column[-1].item() for name, column in rows[-1].items()})
        params = jax.tree.map(np.asarray, segments.final_params(state))
    metrics = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return _result(params, metrics, wanted, int(state.status), data, labels)


def _result(
    params: Params, metrics: Mapping, wanted: Settings, status: int, data: Dataset, labels: np.ndarray | None
) -> Result:
    return Result(params, metrics, wanted, STATUSES[status], labels, data.scale, data.standard, data.said)


class Draw(NamedTuple):
    """What the state before the first epoch is a function of; of a stack with a leading axis of networks.

    Attributes:
      scale, bias: of all weights, and of b2; no bias is that of the scheme.
      earlier: the parameters of a narrower network, which its first hidden units take.
    """

    key: Key[Array, "*N"]
    numbers: Numbers
    scale: Float[Array | np.ndarray, "*N"]
    bias: Float[Array | np.ndarray, "*N"] | None
    earlier: Params | None = None


def draw_of(wanted: Settings, dtype: str) -> Draw:
    """What a network of these settings starts from, in the type of its parameters."""
    bias = None if wanted.output_bias is None else np.asarray(wanted.output_bias, dtype)
    return Draw(keys_of(wanted.seed)[0], numbers_of(wanted, dtype), np.asarray(wanted.init_scale, dtype), bias)


def stacked(draws: Sequence[Draw]) -> Draw:
    """Many as one, with a leading axis."""
    keys = jnp.stack([draw.key for draw in draws])
    others = [draw._replace(key=None) for draw in draws]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *others)._replace(key=keys)


@functools.lru_cache(maxsize=64)
def starter(
    choices: Choices,
    hidden_size: int,
    scheme: str | Scheme,
    sizes: tuple[int, int, int],
    dtype: str,
    many: bool = False,
) -> Callable[[Draw], segments.State]:
    """The function from a draw to the state before the first epoch, one for all equal arguments: it compiles once.

    Args:
      scheme: the initialisation.
      sizes: of the data: inputs, outputs and training examples.
      dtype: of the parameters.
      many: of a stack.
    """
    inputs, outputs, examples = sizes

    def start(draw: Draw) -> segments.State:
        options = {"output_bias": draw.bias, "scale": draw.scale, "dtype": jnp.dtype(dtype)}
        params = network.init(draw.key, inputs, hidden_size, outputs, scheme, **options)
        params = network.grown(draw.earlier, params) if draw.earlier else params
        return segments.start(choices, params, draw.numbers, examples)

    return jax.jit(jax.vmap(start) if many else start)


@functools.lru_cache(maxsize=64)
def _segment(choices: Choices, length: int) -> Callable:
    return jax.jit(segments.make_segment(choices, length), donate_argnums=0)


@functools.lru_cache(maxsize=64)
def _stack_segment(choices: Choices, length: int, shared: bool) -> Callable:
    return jax.jit(sweeps.make_segment(choices, length, shared=shared), donate_argnums=0)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Networks of a sweep, in the order of the points: the last axis varies fastest.

    Attributes:
      points: the swept values of each network.
      results: the networks.
    """

    points: Sequence[Mapping[str, object]]
    results: Sequence[Result]

    def last(self, metric: str) -> np.ndarray:
        """The metric of each network after its last epoch; NaN where not one epoch was finite."""
        found = (result.metrics[metric] for result in self.results)
        return np.array([column[-1] if len(column) else np.nan for column in found])


def sweep(
    x: Shaped[Array | np.ndarray, "n ..."],
    y: Shaped[Array | np.ndarray, "n ..."],
    *,
    axes: Mapping[str, Sequence],
    valid: tuple | None = None,
    test: tuple | None = None,
    options: Options | Mapping[str, Any] | None = None,
    share: bool = True,
    **wanted: Any,
) -> Sweep:
    """Train a network for each combination of values, all that differ in numbers alone together in one program.

    Args:
      axes: setting -> its values; seeds, rates, decays, momenta, scales and biases share a program, other settings
        have a program for each value.
      share: whether all networks see the same batches, in the order of `order_seed`, 0 unless given; else each has the
        order of its seed.
      x, y, valid, test, options, wanted: as in `fit`.

    Raises:
      ValueError: the examples or the settings cannot be used, or an axis is empty.
      TypeError: a setting is not known.
    """
    if not isinstance(axes, Mapping):
        raise TypeError(
            f"axes is {type(axes).__name__}; give a mapping of settings to their values, {{'seed': range(3)}}"
        )
    for name, values in axes.items():
        if isinstance(values, str) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
            raise TypeError(f"axes[{name!r}] is {type(values).__name__}; give a list of values, [{values!r}] of one")
    empty = [name for name, values in axes.items() if not len(values)]
    if empty or not axes:
        raise ValueError(
            f"axes[{empty[0]!r}] has no values" if empty else "axes is empty; name a setting and its values"
        )
    if share and "order_seed" in axes:
        raise ValueError("order_seed is swept, so the networks cannot share their batches; add share=False")
    fixed = [name for name in axes if name in wanted]
    if fixed:
        raise ValueError(f"{fixed[0]} is given beside axes[{fixed[0]!r}]; leave one of them out")
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    each = [_settings({**wanted, **point}) for point in points]
    data, labels = _data(x, y, valid, test, options)
    for one in dict.fromkeys(each):
        _verify_own(one, data)
    groups: dict[Settings, list[int]] = {}
    for number, one in enumerate(each):
        same = dataclasses.replace(one, **{name: getattr(settings.DEFAULT, name) for name in SWEPT_NUMBERS})
        groups.setdefault(same, []).append(number)
    found: dict[int, Result] = {}
    for members in groups.values():
        found |= zip(members, _fit_stack([each[n] for n in members], data, labels, share), strict=True)
    return Sweep(points, [found[number] for number in range(len(points))])


def _fit_stack(each: Sequence[Settings], data: Dataset, labels: np.ndarray | None, share: bool) -> list[Result]:
    """Networks that differ in SWEPT_NUMBERS alone, trained together."""
    first = each[0]
    if len({one.output_bias is None for one in each}) > 1:
        raise ValueError("axes['output_bias'] has None beside numbers; sweep over numbers alone")
    with precision(first.precision) as (parameters, _):
        choices, drawn = choices_of(first, data), stacked([draw_of(one, parameters) for one in each])
        numbers = jax.tree.map(jnp.asarray, drawn.numbers)
        state = starter(choices, first.hidden_size, first.init, data.sizes, parameters, many=True)(drawn)
        orders = [0 if share and one.order_seed is None else one.order_seed for one in each]
        keys = [keys_of(one.seed, order)[1] for one, order in zip(each, orders, strict=True)]
        order = keys[0] if share else jnp.stack(keys)
        train = training.place(*data.train, skip_idle=may_skip_idle(choices, numbers))
        valid = training.place(*data.valid)
        segment = _stack_segment(choices, min(choices.epochs, LONGEST_SEGMENT), share)
        history, epoch = [], 0
        while epoch < choices.epochs and (np.asarray(state.status) == segments.RUNNING).any():
            until = min(epoch + LONGEST_SEGMENT, choices.epochs)
            state, metrics = segment(state, jnp.int32(epoch), jnp.int32(until), order, numbers, train, valid)
            history.append({name: np.asarray(a)[: until - epoch] for name, a in metrics.columns().items()})
            epoch = until
        final = [np.asarray(leaf) for leaf in jax.vmap(segments.final_params)(state)]
        reached, status = np.asarray(state.epoch).tolist(), np.asarray(state.status).tolist()
    columns = {name: np.concatenate([part[name] for part in history]) for name in history[0]}
    results = []
    for i, one in enumerate(each):
        metrics = {name: column[: reached[i], i] for name, column in columns.items()}
        results.append(_result(Params(*(leaf[i] for leaf in final)), metrics, one, status[i], data, labels))
    return results
