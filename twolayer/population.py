"""Sums of ReLU units under Gaussian inputs: the squared loss over all of them, and its gradient, in closed form.

A student f(x) = sum_i relu(w_i . x) with n units learns a teacher g(x) = sum_l relu(v_l . x) with t units, and
x ~ N(0, I_k). Nothing is sampled (Safran & Shamir 2018; the kernel is the arc-cosine kernel of Cho & Saul 2009, eq. 6).

For units w and v at the angle theta, with c = cos(theta) = w . v / (|w| |v|) and s = sin(theta):

    K(w, v) = E[relu(w.x) relu(v.x)] = |w| |v| (s + (pi - theta) c) / (2 pi)

    L(W) = 1/2 E[(f(x) - g(x))^2] = 1/2 sum_ij K(w_i, w_j) - sum_il K(w_i, v_l) + 1/2 sum_lm K(v_l, v_m)

The gradient with respect to w, for u = w / |w| and z = v / |v|. Write phi(c) = s + (pi - theta) c. Its factors are

    ds/dc = -c / s        dtheta/dc = -1 / s        phi'(c) = -c / s + c / s + (pi - theta) = pi - theta
    d|w|/dw = u           dc/dw = (z - c u) / |w|

    2 pi dK/dw = |v| phi(c) u + |w| |v| phi'(c) (z - c u) / |w|
               = |v| (s + (pi - theta) c) u + (pi - theta) (v - c |v| u)
               = s |v| u + (pi - theta) v

w_i stands in K(w_i, w_j) and in K(w_j, w_i), so the 1/2 goes, also for j = i, where K = |w|^2 / 2 has the gradient
w = 2 (pi w) / (2 pi):

    2 pi dL/dw_i = u_i (sum_j s_ij |w_j| - sum_l s_il |v_l|) + sum_j (pi - theta_ij) w_j - sum_l (pi - theta_il) v_l

At equal directions, which every optimum has, theta has no derivative, and rounding of c costs theta half of its digits.
The gradient does not mind. Where c is wrong by e, it is wrong by e times d(s u + (pi - theta) z)/dc = (z - c u) / s,
and that is a vector of length 1. It only matters that s and theta come from one c; c is held to [-1, 1].
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

Arc = Callable[[Float[Array, "*n"]], tuple[Float[Array, "*n"], Float[Array, "*n"]]]

# arccos(t) / sqrt(1 - t^2) for 0 <= t <= 1, as a polynomial in 2 t - 1: the interpolant at 23 Chebyshev points,
# computed with 200 bits. The function is analytic but for t = -1, so the coefficients fall like 3^-n.
QUOTIENT = (
    1.2091995761561452, -0.26360014128128495, 0.06973319205204842, -0.019837146922478822,
    0.0058616289748975965, -0.001772928461108944, 0.00054477398906599, -0.000169309947400452,
    5.307369574472037e-05, -1.674914319360952e-05, 5.314322119480838e-06, -1.6936392969318589e-06,
    5.417565865152454e-07, -1.7388512801741745e-07, 5.5947202343397834e-08, -1.7965259279507302e-08,
    5.805394885597705e-09, -1.96628826628407e-09, 6.37800796069253e-10, -1.461945580674446e-10,
    4.7451991591293886e-11, -3.981448365288547e-11, 1.2990336985763801e-11,
)  # fmt: skip


def exact_arc(c: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """pi - theta and sin(theta) for cosines c; jax.grad of it has no NaN where c is 1 or -1, or beyond by rounding."""
    square = (1 - c) * (1 + c)
    inside = square > 0
    sine = jnp.where(inside, jnp.sqrt(jnp.where(inside, square, 1)), 0)
    return jnp.arctan2(sine, -c), sine


def fast_arc(c: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """The same to a few units of the last place of pi in float64: one square root and a polynomial, so it vectorises.

    Not for differentiation.
    """
    sine = jnp.sqrt(jnp.maximum((1 - c) * (1 + c), 0))
    x = 2 * abs(c) - 1
    quotient = jnp.full_like(x, QUOTIENT[-1])
    for coefficient in QUOTIENT[-2::-1]:
        quotient = quotient * x + coefficient
    smaller = sine * quotient  # theta or pi - theta, whichever is at most pi / 2
    return jnp.where(c < 0, smaller, jnp.pi - smaller), sine


def loss(W: Float[Array, "n k"], V: Float[Array, "t k"]) -> Float[Array, ""]:
    """L(W) of the student W for the teacher V, a unit a row.

    Args:
      W: the student's units; none may be 0.
      V: the teacher's; none may be 0.

    Raises:
      ValueError: the two have inputs of different lengths.
    """
    _check(W, V)
    own = _kernel(W, W, itself=True).sum() / 2 + _kernel(V, V, itself=True).sum() / 2
    return own - _kernel(W, V).sum()


def gradient(W: Float[Array, "n k"], V: Float[Array, "t k"] | None = None, arc: Arc = exact_arc) -> Float[Array, "n k"]:
    """dL/dW. No automatic differentiation is used.

    Args:
      W: the student's units; none may be 0.
      V: the teacher's; None stands for the standard basis e_1, ..., e_k, whose products cost nothing.
      arc: where angles come from, `exact_arc` or `fast_arc`.

    Raises:
      ValueError: the two have inputs of different lengths.
    """
    if V is not None:
        _check(W, V)
    sizes = jnp.sqrt((W * W).sum(axis=1))
    U = W / sizes[:, None]
    rest, sine = arc(_cosines(U, U, itself=True))
    if V is None:
        teacher_rest, teacher_sine = arc(U)
        pull, turn = teacher_rest, teacher_sine.sum(axis=1)
    else:
        lengths = jnp.sqrt((V * V).sum(axis=1))
        teacher_rest, teacher_sine = arc(_cosines(U, V / lengths[:, None]))
        pull, turn = teacher_rest @ V, teacher_sine @ lengths
    return (U * (sine @ sizes - turn)[:, None] + rest @ W - pull) / (2 * jnp.pi)


def _kernel(A: Float[Array, "n k"], B: Float[Array, "t k"], itself: bool = False) -> Float[Array, "n t"]:
    """K of each row of A with each row of B."""
    a, b = (jnp.sqrt((M * M).sum(axis=1)) for M in (A, B))
    c = _cosines(A / a[:, None], B / b[:, None], itself)
    rest, sine = exact_arc(c)
    return a[:, None] * b[None, :] * (sine + rest * c) / (2 * jnp.pi)


def _cosines(A: Float[Array, "n k"], B: Float[Array, "t k"], itself: bool = False) -> Float[Array, "n t"]:
    """Cosines of the angles between unit rows; exactly 1 on the diagonal where B is A."""
    c = A @ B.T
    return jnp.where(jnp.eye(len(A), dtype=bool), 1, c) if itself else c


def _check(W: Float[Array, "n k"], V: Float[Array, "t k"]) -> None:
    if W.shape[1] != V.shape[1]:
        raise ValueError(f"W must be (n, k) and V (t, k): W has shape {W.shape}, V has shape {V.shape}")
