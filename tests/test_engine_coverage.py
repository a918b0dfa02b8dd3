"""What people's code may be made of: transforms, decompositions, complex numbers, laws, and values of every kind."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.special
from scipy.spatial.distance import cdist

from experiments.benchmarks.catalogue.functions.table import CASES
from experiments.benchmarks.verify_functions import judge
from twolayer.verification import equal, verify_gradient, verify_hvp, verify_vjp

FAMILIES = [name for name, case in CASES.items() if case.file in ("signals", "decompositions")]


@pytest.mark.parametrize("name", FAMILIES)
def test_signals_and_decompositions_are_right(name):
    row = judge(name, -1, 120.0)
    assert row["verdict"] == "right", row


@pytest.mark.parametrize("name", ["circular_convolution", "circuit", "eigenvalues", "correlation", "gamma_law", "ring"])
def test_their_faults_are_wrong(name):
    row = judge(name, 0, 120.0)
    assert row["verdict"] == "wrong" and row["outputs"] and row["cause"] != "false", row


@dataclasses.dataclass
class Layer:
    w: np.ndarray

    def back(self, g):
        self.w = self.w * 0 + g
        return self.w


def masked(s, v):
    t = s.copy()
    t[np.triu(np.ones(s.shape, bool), 1)] = -1e9
    p = np.exp(t - t.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True) @ v


def masked_back(s, v, g):
    t = s.copy()
    t[np.triu(np.ones(s.shape, bool), 1)] = -1e9
    p = np.exp(t)
    p /= p.sum(axis=-1, keepdims=True)
    dp = g @ v.T
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True)), p.T @ g  # of a masked entry exp(-1e9), and not 0


def in_plain_python(w, b, xs):
    return sum(0.9**2 * (sum(u * v for u, v in zip(w, x, strict=True)) + b) ** 2 for x in xs)


def lists(w, b, xs):
    gw, gb = [0.0] * len(w), 0.0
    for x in xs:
        r = 2 * 0.81 * (sum(u * v for u, v in zip(w, x, strict=True)) + b)
        gw = [g + r * v for g, v in zip(gw, x, strict=True)]
        gb += r
    return {"w": gw, "b": gb}


def single(w, x):
    z = np.dot(w, x)
    return z**2 if z > 0 else 0 * z


def single_back(w, x):
    z = w @ x
    on = (z > 0).astype(float) * ~(z <= 0)
    return 2 * z * on * x, 2 * z * on * w


def tree(params, x):
    return jnp.tanh(x @ params["w"]).sum()


def tree_back(params, x):
    slope = 1 - jnp.tanh(x @ params["w"]) ** 2
    return {"params": jax.tree.map(lambda d, p: d + 0 * p, {"w": x.T @ slope}, params)}


def convolved(x, w):
    return scipy.signal.convolve2d(x, w, mode="valid")


def convolved_back(x, w, g):
    dx = scipy.signal.correlate2d(g, w, mode="full")
    return dx, scipy.signal.correlate2d(x, g, mode="valid")[::-1, ::-1]


def kernel(x, y):
    return np.exp(-cdist(x, y, "sqeuclidean")).sum()


def kernel_back(x, y):
    k = np.exp(-(cdist(x, y) ** 2))
    return -2 * (k.sum(1)[:, None] * x - k @ y), -2 * (k.sum(0)[:, None] * y - k.T @ x)


def middle(x):
    low, high = np.percentile(x, [25, 75])
    return high - low


def middle_back(x):
    g, order = np.zeros(len(x)), np.argsort(x)
    for q, sign in ((0.75, 1.0), (0.25, -1.0)):
        low = int(np.floor(q * (len(x) - 1)))
        part = q * (len(x) - 1) - low
        g[order[low]] += sign * (1 - part)
        g[order[min(low + 1, len(x) - 1)]] += sign * part
    return g


def whitened(s, x):
    u = scipy.linalg.cholesky(s + s.T)  # the upper one, unless it is asked for the lower
    return np.sum(scipy.linalg.solve_triangular(u, x, trans="T") ** 2)


def whitened_back(s, x):
    y = scipy.linalg.cho_solve(scipy.linalg.cho_factor(s + s.T), x)
    return -2 * np.outer(y, y), 2 * y


def decomposed(a):
    return jnp.log1p(jnp.linalg.eigvalsh(a @ a.T)).sum() + (jnp.abs(jnp.fft.fft2(a)) ** 2).sum()


def decomposed_back(a):
    return 2 * jnp.linalg.solve(jnp.eye(len(a)) + a @ a.T, a) + 2 * a.size * a


SQUARE = {"x": "4 5", "w": "2 3"}


@pytest.mark.parametrize(
    ("ask", "function", "derivative", "shapes", "domains"),
    [
        (verify_vjp, masked, masked_back, {"s": "n n", "v": "n d"}, {"s": "unit"}),
        (verify_gradient, in_plain_python, lists, {"w": "d", "b": "", "xs": "m d"}, {}),
        (verify_gradient, single, single_back, {"w": "d", "x": "d"}, {}),
        (verify_gradient, tree, tree_back, {"params": {"w": "d h"}, "x": "m d"}, {}),
        (verify_vjp, convolved, convolved_back, SQUARE, {}),
        (verify_gradient, kernel, kernel_back, {"x": "m d", "y": "n d"}, {}),
        (verify_gradient, middle, middle_back, {"x": "n>=2"}, {}),
        (verify_gradient, whitened, whitened_back, {"s": "n n", "x": "n"}, {"s": "spd"}),
        (verify_gradient, decomposed, decomposed_back, {"a": "n n"}, {}),
        (verify_gradient, lambda w: (w * 3).sum(), lambda w: Layer(w).back(3.0), {"w": "d"}, {}),
        (
            verify_hvp,
            lambda x: scipy.special.logsumexp(x),
            lambda x, v: (lambda p: p * v - p * (p @ v))(scipy.special.softmax(x)),
            {"x": "n"},
            {},
        ),
    ],
)
def test_code_of_every_kind_is_right(ask, function, derivative, shapes, domains):
    verdict = ask(function, derivative, shapes, domains=domains)
    assert verdict.verdict == "right", verdict.text


def test_a_basis_that_the_matrix_does_not_say_has_no_derivative():
    def full(a):
        return (np.linalg.svd(a)[0][:, 2:] ** 3).sum()

    verdict = verify_gradient(full, lambda a: a * 0, {"a": "4 2"})
    assert verdict.verdict == "undecided", verdict.text


def test_complex_results_are_compared_in_both_parts():
    def by_sums(x):
        k = np.arange(len(x))
        return np.exp(-2j * np.pi * np.outer(k, k) / len(x)) @ x

    assert equal(by_sums, lambda x: np.fft.fft(x), {"x": "n"}).verdict == "right"
    assert equal(by_sums, lambda x: np.conj(np.fft.fft(x)), {"x": "n"}).verdict == "wrong"


def test_the_square_of_a_difference_that_may_be_zero_is_a_number():
    def spread(x):
        third = x / 3
        return ((third + third + third - x) ** 2).sum() + ((third * 3 - x) ** 3).sum() + (x**-2).sum()

    for np_or_jnp in (np, jnp):
        verdict = verify_gradient(spread, lambda x, m=np_or_jnp: -2 * m.power(x, -3), {"x": "n"})
        assert verdict.verdict == "right", verdict.text
