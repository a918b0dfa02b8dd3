"""The wrong lines: mistakes that people make in this derivation, each with one sentence for whoever made it.

Sources: the author's own two slips, the mistakes of published exercises and forum threads, and what is left when a
factor is dropped, doubled, transposed or taken from the neighbouring layer. A wrong constant factor needs no line here:
it is read off (scales.py). Lines that differ from the right one by a number take that number from the derivation.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope
from twolayer.verification.steps import softmax

CE, QUADRATIC = "cross_entropy", "quadratic"


def _jacobian(P: jax.Array, g: jax.Array) -> jax.Array:
    """The softmax's Jacobian diag(P) - P P^T, applied to a cotangent of P."""
    return P * (g - (P * g).sum(axis=1, keepdims=True))


RESIDUALS = (
    Line("preactivation_for_output", "dO2", "dO2 = (Z2 - y) / m", lambda s: s.Z2 - s.y,
         "the residual uses Z2 where the prediction is O2 = ReLU(Z2)", QUADRATIC, "relu"),
    Line("softmax_of_preactivation", "dO2", "dO2 = (softmax(Z2) - y) / m", lambda s: softmax(s.Z2) - s.y,
         "the softmax is taken of Z2, but the prediction is O2 = ReLU(Z2)", CE, "relu"),
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
    Line("sigmoid_for_softmax", "dO2", "dO2 = (sigmoid(O2) - y) / m", lambda s: jax.nn.sigmoid(s.O2) - s.y,
         "the sigmoid stands where the softmax belongs", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - onehot(label + 1)) / m",
         lambda s: softmax(s.O2) - jnp.roll(s.y, 1, axis=1), "the one-hot target is shifted by one class", CE),
    Line("onehot_shifted", "dO2", "dO2 = (P - onehot(label - 1)) / m",
         lambda s: softmax(s.O2) - jnp.roll(s.y, -1, axis=1), "the one-hot target is shifted by one class", CE),
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
    Line("threshold", "dO2", "dO2 = (minimum(P, t) - y) / m", lambda s: jnp.minimum(softmax(s.O2), s.t) - s.y,
         "the probabilities are clipped at {t}", CE, None, True),
    Line("threshold", "dO2", "dO2 = (maximum(P, t) - y) / m", lambda s: jnp.maximum(softmax(s.O2), s.t) - s.y,
         "the probabilities are clipped at {t}", CE, None, True),
    Line("threshold", "dO2", "dO2 = (clip(P, t, 1 - t) - y) / m",
         lambda s: jnp.clip(softmax(s.O2), s.t, 1 - s.t) - s.y, "the probabilities are clipped at {t}", CE, None, True),
)  # fmt: skip


def _weighted(compute: Callable[[Scope], jax.Array]) -> Callable[[Scope], jax.Array]:
    return lambda s: s.w * compute(s)


OUTPUT_COTANGENT = (
    *(line._replace(compute=_weighted(line.compute)) for line in RESIDUALS),
    Line("threshold", "dO2", "dO2 = clip(dO2, -t, t)", lambda s: jnp.clip(s.w * (s.O2 - s.y), -s.t, s.t),
         "dO2 is clipped at {t}", QUADRATIC, None, True),
    Line("threshold", "dO2", "dO2 = clip(O2 - y, -t, t) / m", lambda s: s.w * jnp.clip(s.O2 - s.y, -s.t, s.t),
         "dO2 is clipped at {t}", QUADRATIC, None, True),
)  # fmt: skip


def _activation(layer: int) -> tuple[Line, ...]:
    """The wrong derivatives of a ReLU: dZ from dO."""
    dO, dZ, out, Z = (f"{name}{layer}" for name in ("dO", "dZ", "O", "Z"))
    other = 3 - layer
    output = "relu" if layer == 2 else None

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    a, o, z, z_other = of(dO), of(out), of(Z), of(f"Z{other}")
    lines = (
        ("mask_missing", f"{dZ} = {dO}", a, f"the ReLU's mask 1[{Z} > 0] is missing"),
        ("mask_inverted", f"{dZ} = {dO} * ({Z} <= 0)", lambda s: jnp.where(z(s) <= 0, a(s), 0),
         f"the mask is inverted: the gradient passes where {Z} > 0"),
        ("mask_of_other_layer", f"{dZ} = {dO} * (Z{other} > 0)", lambda s: jnp.where(z_other(s) > 0, a(s), 0),
         f"the mask is that of layer {other}; {dZ} needs 1[{Z} > 0]"),
        ("mask_of_gradient", f"{dZ} = {dO} * ({dO} > 0)", lambda s: jnp.where(a(s) > 0, a(s), 0),
         f"the mask asks for the sign of the gradient {dO}; it should ask for the sign of {Z}"),
        ("mask_of_gradient", f"{dZ} = {dO} * ({Z} > 0) * ({dO} > 0)",
         lambda s: jnp.where((z(s) > 0) & (a(s) > 0), a(s), 0),
         f"a second mask asks for the sign of the gradient {dO}; only the sign of {Z} counts"),
        ("absolute_value", f"{dZ} = {dO} * sign({Z})", lambda s: a(s) * jnp.sign(z(s)),
         f"sign({Z}) is the derivative of an absolute value; that of ReLU is 1[{Z} > 0]"),
        ("output_for_mask", f"{dZ} = {dO} * {out}", lambda s: a(s) * o(s),
         f"{dO} is multiplied with {out}; the derivative of ReLU is the mask 1[{Z} > 0]"),
        ("output_for_mask", f"{dZ} = {dO} * {Z}", lambda s: a(s) * z(s),
         f"{dO} is multiplied with {Z}; the derivative of ReLU is the mask 1[{Z} > 0]"),
        ("sigmoid_derivative", f"{dZ} = {dO} * {out} * (1 - {out})", lambda s: a(s) * o(s) * (1 - o(s)),
         f"O (1 - O) is the derivative of a sigmoid; here the activation is ReLU, with 1[{Z} > 0]"),
        ("sigmoid_derivative", f"{dZ} = {dO} * sigmoid({Z}) * (1 - sigmoid({Z}))",
         lambda s: a(s) * jax.nn.sigmoid(z(s)) * (1 - jax.nn.sigmoid(z(s))),
         f"this is the derivative of a sigmoid; here the activation is ReLU, with 1[{Z} > 0]"),
        ("tanh_derivative", f"{dZ} = {dO} * (1 - {out}**2)", lambda s: a(s) * (1 - o(s) ** 2),
         f"1 - O^2 is the derivative of tanh; here the activation is ReLU, with 1[{Z} > 0]"),
        ("tanh_derivative", f"{dZ} = {dO} * (1 - tanh({Z})**2)", lambda s: a(s) * (1 - jnp.tanh(z(s)) ** 2),
         f"this is the derivative of tanh; here the activation is ReLU, with 1[{Z} > 0]"),
        ("mask_without_gradient", f"{dZ} = {Z} > 0", lambda s: jnp.where(z(s) > 0, 1.0, 0.0),
         f"the mask stands alone: {dO} is not multiplied to it"),
        ("zero", f"{dZ} = 0", lambda s: 0 * a(s), f"{dZ} is zero"),
    )  # fmt: skip
    with_literal = (
        ("threshold", f"{dZ} = {dO} * ({Z} > t)", lambda s: jnp.where(z(s) > s.t, a(s), 0),
         f"the mask asks for {Z} > {{t}}; the kink of ReLU is at 0"),
        ("threshold", f"{dZ} = {dO} * (round({Z} * t) > 0)", lambda s: jnp.where(jnp.round(z(s) * s.t) > 0, a(s), 0),
         f"the mask is that of a rounded {Z}"),
    )  # fmt: skip
    leaky = Line(
        "leaky_relu", dZ, f"{dZ} = {dO} * where({Z} > 0, 1, t)", lambda s: jnp.where(z(s) > 0, a(s), s.t * a(s)),
        f"where {Z} <= 0 the gradient is multiplied with {{t}}: that is a leaky ReLU", None, output, True, True,
    )  # fmt: skip
    tables = ((lines, False), (with_literal, True))
    return (
        *(
            Line(id, dZ, code, f, text, None, output, literal)
            for table, literal in tables
            for id, code, f, text in table
        ),
        leaky,
    )


IDENTITY_OUTPUT = (
    Line("mask_added", "dZ2", "dZ2 = dO2 * (Z2 > 0)", lambda s: jnp.where(s.Z2 > 0, s.dO2, 0),
         "a mask is applied, but the declared output has no ReLU", None, "identity"),
)  # fmt: skip


def _weights(layer: int) -> tuple[Line, ...]:
    """Wrong products for dW."""
    dW, W, dZ, dO = (f"{name}{layer}" for name in ("dW", "W", "dZ", "dO"))
    inputs = "O1" if layer == 2 else "x"

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    z, o, v, w = of(dZ), of(dO), of(inputs), of(W)
    table = (
        ("unmasked_cotangent", f"{dW} = {dO}.T @ {inputs}", lambda s: o(s).T @ v(s),
         f"{dO} stands where {dZ} belongs: the ReLU's mask is skipped"),
        ("one_example", f"{dW} = outer({dZ}[-1], {inputs}[-1])", lambda s: jnp.outer(z(s)[-1], v(s)[-1]),
         "only the last example counts; the sum over the examples is missing (= where += belongs)"),
        ("one_example", f"{dW} = outer({dZ}[0], {inputs}[0])", lambda s: jnp.outer(z(s)[0], v(s)[0]),
         "only the first example counts; the sum over the examples is missing"),
        ("one_example", f"{dW} = {dZ}[:-1].T @ {inputs}[:-1]", lambda s: z(s)[:-1].T @ v(s)[:-1],
         "the last example is left out of the sum"),
        ("one_example", f"{dW} = {dZ}[1:].T @ {inputs}[1:]", lambda s: z(s)[1:].T @ v(s)[1:],
         "the first example is left out of the sum"),
        ("zero", f"{dW} = 0", lambda s: 0 * w(s), f"{dW} is zero"),
        ("transpose", f"{dW} = ({inputs}.T @ {dZ}).reshape({W}.shape)",
         lambda s: (v(s).T @ z(s)).reshape(w(s).shape), f"{dW} is transposed: it must have the shape of {W}"),
        ("transpose", f"{dW} = {inputs}.T @ {dZ}", lambda s: v(s).T @ z(s),
         f"{dW} is transposed: it must have the shape of {W}"),
        ("weights_for_inputs", f"{dW} = {dZ}.T @ {W}", lambda s: z(s).T @ w(s), f"{W} stands where {inputs} belongs"),
    )  # fmt: skip
    if layer == 2:
        table += (
            ("preactivation_for_activation", "dW2 = dZ2.T @ Z1", lambda s: s.dZ2.T @ s.Z1,
             "Z1 stands where O1 = ReLU(Z1) belongs: W2 multiplies O1 in the forward pass"),
            ("mask_for_activation", "dW2 = dZ2.T @ (Z1 > 0)", lambda s: s.dZ2.T @ jnp.where(s.Z1 > 0, 1.0, 0.0),
             "the mask of Z1 stands where O1 belongs"),
            ("input_for_activation", "dW2 = dZ2.T @ x", lambda s: s.dZ2.T @ s.x,
             "the input x stands where O1 belongs: W2 multiplies O1 in the forward pass"),
        )  # fmt: skip
    else:
        table += (
            ("activation_for_input", "dW1 = dZ1.T @ O1", lambda s: s.dZ1.T @ s.O1,
             "O1 stands where the input x belongs: W1 multiplies x in the forward pass"),
        )  # fmt: skip
    return (
        *(Line(id, dW, code, f, text) for id, code, f, text in table),
        Line("phantom_l2", dW, f"{dW} += t * {W}", lambda s: z(s).T @ v(s) + s.t * w(s),
             f"{{t}} {W} is added: the declared loss has no L2 term", literal=True, affine=True),
        Line("threshold", dW, f"{dW} = clip({dW}, -t, t)", lambda s: jnp.clip(z(s).T @ v(s), -s.t, s.t),
             f"{dW} is clipped at {{t}}", literal=True),
    )  # fmt: skip


def _biases(layer: int) -> tuple[Line, ...]:
    """Wrong sums for db."""
    db, b, dZ, dO = (f"{name}{layer}" for name in ("db", "b", "dZ", "dO"))

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    z, o, v = of(dZ), of(dO), of(b)
    table = (
        ("unmasked_cotangent", f"{db} = {dO}.sum(axis=0)", lambda s: o(s).sum(axis=0),
         f"{dO} stands where {dZ} belongs: the ReLU's mask is skipped"),
        ("one_example", f"{db} = {dZ}[-1]", lambda s: z(s)[-1], "only the last example counts; sum over all of them"),
        ("one_example", f"{db} = {dZ}[0]", lambda s: z(s)[0], "only the first example counts; sum over all of them"),
        ("one_example", f"{db} = {dZ}[:-1].sum(axis=0)", lambda s: z(s)[:-1].sum(axis=0),
         "the last example is left out of the sum"),
        ("one_example", f"{db} = {dZ}[1:].sum(axis=0)", lambda s: z(s)[1:].sum(axis=0),
         "the first example is left out of the sum"),
        ("zero", f"{db} = 0", lambda s: 0 * v(s), f"{db} is zero: the bias is not derived"),
        ("wrong_axis", f"{db} = {dZ}.sum()", lambda s: jnp.broadcast_to(z(s).sum(), v(s).shape),
         f"{dZ} is summed over both axes; only the examples (axis 0) are summed"),
        ("wrong_axis", f"{db} = {dZ}.sum(axis=1)", lambda s: _same(z(s).sum(axis=1), v(s)),
         f"{dZ} is summed over the units (axis 1); sum over the examples (axis 0)"),
    )  # fmt: skip
    return (
        *(Line(id, db, code, f, text) for id, code, f, text in table),
        Line("phantom_l2", db, f"{db} += t * {b}", lambda s: z(s).sum(axis=0) + s.t * v(s),
             f"{{t}} {b} is added: the declared loss has no L2 term", literal=True, affine=True),
        Line("threshold", db, f"{db} = clip({db}, -t, t)", lambda s: jnp.clip(z(s).sum(axis=0), -s.t, s.t),
             f"{db} is clipped at {{t}}", literal=True),
    )  # fmt: skip


def _same(a: jax.Array, like: jax.Array) -> jax.Array:
    if a.shape != like.shape:
        raise TypeError("these sizes do not fit")  # only where m equals the number of units
    return a


HIDDEN_COTANGENT = (
    Line("unmasked_cotangent", "dO1", "dO1 = dO2 @ W2", lambda s: s.dO2 @ s.W2,
         "dO2 stands where dZ2 belongs: the output ReLU's mask is skipped on the way back"),
    Line("transpose", "dO1", "dO1 = dZ2 @ W2.T", lambda s: s.dZ2 @ s.W2.T,
         "W2 is transposed: with Z2 = O1 W2^T, dO1 = dZ2 W2"),
    Line("transpose", "dO1", "dO1 = dZ2 @ W2.T.reshape(W2.shape)", lambda s: s.dZ2 @ s.W2.T.reshape(s.W2.shape),
         "W2's entries are in the order of its transpose: dO1 = dZ2 W2"),
    Line("absolute_weights", "dO1", "dO1 = dZ2 @ abs(W2)", lambda s: s.dZ2 @ abs(s.W2),
         "the absolute values of W2 are used; its signs belong to the derivative"),
    Line("w1_for_w2", "dO1", "dO1 = dZ2 @ W1", lambda s: s.dZ2 @ s.W1,
         "W1 stands where W2 belongs: dZ2/dO1 = W2"),
    Line("weights_missing", "dO1", "dO1 = dZ2.sum(axis=1)", lambda s: jnp.broadcast_to(
        s.dZ2.sum(axis=1, keepdims=True), s.O1.shape), "the factor W2 = dZ2/dO1 is missing"),
    Line("weights_missing", "dO1", "dO1 = dZ2", lambda s: _same(s.dZ2, s.O1), "the factor W2 = dZ2/dO1 is missing"),
    Line("mask_of_weights", "dO1", "dO1 = dZ2 @ relu(W2)", lambda s: s.dZ2 @ jnp.where(s.W2 > 0, s.W2, 0),
         "only the positive entries of W2 are used"),
    Line("zero", "dO1", "dO1 = 0", lambda s: 0 * s.O1, "dO1 is zero"),
    Line("updated_w2", "dO1", "dO1 = dZ2 @ (W2 - t * dW2)", lambda s: s.dZ2 @ (s.W2 - s.t * s.dW2),
         "W2 is used after its gradient step of {t}; back-propagation needs W2 of the forward pass",
         literal=True, affine=True),
)  # fmt: skip

WRONG_LINES = (
    *OUTPUT_COTANGENT,
    *_activation(2),
    *IDENTITY_OUTPUT,
    *_weights(2),
    *_biases(2),
    *HIDDEN_COTANGENT,
    *_activation(1),
    *_weights(1),
    *_biases(1),
)
