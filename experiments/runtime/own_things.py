"""What people bring along in a file: mathematics, FILE.py:NAME for a name, and data; as the flags say it.

Derivatives are verified (twolayer.verification) before a run begins, over the program that would be trained. A start
must have variances, an optimiser must leave the sign of a gradient.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twolayer import datasets, losses, own, settings
from twolayer.activations import Activation, compiled
from twolayer.command.cli import BadInput, bad_input
from twolayer.loading import FLAG_OF
from twolayer.names import OF_OWN_DATA, is_own_data
from twolayer.network import Params
from twolayer.settings import Settings
from twolayer.starts import Scheme
from twolayer.updates import Direction
from twolayer.verification.verdict import Judgement


@functools.cache  # a file is read once, so that all programs of a process have the same entry
def _loaded(kind: str, reference: str) -> own.Own:
    with bad_input(ValueError):
        return own.load(kind, reference)


def entry(flags: Mapping[str, Any], kind: str) -> Any:
    """The value of a flag, or the entry that it names in a file.

    Raises:
      BadInput: the file or the entry cannot be used.
    """
    return _loaded(kind, flags[kind]).entry if own.is_own(flags[kind]) else flags[kind]


def settings_of(flags: Mapping[str, Any]) -> Settings:
    """The settings of a run. A flag that is not there is at its default.

    Raises:
      BadInput: as `entry`.
    """
    names = {name: FLAG_OF.get(name, name) for name in settings.NAMES}
    return Settings(**{
        name: entry(flags, flag) if flag in own.FORMS else flags[flag] for name, flag in names.items() if flag in flags
    })  # fmt: skip


def checked(flags: Mapping[str, Any], data: datasets.Dataset) -> dict[str, dict[str, str]]:
    """Check what is brought along in files; returns flag -> reference, SHA-256, text and the verdict. For the manifest.

    Raises:
      BadInput: an entry is not proved right, or cannot be computed.
    """
    found = {}
    for kind in own.FORMS:
        if own.is_own(flags.get(kind)):
            one = _loaded(kind, flags[kind])
            verdict = _verdict(kind, one, data.outputs, data.regression)
            found[kind] = {"reference": one.reference, "sha256": one.sha256, "verdict": verdict, "text": one.text}
    return found


@functools.cache  # a sweep has many parts
def _verdict(kind: str, one: own.Own, outputs: int, regression: bool) -> str:
    """One line that says the entry is right.

    Raises:
      BadInput: it is wrong, with an example, undecided, or it cannot be computed.
    """
    from twolayer.verification.programs import NotJudged

    try:
        if kind == "init":
            said = _check_init(one.entry, outputs)
        elif kind == "optimizer":
            said = _check_optimizer(one.entry, outputs)
        elif kind == "loss":
            said = _verify_loss(one.entry, outputs, regression)
        else:
            said = _verify_activation(one.entry)
    except (_NotRight, NotJudged) as error:
        reason = f"undecided: {error} is not known over the reals" if isinstance(error, NotJudged) else str(error)
        raise BadInput(f"--{kind}={one.reference} is {reason}; the run does not begin") from error
    except Exception as error:  # it is anybody's code
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"--{kind}={one.reference} cannot be computed ({type(error).__name__}: {reason})") from error
    return f"--{kind}={one.reference} is right: {said}"


class _NotRight(Exception):
    """A verdict with its reason."""


def _verify_loss(entry: Any, outputs: int, regression: bool) -> str:
    """The residual of a loss against the derivative of its value, for targets such as the data has."""
    from twolayer.verification import verify_gradient
    from twolayer.verification.programs.jax_code import JaxProgram

    cost = losses.find("loss", entry)
    y = jax.ShapeDtypeStruct((3,), "int32") if cost.labels else jax.ShapeDtypeStruct((3, outputs), "float32")
    value, residual = jax.eval_shape(lambda O2, y: tuple(cost(O2, y)), jax.ShapeDtypeStruct((3, outputs), "float32"), y)
    if value.shape != (3,) or residual.shape != (3, outputs):
        raise _NotRight(
            f"wrong: for O2 {(3, outputs)} value must be {(3,)} and residual {(3, outputs)}, they are {value.shape} "
            f"and {residual.shape}"
        )
    shapes = {"O2": f"m {outputs}", "y": "m" if cost.labels else f"m {outputs}"}
    domain = f"labels:{outputs}" if cost.labels else "real" if regression else "onehot"
    loss = JaxProgram(lambda O2, y: cost(O2, y).value.sum())
    residuals = JaxProgram(lambda O2, y: {"O2": cost(O2, y).residual})
    _must_be_right("the residual", verify_gradient(loss, residuals, shapes, domains={"y": domain}))
    return "the residual is the derivative of the value, to 60 digits"


def _verify_activation(entry: Activation) -> str:
    """Its derivative against that of its value; where it has other forms for training, those against its texts."""
    from twolayer.verification import equal, verify_vjp
    from twolayer.verification.programs.jax_code import JaxProgram

    value, slope = compiled("Z", entry.value), compiled("Z, O", entry.derivative)
    apply, back = JaxProgram(entry.apply), JaxProgram(lambda Z, dO: entry.back(Z, entry.apply(Z), dO))
    pullback = JaxProgram(lambda Z, dO: dO * slope(Z, value(Z)))
    _must_be_right("the derivative", verify_vjp(JaxProgram(value), pullback, {"Z": "n"}, argnums=0))
    if entry.stable:
        _must_be_right("its `stable` form", equal(apply, JaxProgram(value), {"Z": "n"}))
    if entry.stable or entry.stable_back:
        _must_be_right("its `stable_back` form", equal(back, pullback, {"Z": "n", "dO": "n"}))
    return "the derivative is that of the value, to 60 digits"


def _must_be_right(what: str, found: Judgement) -> None:
    """Raise _NotRight with the first wrong number, or why it is undecided."""
    if found.verdict != "right":
        reasons = [str(one["reason"]) for one in found.outputs.values() if one["reason"]]
        example = [line for line in found.text.splitlines() if ": yours " in line]
        raise _NotRight(f"{found.verdict}: {what}: {' '.join((example or reasons)[:1]).strip()}")


def _check_init(entry: Scheme, outputs: int) -> str:
    """The variances of a start must be numbers."""
    found = {"W1": entry.W1(7, 5), "W2": entry.W2(5, outputs), "bias": entry.bias}
    for name, variance in found.items():
        if not 0 <= float(variance) < np.inf:
            raise _NotRight(f"wrong: the variance of {name} is {variance}, it must be finite and not negative")
    if not np.isfinite(float(entry.output_bias(outputs))):
        raise _NotRight(f"wrong: output_bias({outputs}) is {entry.output_bias(outputs)}")
    return "its variances are finite"


def _check_optimizer(entry: Direction, outputs: int) -> str:
    """An optimiser must leave the sign of a gradient."""
    shapes = {"W1": (5, 7), "b1": (5,), "W2": (outputs, 5), "b2": (outputs,)}
    params = Params(**{name: jnp.ones(shape) for name, shape in shapes.items()})
    gradients = jax.tree.map(lambda leaf: 0.5 * leaf, params)
    rule = entry.make(0.9)
    updates, _ = jax.jit(lambda gradients, params: rule.update(gradients, rule.init(params), params))(gradients, params)
    along = sum(float((g * u).sum()) for g, u in zip(gradients, updates, strict=True))
    if not np.isfinite(along):
        raise _NotRight("wrong: its first step is not finite")
    if along < 0:
        raise _NotRight(
            "wrong: its first step goes against the gradient, so it has a learning rate in it; leave that out "
            "(optax.scale_by_adam() for optax.adam(rate)), --learning_rate is applied after it"
        )
    return "its first step goes along the gradient, before the learning rate"


def check_same(manifest: Mapping[str, Any], found: Mapping[str, Mapping[str, str]], path: object) -> None:
    """Raise BadInput if the run was begun with other texts in these files."""
    for kind, one in (manifest.get("own") or {}).items():
        if kind in found and found[kind]["sha256"] != one["sha256"]:
            raise BadInput(
                f"--run_dir={path} was begun with another text of --{kind}={one['reference']}; its own is in the"
                " manifest; put it back, or choose another --run_dir"
            )


def data_arguments(flags: Mapping[str, Any]) -> dict[str, Any]:
    """target and options for datasets.load.

    Raises:
      BadInput: they are given beside a data set that has its own.
    """
    given = {name: flags[name] for name in OF_OWN_DATA if flags.get(name) is not None}
    target = flags.get("target")
    if not is_own_data(flags["dataset"]):
        named = [*given, *(["target"] if target else [])]
        if named:
            raise BadInput(f"--{named[0]} has no effect on --dataset={flags['dataset']}; it is for one's own data")
        return {}
    with bad_input(datasets.DataError):
        return {"target": target, "options": datasets.Options(**given)}


def facts_of(data: datasets.Dataset) -> dict[str, Any]:
    """What a manifest keeps of the data, so that the run can be used: names of classes, standardisation, scale."""
    names = ("name", "inputs", "outputs", "scale", "image_shape", "regression", "classes", "said")
    facts = {name: getattr(data, name) for name in names}
    return facts | {"standard": data.standard and data.standard._asdict()}


def told(data: datasets.Dataset, found: Mapping[str, Mapping[str, str]]) -> str:
    """Lines on what was understood; empty where nothing was brought along."""
    lines = [f"{data.name}: {'; '.join(data.said)}"] if data.said else []
    return "\n".join((*lines, *(one["verdict"] for one in found.values())))
