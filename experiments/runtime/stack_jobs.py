"""From points of a sweep to networks that train together: groups of equal choices, cut into parts of equal size."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from experiments.runtime import axes, jobs, own_things, session
from experiments.runtime.flags import check_used
from twolayer import datasets, devices, fitting, training
from twolayer.command.cli import BadInput, bad_input
from twolayer.precisions import PRECISIONS

# Flags that make the data, besides those of a teacher.
DATA = ("dataset", "train_examples", "valid_examples", "label_noise", "label_noise_seed")
# Choices that do not change what is compiled: where a network starts, which labels it sees, in which order.
SAME_PROGRAM = ("init", "label_noise", "label_noise_seed", "teacher_seed", "order_seed")

# What is trained together. On a CPU, as many networks as keep the hidden activations of a batch in its caches: the
# fastest stacks have 2,000 to 4,000 hidden units in all at batch 128, for 64 inputs as for 784 (docs/scaling.md). An
# accelerator takes as many as its memory holds.
CPU_ACTIVATIONS = 2**19  # numbers in O1 of all networks
ACCELERATOR_WEIGHTS = 2**30  # numbers in W1 of all networks


@dataclasses.dataclass(frozen=True)
class Part:
    """Networks that train together, on the same data. It may be filled up with repetitions, to the size of its group.

    Attributes:
      index: of this part.
      group: parts of one group have one program and one size.
      flags: of all its networks.
      networks: the numbers of its points; the first `real` count.
      points: the swept values of each.
    """

    index: int
    group: int
    flags: Mapping[str, Any]
    networks: tuple[int, ...]
    points: tuple[Mapping[str, Any], ...]
    real: int


def parts(
    flags: Mapping[str, Any],
    points: Sequence[Mapping[str, Any]],
    inputs: Callable[[Mapping[str, Any]], int],
    multiple: int = 1,
    most: int | None = None,
    sizes: Sequence[int] = (),
    shared: bool = True,
) -> list[Part]:
    """Group the points by what their program is compiled for, and cut each group into parts of one size.

    Networks of one part have the same data and start by the same scheme; if they share batches, in the same order.

    Args:
      inputs: flags -> d of their data.
      multiple: that the size of a part must be of; a part is filled up anyway.
      most: networks in a part at most; None is what suits the device.
      sizes: the parts of an earlier session, if the sweep is continued: whatever the device, they stay the same.
      shared: whether the networks of a part see the same batches.
    """
    each = axes.NUMBERS if shared else (*axes.NUMBERS, "order_seed")
    groups: dict[tuple, dict[tuple, list[int]]] = {}
    for number, point in enumerate(points):
        choices = {name: value for name, value in point.items() if name not in each}
        program = tuple(item for item in choices.items() if item[0] not in SAME_PROGRAM)
        groups.setdefault(program, {}).setdefault(tuple(choices.items()), []).append(number)
    found: list[Part] = []
    for group, alike in enumerate(groups.values()):
        own = [dict(flags) | dict(choices) for choices in alike]
        largest = max(map(len, alike.values()))
        together = min(most or _suitable(own[0]["hidden"], inputs(own[0]), own[0]["batch_size"]), largest)
        together = -(-largest // -(-largest // together))  # no part much smaller than the others
        together = sizes[group] if sizes else -(-together // multiple) * multiple
        for flags_of_part, members in zip(own, alike.values(), strict=True):
            for start in range(0, len(members), together):
                networks = members[start : start + together]
                real, filled = len(networks), (networks * together)[:together]
                shown = tuple(points[n] for n in filled)
                found.append(Part(len(found), group, flags_of_part, tuple(filled), shown, real))
    return found


def _suitable(hidden: int, inputs: int, batch_size: int) -> int:
    if jax.default_backend() == "cpu":
        return max(1, CPU_ACTIVATIONS // (hidden * batch_size))
    return max(1, ACCELERATOR_WEIGHTS // (hidden * inputs))


class Data(NamedTuple):
    """A data set, and the noise of deviation 1 to add to the targets of each split, if noise is swept."""

    whole: datasets.Dataset
    noise: Sequence[np.ndarray | None]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that has been checked and can start: parts, data, devices, and what a manifest says of them."""

    parts: Sequence[Part]
    data: Mapping[tuple, Data]  # by the values of the flags that make them
    mesh: Mesh
    facts: Mapping[str, Any]
    networks: int
    skip_idle: Mapping[int, bool]  # group -> whether its idle inputs need no arithmetic
    shared: bool  # whether the networks of a part see the same batches

    def of(self, part: Part) -> Data:
        """The data of a part."""
        return self.data[_data_key(part.flags)]


def _data_key(flags: Mapping[str, Any]) -> tuple:
    """The values of all flags that decide about the data, but the noise of the teacher, which is added later."""
    names = [name for name in flags if name.startswith("teacher_") and name != "teacher_noise"]
    return tuple(flags[name] for name in (*DATA, *sorted(names)))


def plan(
    flags: Mapping[str, Any],
    texts: Sequence[Mapping[str, str]],
    most: int | None = None,
    manifest: Mapping[str, Any] | None = None,
    shared: bool = True,
    check: Callable[[datasets.Dataset], None] = lambda data: None,
) -> Plan:
    """Read the points, load the data, and check each group of choices, before anything is written.

    Args:
      texts: points of axes.points.
      most: networks to train at once; None is what suits the device.
      manifest: of the sweep that is continued, if one is.
      shared: whether the networks of a part see the same batches.
      check: refuses data that the script has no use for.

    Raises:
      BadInput: a point is not valid, or its choices do not go with the data.
    """
    session.use_compile_cache(flags["compile_cache"])
    points = axes.typed(texts)
    check_used(flags, points)
    precision, mesh = jobs.configure(flags["precision"]), jobs.mesh_of(flags, "nets")
    data: dict[tuple, Data] = {}
    for point in points:
        own = dict(flags) | dict(point)
        if (key := _data_key(own)) not in data:
            data[key] = _load(own, "teacher_noise" in point)
            check(data[key].whole)
    sizes = (manifest or {}).get("part_sizes", ())
    cut = parts(flags, points, lambda own: data[_data_key(own)].whole.inputs, mesh.shape["nets"], most, sizes, shared)
    skip: dict[int, bool] = {}  # the parts of a group share a program, and with it the number of inputs
    for part in cut:
        skip[part.group] = _check(part, data[_data_key(part.flags)].whole, mesh) and skip.get(part.group, True)
    first, *others = (one.whole for one in data.values())
    facts = jobs.facts_of(first, precision) | {"mesh": dict(mesh.shape), "own": _own(cut, data)}
    facts |= {"part_sizes": [len(part.networks) for part in {part.group: part for part in cut}.values()]}
    if others:
        facts["data_sha256"] = hashlib.sha256("".join(one.whole.sha256 for one in data.values()).encode()).hexdigest()
    return Plan(cut, data, mesh, facts, len(points), skip, shared)


def _load(flags: Mapping[str, Any], noise_is_swept: bool) -> Data:
    """The data; if the noise of a teacher's targets is swept, without noise, and the noise by itself."""
    if not noise_is_swept:
        return Data(jobs.load(flags), [None] * 3)
    if flags["dataset"] != "teacher":
        raise BadInput("--sweep=teacher_noise=... needs --dataset=teacher")
    clean, noisy = (jobs.load({**flags, "teacher_noise": level}) for level in (0.0, 1.0))
    return Data(clean, [getattr(noisy, name).y - getattr(clean, name).y for name in ("train", "valid", "test")])


def _own(cut: Iterable[Part], data: Mapping[tuple, Data]) -> dict[str, dict[str, str]]:
    """Check once what is brought along in files; returned by its flag, or by flag and file where a flag has several."""
    found: dict[str, dict[str, str]] = {}
    for part in cut:
        for kind, one in own_things.checked(part.flags, data[_data_key(part.flags)].whole).items():
            same = kind not in found or found[kind]["reference"] == one["reference"]
            found[kind if same else f"{kind}={one['reference']}"] = one
    return found


def _check(part: Part, data: datasets.Dataset, mesh: Mesh) -> bool:
    """Whether idle inputs of a part need no arithmetic; raises BadInput if its choices do not fit data or devices."""
    jobs.check_targets(data, own_things.entry(part.flags, "loss"))
    with bad_input(ValueError):
        choices = jobs.choices_of(part.flags, data)
        training.optimizer_for(choices, training.Numbers(0.1), len(data.train.x))
        devices.check_divides(mesh, batch_size=choices.batch_size, hidden_size=part.flags["hidden"])
    if len(part.networks) % mesh.shape["nets"]:
        raise BadInput(
            f"this sweep was begun with parts of {len(part.networks)} networks, which cannot be split evenly over "
            f"nets={mesh.shape['nets']}; use another --mesh"
        )
    decays = {point.get("weight_decay", part.flags["weight_decay"]) for point in part.points}
    settings = [own_things.settings_of({**part.flags, "weight_decay": decay}) for decay in decays]
    return all(fitting.may_skip_idle(choices, fitting.numbers_of(one, "float32")) for one in settings)


def prepare(part: Part, plan: Plan) -> jobs.Job:
    """Draw the networks of a part and put the data on the devices.

    Raises:
      BadInput: the flags do not go with the data.
    """
    (data, noise), mesh = plan.of(part), plan.mesh
    each = [dict(part.flags) | dict(point) for point in part.points]
    settings = [own_things.settings_of(flags) for flags in each]
    dtype = PRECISIONS[part.flags["precision"]].parameters
    draw = fitting.stacked([fitting.draw_of(one, dtype) for one in settings])
    if noise[0] is not None:
        swept = np.asarray([flags["teacher_noise"] for flags in each], dtype)
        draw = draw._replace(numbers=draw.numbers._replace(noise=swept))
    with bad_input(ValueError):
        choices = jobs.choices_of(part.flags, data)
        state, numbers = jobs.first_state(choices, settings[0], data, draw, mesh)
        own = {"outputs": data.outputs, "where": devices.everywhere(mesh)}
        train = training.place(*data.train, skip_idle=plan.skip_idle[part.group], noise=noise[0], **own)
        others = zip((data.valid, data.test), noise[1:], strict=True)
        valid, test = (training.place(*examples, noise=of_them, **own) for examples, of_them in others)
    orders = [fitting.keys_of(one.seed, one.order_seed)[1] for one in settings]
    order = (orders[0], own["where"]) if plan.shared else (jnp.stack(orders), state.epoch.sharding)
    return jobs.Job(data, mesh, train, valid, choices, numbers, devices.put(*order), state, test=test)
