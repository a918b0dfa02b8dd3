"""What a program takes on a device, and whether it is refused where there is less."""

import jax
import jax.numpy as jnp
import pytest

from experiments.runtime import jobs, loop
from twolayer import devices
from twolayer.command.cli import BadInput


def with_so_much(monkeypatch, size):
    monkeypatch.setattr(jobs.os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else size)


def test_a_program_that_does_not_fit_is_refused_before_it_runs(monkeypatch):
    mesh = devices.make_mesh({})
    square = jax.device_put(jnp.ones((64, 64)), devices.everywhere(mesh))
    two = 2 * square.nbytes  # the arguments: the result takes the place of the first

    with_so_much(monkeypatch, 2 * two)
    program = loop.compiled(lambda a, b: (a @ b, 0), mesh, square, square)
    assert two <= devices.bytes_of_program(program) <= 2 * two

    with_so_much(monkeypatch, two - 1)
    with pytest.raises(BadInput, match=r"training and validation take 0\.0 GiB on a device"):
        loop.compiled(lambda a, b: (a @ b, 0), mesh, square, square)


def test_arrays_count_as_they_are_split():
    mesh = devices.make_mesh({"hidden": 4})
    shapes = {"W1": jax.ShapeDtypeStruct((8, 3), jnp.float32), "b2": jax.ShapeDtypeStruct((5,), jnp.float32)}
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("hidden"))
    assert devices.bytes_of_arrays(shapes, {"W1": split, "b2": devices.everywhere(mesh)}) == 4 * (2 * 3 + 5)
