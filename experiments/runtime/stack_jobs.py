"""From points of a sweep to networks that train together: groups of equal choices, cut into parts of equal size."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags as absl_flags
from jax.sharding import Mesh
from jaxtyping import Array, Float, Key

from experiments.runtime import flags as training_flags
from experiments.runtime import jobs, session
from experiments.runtime.axes import NUMBERS
from experiments.runtime.cli import BadInput, bad_input
from twolayer import datasets, devices, network, segments, sweeps, training

# What is trained together. On a CPU, as many networks as keep the hidden activations of a batch in its caches: the
# fastest stacks have 2,000 to 4,000 hidden units in all at batch 128, for 64 inputs as for 784 (docs/scaling.md). An
# accelerator takes as many as its memory holds.
CPU_ACTIVATIONS = 2**19  # numbers in O1 of all networks
ACCELERATOR_WEIGHTS = 2**30  # numbers in W1 of all networks


@dataclasses.dataclass(frozen=True)
class Part:
    """Networks that train together. The last part of a group is filled up with repetitions, so it has their size.

    Attributes:
      index: of this part.
      group: parts of one group have one program.
      flags: of the group.
      networks: the numbers of its points; the first `real` count.
      points: the swept values of each.
    """

    index: int
    group: int
    flags: Mapping[str, object]
    networks: tuple[int, ...]
    points: tuple[Mapping[str, object], ...]
    real: int


@dataclasses.dataclass(frozen=True)
class StackJob:
    """A part that has been checked and can start."""

    mesh: Mesh
    train: training.Examples
    valid: training.Examples
    test: training.Examples
    choices: training.Choices
    numbers: training.Numbers
    order_key: Key[Array, "*N"]
    state: segments.State


def read(points: Sequence[Mapping[str, str]]) -> list[dict[str, object]]:
    """Points with each value as its flag reads it.

    Raises:
      BadInput: a name is no flag of a training run, or a value is not valid for it.
    """
    fixed = {"dataset", "precision", "order_seed", *training_flags.PLACES, *training_flags.OF_ONE_RUN}
    one_data_set = {name for name in training_flags.names() if name.startswith("teacher_")} - {"teacher_noise"}
    one_data_set |= {"train_examples", "valid_examples", "label_noise", "label_noise_seed"}
    allowed = set(training_flags.names()) - fixed - one_data_set
    found = []
    for point in points:
        values = {}
        for name, text in point.items():
            if name not in allowed:
                raise BadInput(f"--sweep={name}=...: {name} is not a flag that a sweep can vary; see --help")
            flag = absl_flags.FLAGS[name]
            try:
                values[name] = flag.parser.parse(text)
                if isinstance(values[name], float) and not math.isfinite(values[name]):
                    raise ValueError("must be a finite number")
            except ValueError as error:
                raise BadInput(f"--sweep={name}=...: {text!r} is not valid: {error}") from error
        found.append(values)
    if len({tuple(values.items()) for values in found}) < len(found):
        raise BadInput("two of the networks to sweep over are the same; give each value once, or sweep over seeds")
    return found


def parts(
    flags: Mapping[str, object],
    points: Sequence[Mapping[str, object]],
    inputs: int,
    multiple: int = 1,
    most: int | None = None,
    sizes: Sequence[int] = (),
) -> list[Part]:
    """Group the points by their choices and cut each group.

    Args:
      inputs: d of the data.
      multiple: that the size of a part must be of; the last part is filled up anyway.
      most: networks in a part at most; None is what suits the device.
      sizes: the parts of an earlier session, if the sweep is continued: whatever the device, they stay the same.
    """
    groups: dict[tuple, list[int]] = {}
    for number, point in enumerate(points):
        key = tuple((name, value) for name, value in point.items() if name not in NUMBERS)
        groups.setdefault(key, []).append(number)
    found: list[Part] = []
    for group, (choices, members) in enumerate(groups.items()):
        own = dict(flags) | dict(choices)
        together = min(most or _suitable(own["hidden"], inputs, own["batch_size"]), len(members))
        together = -(-len(members) // -(-len(members) // together))  # no part much smaller than the others
        together = sizes[group] if sizes else -(-together // multiple) * multiple
        for start in range(0, len(members), together):
            networks = members[start : start + together]
            real, filled = len(networks), (networks * together)[:together]
            found.append(Part(len(found), group, own, tuple(filled), tuple(points[n] for n in filled), real))
    return found


def _suitable(hidden: int, inputs: int, batch_size: int) -> int:
    if jax.default_backend() == "cpu":
        return max(1, CPU_ACTIVATIONS // (hidden * batch_size))
    return max(1, ACCELERATOR_WEIGHTS // (hidden * inputs))


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that has been checked and can start: parts, data, devices, and what a manifest says of them."""

    parts: Sequence[Part]
    data: datasets.Dataset
    noise: Sequence[np.ndarray | None]  # of deviation 1, to add to the targets of each split, if it is swept
    mesh: Mesh
    facts: Mapping[str, object]
    networks: int
    skip_idle: Mapping[int, bool]  # group -> whether its idle inputs need no arithmetic


def plan(
    flags: Mapping[str, object],
    texts: Sequence[Mapping[str, str]],
    most: int | None = None,
    manifest: Mapping[str, object] | None = None,
) -> Plan:
    """Read the points, load the data, and check each group of choices, before anything is written.

    Args:
      texts: points of axes.points.
      most: networks to train at once; None is what suits the device.
      manifest: of the sweep that is continued, if one is.

    Raises:
      BadInput: a point is not valid, or its choices do not go with the data.
    """
    session.use_compile_cache(flags["compile_cache"])
    points = read(texts)
    precision = jobs.configure(flags["precision"])
    mesh = jobs.mesh_of(flags, "nets")
    data, noise = _load(flags, points)
    cut = parts(flags, points, data.inputs, mesh.shape["nets"], most, (manifest or {}).get("part_sizes", ()))
    groups = {part.group: part for part in cut}
    for part in groups.values():
        _check(part, data, mesh)
    facts = jobs.facts_of(data, *precision) | {"part_sizes": [len(part.networks) for part in groups.values()]}
    facts |= {"mesh": dict(mesh.shape)}
    return Plan(cut, data, noise, mesh, facts, len(points), _skip_idle(cut, data))


def _skip_idle(cut: Sequence[Part], data: datasets.Dataset) -> dict[int, bool]:
    """Of all parts of a group alike, because they share a program, and with it the number of inputs."""
    decays: dict[int, set[float | None]] = {}
    for part in cut:
        own = (point.get("weight_decay", part.flags["weight_decay"]) for point in part.points)
        decays.setdefault(part.group, set()).update(own)
    found = {}
    for part in {part.group: part for part in cut}.values():
        _, compute, _ = jobs.PRECISIONS[part.flags["precision"]]
        choices = jobs.choices_of(part.flags, data, compute)
        numbers = (jobs.numbers_of({**part.flags, "weight_decay": d}, "float32") for d in decays[part.group])
        found[part.group] = all(jobs.may_skip_idle(choices, one) for one in numbers)
    return found


def _load(
    flags: Mapping[str, object], points: Sequence[Mapping[str, object]]
) -> tuple[datasets.Dataset, list[np.ndarray | None]]:
    """The data; if the noise of a teacher's targets is swept, without noise, and the noise by itself."""
    if "teacher_noise" not in points[0]:
        return jobs.load(flags), [None] * 3
    if flags["dataset"] != "teacher":
        raise BadInput("--sweep=teacher_noise=... needs --dataset=teacher")
    clean, noisy = (jobs.load({**flags, "teacher_noise": level}) for level in (0.0, 1.0))
    splits = ((getattr(noisy, name).y - getattr(clean, name).y) for name in ("train", "valid", "test"))
    return clean, list(splits)


def _check(part: Part, data: datasets.Dataset, mesh: Mesh) -> None:
    """Whether the choices of a group go with the data and the devices."""
    for point in part.points:
        jobs.check_used({**part.flags, **point})
    jobs.check_targets(data, part.flags["loss"])
    _, compute, _ = jobs.PRECISIONS[part.flags["precision"]]
    with bad_input(ValueError):
        choices = jobs.choices_of(part.flags, data, compute)
        training.optimizer_for(choices, training.Numbers(0.1), len(data.train.x))
        devices.check_divides(mesh, batch_size=choices.batch_size, hidden=part.flags["hidden"])
    if len(part.networks) % mesh.shape["nets"]:
        raise BadInput(
            f"this sweep was begun with parts of {len(part.networks)} networks, which cannot be split evenly over "
            f"nets={mesh.shape['nets']}; use another --mesh"
        )


def prepare(part: Part, plan: Plan, shared: bool) -> StackJob:
    """Draw the networks of a part and put the data on the devices.

    Raises:
      BadInput: the flags do not go with the data.
    """
    data, mesh = plan.data, plan.mesh
    parameters, compute, _ = jobs.PRECISIONS[part.flags["precision"]]
    each = [dict(part.flags) | dict(point) for point in part.points]
    with bad_input(ValueError):
        choices = jobs.choices_of(part.flags, data, compute)
        numbers = jax.tree.map(lambda *leaves: np.stack(leaves), *(_numbers(f, plan, parameters) for f in each))
        keys = [jobs.keys_of(f["seed"], f["order_seed"]) for f in each]
        arguments = jnp.stack([key for key, _ in keys]), numbers, _scales(each, parameters), _biases(each, parameters)
        sizes = data.inputs, part.flags["hidden"], data.outputs, len(data.train.x)
        start = _start(part.flags["init"], sizes, choices)
        shapes = jax.eval_shape(start, *arguments)
        places = devices.spread(shapes, mesh, stacked=True)
        jobs.check_fits(jobs.bytes_of_arrays(shapes, places), "parameters and moments", mesh)
        nets, everywhere = places.epoch, devices.everywhere(mesh)
        state = jax.jit(start, out_shardings=places)(*devices.put(arguments, nets))
    train = training.place(*data.train, skip_idle=plan.skip_idle[part.group], noise=plan.noise[0], where=everywhere)
    order = devices.put(keys[0][1], everywhere) if shared else devices.put(jnp.stack([key for _, key in keys]), nets)
    others = zip((data.valid, data.test), plan.noise[1:], strict=True)
    valid, test = (training.place(*examples, noise=noise, where=everywhere) for examples, noise in others)
    return StackJob(mesh, train, valid, test, choices, devices.put(numbers, nets), order, state)


@functools.lru_cache
def _start(scheme: str, sizes: tuple[int, int, int, int], choices: training.Choices) -> Callable:
    """The function that draws networks: one for all parts of a group, so that it is compiled once.

    Args:
      sizes: inputs, hidden units, outputs, and training examples.

    Returns:
      start(keys, numbers, scales, biases) -> each network as `network.init` draws it alone, before its first epoch.
    """
    inputs, hidden, outputs, examples = sizes

    def start(
        keys: Key[Array, " N"],
        numbers: training.Numbers,
        scales: Float[Array, " N"],
        biases: Float[Array, " N"] | None,
    ) -> segments.State:
        def one(key: Key[Array, ""], scale: Float[Array, ""], bias: Float[Array, ""] | None) -> network.Params:
            options = {"output_bias": bias, "scale": scale, "dtype": scales.dtype}
            return network.init(key, inputs, hidden, outputs, scheme, **options)

        params = jax.vmap(one)(keys, scales, biases)
        return sweeps.start(choices, params, numbers, examples)

    return start


def _numbers(flags: Mapping[str, object], plan: Plan, dtype: str) -> training.Numbers:
    numbers = jobs.numbers_of(flags, dtype)
    swept = plan.noise[0] is not None
    return numbers._replace(noise=jnp.asarray(flags["teacher_noise"], dtype)) if swept else numbers


def _scales(each: list[dict], dtype: str) -> Float[np.ndarray, " N"]:
    return np.asarray([f["init_scale"] for f in each], dtype)


def _biases(each: list[dict], dtype: str) -> Float[np.ndarray, " N"] | None:
    """None where the scheme's own is taken; then it is so for all."""
    biases = [f["output_bias"] for f in each]
    return None if biases[0] is None else np.asarray(biases, dtype)
