"""JAX code on balls: each primitive gives what JAX gives, and what a user reads names his own lines and variables."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.scipy import special

from twolayer.verification.numbers.balls import BITS, Undecided, balls, floats, precision
from twolayer.verification.programs import NotJudged, RaisedInside, Refused, reals
from twolayer.verification.programs.jax_code import JaxProgram, NotTraceable

pytestmark = pytest.mark.usefixtures("float64")


def exactly(array):
    """Each float as the number that it is, not as the literal that it might be."""
    array = np.asarray(array)
    return balls(np.reshape(np.array([Fraction(n) for n in array.ravel().tolist()], object), array.shape))


def spd(a):
    return a @ a.T + 2 * jnp.eye(len(a))


def conv(a, b, **options):
    images, kernels = a.reshape(2, 2, 3, -1), jnp.stack([b[:2, :2], b[1:3, 1:3], b[:2, 1:3], -b[:2, :2]] * 2)
    kernels = kernels.reshape(-1, options.pop("inner", 2), 2, 2)
    return lax.conv_general_dilated(
        images, kernels, options.pop("strides", (1, 1)), options.pop("pad", "SAME"), **options
    )


def pool(a, op, start, pad):
    return lax.reduce_window(a, start, op, (2, 2), (2, 1), pad)


ELEMENTWISE = {
    "arithmetic": lambda a, b: (a + b) * a - b / (2 + a * a) + (-a) ** 3 + a**-2,
    "exp": lambda a, b: jnp.exp(a) + jnp.exp2(b) + jnp.expm1(a),
    "log": lambda a, b: jnp.log(1 + a * a) + jnp.log1p(b * b) + jnp.log2(2 + a) + jnp.logaddexp(a, b),
    "roots": lambda a, b: jnp.sqrt(abs(a)) + lax.rsqrt(1 + b * b) + jnp.cbrt(a) + jnp.hypot(a, b),
    "hyperbolic": lambda a, b: jnp.tanh(a) + jnp.sinh(b) + jnp.cosh(a) + jnp.arcsinh(b) + jnp.arccosh(2 + a * a),
    "arctanh": lambda a, b: jnp.arctanh(a / 4),
    "trigonometric": lambda a, b: jnp.sin(a) + jnp.cos(b) + jnp.tan(a) + jnp.sinc(b),
    "arcs": lambda a, b: jnp.arcsin(a / 4) + jnp.arccos(b / 4) + jnp.arctan(a) + jnp.arctan2(a, b),
    "error functions": lambda a, b: special.erf(a) + special.erfc(b) + special.erfinv(a / 4),
    "sigmoids": lambda a, b: jax.nn.sigmoid(a) + jax.nn.softplus(b) + jax.nn.silu(a) + jax.nn.log_sigmoid(b),
    "gelu": lambda a, b: jax.nn.gelu(a, approximate=False) + jax.nn.gelu(b),
    "gamma": lambda a, b: special.gammaln(3 + abs(a)) + special.digamma(3 + abs(b)),
    "special functions": lambda a, b: (
        special.polygamma(2, 1 + abs(a))
        + special.i0e(a)
        + special.i1(b)
        + special.gammainc(1 + abs(a), 1 + abs(b))
        + special.gammaincc(2.0, abs(b))
        + special.betainc(1 + abs(a), 2 + abs(b), 0.3)
        + special.zeta(2 + abs(a), 1.0)
    ),
    "powers": lambda a, b: (2.0 ** (0 * a)) + (1 + b) ** jnp.float64(2) + a**3.0 + abs(a) ** b + abs(a) ** 0.5,
    "relus": lambda a, b: jax.nn.relu(a) - jax.nn.leaky_relu(b, 0.1) + jax.nn.relu6(4 * a) + jax.nn.elu(b),
    "maximum": lambda a, b: jnp.maximum(a, b) + jnp.minimum(a, 0) + jnp.clip(b, -0.5, 0.5) + abs(a),
    "where": lambda a, b: jnp.where(a > b, a, 2 * b) + jnp.where((a >= 0) & ~(b < a) | (a == b), a, b),
    "select of three": lambda a, b: lax.select_n(jnp.where(a > 0, 2, (b > 0) * 1), a, b, a * b),
    "steps": lambda a, b: jnp.sign(a) + jnp.floor(b) + jnp.ceil(a) + jnp.heaviside(a, 0.5) + jnp.trunc(b),
    "round": lambda a, b: jnp.round(b, 1) + lax.round(3 * a, lax.RoundingMethod.AWAY_FROM_ZERO),
    "remainder": lambda a, b: a % 0.3 + jnp.fmod(b, 0.7) + jnp.mod(5 * a, -2) + lax.rem(b, a),
    "integer parts": lambda a, b: (5 * a).astype(int) // 2 + (a > 0) * b + a.astype(bool),
    "finite": lambda a, b: jnp.where(jnp.isfinite(a), a, 0) + jnp.where(jnp.isnan(b), 0, b),
    "a mask of minus infinity": lambda a, b: jnp.exp(jnp.where(a > 0, b, -jnp.inf)),
    "smaller types": lambda a, b: lax.reduce_precision(a, 11, 52) + b.astype(jnp.float64),
    "square": lambda a, b: jnp.square(a) + jnp.reciprocal(2 + jnp.square(b)),
    "xlogy": lambda a, b: special.xlogy(abs(a), abs(b)) + special.entr(abs(a)),
    "names": lambda a, b: checkpoint_name(a * b, "dO1") + lax.stop_gradient(a),
    "custom rules": lambda a, b: jax.grad(lambda a: (jax.nn.relu(a) * b).sum())(a) + _clipped(a),
    "remat": lambda a, b: jax.grad(lambda a: jax.checkpoint(lambda a: (jnp.sin(a) * a * b).sum())(a))(a),
    "second derivative": lambda a, b: jax.jvp(jax.grad(lambda a: (jnp.tanh(a) ** 2).sum()), (a,), (b,))[1],
}

SHAPED = {
    "sums": lambda a, b: a.sum() + b.sum(axis=0) + a.mean(axis=1, keepdims=True) + jnp.var(a) + jnp.std(b, axis=0),
    "products of entries": lambda a, b: a.prod(axis=1) + b.prod(),
    "cumulative": lambda a, b: (jnp.cumsum(a, 0), lax.cumsum(b, 1, reverse=True), jnp.cumprod(a, 1),
                                lax.cummax(b, 0), lax.cummin(a, 1, reverse=True), lax.cumlogsumexp(b, 1)),
    "extremes": lambda a, b: a.max(axis=1) + b.min() + a.max(axis=(0, 1)) + jnp.ptp(b, axis=1),
    "any and all": lambda a, b: (a > 0).any(axis=1) * 1.0 + (b < 9).all() + (a > b).sum(axis=1),
    "argmax": lambda a, b: jnp.eye(4)[a.argmax(axis=1)] + jax.nn.one_hot(b.argmin(axis=1), 4),
    "sort": lambda a, b: jnp.sort(a, axis=0) + b[jnp.argsort(b[:, 0])] + jnp.sort(b, descending=True),
    "sort of pairs": lambda a, b: lax.sort((jnp.round(a), b), dimension=1, num_keys=2),
    "top k": lambda a, b: lax.top_k(a, 2),
    "median": lambda a, b: jnp.median(a, axis=1) + jnp.quantile(b, 0.3),
    "softmax": lambda a, b: jax.nn.softmax(a) + jax.nn.log_softmax(b, axis=0) + jax.nn.logsumexp(a, 1, keepdims=True),
    "matrix product": lambda a, b: a @ b.T + jnp.einsum("ij,kj,il->kl", a, b, a)[:3, :3],
    "masks in a product": lambda a, b: (a > 0) @ b.T + jnp.dot(a, b.T) + jnp.tensordot(a, b),
    "batched product": lambda a, b: jnp.einsum("ij,ik->ijk", a, b).sum(axis=1),
    "movement": lambda a, b: jnp.concatenate([a.T[::-1], b.T], axis=1)[1:, ::2].reshape(-1)[None],
    "stack and split": lambda a, b: jnp.stack([*jnp.split(a, 2, axis=1), b[:, 1:3]]).swapaxes(0, 1),
    "tile and unstack": lambda a, b: jnp.tile(a, (2, 1))[2:5] + sum(jnp.unstack(b, axis=1))[:, None],
    "repeat and flip": lambda a, b: jnp.repeat(a, 2, axis=0)[:3] + jnp.flip(b) + jnp.rot90(a[:, :3])[:, :1],
    "triangles": lambda a, b: jnp.tril(a) + jnp.triu(b, 1) + jnp.diag(jnp.diag(a)).sum() + jnp.trace(b),
    "gather": lambda a, b: a[jnp.arange(3), jnp.array([3, 0, 2])] + jnp.take_along_axis(b, (b > 0) * 1, axis=1)[:, 0],
    "gather of rows": lambda a, b: b[a.argmax(0)[0] % 3] + a[:, 1:2] + a[jnp.array([[2, 0], [1, 1], [0, 2]])].sum(1),
    "gather in batches": lambda a, b: jax.vmap(lambda r, i: r[i])(a, jnp.array([3, 1, 0])),
    "gather, filled and clipped": lambda a, b: jnp.nan_to_num(a.at[jnp.array([0, 9])].get(mode="fill", fill_value=7))
    + b.at[jnp.array([9, 1])].get(mode="clip"),
    "scatter": lambda a, b: a.at[jnp.arange(3), b.argmax(axis=1)].add(-1.0).at[0].set(7 * b[0]).at[1, 1].multiply(3.0),
    "scatter, repeated": lambda a, b: a.at[jnp.array([0, 0, 2])].add(b).at[jnp.array([1, 1])].multiply(b[:2]),
    "scatter, extremes": lambda a, b: a.at[jnp.array([0, 0, 2])].max(b).at[jnp.array([1, 1])].min(b[:2]),
    "scatter, some dropped": lambda a, b: a.at[jnp.array([0, 9, 0]), 1:3].add(b[:, :2], mode="drop"),
    "segment sum": lambda a, b: jax.ops.segment_sum(a, jnp.array([1, 0, 1]), 4),
    "counts": lambda a, b: a * jnp.bincount(jnp.array([1, 1, 0]), length=4),
    "dynamic slice": lambda a, b: lax.dynamic_slice(a, (b[:, 0].argmax(), 0), (1, 4)),
    "dynamic update": lambda a, b: lax.dynamic_update_slice(a, b[:2, :2], (5, 1)),
    "pad and roll": lambda a, b: jnp.pad(a, 1) + jnp.pad(jnp.roll(b, 1, axis=1), 1, constant_values=2.0),
    "pad inside": lambda a, b: (lax.pad(a, 3.0, ((1, -1, 2), (-2, 3, 1))), jnp.pad(b, 2, mode="reflect")),
    "scan": lambda a, b: lax.scan(lambda c, r: (c + r[0] * r[1], c.sum()), jnp.zeros(4), (a, b)),
    "backward scan": lambda a, b: lax.scan(lambda c, r: (2 * c + r, c), b[0], a, reverse=True),
    "scan of nothing": lambda a, b: lax.scan(lambda c, r: (c + r, c), b[0], a[:0]),
    "associative scan": lambda a, b: lax.associative_scan(jnp.multiply, a),
    "loop": lambda a, b: lax.fori_loop(0, 3, lambda i, c: c + a[i] * b[i], jnp.zeros(4)),
    "while": lambda a, b: lax.while_loop(lambda c: c.sum() < 50, lambda c: 2 * c + 1, a * a),
    "while for each": lambda a, b: jax.vmap(
        lambda r: lax.while_loop(lambda c: c[1].sum() < 20, lambda c: (c[0] + 1, 2 * c[1] + 1), (0, r * r)))(a),
    "search": lambda a, b: a[:, 0] + jnp.searchsorted(jnp.sort(b[0]), a[:, 1]),
    "cond": lambda a, b: lax.cond(a[0, 0] > 0, lambda a: a * 2, lambda a: a - 1, a),
    "switch": lambda a, b: lax.switch(b[0].argmax(), [jnp.sin, jnp.cos, jnp.tanh, jnp.exp], a),
    "map and vmap": lambda a, b: lax.map(lambda r: jnp.outer(r[0], r[1]), (a, b)) + jax.vmap(jnp.outer)(a, b).sum(0),
    "jit": lambda a, b: jax.jit(lambda a: jax.jit(jnp.sum)(a) * a)(a + b),
    "linear solve": lambda a, b: (jnp.linalg.solve(spd(a), b), jnp.linalg.inv(a[:, :3]), jnp.linalg.det(spd(a))),
    "solve by Cholesky": lambda a, b: jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(spd(a)), b),
    "cholesky and slogdet": lambda a, b: (jnp.linalg.cholesky(spd(a)), jnp.linalg.slogdet(a[:, :3])),
    "triangular solve": lambda a, b: (jax.scipy.linalg.solve_triangular(spd(a), b, lower=True),
                                      jax.scipy.linalg.solve_triangular(spd(b), a, trans=1, unit_diagonal=True),
                                      lax.linalg.triangular_solve(spd(a), b.T)),
    "batched linear algebra": lambda a, b: (jnp.linalg.cholesky(jnp.stack([spd(a), spd(b)])),
                                            jnp.linalg.solve(jnp.stack([spd(a), spd(b)]), jnp.stack([b, a]))),
    "derivative of a solve": lambda a, b: jax.grad(lambda a: jnp.linalg.solve(spd(a), b).sum())(a),
    "norm": lambda a, b: jnp.linalg.norm(a, axis=1) + jnp.linalg.norm(b),
    "random numbers": lambda a, b: a * jax.random.bernoulli(jax.random.key(3), 0.5, a.shape),
    "integers": lambda a, b: a * (jnp.arange(4) // 2 % 2 + jnp.cumsum(jnp.arange(4))).astype(float),
    "grad": lambda a, b: jax.grad(lambda a: (jax.nn.relu(a @ b.T) ** 2).sum())(a),
    "vjp of sorting": lambda a, b: jax.grad(lambda a: (jnp.sort(a, 1) * b).sum() + (jnp.cumsum(a * a, 1) * b).sum())(a),
}  # fmt: skip

IMAGES = {
    "plain": lambda a, b: conv(a, b),
    "strided, padded": lambda a, b: conv(a, b, strides=(2, 1), pad=((1, 2), (0, 1))),
    "dilated": lambda a, b: conv(a, b, rhs_dilation=(2, 1), lhs_dilation=(1, 2), pad=((1, 1), (1, 1))),
    "in groups": lambda a, b: conv(a, b, inner=1, feature_group_count=2),
    "in batches": lambda a, b: conv(a, b, batch_group_count=2),
    "other axes": lambda a, b: lax.conv_general_dilated(
        a.reshape(1, 3, 4, 2), b.reshape(1, 2, 2, 3), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
    "derivative": lambda a, b: jax.grad(lambda a, b: (conv(a, b, strides=(2, 2)) ** 2).sum(), (0, 1))(a, b),
    "derivative in groups": lambda a, b: jax.grad(
        lambda a, b: (conv(a, b, inner=1, feature_group_count=2) ** 2).sum(), (0, 1))(a, b),
    "pooling": lambda a, b: (pool(a, lax.max, -jnp.inf, "SAME"), pool(b, lax.add, 0.0, "VALID"),
                             pool(a, lax.min, jnp.inf, ((1, 0), (0, 1)))),
    "derivative of pooling": lambda a, b: jax.grad(
        lambda a: (pool(a, lax.max, -jnp.inf, "SAME") * pool(a, lax.add, 0.0, "SAME")).sum())(a),
}  # fmt: skip


def _layer_norm(x, out):
    """A kernel on a block of rows."""
    rows = x[...]
    centred = rows - rows.mean(axis=1, keepdims=True)
    out[...] = centred / jnp.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6) + jnp.maximum(rows, 0)


def _accumulated(x, out):
    """A kernel that adds up what its blocks have."""

    @pl.when(pl.program_id(0) == 0)
    def _():
        out[...] = jnp.zeros_like(out)

    out[...] += x[...].sum(axis=0, keepdims=True)


def _by_blocks(kernel, a, rows):
    block, total = pl.BlockSpec((4, a.shape[1]), lambda i: (i, 0)), pl.BlockSpec((1, a.shape[1]), lambda i: (0, 0))
    shape = jax.ShapeDtypeStruct((rows, a.shape[1]), a.dtype)
    out = block if rows > 1 else total
    blocks = (pl.cdiv(len(a), 4),)
    return pl.pallas_call(kernel, shape, grid=blocks, in_specs=[block], out_specs=out, interpret=True)(a)


@pytest.mark.parametrize("rows", [4, 8, 10])
def test_kernels_give_what_jax_gives_beyond_one_block_too(rows):
    a = np.random.default_rng(8).normal(size=(rows, 3))
    compare(lambda a: _by_blocks(_layer_norm, a, rows), a)
    if rows % 4 == 0:
        compare(lambda a: _by_blocks(_accumulated, a, 1), a)


@jax.custom_vjp
def _clipped(a):
    return jnp.sin(a)


_clipped.defvjp(lambda a: (jnp.sin(a), a), lambda a, g: (g * jnp.cos(a),))


def compare(f, *arrays):
    """Balls against JAX's float64; everything that is returned, in shape and type too."""
    with jax.numpy_rank_promotion("allow"):
        expected = jax.tree.leaves(jax.jit(f)(*map(jnp.asarray, arrays)))
    with precision(BITS):
        found = jax.tree.leaves(JaxProgram(f).run(*map(exactly, arrays)).result)
    for mine, right in zip(found, expected, strict=True):
        assert np.shape(mine) == right.shape
        assert (mine.dtype == object) == (right.dtype == np.float64)
        np.testing.assert_allclose(floats(mine), np.asarray(right, float), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(), (3, 4), (2, 1, 3)])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_functions_of_entries_give_what_jax_gives(name, shape):
    compare(ELEMENTWISE[name], *np.random.default_rng(5).normal(size=(2, *shape)))


@pytest.mark.parametrize("name", SHAPED)
def test_functions_of_arrays_give_what_jax_gives(name):
    compare(SHAPED[name], *np.random.default_rng(5).normal(size=(2, 3, 4)))


@pytest.mark.parametrize("name", IMAGES)
def test_windows_and_convolutions_give_what_jax_gives(name):
    rng = np.random.default_rng(7)
    compare(IMAGES[name], rng.normal(size=(6, 4)), rng.normal(size=(3, 4)))


def test_numbers_that_are_wrong_are_seen():
    factors = iter([1, 1 + 1e-8])
    with pytest.raises(AssertionError):
        compare(lambda a: a * next(factors), np.ones(3))


# What is said when it cannot be done.


def test_an_unknown_operation_is_named_with_its_line():
    def f(a):
        return jax.lax.linalg.tridiagonal(a)[1]

    with pytest.raises(NotJudged, match=r"^tridiagonal at test_jax_code.py:\d+$") as error, precision(BITS):
        JaxProgram(f).run(exactly(np.eye(2)))
    assert error.value.operation == "tridiagonal" and error.value.line == f.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    "function",
    [
        lambda a: jnp.abs(jnp.fft.fft2(a)) + jnp.abs(jnp.exp(1j * a) * (a + 2j)),
        lambda a: jnp.real(jnp.fft.ifftn(jnp.fft.fftn(a) * jnp.conj(a + 1j))),
        lambda a: jnp.fft.irfft(jnp.fft.rfft(a) ** 2, n=5) @ jnp.ones(5),
        lambda a: jnp.angle(jnp.fft.rfft(a)[0, 1]) + jnp.sqrt(a + 1j).imag + jnp.log(a + 1j).real,
        lambda a: jnp.where(jnp.fft.fft(a) == 0, 0, 1 / (a + 1j)).imag,
        lambda a: (jnp.fft.fft(a) @ jnp.fft.ifft(a).T).real,
        lambda a: jnp.linalg.eigvalsh(a @ a.T),
        lambda a: jnp.linalg.svd(a, compute_uv=False),
        lambda a: jnp.linalg.pinv(a) @ a,
        lambda a: abs(jnp.linalg.qr(a)[1]),
        lambda a: jax.scipy.linalg.expm(a[:, :3]),
        lambda a: jnp.linalg.lstsq(a.T, a[0])[0],
        lambda a: jnp.linalg.norm(a, 2) + jnp.linalg.cond(a),
        lambda a: jax.scipy.special.digamma(abs(a)) + jax.scipy.special.erfinv(a / 3),
    ],
)
def test_complex_numbers_and_decompositions_are_those_of_floats(function):
    a = np.random.default_rng(4).normal(size=(3, 4))
    with precision(BITS):
        mine = floats(JaxProgram(function).run(exactly(a)).result)
    with jax.enable_x64(True):
        assert np.allclose(mine, function(jnp.asarray(a)), rtol=1e-9, atol=1e-9)


def test_an_operation_in_an_unforeseen_form_is_not_judged(monkeypatch):
    def fails(call, a):
        raise IndexError("of ours")

    monkeypatch.setitem(reals.REAL_RULES, "sin", fails)
    with pytest.raises(NotJudged, match=r"^sin at test_jax_code\.py:"), precision(BITS):
        JaxProgram(lambda a: jnp.sin(a)).run(exactly(np.ones(2)))


def test_numbers_too_close_to_compare_are_undecided():
    with pytest.raises(Undecided), precision(BITS):
        JaxProgram(lambda a: jnp.where(a / 3 * 3 > a, 1.0, 2.0)).run(exactly(np.ones(2)))


def test_nan_is_never_decided_and_numbers_without_end_are_as_in_floats():
    for f in (lambda a: jnp.isnan(a * jnp.nan), lambda a: jnp.argmax(a * jnp.nan), lambda a: jnp.isfinite(a / 0)):
        with pytest.raises(Undecided, match="NaN"), precision(BITS):
            JaxProgram(f).run(exactly(np.ones(2)))
    with precision(BITS):
        found = JaxProgram(lambda a: (jnp.log(a), jnp.exp(jnp.log(a)), jnp.tanh(1 / jnp.inf - jnp.inf * a))).run(
            exactly(np.array([0.0, 1.0]))
        )
    assert [floats(part).tolist()[0] for part in found.result[:2]] == [-np.inf, 0]


def test_exceptions_name_the_users_line():
    def f(a):
        return a + jnp.ones(7)  # of another shape

    with pytest.raises(
        RaisedInside, match=r"^test_jax_code.py:\d+: `return a \+ jnp.ones\(7\).*` raised TypeError: add"
    ):
        JaxProgram(f).run(exactly(np.ones(3)))


def test_code_for_numpy_is_not_traceable_and_side_effects_are_refused():
    with pytest.raises(NotTraceable, match=r"test_jax_code.py:\d+: .*TracerArrayConversionError"):
        JaxProgram(lambda a: np.tanh(np.asarray(a))).run(exactly(np.ones(3)))
    with pytest.raises(Refused, match="side effects"):
        JaxProgram(lambda a: (jax.experimental.io_callback(print, None, a), a)[1]).run(exactly(np.ones(3)))


def test_what_is_printed_for_debugging_is_no_side_effect():
    def f(a):
        jax.debug.print("{}", a)
        jax.debug.callback(print, a, ordered=True)
        return 2 * a

    assert floats(JaxProgram(f).run(exactly(np.ones(3))).result).tolist() == [2, 2, 2]


def test_a_function_that_changes_when_called_again_is_refused():
    calls = []

    def f(a):
        calls.append(None)
        return a * len(calls)

    JaxProgram(lambda a: 2 * a).check_repeats(exactly(np.ones(2)))
    with pytest.raises(Refused, match="f gives another result"):
        JaxProgram(f).check_repeats(exactly(np.ones(2)))


# Arguments and results.


def test_results_keep_their_structure_and_a_shape_is_traced_once():
    traces = []

    def f(params, x, n, labels):
        traces.append(x.shape)
        return {"y": (params["w"] * x * n, labels + 1), "n": n, "none": None, "third": 1 / 3}

    program = JaxProgram(f)
    arguments = {"w": exactly(np.float64(0.5))}, exactly(np.arange(3.0)), 2, np.array([1, 2])
    with precision(BITS):
        program.run(*arguments)
        result = program.run(*arguments).result
    assert floats(result["y"][0]).tolist() == [0, 1, 2] and result["y"][1].tolist() == [2, 3]
    assert result["n"] == 2 and result["none"] is None and traces == [(3,)]
    assert (3 * result["third"]).item().v.contains(1)  # 1 / 3 is a third, not a float
    assert 1 / 3 in program.literals() and 1.0 not in program.literals()


class _Result:
    def __init__(self, a):
        self.dW1, self.m = 2 * a, 3


def test_an_object_of_the_users_own_is_what_it_holds():
    with precision(BITS):
        result = JaxProgram(_Result).run(exactly(np.ones(2))).result
    assert floats(result["dW1"]).tolist() == [2, 2] and result["m"] == 3


class _Weights:
    """Parameters with names, and no tree that JAX knows."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def _asdict(self):
        return vars(self)


def test_objects_with_fields_are_arguments_that_can_be_differentiated():
    def f(weights, x):
        return jax.grad(lambda weights: (weights.W * x + weights.b).sum())(weights)

    with precision(BITS):
        result = (
            JaxProgram(f).run(_Weights(exactly(np.ones(2)), exactly(np.zeros(2))), exactly(np.array([3.0, 4.0]))).result
        )
    assert floats(result.W).tolist() == [3, 4] and floats(result.b).tolist() == [1, 1]


def test_what_acts_at_some_sizes_only_is_named():
    program = JaxProgram(lambda a: jnp.where(a > 0.5, jax.nn.softmax(a), jnp.maximum(a, 0)) + jnp.clip(a, -2, 2))
    program.trace(exactly(np.ones(3)))
    names = {name.split(" at test_jax_code.py:")[0] for name in program.thresholds()}
    assert names == {"gt", "clip"}


def test_casts_to_smaller_types_are_said():
    program = JaxProgram(lambda a: a.astype(jnp.float16).astype(float))
    with precision(BITS):
        assert floats(program.run(exactly(np.array([0.1]))).result) == [0.1]
    (said,) = program.said
    assert said.startswith("convert_element_type at test_jax_code.py:") and "rounds" in said


# Local variables.


class _Layer:
    def __init__(self, W):
        self.W, self.cache = W, {}

    def forward(self, x):
        self.cache["Z"] = x @ self.W
        return jax.nn.relu(self.cache["Z"])


@jax.jit
def _under_jit(h):
    inside = jnp.exp(h)
    return inside.sum(axis=1)


def watched(W, x):
    layer = _Layer(W)
    h, twice = layer.forward(x), 2 * x
    total = (_under_jit(h)
             + 1)  # fmt: skip

    def one(row):
        each = 3 * row
        return each.sum()

    def loss(W):
        inner = x @ W
        return (inner**2).sum()

    per_example = jax.vmap(one)(x)
    g = jax.grad(loss)(W)
    total += per_example
    return total, g, twice


def test_local_variables_have_their_names_lines_and_values():
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    program = JaxProgram(watched)
    with precision(BITS):
        run = program.run(exactly(W), exactly(x), watch=True)
        plain = program.run(exactly(W), exactly(x))
    assert plain.locals == () and (floats(plain.result[0]) == floats(run.result[0])).all()
    h = np.maximum(x @ W, 0)
    total = np.exp(h).sum(axis=1) + 1
    expected = [
        ("self.cache['Z']", x @ W, "self.cache["), ("return", h, "return jax.nn.relu"), ("h", h, "h, twice"),
        ("twice", 2 * x, "h, twice"), ("inside", np.exp(h), "inside ="), ("return", total - 1, "return inside.sum"),
        ("total", total, "total = (_under_jit(h) + 1)"), ("each", 3 * x, "each = 3 * row"),
        ("return", 3 * x.sum(axis=1), "return each.sum"), ("per_example", 3 * x.sum(axis=1), "per_example"),
        ("inner", x @ W, "inner ="), ("return", ((x @ W) ** 2).sum(), "return (inner"),
        ("g", 2 * x.T @ x @ W, "g = jax.grad"),
        ("total", total + 3 * x.sum(axis=1), "total += per_example"),
    ]  # fmt: skip
    assert [one.name for one in run.locals] == [name for name, _, _ in expected]
    lines = program.source.splitlines()
    for one, (_, value, text) in zip(run.locals, expected, strict=True):
        np.testing.assert_allclose(floats(one.value), value, rtol=1e-9, atol=1e-12)
        assert one.text.startswith(text) and lines[one.line - 1].strip() == one.text[: len(lines[one.line - 1].strip())]


def test_loops_too_long_to_write_out_are_left_out_of_the_locals():
    def f(a):
        end = lax.fori_loop(0, 10**6 * (len(a) > 5) + 3, lambda i, c: c / 2 + a, a)
        return end

    with precision(BITS):
        assert [one.name for one in JaxProgram(f).run(exactly(np.ones(2)), watch=True).locals][-1] == "end"
    program = JaxProgram(f)
    traced = program.trace(exactly(np.ones(6)), watch=True)
    assert len(traced.jaxpr.eqns) < 10 and [one.name for one in traced.settings] == ["end"]
