"""One interpreter, several number systems: each rule gives what JAX gives, and draws do not mix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from twolayer.verification.interpreter import interpret
from twolayer.verification.numbers.field import Field, P
from twolayer.verification.numbers.floats import Float64, Floats
from twolayer.verification.numbers.opaque import opaque_mask

pytestmark = pytest.mark.usefixtures("float64")

DRAWS = 3


def _newton(a):
    return jax.lax.while_loop(lambda c: (c[0] < 4) & (c[1] > 1).all(), lambda c: (c[0] + 1, c[1] / 2 + 1), (0, a + 3))[
        1
    ]


def _branch(a):
    return jax.lax.cond(a[0, 0] > 0, lambda a: a * 2, lambda a: a - 1, a)


PROGRAMS = {
    "arithmetic": lambda a, b: (a + b) * a - b / (2 + a * a) + (-a) ** 3 + a**-2,
    "exp and log": lambda a, b: jnp.log(1 + jnp.exp(a)) + jnp.expm1(b) + jnp.log1p(a * a),
    "sigmoid and tanh": lambda a, b: jax.nn.sigmoid(a) * jnp.tanh(b),
    "matrix product": lambda a, b: a @ b.T,
    "einsum": lambda a, b: jnp.einsum("ij,kj,il->kl", a, b, a),
    "batched product": lambda a, b: jnp.einsum("ij,ik->ijk", a, b).sum(axis=1),
    "sums": lambda a, b: a.sum() + b.sum(axis=0) + a.mean(axis=1, keepdims=True),
    "product of entries": lambda a, b: a.prod(axis=1) + b.prod(),
    "cumulative sum": lambda a, b: jnp.cumsum(a, axis=0) - jax.lax.cumsum(b, axis=1, reverse=True),
    "maximum": lambda a, b: jnp.maximum(a, b) + jnp.minimum(a, 0) + jnp.clip(b, -0.5, 0.5) + abs(a),
    "relu": lambda a, b: jax.nn.relu(a) - jax.nn.leaky_relu(b, 0.1),
    "where": lambda a, b: jnp.where(a > b, a, 2 * b) + jnp.where(a[0, 0] > 0, a, b),
    "step functions": lambda a, b: jnp.sign(a) + jnp.floor(b) + jnp.ceil(a) + jnp.round(b, 1) + jnp.heaviside(a, 0.5),
    "extremes": lambda a, b: a.max(axis=1) + b.min() + a.max(axis=(0, 1)),
    "argmax": lambda a, b: jnp.eye(4)[a.argmax(axis=1)] + jax.nn.one_hot(b.argmin(axis=1), 4),
    "sort": lambda a, b: jnp.sort(a, axis=0) + b[jnp.argsort(b[:, 0])],
    "softmax": lambda a, b: jax.nn.softmax(a) + jnp.exp(jax.nn.log_softmax(b, axis=0)),
    "logsumexp": lambda a, b: jnp.exp(a - jax.nn.logsumexp(a, axis=1, keepdims=True)),
    "movement": lambda a, b: jnp.concatenate([a.T[::-1], b.T], axis=1)[1:, ::2].reshape(-1)[None],
    "stack and split": lambda a, b: jnp.stack([*jnp.split(a, 2, axis=1), b[:, 1:3]]).swapaxes(0, 1),
    "tile and unstack": lambda a, b: jnp.tile(a, (2, 1))[2:5] + sum(jnp.unstack(b, axis=1))[:, None],
    "gather": lambda a, b: a[jnp.arange(3), jnp.array([3, 0, 2])] + jnp.take_along_axis(b, (b > 0) * 1, axis=1)[:, 0],
    "gather by draw": lambda a, b: b[a.argmax(axis=0)[0]] + a[:, 1:2],
    "scatter": lambda a, b: a.at[jnp.arange(3), b.argmax(axis=1)].add(-1.0).at[0].set(7 * b[0]).at[1, 1].multiply(1.0),
    "dynamic slice": lambda a, b: jax.lax.dynamic_slice(a, (b[:, 0].argmax(), 0), (1, 4)),
    "pad and roll": lambda a, b: jnp.pad(a, 1) + jnp.pad(jnp.roll(b, 1, axis=1), 1, constant_values=2.0),
    "scan": lambda a, b: jax.lax.scan(lambda c, r: (c + r[0] * r[1], c.sum()), jnp.zeros(4), (a, b)),
    "backward scan": lambda a, b: jax.lax.scan(lambda c, r: (2 * c + r, c), b[0], a, reverse=True),
    "loop": lambda a, b: jax.lax.fori_loop(0, 3, lambda i, c: c + a[i] * b[i], jnp.zeros(4)),
    "loop of slices": lambda a, b: jax.lax.fori_loop(
        0, 3, lambda i, c: c + jax.lax.dynamic_slice_in_dim(a, i, 1) * jax.lax.dynamic_slice(b, (i, 0), (1, 4)),
        jnp.zeros((1, 4))),
    "scan of indices": lambda a, b: jax.lax.scan(
        lambda c, i: (c + jax.lax.dynamic_index_in_dim(a, i, keepdims=False), c[i]), b[0], jnp.arange(3)),
    "update in a loop": lambda a, b: jax.lax.fori_loop(
        0, 3, lambda i, c: jax.lax.dynamic_update_index_in_dim(c, b[i] * 2, i, 0), a),
    "segment sum by draw": lambda a, b: jax.ops.segment_sum(jnp.einsum("ij,ik->ijk", a, b), b.argmax(axis=1), 4),
    "scatter, some dropped": lambda a, b: a.at[jnp.array([0, 9, 0]), 1:3].add(b[:, :2], mode="drop"),
    "while, each draw by itself": lambda a, b: _newton(a),
    "cond, each draw by itself": lambda a, b: _branch(a),
    "map": lambda a, b: jax.lax.map(lambda r: jnp.outer(r[0], r[1]), (a, b)),
    "vmap": lambda a, b: jax.vmap(jnp.outer)(a, b).sum(axis=0),
    "jit": lambda a, b: jax.jit(lambda a: jax.jit(jnp.sum)(a) * a)(a + b),
    "remat": lambda a, b: jax.grad(lambda a: jax.checkpoint(lambda a: (a * a * b).sum())(a))(a),
    "grad": lambda a, b: jax.grad(lambda a: (jax.nn.relu(a @ b.T) ** 2).sum())(a),
    "names": lambda a, b: checkpoint_name(a * b, "dO1"),
    "integers": lambda a, b: a * (jnp.arange(4) // 2 % 2 + jnp.cumsum(jnp.arange(4))).astype(float),
    "powers": lambda a, b: (2.0 ** (0 * a)).sum(axis=1, keepdims=True) + (1 + b) ** jnp.float64(2) + a**3.0,
    "without algebra": lambda a, b: jnp.sqrt(abs(a)) + jnp.sin(b) + jax.scipy.special.erf(a),
}  # fmt: skip


@pytest.fixture(params=PROGRAMS)
def program(request):
    return PROGRAMS[request.param]


def inputs():
    return np.random.default_rng(5).normal(size=(2, DRAWS, 3, 4))


def traced(f):
    shape = jax.ShapeDtypeStruct((3, 4), float)
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(f)(shape, shape)


def test_every_rule_gives_what_jax_gives_for_each_draw(program):
    a, b = inputs()
    results = interpret(traced(program), Float64(), Floats(a), Floats(b))
    with jax.numpy_rank_promotion("allow"):
        for i in range(DRAWS):
            expected = jax.tree.leaves(program(jnp.asarray(a[i]), jnp.asarray(b[i])))
            for value, array in zip(results, expected, strict=True):
                numbers = value.numbers if value.numbers.ndim == array.ndim else value.numbers[i]
                np.testing.assert_allclose(numbers, array, rtol=1e-12, atol=1e-12)


def test_a_sum_by_segments_takes_no_more_memory_than_its_terms():
    """1000 updates of 100 numbers each, into 100 segments: a matrix from the ones to the others has 10^9 entries."""
    a = np.random.default_rng(0).normal(size=(1000, 100))
    labels = np.arange(1000) % 100
    closed = jax.make_jaxpr(lambda a: jax.ops.segment_sum(a, labels, 100))(a)
    (value,) = interpret(closed, Float64(), Floats(a))
    np.testing.assert_allclose(value.numbers, a.reshape(10, 100, 100).sum(axis=0), rtol=1e-12)


def test_without_an_axis_of_draws_the_result_is_that_of_one_draw(program):
    a, b = inputs()
    together = interpret(traced(program), Float64(), Floats(a), Floats(b))
    alone = interpret(traced(program), Float64(), Floats(a[1]), Floats(b[1]))
    for one, all_of_them in zip(alone, together, strict=True):
        numbers = all_of_them.numbers
        np.testing.assert_array_equal(one.numbers, numbers if numbers.shape == one.numbers.shape else numbers[1])


def test_shadows_in_the_field_are_the_float64_numbers(program):
    a, b = inputs()
    field, rng = Field(DRAWS), np.random.default_rng(0)
    exact = interpret(traced(program), field, field.random(rng, a), field.random(rng, b))
    plain = interpret(traced(program), Float64(), Floats(a), Floats(b))
    for value, numbers in zip(exact, plain, strict=True):
        np.testing.assert_allclose(value.shadow, numbers.numbers, rtol=1e-12, atol=1e-12)
        assert value.element.shape == value.shadow.shape


def test_only_what_has_no_algebra_is_opaque():
    """And a logarithm, but for its exponential."""
    a, b = inputs()
    for name, program in PROGRAMS.items():
        field, rng = Field(DRAWS), np.random.default_rng(0)
        results = interpret(traced(program), field, field.random(rng, a), field.random(rng, b))
        opaque = any(opaque_mask(value.element).any() for value in results)
        assert opaque == (name in ("exp and log", "without algebra")), name


def test_on_small_integers_the_field_is_integer_arithmetic():
    """Where all numbers are integers, the element is the shadow modulo p: the algebra is that of the program."""
    a, b = np.random.default_rng(1).integers(-5, 6, (2, DRAWS, 3, 4)).astype(float)

    def polynomial(a, b):
        return (a @ b.T) ** 3 - jnp.where(a > b, a * b, b - a).sum(axis=1, keepdims=True) * jnp.maximum(a, 2).max()

    field = Field(DRAWS)
    (value,) = interpret(traced(polynomial), field, field.constant(a), field.constant(b))
    np.testing.assert_array_equal(value.element, value.shadow.astype(int).astype(object) % P)


def test_operations_outside_of_loops_are_visited_and_can_be_replaced():
    seen = []

    def visit(path, eqn, outputs):
        seen.append((path, eqn.primitive.name))
        return [Floats(np.full(o.numbers.shape, 7.0)) for o in outputs] if eqn.primitive.name == "name" else outputs

    def f(a, b):
        a = checkpoint_name(a * b, "dO1")
        return jax.lax.fori_loop(0, 2, lambda i, c: c * 3, jax.jit(lambda a: a + 1)(a))

    a, b = inputs()
    (value,) = interpret(traced(f), Float64(), Floats(a), Floats(b), visit=visit)
    assert (value.numbers == 72).all()  # (7 + 1) * 9
    assert [name for _, name in seen].count("add") == 1  # the one in jit; the counter of the loop is not visited
    assert len({path for path, _ in seen}) == len(seen)
