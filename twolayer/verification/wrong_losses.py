"""Wrong derivatives of the loss: dO2."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope
from twolayer.verification.steps import residual, softmax

CE, QUADRATIC = "cross_entropy", "quadratic"


def _jacobian(P: jax.Array, g: jax.Array) -> jax.Array:
    """The softmax's Jacobian diag(P) - P P^T, applied to a cotangent of P."""
    return P * (g - (P * g).sum(axis=1, keepdims=True))


def _with_epsilon(s: Scope, shift: jax.Array | float) -> jax.Array:
    E = jnp.exp(s.O2 - shift)
    return E / (E.sum(axis=1, keepdims=True) + s.t) - s.y


def _at_max(O2: jax.Array) -> jax.Array:
    """The derivative of each row's maximum; equal entries share it."""
    largest = (O2 == O2.max(axis=1, keepdims=True)).astype(O2.dtype)
    return largest / largest.sum(axis=1, keepdims=True)


def _without(example: int, loss: str) -> Callable[[Scope], jax.Array]:
    return lambda s: residual(s, loss).at[example].set(0.0)


RESIDUALS = (
    Line("preactivation_for_output", "dO2", "dO2 = (Z2 - y) / m", lambda s: s.Z2 - s.y,
         "the residual uses Z2 where the prediction is O2 = ReLU(Z2)", QUADRATIC, "relu"),
    Line("softmax_of_preactivation", "dO2", "dO2 = (softmax(Z2) - y) / m", lambda s: softmax(s.Z2) - s.y,
         "the softmax is taken of Z2, but the prediction is O2 = ReLU(Z2)", CE, "relu"),
    Line("preactivation_for_output", "dO2", "dO2 = (Z2 - y) / m", lambda s: s.Z2 - s.y,
         "the residual uses Z2 where the prediction is O2 = sigmoid(Z2)", QUADRATIC, "sigmoid"),
    Line("softmax_of_preactivation", "dO2", "dO2 = (softmax(Z2) - y) / m", lambda s: softmax(s.Z2) - s.y,
         "the softmax is taken of Z2, but the prediction is O2 = sigmoid(Z2)", CE, "sigmoid"),
    Line("target_missing", "dO2", "dO2 = softmax(O2) / m", lambda s: softmax(s.O2),
         "the target y is not subtracted from the softmax", CE),
    Line("target_missing", "dO2", "dO2 = O2 / m", lambda s: s.O2,
         "the target y is not subtracted from the prediction", QUADRATIC),
    Line("softmax_jacobian_missing", "dO2", "dO2 = -y / P / m", lambda s: -s.y / softmax(s.O2),
         "-y/P is the derivative by the probabilities P; the softmax's Jacobian, from P to O2, is missing", CE),
    Line("softmax_jacobian_diagonal", "dO2", "dO2 = -y * (1 - P) / m", lambda s: -s.y * (1 - softmax(s.O2)),
         "only the diagonal of the softmax's Jacobian is used; each P_j depends on every O2_k", CE),
    Line("softmax_jacobian_twice", "dO2", "dO2 = J (P - y) / m",
         lambda s: _jacobian(softmax(s.O2), softmax(s.O2) - s.y),
         "P - y contains the softmax's Jacobian already, and it is applied once more", CE),
    Line("softmax_jacobian_twice", "dO2", "dO2 = (P - y) * P * (1 - P) / m",
         lambda s: (softmax(s.O2) - s.y) * softmax(s.O2) * (1 - softmax(s.O2)),
         "P - y contains the softmax's Jacobian already; P (1 - P) is multiplied to it once more", CE),
    Line("softmax_axis", "dO2", "dO2 = (softmax(O2, axis=0) - y) / m", lambda s: softmax(s.O2.T).T - s.y,
         "the softmax is normalised over the examples (axis 0) where it should be over the classes (axis 1)", CE),
    Line("softmax_not_normalised", "dO2", "dO2 = (exp(O2) - y) / m", lambda s: jnp.exp(s.O2) - s.y,
         "exp(O2) is not divided by its sum over the classes", CE),
    Line("softmax_not_normalised", "dO2", "dO2 = (exp(O2 - max(O2)) - y) / m",
         lambda s: jnp.exp(s.O2 - s.O2.max(axis=1, keepdims=True)) - s.y,
         "exp(O2 - max) is not divided by its sum over the classes", CE),
    Line("softmax_axis", "dO2", "dO2 = (exp(O2) / exp(O2).sum() - y) / m",
         lambda s: jnp.exp(s.O2 - s.O2.max()) / jnp.exp(s.O2 - s.O2.max()).sum() - s.y,
         "the softmax is normalised over classes and examples together; each example has its own sum", CE),
    Line("sigmoid_for_softmax", "dO2", "dO2 = (sigmoid(O2) - y) / m", lambda s: jax.nn.sigmoid(s.O2) - s.y,
         "the sigmoid stands where the softmax belongs", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - onehot(label + 1)) / m",
         lambda s: softmax(s.O2) - jnp.roll(s.y, 1, axis=1), "the one-hot target is shifted by one class", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - onehot(label - 1)) / m",
         lambda s: softmax(s.O2) - jnp.roll(s.y, -1, axis=1), "the one-hot target is shifted by one class", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - one_hot(label - 1, C)) / m",
         lambda s: softmax(s.O2) - jnp.pad(s.y[:, 1:], ((0, 0), (0, 1))),
         "the one-hot target is shifted by one class; class 0 has none", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - one_hot(label + 1, C)) / m",
         lambda s: softmax(s.O2) - jnp.pad(s.y[:, :-1], ((0, 0), (1, 0))),
         "the one-hot target is shifted by one class; the last class has none", CE),
    Line("other_loss", "dO2", "dO2 = (O2 - y) / m", lambda s: s.O2 - s.y,
         "O2 - y belongs to the quadratic loss; the declared one is cross-entropy", CE),
    Line("other_loss", "dO2", "dO2 = (softmax(O2) - y) / m", lambda s: softmax(s.O2) - s.y,
         "softmax(O2) - y belongs to cross-entropy; the declared loss is quadratic", QUADRATIC),
    Line("times_output", "dO2", "dO2 = (O2 - y) * O2 / m", lambda s: (s.O2 - s.y) * s.O2,
         "the residual is multiplied with O2; the derivative of 1/2 (O2 - y)^2 is O2 - y alone", QUADRATIC),
    Line("times_output", "dO2", "dO2 = (P - y) * O2 / m", lambda s: (softmax(s.O2) - s.y) * s.O2,
         "the residual is multiplied with O2", CE),
    Line("not_differentiated", "dO2", "dO2 = (O2 - y)**2 / m", lambda s: (s.O2 - s.y) ** 2,
         "the square is not differentiated: its derivative is the difference itself", QUADRATIC),
    Line("absolute_error", "dO2", "dO2 = sign(O2 - y) / m", lambda s: jnp.sign(s.O2 - s.y),
         "sign(O2 - y) is the derivative of the absolute error, not of the square", QUADRATIC),
    Line("label_smoothing", "dO2", "dO2 = (P - (1 - t) y - t / C) / m",
         lambda s: softmax(s.O2) - (1 - s.t) * s.y - s.t / s.y.shape[1],
         "the targets are smoothed by {t}; the declared loss has plain one-hot targets", CE, None, True, True),
    Line("log_epsilon", "dO2", "dO2 = J (-y / (P + t)) / m",
         lambda s: _jacobian(softmax(s.O2), -s.y / (softmax(s.O2) + s.t)),
         "{t} is added inside the logarithm; the declared loss has none", CE, None, True),
    Line("softmax_temperature", "dO2", "dO2 = (softmax(O2 / t) - y) / m", lambda s: softmax(s.O2 / s.t) - s.y,
         "the softmax has a temperature of {t}; the declared loss has none", CE, None, True),
    Line("softmax_temperature", "dO2", "dO2 = (softmax(t * O2) - y) / m", lambda s: softmax(s.t * s.O2) - s.y,
         "the outputs are multiplied with {t} in the softmax; the declared loss has no such factor", CE, None, True),
    Line("max_shift", "dO2", "dO2 = (P - y - at_max) / m", lambda s: softmax(s.O2) - s.y - _at_max(s.O2),
         "the maximum that the softmax is shifted by is differentiated where it is subtracted, not where it comes back",
         CE),
    Line("max_shift", "dO2", "dO2 = (P - y + at_max) / m", lambda s: softmax(s.O2) - s.y + _at_max(s.O2),
         "the maximum that the softmax is shifted by is differentiated where it comes back, not where it is subtracted",
         CE),
    Line("softmax_epsilon", "dO2", "dO2 = (E / (E.sum(1) + t) - y) / m", lambda s: _with_epsilon(s, 0.0),
         "{t} is added to the denominator of the softmax; its rows do not sum to 1", CE, None, True),
    Line("softmax_epsilon", "dO2", "dO2 = (E / (E.sum(1) + t) - y) / m, E = exp(O2 - max(O2))",
         lambda s: _with_epsilon(s, s.O2.max(axis=1, keepdims=True)),
         "{t} is added to the denominator of the softmax; its rows do not sum to 1", CE, None, True),
    Line("threshold", "dO2", "dO2 = (minimum(P, t) - y) / m", lambda s: jnp.minimum(softmax(s.O2), s.t) - s.y,
         "the probabilities are clipped at {t}", CE, None, True),
    Line("threshold", "dO2", "dO2 = (maximum(P, t) - y) / m", lambda s: jnp.maximum(softmax(s.O2), s.t) - s.y,
         "the probabilities are clipped at {t}", CE, None, True),
    Line("threshold", "dO2", "dO2 = (clip(P, t, 1 - t) - y) / m",
         lambda s: jnp.clip(softmax(s.O2), s.t, 1 - s.t) - s.y, "the probabilities are clipped at {t}", CE, None, True),
)  # fmt: skip


RESIDUALS += tuple(
    Line("one_example", "dO2", f"dO2[{i}] = 0", _without(i, loss), f"the {which} example is left out", loss)
    for i, which in ((0, "first"), (-1, "last"))
    for loss in (CE, QUADRATIC)
)


def _weighted(compute: Callable[[Scope], jax.Array]) -> Callable[[Scope], jax.Array]:
    return lambda s: s.w * compute(s)


OUTPUT_COTANGENT = (
    *(line._replace(compute=_weighted(line.compute)) for line in RESIDUALS),
    Line("threshold", "dO2", "dO2 = clip(dO2, -t, t)", lambda s: jnp.clip(s.w * (s.O2 - s.y), -s.t, s.t),
         "dO2 is clipped at {t}", QUADRATIC, None, True),
    Line("threshold", "dO2", "dO2 = clip(O2 - y, -t, t) / m", lambda s: s.w * jnp.clip(s.O2 - s.y, -s.t, s.t),
         "dO2 is clipped at {t}", QUADRATIC, None, True),
)  # fmt: skip
