"""JAX's functions by NumPy on floats: they give what JAX gives, and a rule is its own functions."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl

from twolayer.verification.programs.stand_ins.jax_floats import JAX
from twolayer.verification.programs.stand_ins.pallas_floats import PALLAS

rng = np.random.default_rng(0)
x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
REAL = types.SimpleNamespace(jax=jax, jnp=jnp, pl=pl)
OURS = types.SimpleNamespace(jax=JAX, jnp=JAX.numpy, pl=PALLAS)


def scanned(m):
    step = lambda c, row: (c * 0.5 + row, m.jnp.tanh(c))  # noqa: E731
    return m.jax.lax.scan(step, m.jnp.zeros(3), m.jnp.asarray(x), reverse=True)


def added(m):
    a = m.jnp.asarray(x)
    b = a
    b += 1
    return a, b.at[0].set(2.0).at[1, 1].add(3.0), m.jnp.roll(b, 1, axis=0)


def nested(m):
    return m.jax.vmap(lambda a, b: m.jnp.einsum("i,j->ij", a, m.jax.nn.softmax(b)))(m.jnp.asarray(x), m.jnp.asarray(y))


def kernel(m):
    def body(x_ref, o_ref):
        @m.pl.when(m.pl.program_id(1) == 0)
        def _():
            o_ref[...] = m.jnp.zeros(o_ref.shape)

        o_ref[...] += x_ref[...].sum(axis=1, keepdims=True)

    return m.pl.pallas_call(
        body,
        grid=(3, 2),
        in_specs=[m.pl.BlockSpec((2, 2), lambda i, j: (i, j))],
        out_specs=m.pl.BlockSpec((2, 1), lambda i, j: (i, 0)),
        out_shape=m.jax.ShapeDtypeStruct((6, 1), np.float64),
        interpret=True,
    )(m.jnp.asarray(np.arange(24.0).reshape(6, 4)))


@pytest.mark.parametrize("f", [scanned, added, nested, kernel])
def test_what_numpy_gives_is_what_jax_gives(f):
    with jax.enable_x64(True):
        pairs = zip(jax.tree.leaves(f(REAL)), jax.tree.leaves(f(OURS)), strict=True)
        for theirs, own in pairs:
            np.testing.assert_allclose(np.asarray(own), theirs, rtol=1e-12)


def by_vjp(m):
    @m.jax.custom_vjp
    def f(a, b):
        return a * m.jnp.sin(b)

    f.defvjp(lambda a, b: (f(a, b), (a, b)), lambda kept, g: (g * m.jnp.sin(kept[1]), g * kept[0] * m.jnp.cos(kept[1])))
    return f


def by_jvp(m):
    @m.jax.custom_jvp
    def f(a, b):
        return a * m.jnp.sin(b)

    f.defjvps(lambda t, out, a, b: t * m.jnp.sin(b), lambda t, out, a, b: t * a * m.jnp.cos(b))
    return f


def by_gradient(m):
    def f(a, b):
        return a * m.jnp.sin(b), lambda g: (g * m.jnp.sin(b), g * a * m.jnp.cos(b))

    return m.jax.custom_gradient(f)


@pytest.mark.parametrize("rule", [by_vjp, by_jvp, by_gradient])
def test_a_rule_by_its_own_functions_is_what_jax_makes_of_it(rule):
    with jax.enable_x64(True):
        value, pull = jax.vjp(rule(REAL), x, y)
        own, cotangents = rule(OURS).value_and_cotangents((x, y), [np.ones_like(x)])
        np.testing.assert_allclose(np.asarray(own), value, rtol=1e-12)
        for mine, right in zip(cotangents, pull(np.ones_like(x)), strict=True):
            np.testing.assert_allclose(np.asarray(mine), right, rtol=1e-12)


def test_what_is_not_known_has_no_name():
    with pytest.raises(AttributeError):
        JAX.lax.conv_general_dilated  # noqa: B018
