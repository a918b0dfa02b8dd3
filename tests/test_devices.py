"""Sharding is placement: on any mesh the same functions give the same numbers, and send no more than they must."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from twolayer import devices, network, segments, sweeps, training
from twolayer.distortions import Distortion
from twolayer.network import Params
from twolayer.training import Choices, Numbers

N, d, K, C, m = 48, 6, 16, 3, 16
EPOCHS = 3
MESHES = [{"hidden": 2}, {"data": 2}, {"data": 2, "hidden": 2}, {"hidden": 8}, {"data": 4, "hidden": 2}, {"data": 8}]
KEY = jax.random.key(7)


def examples(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.integers(C, size=n).astype(np.int32)


def choices(**others):
    return Choices(warmup_epochs=0, batch_size=m, epochs=EPOCHS, optimizer="adam", compute="float64", **others)


def numbers():
    return Numbers(*map(jnp.float64, (0.01, 0.0, 0.9)))


def start(chosen):
    params = network.init(KEY, d, K, C, "alive", dtype=jnp.float64)
    return segments.start(chosen, params, Numbers(0.01), N)


@functools.cache
def train(chosen):
    """State and metrics after all epochs, on one device."""
    train, valid = training.place(*examples(N)), training.place(*examples(21, 1))
    return jax.jit(segments.make_segment(chosen, EPOCHS))(
        start(chosen), jnp.int32(EPOCHS), KEY, numbers(), train, valid
    )


def train_on(chosen, sizes):
    """The same on a mesh."""
    mesh, state = devices.make_mesh(sizes), start(chosen)
    everywhere = devices.everywhere(mesh)
    train, valid = (training.place(*some, where=everywhere) for some in (examples(N), examples(21, 1)))
    state = devices.put(state, devices.spread(state, mesh))
    arguments = devices.put((jnp.int32(EPOCHS), KEY, numbers()), everywhere)
    with jax.set_mesh(mesh):
        return jax.jit(segments.make_segment(chosen, EPOCHS))(state, *arguments, train, valid)


@pytest.mark.parametrize("sizes", MESHES, ids=str)
@pytest.mark.parametrize("gradient", ["closed_form", "autodiff"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_mesh_changes_nothing_but_rounding(loss, gradient, sizes, float64):
    chosen = choices(loss=loss, gradient=gradient)
    whole, split = train(chosen), train_on(chosen, sizes)
    assert_close(split[0], whole[0])
    assert_close(split[1], whole[1])
    assert len(split[0].params.W1.sharding.device_set) == np.prod(list(sizes.values()))


@pytest.mark.parametrize("sizes", [{"data": 2}, {"hidden": 4}], ids=str)
def test_distorted_images_and_averages_are_the_same_on_any_mesh(sizes, float64):
    """Images are interpolated in float32, which rounds as the compiler orders its operations."""
    chosen = choices(distortion=Distortion((2, d // 2), alpha=1.0, shift=0.5), averaging=0.9)
    whole, split = train(chosen), train_on(chosen, sizes)
    assert_close(split[0].params, whole[0].params, "float32")
    assert_close(segments.final_params(split[0]), segments.final_params(whole[0]), "float32")


def communication(chosen, sizes):
    """Of one epoch without its validation, which is all steps."""
    mesh = devices.make_mesh(sizes)
    state, everywhere = start(chosen), devices.everywhere(mesh)
    state = devices.put(state, devices.spread(state, mesh))
    arguments = devices.put((jnp.int32(0), KEY, numbers()), everywhere)
    train = training.place(*examples(N), where=everywhere)
    with jax.set_mesh(mesh):
        program = jax.jit(training.make_epoch(chosen)).lower(state.params, state.moments, *arguments, train)
        return collectives(program.compile())


@pytest.mark.parametrize("gradient", ["closed_form", "autodiff"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_step_over_hidden_units_sends_m_C_numbers_once(loss, gradient, float64):
    assert communication(choices(loss=loss, gradient=gradient), {"hidden": 4}) == [f"all-reduce f64[{m},{C}]"]


def test_a_step_over_data_sends_gradients_and_sums(float64):
    """Nothing but sums: of the weights, of the four gradients, of the loss and the hits."""
    found = communication(choices(), {"data": 2})
    assert all(line.startswith("all-reduce") for line in found)
    assert sum(numbers_in(line) for line in found) == K * d + K + C * K + C + 4


def test_hidden_units_lie_on_their_devices(float64):
    state, _ = train_on(choices(), {"hidden": 4})
    for params in (state.params, *(leaf for leaf in state.moments[0] if isinstance(leaf, Params))):
        assert [a.sharding.shard_shape(a.shape) for a in params] == [(K // 4, d), (K // 4,), (C, K // 4), (C,)]


# --- stacks of networks ---


def train_stack(chosen, sizes=None, networks=4):
    numbers = Numbers(*(jnp.linspace(low, high, networks) for low, high in ((0.01, 0.05), (0.0, 0.0), (0.9, 0.8))))
    draw = jax.vmap(lambda key: network.init(key, d, K, C, "alive", dtype=jnp.float64))
    state = sweeps.start(chosen, draw(jax.random.split(KEY, networks)), numbers, N)
    mesh = devices.make_mesh(sizes or {})
    places, everywhere = devices.spread(state, mesh, stacked=True), devices.everywhere(mesh)
    state, numbers = devices.put(state, places), devices.put(numbers, places.epoch)
    arguments = devices.put((jnp.int32(0), jnp.int32(EPOCHS), KEY), everywhere)
    train, valid = (training.place(*some, where=everywhere) for some in (examples(N), examples(21, 1)))
    with jax.set_mesh(mesh):
        program = jax.jit(sweeps.make_segment(chosen, EPOCHS))
        compiled = program.lower(state, *arguments, numbers, train, valid).compile()
        return *compiled(state, *arguments, numbers, train, valid), compiled


@pytest.mark.parametrize("sizes", [{"nets": 2}, {"nets": 4}, {"nets": 2, "data": 2}, {"nets": 2, "hidden": 2}], ids=str)
def test_a_stack_is_the_same_on_any_mesh(sizes, float64):
    whole, split = train_stack(choices()), train_stack(choices(), sizes)
    assert_close(split[0], whole[0])
    assert_close(split[1], whole[1])


def test_networks_on_devices_of_their_own_send_nothing(float64):
    *_, compiled = train_stack(choices(), {"nets": 4})
    assert collectives(compiled) == []


# --- what is refused ---


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"pipeline": 2}, "mesh axis 'pipeline' is not known; choose among data, hidden, nets"),
        ({"hidden": 0}, "hidden must be a positive integer"),
        ({"hidden": 4, "data": 3}, "mesh hidden=4,data=3 is for 12 devices, and there are 8; on a CPU"),
    ],
)
def test_meshes_that_cannot_be_are_refused(sizes, said):
    with pytest.raises(ValueError, match=said):
        devices.make_mesh(sizes)


def test_sizes_that_cannot_be_dealt_out_are_refused_with_the_nearest_that_can():
    mesh = devices.make_mesh({"data": 2, "hidden": 4})
    devices.check_divides(mesh, batch_size=128, hidden_size=8)
    with pytest.raises(ValueError, match="hidden=130 cannot be split evenly over hidden=4; take 128 or 132"):
        devices.check_divides(mesh, batch_size=128, hidden_size=130)
    with pytest.raises(ValueError, match="batch_size=1 cannot be split evenly over data=2; take 2"):
        devices.check_divides(mesh, batch_size=1, hidden_size=8)


def test_keys_and_arrays_arrive_as_they_were():
    everywhere = devices.everywhere(devices.make_mesh({"hidden": 2}))
    key, x = devices.put((KEY, np.arange(5)), everywhere)
    assert jax.random.key_data(key).tolist() == jax.random.key_data(KEY).tolist()
    assert x.tolist() == list(range(5)) and len(x.sharding.device_set) == 2


def collectives(compiled):
    """Kind and shapes of all communication in a program."""
    kinds = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
    found = re.findall(rf"= (\S.*?) ({kinds})(?:-start)?\(", compiled.as_text())
    return [f"{kind} " + re.sub(r"\{[\d,]*\}", "", shapes) for shapes, kind in found]


def numbers_in(line):
    """How many numbers the shapes in a line have."""
    shapes = re.findall(r"\w+\[([\d,]*)\]", line)
    return sum(int(np.prod([int(size) for size in shape.split(",") if size])) for shape in shapes)
