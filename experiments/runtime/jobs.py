"""From flag values to everything that is trained: precision, data on the devices, choices, numbers, first state."""

import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key

from experiments.runtime import own_things, processes
from experiments.runtime.runs import MANIFEST, load_params, read_manifest
from twolayer import datasets, devices, fitting, losses, network, segments, sweeps, training
from twolayer.command.cli import BadInput, bad_input
from twolayer.distortions import Distortion
from twolayer.precisions import PRECISIONS, PRNG, Precision
from twolayer.settings import Settings

# The flags that distort images, with the fields of a Distortion that they set.
DISTORTION = {"elastic": "alpha", "rotation": "rotation", "scaling": "scaling", "shear": "shear", "shift": "shift"}
FIELD = {"elastic_sigma": "sigma", "elastic_norm": "norm"}  # they shape the field of --elastic
MOST_MOVED = 1 / 6  # of the side of an image: beyond, nobody knows what it shows
USUAL_MOVED = 34 / 28 / 28  # Simard's, of the side
# The options of a teacher and their flags.
TEACHER = {field.name: f"teacher_{field.name}" for field in dataclasses.fields(datasets.TeacherOptions)}
TEACHER["hidden_size"] = "teacher_hidden"


@dataclasses.dataclass(frozen=True)
class Job:
    """One network, or a stack of them, that has been checked and can start.

    Attributes:
      order_key: of the data order; networks of a stack that do not share their batches have one each.
      facts: for the manifest.
      test: of a stack, whose networks are scored in the program that has trained them.
    """

    data: datasets.Dataset
    mesh: Mesh
    train: training.Examples
    valid: training.Examples
    choices: training.Choices
    numbers: training.Numbers
    order_key: Key[Array, "*N"]
    state: segments.State
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    test: training.Examples | None = None

    @property
    def shared(self) -> bool:
        """Whether all networks see the same batches."""
        return self.order_key.ndim == 0

    def segment(self, length: int) -> Callable:
        """Train at most `length` epochs, as a function of `arguments`."""
        if self.state.epoch.ndim:
            return sweeps.make_segment(self.choices, length, shared=self.shared)
        one = segments.make_segment(self.choices, length)

        def segment(state: segments.State, first: Int[Array, ""], until: Int[Array, ""], *others: Any) -> tuple:
            return one(state, until, *others)

        return segment

    def arguments(self, state: segments.State, first: int, until: int) -> tuple:
        """What a segment takes to train from one epoch to another."""
        return state, jnp.int32(first), jnp.int32(until), self.order_key, self.numbers, self.train, self.valid


def prepare(flags: Mapping[str, Any]) -> Job:
    """Check the flags against the data and put everything in place. Writes nothing but the cache of prepared data.

    Sets the precision of the process, as `configure`.

    Raises:
      BadInput: the data cannot be had, or does not go with the flags.
    """
    from experiments.runtime.flags import check_used  # importing it defines them

    check_used(flags)
    precision = configure(flags["precision"])
    mesh = mesh_of(flags, "hidden")
    if mesh.shape["nets"] > 1:
        raise BadInput(f"--mesh={flags['mesh']}: nets splits the networks of a sweep, and this is one network")
    data = load(flags)
    check_targets(data, own_things.entry(flags, "loss"))
    own, settings = own_things.checked(flags, data), own_things.settings_of(flags)
    choices, draw = choices_of(flags, data), fitting.draw_of(settings, precision.parameters)
    order_key = fitting.keys_of(settings.seed, settings.order_seed)[1]
    draw = draw._replace(earlier=earlier_params(flags["start_from"], precision.parameters, flags["activation"]))
    facts = facts_of(data, precision) | {"mesh": dict(mesh.shape), "own": own}
    facts["numbers"] = {name: float(number) for name, number in draw.numbers._asdict().items() if number is not None}
    with bad_input(ValueError):
        state, numbers = first_state(choices, settings, data, draw, mesh)
        skip, everywhere = fitting.may_skip_idle(choices, numbers), devices.everywhere(mesh)
        train = training.place(*data.train, outputs=data.outputs, skip_idle=skip, where=everywhere)
        valid = training.place(*data.valid, outputs=data.outputs, where=everywhere)
    return Job(data, mesh, train, valid, choices, numbers, devices.put(order_key, everywhere), state, facts)


def first_state(
    choices: training.Choices, settings: Settings, data: datasets.Dataset, draw: fitting.Draw, mesh: Mesh
) -> tuple[segments.State, training.Numbers]:
    """The state before the first epoch, of a network or of a stack, and its numbers, on the devices.

    Args:
      settings: of the network; of a stack those of any of them.

    Raises:
      ValueError: a size does not go with the data, or with the devices.
      BadInput: the parameters and moments are too large.
    """
    many = draw.scale.ndim > 0
    dtype = PRECISIONS[settings.precision].parameters
    start = fitting.starter(choices, settings.hidden_size, settings.init, data.sizes, dtype, many)
    shapes = jax.eval_shape(start, draw)
    places = devices.spread(shapes, mesh, stacked=many)
    devices.check_divides(mesh, batch_size=choices.batch_size, hidden_size=settings.hidden_size)
    check_fits(devices.bytes_of_arrays(shapes, places), "parameters and moments", mesh)
    draw = devices.put(draw, places.epoch)
    return jax.jit(start, out_shardings=places)(draw), draw.numbers


def earlier_params(path: str | None, dtype: str, activation: str) -> network.Params | None:
    """The parameters of the finished run in `path`, to start from.

    Raises:
      BadInput: it is no finished run, or damaged, or its hidden units are of another kind.
    """
    if path is None:
        return None
    params = load_params(pathlib.Path(path))
    manifest = pathlib.Path(path) / MANIFEST  # which may be gone
    theirs = read_manifest(manifest.parent)["flags"].get("activation", activation) if manifest.exists() else activation
    if theirs != activation:
        raise BadInput(f"--start_from={path} has --activation={theirs}, and this run {activation}; they must agree")
    return network.Params(**{name: jnp.asarray(a, dtype) for name, a in params.items()})


def mesh_of(flags: Mapping[str, Any], spread_over: str) -> Mesh:
    """The mesh that --mesh describes: one device if it is not given, all devices of several processes.

    Args:
      spread_over: the axis that these share if it is not given.

    Raises:
      BadInput: it is not well formed, or does not fit the devices.
    """
    text = flags["mesh"]
    if text is None:
        sizes = {spread_over: jax.device_count()} if jax.process_count() > 1 else {}
    else:
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(number.isdecimal() for _, _, number in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
            raise BadInput(f"--mesh={text} is not understood; write it like --mesh=data=2,hidden=4")
        sizes = {name: int(number) for name, _, number in pairs}
    with bad_input(ValueError):
        mesh = devices.make_mesh(sizes)
    idle, here = jax.device_count() - mesh.size, jax.device_count()
    if idle and processes.first():
        axis = "nets" if spread_over == "nets" else "hidden"
        verb = "is" if idle == 1 else "are"
        print(f"note: {idle} of {here} devices {verb} idle; --mesh={axis}={here} uses all", file=sys.stderr)
    return mesh


def configure(name: str) -> Precision:
    """Set JAX up for --precision, and return what it is."""
    precision = PRECISIONS[name]
    jax.config.update("jax_enable_x64", precision.parameters == "float64")
    jax.config.update("jax_default_matmul_precision", precision.matmul)
    return precision


def load(flags: Mapping[str, Any]) -> datasets.Dataset:
    """The data set of a run.

    Raises:
      BadInput: it cannot be had.
    """
    with bad_input(datasets.DataError, MemoryError):
        data = datasets.load(
            flags["dataset"],
            data_dir=flags["data_dir"],
            source_dir=flags["source_dir"],
            seed=flags["teacher_seed"],
            teacher=datasets.TeacherOptions(**{name: flags[flag] for name, flag in TEACHER.items()}),
            **own_things.data_arguments(flags),
        )
    with bad_input(datasets.DataError):
        for part in ("train", "valid"):
            if flags[f"{part}_examples"] is not None:
                data = datasets.first(data, flags[f"{part}_examples"], part)
        if flags["label_noise"]:
            data = datasets.with_label_noise(data, flags["label_noise"], flags["label_noise_seed"])
    return data


def check_targets(data: datasets.Dataset, loss: Any) -> None:
    """Raise BadInput if the data has real targets and the loss needs classes."""
    cost = losses.find("loss", loss)
    if data.regression and cost.labels:
        raise BadInput(f"--dataset={data.name} has real targets, {cost.name} needs classes; add --loss=quadratic")


def facts_of(data: datasets.Dataset, precision: Precision) -> dict[str, Any]:
    """What a manifest says of the machine, and of the data, so that the run can be used."""
    names = ("name", "inputs", "outputs", "scale", "image_shape", "regression", "classes", "said", "targets")
    of_data = {name: getattr(data, name) for name in names}
    of_data |= {"columns": [column._asdict() for column in data.columns]}
    return {
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "precision": precision._asdict(),
        "prng": PRNG,
        "data_sha256": data.sha256,
        "data": of_data | {"standard": data.standard and data.standard._asdict()},
    }


def choices_of(flags: Mapping[str, Any], data: datasets.Dataset) -> training.Choices:
    """The choices that the program of a run is compiled for.

    Raises:
      BadInput: choices do not go together, or not with the data.
    """
    if flags["loss"] == "binary_cross_entropy" and flags["output"] != "identity":
        raise BadInput("--loss=binary_cross_entropy has the sigmoid of the output inside it; add --output=identity")
    with bad_input(ValueError):
        found = fitting.choices_of(own_things.settings_of(flags), data, distortion_of(flags, data))
    return dataclasses.replace(found, measure=tuple(flags.get("measure", ())))


def distortion_of(flags: Mapping[str, Any], data: datasets.Dataset) -> Distortion | None:
    """How training images are distorted; None if they are not. A flag that is not there is at its default.

    Raises:
      BadInput: the data are not images, or the flags do not go together.
    """
    given = {field: flags[flag] for flag, field in (DISTORTION | FIELD).items() if flag in flags}
    used = [flag for flag, field in DISTORTION.items() if given.get(field)]
    if not used:
        return None
    if data.image_shape is None:
        raise BadInput(f"--{used[0]} distorts images, and --dataset={data.name} has none")
    distortion = Distortion(data.image_shape, **given)
    _warn_of(distortion)
    return distortion


@functools.cache  # once
def _warn_of(distortion: Distortion) -> None:
    moved, (H, W) = distortion.root_mean_square, distortion.image_shape
    if moved > MOST_MOVED * min(H, W) and processes.first():
        less = distortion.alpha * USUAL_MOVED * min(H, W) / moved
        print(
            f"warning: --elastic={distortion.alpha:g} moves the pixels of {H} x {W} images by {moved:.1f} pixels, and "
            f"what they show is lost; --elastic={less:.2g} distorts them as 34 does those of 28 x 28",
            file=sys.stderr,
        )


def check_fits(needed: int, what: str, mesh: Mesh) -> None:
    """Raise BadInput if a device of the mesh has not the bytes that are needed on each by `what`."""
    limit = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")
    if limit is None:  # the devices of a CPU share its memory
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // len(mesh.local_devices)
    if needed > limit:
        raise BadInput(
            f"{what} take {needed / 2**30:,.1f} GiB on a device, which has {limit / 2**30:,.1f} GiB; take fewer hidden "
            "units, smaller batches, fewer networks at once, or more devices with --mesh"
        )
