"""What is wrong with a line: edits of the user's own code that put everything right, and lines that no edit mends."""

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twolayer.verification import verify_gradient, verify_hvp, verify_vjp
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.factors import ratio


def swish_layer(W, x):
    a = x @ W
    return a / (1 + np.exp(-a))


def swish_of_sigmoid(W, x, g):
    a = x @ W
    s = 1 / (1 + np.exp(-a))
    da = g * (s * (1 - s))
    return {"W": x.T @ da}


def unit(q):
    return q / np.sqrt((q**2).sum())


def unit_along_itself(q, g):
    norm = np.sqrt((q**2).sum())
    n = q / norm
    dq = (g + 0 * n) / norm
    return dq


def lower(L):
    return (np.tril(L) ** 2).sum()


def lower_with_both(L):
    return 2 * L


def trace(A):
    return np.trace(A) ** 2


def trace_with_sum(A):
    return 2 * A.sum() * np.eye(len(A))


def turned(q, freq):
    return np.cos(np.arange(len(q))[:, None] * freq) * q


def turned_without_place(q, freq, g):
    pos = np.arange(len(q))[:, None]
    dangle = -np.sin(pos * freq) * q * g
    return {"freq": dangle.sum(axis=0)}


def series(A, x):
    y, out = x, x
    for k in range(1, 4):
        y = A @ y / k
        out = out + y
    return out


def series_without_count(A, x, g):
    dy = np.zeros_like(x)
    for k in range(3, 0, -1):
        dy = A.T @ (dy + g) * (k > 0)
    return {"x": dy + g}


def cubes(w):
    return (w**3).sum()


def cubes_of_cube(w):
    return w**3


def spread(x):
    return (np.sqrt(x @ x) * 2 + np.abs(x).sum() * 0.1).sum()


def spread_of_squares(x):
    return 2 * x / np.sqrt(x @ x) + 0.2 * x


def strided(x, w):
    return np.array([(x[2 * t : 2 * t + 3] * w).sum() for t in range(3)])


def strided_by_one(x, w, g, stride=2):
    dw = np.zeros_like(w)
    for t in range(3):
        dw += g[t] * x[t : t + 3]
    return {"w": dw}


@pytest.mark.parametrize(
    ("f", "backward", "shapes", "line", "cause"),
    [
        (swish_layer, swish_of_sigmoid, {"W": "d k", "x": "m d"}, "da = g * (s * (1 - s))", "derivative"),
        (unit, unit_along_itself, {"q": "n>=2"}, "dq = (g + 0 * n) / norm", "path_missing"),
        (turned, turned_without_place, {"q": "m d", "freq": "d"}, None, "other_factor"),
        (series, series_without_count, {"A": "n n", "x": "n"}, "dy = A.T @ (dy + g) * (k > 0)", "factor"),
        (strided, strided_by_one, {"x": "7", "w": "3"}, "dw += g[t] * x[t : t + 3]", "off_by_one"),
    ],
)
def test_a_mistake_of_a_pullback_is_named(f, backward, shapes, line, cause):
    found = verify_vjp(f, backward, shapes)
    assert found.verdict == "wrong" and [why.id for why in found.causes] == [cause], found.text
    assert found.line == (line or 'return {"freq": dangle.sum(axis=0)}')


@pytest.mark.parametrize(
    ("loss", "gradient", "shapes", "cause"),
    [
        (lower, lower_with_both, {"L": "n n"}, "mask"),
        (trace, trace_with_sum, {"A": "n n"}, "mask"),
        (cubes, cubes_of_cube, {"w": "n"}, "derivative"),
        (spread, spread_of_squares, {"x": "n"}, "derivative"),
    ],
)
def test_a_mistake_of_a_gradient_is_named(loss, gradient, shapes, cause):
    found = verify_gradient(loss, gradient, shapes)
    assert found.verdict == "wrong" and cause in [why.id for why in found.causes], found.text


def pooled(x):
    t = np.tanh(0.5 * (x[0::2] + x[1::2]))
    return np.repeat(t, 2) * x


def pooled_across(x, g):
    t = np.tanh(0.5 * (x[0::2] + x[1::2]))
    dx = g * np.repeat(t, 2)
    dt = (g * x).reshape(2, -1).sum(axis=0)
    dmean = dt * (1 - t**2)
    return dx + np.repeat(0.5 * dmean, 2)


def test_a_ratio_beyond_all_floats_is_no_constant():
    huge = [np.array([Ball(flint.arb(2) ** (10**12)) * Ball(3)], object), np.array([Ball(3)], object)]
    assert ratio(huge[:1], huge[1:]) is None


def test_a_line_that_no_edit_mends_is_the_first_whose_right_value_follows():
    found = verify_vjp(pooled, pooled_across, {"x": "2*n"})
    assert found.verdict == "wrong" and not found.causes
    assert found.line == "dt = (g * x).reshape(2, -1).sum(axis=0)"


def volume(a, X):
    d = ((X[:, None] - X[None]) ** 2).sum(-1)
    return np.linalg.slogdet(np.exp(-d) + a**2 * np.eye(len(X)))[1]


def volume_without_factor(a, X):
    d = ((X[:, None] - X[None]) ** 2).sum(-1)
    inverse = np.linalg.inv(np.exp(-d) + a**2 * np.eye(len(X)))
    return {"a": a * np.trace(inverse)}


def test_a_point_at_which_floats_fail_does_not_end_the_search():
    found = verify_gradient(volume, volume_without_factor, {"a": "", "X": "n>=2 d"})
    assert [why.id for why in found.causes] == ["factor"], found.text


def factor(A):
    return np.linalg.cholesky(A)


def factor_backward(A, g, symmetric=True):
    L = np.linalg.cholesky(A)
    P = np.tril(L.T @ np.tril(g))
    P[np.diag_indices(len(A))] *= 0.5
    inverse = np.linalg.inv(L)
    S = inverse.T @ P @ inverse
    return 0.5 * (S + S.T) if symmetric else S


def test_a_derivative_by_a_symmetric_argument_may_be_symmetric():
    domains = {"A": "spd"}
    assert verify_vjp(factor, factor_backward, {"A": "n n"}, domains=domains).verdict == "right"
    for wrong in (lambda A, g: factor_backward(A, g, False), lambda A, g: 2 * factor_backward(A, g)):
        assert verify_vjp(factor, wrong, {"A": "n n"}, domains=domains).verdict == "wrong"


def fit(W, x, y):
    return 0.5 * ((np.tanh(x @ W) - y) ** 2).sum()


def fit_hvp(W, x, y, V):
    h = np.tanh(x @ W)
    back = h - y
    slope = 1 - h**2
    moved = slope * (x @ V)
    dz = moved * slope
    dz -= back * h * moved
    return x.T @ dz


def test_the_first_derivatives_in_a_second_one_are_not_blamed():
    found = verify_hvp(fit, fit_hvp, {"W": "d k", "x": "m d", "y": "m k"}, argnums=0)
    assert found.line == "dz -= back * h * moved" and [why.id for why in found.causes] == ["factor"], found.text


def mean_entropy(W, b, x, y):
    z = x @ W + b
    z = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -z[np.arange(len(y)), y].mean()


def without_the_mean(W, b, x, y):
    p = np.exp(x @ W + b)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return {"W": x.T @ p, "b": p.sum(axis=0)}


def padded(x, w):
    wide = np.concatenate([np.zeros(2), x])
    return wide[: len(x)] * w[0] + wide[1:-1] * w[1] + x * w[2]


def padded_from_the_start(x, w, g):
    dwide = np.zeros(len(x) + 2)
    for i in range(3):
        dwide[i : i + len(x)] += g * w[i]
    dx = dwide[: len(x)]
    return {"x": dx}


def over_space(x):
    return x - (x**2).mean(axis=(1, 2), keepdims=True)


def over_all(x, g):
    mean = g.mean(axis=(0, 1, 2), keepdims=True)
    return g - 2 * x * mean


def rotated(a, b, t):
    return np.sin(t) * a - np.cos(t) * b


def rotated_with_others(a, b, t, g):
    c, s = np.cos(t), np.sin(t)
    return {"t": g * (a * s + b * c)}


def chain(x):
    h = [x]
    for _ in range(2):
        h.append(np.tanh(h[-1]))
    return h[-1]


def chain_of_values_before(x, g):
    before = [x, np.tanh(x)]
    for z in before[::-1]:
        slope = 1 - z**2
        g = g * slope
    return {"x": g}


def ordered(x, y):
    return (x[None, :] * (y[:, None] <= y[None, :])).sum(axis=1)


def ordered_the_other_way(x, y, g):
    later = y[:, None] >= y[None, :]
    return {"x": later.T @ g}


def silu(z):
    return z / (1 + np.exp(-z))


def silu_of_sigmoid(z, g):
    s = 1 / (1 + np.exp(-z))
    return g * s * (1 - s)


def filtered(a, u):
    def step(h, ut):
        h = jnp.tanh(a) * h + ut
        return h, h

    return jax.lax.scan(step, jnp.zeros(a.shape), u)[1]


def filtered_without_decay(a, u, g):
    decay = jnp.tanh(a)

    def step(dh, gt):
        dh = dh + gt
        return dh, dh

    du = jax.lax.scan(step, 0 * decay, g, reverse=True)[1]
    return {"u": du}


@pytest.mark.parametrize(
    ("f", "backward", "shapes", "line", "cause"),
    [
        (padded, padded_from_the_start, {"x": "n>=3", "w": "3"}, "dx = dwide[: len(x)]", "part"),
        (over_space, over_all, {"x": "2 h w"}, "mean = g.mean(axis=(0, 1, 2), keepdims=True)", "other_factor"),
        (rotated, rotated_with_others, dict.fromkeys("abt", "n"), 'return {"t": g * (a * s + b * c)}', "other_factor"),
        (chain, chain_of_values_before, {"x": "n"}, "slope = 1 - z**2", "other_factor"),
        (ordered, ordered_the_other_way, {"x": "n", "y": "n"}, "later = y[:, None] >= y[None, :]", "mask"),
        (silu, silu_of_sigmoid, {"z": "n"}, "return g * s * (1 - s)", "derivative"),
        (filtered, filtered_without_decay, {"a": "d", "u": "3 d"}, "return dh, dh", "other_factor"),
    ],
)
def test_the_line_that_made_what_is_wrong_is_named(f, backward, shapes, line, cause):
    found = verify_vjp(f, backward, shapes)
    assert found.verdict == "wrong" and found.line == line, found.text
    assert cause in [why.id for why in found.causes], found.text


def test_a_factor_that_a_missing_statement_had_is_named_at_the_one_before():
    shapes = {"W": "d c", "b": "c", "x": "m d", "y": "m"}
    found = verify_gradient(mean_entropy, without_the_mean, shapes, domains={"y": "labels:c"})
    assert found.line == "p[np.arange(len(y)), y] -= 1", found.text
    assert [why.id for why in found.causes] == ["factor"], found.text
